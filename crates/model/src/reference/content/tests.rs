use super::*;
use crate::certificate::tests::file;

fn reference(key: &str, part: Part, encoding: Encoding) -> Reference {
    let mut reference = crate::SyncedSecret::example("edp1secrets").references.remove(0);
    (reference.key, reference.part, reference.encoding) = (key.parse().unwrap(), part, encoding);
    reference
}

fn content(
    secret_type: &str,
    reference: &Reference,
    value: &[u8],
    is_pfx: bool,
) -> Result<Vec<u8>, ValueError> {
    let value = SecretString::from(str::from_utf8(value).unwrap());
    let bytes = reference.content(&secret_type.parse().unwrap(), &value, is_pfx)?;
    Ok(bytes.to_vec())
}

fn base64(bytes: &[u8]) -> Vec<u8> {
    Encoding::Base64.encode(bytes).unwrap().expose_secret().as_bytes().to_vec()
}

#[test]
fn a_tls_secret_gets_certificates_and_key_out_of_one_value() {
    let (key, leaf, intermediate) = (file!("rsa.pkcs8.pem"), file!("rsa.crt.pem"), file!("intermediate.pem"));
    let whole = |key| reference(key, Part::Whole, Encoding::Utf8);
    let bundle: Vec<u8> = [key, leaf, intermediate].concat();
    let of = |secret_type, reference: &Reference| content(secret_type, reference, &bundle, false).unwrap();
    assert_eq!(of("kubernetes.io/tls", &whole("tls.crt")), [leaf, intermediate].concat());
    assert_eq!(of("kubernetes.io/tls", &whole("tls.key")), file!("rsa.traditional.pem"));
    assert_eq!(of("kubernetes.io/tls", &whole("ca.crt")), bundle);
    assert_eq!(of("Opaque", &whole("tls.key")), bundle);
    let refused = content("kubernetes.io/tls", &whole("tls.key"), b"hunter2", false).unwrap_err();
    assert_eq!(refused, CertificateError::Unreadable.into());
}

#[test]
fn a_pfx_of_the_vault_is_pem_at_the_edge_unless_its_bytes_are_asked_for() {
    let (pfx, intermediate) = (file!("rsa.legacy.pfx"), file!("intermediate.pem"));
    let value = base64(pfx);
    let certificates: Vec<u8> = [file!("rsa.crt.pem"), intermediate, file!("root.pem")].concat();
    let pem: Vec<u8> = [file!("rsa.pkcs8.pem"), &certificates].concat();
    let whole = |encoding| reference("all", Part::Whole, encoding);
    assert_eq!(content("Opaque", &whole(Encoding::Utf8), &value, true).unwrap(), pem);
    assert_eq!(content("Opaque", &whole(Encoding::Utf8), &value, false).unwrap(), value);
    assert_eq!(content("Opaque", &whole(Encoding::Base64), &value, true).unwrap(), pfx);
    assert_eq!(content("Opaque", &reference("pfx", Part::Pfx, Encoding::Utf8), &value, true).unwrap(), pfx);
    let of_tls = reference("tls.crt", Part::Whole, Encoding::Utf8);
    assert_eq!(content("kubernetes.io/tls", &of_tls, &value, true).unwrap(), certificates);
}

#[test]
fn a_file_in_hex_has_parts_too() {
    let value = hex::encode(file!("rsa.der"));
    let certificate = reference("ca.crt", Part::Certificate, Encoding::Hex);
    assert_eq!(content("Opaque", &certificate, value.as_bytes(), false).unwrap(), file!("rsa.crt.pem"));
}

#[test]
fn errors_do_not_show_the_value() {
    let certificate = reference("ca.crt", Part::Certificate, Encoding::Utf8);
    let error = content("Opaque", &certificate, b"hunter2", false).unwrap_err();
    assert!(!error.to_string().contains("hunter2") && !format!("{error:?}").contains("hunter2"));
}
