//! The bytes of a reference. A value that holds a certificate is read on a thread for blocking work, two at a time: to open a PFX
//! can take a second.

use secrecy::SecretString;
use tokio::{sync::Semaphore, task::spawn_blocking};
use zeroize::Zeroizing;

use crate::model::{CertificateError, Contents, Reference, ValueError};

static READERS: Semaphore = Semaphore::const_new(2);

/// What a Secret gets of this value for a reference. `is_pfx`: whether it is the value of a certificate that the vault keeps as
/// PFX.
pub async fn content(
    contents: Contents<'_>,
    reference: &Reference,
    value: &SecretString,
    is_pfx: bool,
) -> Result<Zeroizing<Vec<u8>>, ValueError> {
    let secret_type = contents.secret_type();
    let bytes = if reference.reads_certificates(secret_type, is_pfx) {
        let reader = READERS.acquire().await.expect("it is never closed");
        let (secret_type, reference, value) = (secret_type.clone(), reference.clone(), value.clone());
        let read = spawn_blocking(move || {
            let content = reference.content(&secret_type, &value, is_pfx);
            // Also if nobody waits any more.
            drop(reader);
            content
        });
        // A parser that panics has read no certificate.
        read.await.unwrap_or(Err(CertificateError::Unreadable.into()))?
    } else {
        reference.content(secret_type, value, is_pfx)?
    };
    contents.check(&reference.key, &bytes)?;
    Ok(bytes)
}
