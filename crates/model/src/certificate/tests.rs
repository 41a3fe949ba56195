use super::*;

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/certificates/", $name)).as_slice()
    };
}
pub(crate) use file;

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn part(value: &[u8], part: Part) -> Result<String, CertificateError> {
    let bytes = part_of(Zeroizing::new(value.to_vec()), part, KeyForm::Unchanged, true)?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

fn text(parts: &[&[u8]]) -> String {
    String::from_utf8(parts.concat()).unwrap()
}

#[test]
fn the_parts_of_a_bundle_are_found_in_whatever_order_it_has() {
    let (key, leaf) = (file!("p256.pkcs8.pem"), file!("p256.crt.pem"));
    let (intermediate, root) = (file!("intermediate.pem"), file!("root.pem"));
    for bundle in [
        joined(&[key, leaf, intermediate, root]),
        joined(&[root, intermediate, leaf, key]),
        joined(&[intermediate, key, root, leaf]),
        joined(&[root, leaf, intermediate]),
    ] {
        assert_eq!(part(&bundle, Part::Certificate).unwrap(), text(&[leaf]));
        assert_eq!(part(&bundle, Part::Chain).unwrap(), text(&[intermediate, root]));
        assert_eq!(part(&bundle, Part::FullChain).unwrap(), text(&[leaf, intermediate, root]));
        let is_keyless = memchr::memmem::find(&bundle, b"PRIVATE KEY").is_none();
        let private_key = if is_keyless { Err(CertificateError::NoPrivateKey) } else { Ok(text(&[key])) };
        assert_eq!(part(&bundle, Part::PrivateKey), private_key);
    }
}

#[test]
fn a_value_without_the_part_says_what_it_lacks() {
    let (key, leaf) = (file!("rsa.pkcs8.pem"), file!("rsa.crt.pem"));
    assert_eq!(part(key, Part::Certificate), Err(CertificateError::NoCertificate));
    assert_eq!(part(key, Part::FullChain), Err(CertificateError::NoCertificate));
    assert_eq!(part(leaf, Part::Chain), Err(CertificateError::NoChain));
    assert_eq!(part(leaf, Part::Pfx), Err(CertificateError::NotPfx));
    let plain = |value: &[u8]| {
        part_of(Zeroizing::new(value.to_vec()), Part::Certificate, KeyForm::Unchanged, false).map(drop)
    };
    assert_eq!(plain(b"hunter2"), Err(CertificateError::Unreadable));
    assert_eq!(plain(file!("rsa.legacy.pfx")), Err(CertificateError::Unreadable), "nobody knows who made it");
    assert_eq!(part(file!("password.pfx"), Part::Certificate), Err(CertificateError::NotPfx));
    let broken = "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n";
    assert!(part(broken.as_bytes(), Part::Certificate).is_err());
    let unreadable = [broken.replace("hunter2", "AAAA").as_bytes(), leaf].concat();
    assert_eq!(part(&unreadable, Part::FullChain), Err(CertificateError::Unreadable));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(part(encrypted.as_bytes(), Part::PrivateKey), Err(CertificateError::EncryptedKey));
}

#[test]
fn der_becomes_pem() {
    assert_eq!(part(file!("rsa.der"), Part::Certificate).unwrap(), text(&[file!("rsa.crt.pem")]));
}

#[test]
fn a_pfx_has_the_parts_of_a_bundle() {
    let (intermediate, root) = (file!("intermediate.pem"), file!("root.pem"));
    for (pfx, key, leaf) in [
        (file!("rsa.legacy.pfx"), file!("rsa.pkcs8.pem"), file!("rsa.crt.pem")),
        (file!("p256.aes.pfx"), file!("p256.pkcs8.pem"), file!("p256.crt.pem")),
    ] {
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pfx);
        for value in [pfx, encoded.as_bytes()] {
            assert_eq!(part(value, Part::Certificate).unwrap(), text(&[leaf]));
            assert_eq!(part(value, Part::Chain).unwrap(), text(&[intermediate, root]));
            assert_eq!(part(value, Part::PrivateKey).unwrap(), text(&[key]));
            let file = part_of(Zeroizing::new(value.to_vec()), Part::Pfx, KeyForm::Unchanged, true).unwrap();
            assert_eq!(file.as_slice(), pfx);
        }
        let all = pem_of_pfx(encoded.as_bytes()).unwrap();
        assert_eq!(all.as_slice(), joined(&[key, leaf, intermediate, root]));
    }
}

#[test]
fn a_key_in_its_traditional_form_is_what_go_writes() {
    for (pkcs8, traditional) in [
        (file!("rsa.pkcs8.pem"), file!("rsa.traditional.pem")),
        (file!("p256.pkcs8.pem"), file!("p256.traditional.pem")),
        // Without its public key.
        (file!("p256.bare.pkcs8.pem"), file!("p256.traditional.pem")),
        (file!("p384.pkcs8.pem"), file!("p384.traditional.pem")),
        (file!("p521.pkcs8.pem"), file!("p521.traditional.pem")),
    ] {
        for input in [pkcs8, traditional] {
            let input = Zeroizing::new(input.to_vec());
            let written = part_of(input, Part::PrivateKey, KeyForm::Traditional, false);
            assert_eq!(str::from_utf8(&written.unwrap()).unwrap(), text(&[traditional]));
        }
    }
    // The extension writes none of these.
    for other in [file!("ed25519.pkcs8.pem"), file!("rsa.encrypted.pem"), file!("rsa.encrypted.pkcs8.pem")] {
        assert_eq!(str::from_utf8(&tls_key(other, false).unwrap()).unwrap(), text(&[other]));
    }
    assert_eq!(part(file!("rsa.encrypted.pem"), Part::PrivateKey), Err(CertificateError::EncryptedKey));
}

#[test]
fn a_key_of_every_kind_finds_its_certificate() {
    for (key, leaf) in [
        (file!("rsa.pkcs8.pem"), file!("rsa.crt.pem")),
        (file!("rsa.traditional.pem"), file!("rsa.crt.pem")),
        (file!("p384.pkcs8.pem"), file!("p384.crt.pem")),
        (file!("p521.traditional.pem"), file!("p521.crt.pem")),
        (file!("ed25519.pkcs8.pem"), file!("ed25519.crt.pem")),
    ] {
        // Two leaves of one issuer: only the key tells which is meant.
        let bundle = joined(&[file!("p256.crt.pem"), key, leaf]);
        assert_eq!(part(&bundle, Part::Certificate).unwrap(), text(&[leaf]));
    }
}

#[test]
fn every_part_has_a_word_of_its_own() {
    for part in Part::ALL {
        assert_eq!(part.as_str().parse(), Ok(part));
    }
    assert!("key".parse::<Part>().is_err());
}
