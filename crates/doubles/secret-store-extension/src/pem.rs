//! Splits a PEM text for a `kubernetes.io/tls` Secret into certificates and private key.

use zeroize::Zeroizing;

/// The part of a PEM text for a key of a TLS Secret.
pub(super) fn part(text: &[u8], key: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let is_wanted: fn(&str) -> bool = match key {
        "tls.crt" => |label| label == "CERTIFICATE",
        "tls.key" => |label| label.ends_with("PRIVATE KEY"),
        _ => return Err(format!("key '{key}' is not supported. Only 'tls.key' and 'tls.crt' are supported")),
    };
    let text = std::str::from_utf8(text).map_err(|_| "the value is not PEM".to_owned())?;
    let blocks: String = blocks(text).filter(|(label, _)| is_wanted(label)).map(|(_, block)| block).collect();
    let blocks = Zeroizing::new(blocks.into_bytes());
    if blocks.is_empty() { Err(format!("the value has nothing for {key}")) } else { Ok(blocks) }
}

/// Label and text of each block.
fn blocks(text: &str) -> impl Iterator<Item = (&str, String)> {
    text.split("-----BEGIN ").skip(1).filter_map(|block| {
        let (label, rest) = block.split_once("-----")?;
        let (body, _) = rest.split_once("-----END ")?;
        Some((label, format!("-----BEGIN {label}-----{body}-----END {label}-----\n")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_into_certificates_and_key() {
        let block = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        let (certificate, key) = (block("CERTIFICATE"), block("EC PRIVATE KEY"));
        let both = format!("{certificate}{key}{certificate}");
        assert_eq!(part(both.as_bytes(), "tls.key").unwrap().as_slice(), key.as_bytes());
        let certificates = certificate.repeat(2);
        assert_eq!(part(both.as_bytes(), "tls.crt").unwrap().as_slice(), certificates.as_bytes());
        assert!(part(both.as_bytes(), "ca.crt").unwrap_err().contains("'ca.crt' is not supported"));
        assert!(part(certificate.as_bytes(), "tls.key").is_err());
    }
}
