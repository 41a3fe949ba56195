//! The hash of what the controller wrote last.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2;

use super::{
    resources::{SecretProviderClass, SecretSync},
    secret::Content,
};

/// As slow as the real one: the hash is public in the status, and must not help to guess a value.
pub(super) const ITERATIONS: NonZeroU32 = NonZeroU32::new(100_000).expect("more than none");

/// The hash of the content and of the uids and generations of the SecretSync and its class. The uid is the salt.
pub(super) async fn sync_hash(
    content: &Content,
    class: &SecretProviderClass,
    sync: &SecretSync,
    iterations: NonZeroU32,
) -> String {
    let mut input = content.canonical();
    let class = (&class.metadata.uid, class.metadata.generation);
    let own = (&sync.metadata.uid, sync.metadata.generation, &sync.spec.force_synchronization);
    input.extend_from_slice(format!("{class:?}{own:?}").as_bytes());
    let salt = sync.metadata.uid.clone().unwrap_or_default();
    let derive = move || {
        let mut hash = [0; 64];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA512, iterations, salt.as_bytes(), &input, &mut hash);
        hex::encode(hash)
    };
    tokio::task::spawn_blocking(derive).await.expect("a hash never panics")
}
