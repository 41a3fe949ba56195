//! The encodings of values.

use base64::{DecodeError, Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// Decodes a value. Errors have Go's messages; Go's base64 ignores line breaks.
pub(super) fn decoded(value: &str, encoding: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let decoded = match encoding.to_ascii_lowercase().as_str() {
        "base64" => {
            let unbroken = Zeroizing::new(value.replace(['\r', '\n'], ""));
            STANDARD.decode(unbroken.as_bytes()).map_err(|error| match error {
                DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => {
                    format!("illegal base64 data at input byte {at}")
                }
                _ => format!("illegal base64 data at input byte {}", unbroken.len()),
            })?
        }
        "hex" => hex::decode(value).map_err(|error| match error {
            hex::FromHexError::InvalidHexCharacter { c, .. } => {
                format!("encoding/hex: invalid byte: U+{:04X}", u32::from(c))
            }
            _ => "encoding/hex: odd length hex string".to_owned(),
        })?,
        _ => value.as_bytes().to_vec(),
    };
    Ok(Zeroizing::new(decoded))
}
