//! The bytes of a reference. A value that holds a certificate is read on a thread for blocking work: to open a PFX can take a
//! second.

use secrecy::SecretString;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use crate::model::{Reference, SecretType, ValueError};

/// What the edge gets under the key of a reference for this value. `is_pfx`: whether it is the value of a certificate that the
/// vault keeps as PFX.
pub async fn content(
    secret_type: &SecretType,
    reference: &Reference,
    value: &SecretString,
    is_pfx: bool,
) -> Result<Zeroizing<Vec<u8>>, ValueError> {
    if !reference.reads_certificates(secret_type, is_pfx) {
        return reference.content(secret_type, value, is_pfx);
    }
    let (secret_type, reference, value) = (secret_type.clone(), reference.clone(), value.clone());
    let read = spawn_blocking(move || reference.content(&secret_type, &value, is_pfx));
    match read.await {
        Ok(content) => content,
        Err(ended) => std::panic::resume_unwind(ended.into_panic()),
    }
}
