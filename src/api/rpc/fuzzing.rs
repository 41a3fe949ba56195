//! Fuzz targets for what callers send as text: names, page tokens and resume tokens.

use crate::api::rpc::{
    convert,
    token::{Position, TokenScope},
};
use crate::{
    model::{SecretKey, SecretType, SyncedSecretId, UsagePlace, VaultSecretName, VaultVersion},
    secrets::{Signer, VaultCursor},
};

/// Parses any text as every kind of name: a valid name must survive printing and parsing again.
pub fn names(text: &str) {
    same::<SyncedSecretId>(text);
    same::<VaultSecretName>(text);
    same::<VaultVersion>(text);
    same::<SecretKey>(text);
    same::<SecretType>(text);
    if let Ok(id) = convert::synced_secret_name("name", text) {
        assert_eq!(text, format!("syncedSecrets/{id}"));
        assert!(id.as_str().len() <= 253);
    }
    if let Ok(name) = convert::vault_secret_name("name", text) {
        assert_eq!(text, format!("vaultSecrets/{name}"));
    }
    if let Err(error) = convert::synced_secret_name("name", text) {
        assert!(error.to_string().len() < 1_000, "a message must not repeat unbounded input");
    }
}

/// Opens any bytes as a token and as a position: no token may be forged, and an issued one must return its
/// position.
pub fn tokens(data: &[u8]) {
    let signer = Signer::new(b"a key that nobody knows");
    let scope = |filter: &[u8]| {
        TokenScope::page_tokens(
            (signer.clone(), jiff::Timestamp::UNIX_EPOCH),
            "ListSyncedSecrets",
            filter.to_vec(),
        )
    };
    if let Ok(text) = std::str::from_utf8(data) {
        let opened = scope(b"").open::<i64>(text);
        assert!(text.is_empty() || opened.is_err(), "a token was forged");
    }
    returns::<SyncedSecretId>(&scope, data);
    returns::<UsagePlace>(&scope, data);
    returns::<VaultCursor>(&scope, data);
    returns::<i64>(&scope, data);
}

fn returns<P: Position + PartialEq + std::fmt::Debug>(scope: &impl Fn(&[u8]) -> TokenScope, data: &[u8]) {
    let Some(place) = P::from_bytes(data) else { return };
    let token = scope(b"filter").issue(&place);
    // A token that is too long is refused.
    if let Ok(opened) = scope(b"filter").open::<P>(&token) {
        assert_eq!(opened, Some(place));
    } else {
        assert!(token.len() > 16 * 1024);
    }
    assert!(scope(b"another").open::<P>(&token).is_err());
    // A changed token must be refused.
    let mut changed = token.into_bytes();
    let at = data.len() % changed.len();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).expect("base64url is ASCII");
    assert!(scope(b"filter").open::<P>(&changed).is_err());
}

fn same<T: std::str::FromStr<Err: ToString> + ToString + PartialEq + std::fmt::Debug>(text: &str) {
    match text.parse::<T>() {
        Ok(name) => assert_eq!(name.to_string().parse::<T>().ok(), Some(name)),
        Err(error) => assert!(error.to_string().len() < 1_000),
    }
}
