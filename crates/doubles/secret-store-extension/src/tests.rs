//! What Go's own code made of the same certificates and keys, in `golden`: `tls.crt` and `tls.key` by the controller's `GetCertPart`
//! of each form, `bundle.pem` by the provider's `decodePKCS12` with `constructPEMChain`, `pfx.tls.crt` by `GetCertPart` of the PFX's
//! bytes. The certificates come in no order. The keys are made for these tests.

use super::{certificate, encoding::decoded, key::PrivateKey, pem, tls};
use zeroize::Zeroizing;

/// The texts of one key.
struct Golden {
    pkcs8: &'static str,
    traditional: &'static str,
    pfx: &'static str,
    bundle: &'static str,
    crt: &'static str,
    key: &'static str,
    crt_of_pfx: &'static str,
}

macro_rules! golden {
    ($name:literal) => {
        Golden {
            pkcs8: include_str!(concat!("../golden/", $name, ".pkcs8.pem")),
            traditional: include_str!(concat!("../golden/", $name, ".traditional.pem")),
            pfx: include_str!(concat!("../golden/", $name, ".pfx.base64")),
            bundle: include_str!(concat!("../golden/", $name, ".bundle.pem")),
            crt: include_str!(concat!("../golden/", $name, ".tls.crt")),
            key: include_str!(concat!("../golden/", $name, ".tls.key")),
            crt_of_pfx: include_str!(concat!("../golden/", $name, ".pfx.tls.crt")),
        }
    };
}

const ALL: [Golden; 3] = [golden!("rsa"), golden!("p256"), golden!("p384")];

fn part(file: impl AsRef<[u8]>, key: &str) -> String {
    String::from_utf8(tls::part(file.as_ref(), key).unwrap().to_vec()).unwrap()
}

fn refusal(file: impl AsRef<[u8]>, key: &str) -> String {
    tls::part(file.as_ref(), key).unwrap_err()
}

#[test]
fn a_tls_secret_gets_the_bytes_that_the_controller_writes_whatever_the_form_of_the_key() {
    for Golden { pkcs8, traditional, crt, key, bundle, .. } in ALL {
        for form in [pkcs8, traditional, &pkcs8.replace('\n', "\r\n")] {
            assert_eq!((part(form, "tls.crt").as_str(), part(form, "tls.key").as_str()), (crt, key));
        }
        assert_eq!(part(bundle, "tls.key"), key);
    }
}

#[test]
fn an_ec_key_without_its_public_key_as_java_writes_it_gets_one() {
    let [_, Golden { key, .. }, _] = ALL;
    assert_eq!(part(include_str!("../golden/p256.bare.pem"), "tls.key"), key);
}

#[test]
fn of_several_keys_the_last_one_counts() {
    let [rsa, p256, _] = ALL;
    assert_eq!(part(format!("{}{}", rsa.pkcs8, p256.pkcs8), "tls.key"), p256.key);
    assert_eq!(part(format!("{}{}", p256.pkcs8, rsa.traditional), "tls.key"), rsa.key);
}

#[test]
fn a_pfx_of_a_certificate_becomes_the_text_that_the_provider_makes_of_it() {
    for Golden { pfx, bundle, pkcs8, .. } in ALL {
        let exported = |value: &str, kind: &str, format: &str| {
            let value = Zeroizing::new(value.to_owned());
            certificate::exported(value, kind, format).map(|text| text.to_string())
        };
        assert_eq!(exported(pfx, "application/x-pkcs12", "").unwrap(), bundle);
        assert_eq!(exported(pfx, "application/x-pkcs12", "PFX").unwrap(), pfx);
        assert_eq!(exported(pkcs8, "application/x-pem-file", "pfx").unwrap(), pkcs8);
        let unknown = exported(pkcs8, "text/plain", "").unwrap_err();
        assert_eq!(unknown, "failed to get certificate. unknown content type 'text/plain'");
        let damaged = exported("!", "application/x-pkcs12", "").unwrap_err();
        assert_eq!(damaged, "illegal base64 data at input byte 0");
    }
}

#[test]
fn a_tls_secret_gets_its_parts_out_of_the_bytes_of_a_pfx_too() {
    for Golden { pfx, key, crt_of_pfx, .. } in ALL {
        let pfx = decoded(pfx, "base64").unwrap();
        assert_eq!((part(&*pfx, "tls.crt").as_str(), part(&*pfx, "tls.key").as_str()), (crt_of_pfx, key));
    }
}

#[test]
fn what_is_neither_pem_nor_pfx_is_refused_in_the_controllers_words() {
    for (file, why) in [
        ("", "asn1: syntax error: sequence truncated"),
        ("0", "asn1: syntax error: truncated tag or length"),
        ("correct horse", "asn1: structure error: tags don't match"),
        ("0123456789", "asn1: syntax error: data truncated"),
    ] {
        for key in ["tls.crt", "tls.key"] {
            let wanted = format!("failed to get cert data for {key}: pkcs12: error reading P12 data: {why}");
            assert_eq!(refusal(file, key), wanted, "{file:?}");
        }
    }
    let [Golden { crt, key, .. }, ..] = ALL;
    assert!(refusal(crt, "tls.key").contains("asn1: syntax error: sequence truncated"));
    assert!(refusal(key, "tls.crt").contains("asn1: syntax error: sequence truncated"));
    assert_eq!(
        refusal(crt, "ca.crt"),
        "failed to get cert data for ca.crt: key 'ca.crt' is not supported. Only 'tls.key' and 'tls.crt' are supported"
    );
}

#[test]
fn a_key_of_another_kind_is_refused_and_what_is_no_key_leaves_an_empty_block() {
    let ed25519 = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
    let x25519 = "MC4CAQAwBQYDK2VuBCIEIJDzUDEP8ZhZXYcix29U2qlGH95hCKWqGvlixff6OYFB";
    for key in [ed25519, x25519] {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
        assert_eq!(
            refusal(pem, "tls.key"),
            "failed to get cert data for tls.key: unknown private key type found while getting key. Only rsa and ecdsa are \
             supported"
        );
    }
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(part(encrypted, "tls.key"), "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n");
}

#[test]
fn a_pfx_in_the_encryption_of_today_is_refused_as_by_go() {
    use p12_keystore::{
        Certificate, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey as Pkcs8, PrivateKeyChain,
    };
    let [Golden { pkcs8, .. }, ..] = ALL;
    let (blocks, _) = pem::blocks(pkcs8.as_bytes());
    let key = PrivateKey::parse(&blocks[0].bytes).unwrap().pkcs8();
    let certificate = Certificate::from_der(&blocks[2].bytes).unwrap();
    let chain = PrivateKeyChain::new("1", Pkcs8::from_der(&key.bytes).unwrap(), [certificate]);
    let mut store = KeyStore::new();
    store.add_entry("rsa", KeyStoreEntry::PrivateKeyChain(chain));
    let why = |pfx: Vec<u8>| refusal(pfx, "tls.key").replace("failed to get cert data for tls.key: ", "");
    let today = store.writer("").write().unwrap();
    assert_eq!(why(today), "pkcs12: unknown digest algorithm: 2.16.840.1.101.3.4.2.1");
    let half = store.writer("").mac_algorithm(MacAlgorithm::HmacSha1).write().unwrap();
    assert_eq!(why(half), "pkcs12: algorithm 1.2.840.113549.1.5.13 is not supported");
    let locked = store.writer("x").mac_algorithm(MacAlgorithm::HmacSha1);
    let locked =
        locked.encryption_algorithm(p12_keystore::EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc);
    assert_eq!(why(locked.write().unwrap()), "pkcs12: decryption password incorrect");
}
