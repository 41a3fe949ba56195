//! What a synced secret looks like to a caller: its view, and whether its keys are shown.

use super::{auth::KeyVisibility, convert};
use crate::{
    model::SyncedSecret,
    proto,
    secrets::{Error, Secrets},
};

/// Whether a request asks for the full view; `by_default` if it names none.
pub(super) fn is_full(wire: i32, by_default: bool) -> Result<bool, Error> {
    use proto::SyncedSecretView as View;
    match View::try_from(wire) {
        Ok(View::Unspecified) => Ok(by_default),
        Ok(view) => Ok(view == View::Full),
        Err(_) => Err(Error::invalid("view", "is not a view that this release knows")),
    }
}

/// A synced secret as a caller sees it; in the full view with its usages. Without `visibility`, the caller
/// may get this one.
pub(super) fn shown_synced_secret(
    secrets: &Secrets,
    visibility: Option<&KeyVisibility>,
    secret: &SyncedSecret,
    is_full: bool,
) -> proto::SyncedSecret {
    let mut shown = convert::synced_secret(secret);
    if is_full {
        shown.usages = secrets.usages_of(&secret.id).iter().map(convert::secret_usage).collect();
    }
    if visibility.is_some_and(|visibility| !visibility.has_keys_of(secret)) {
        convert::withhold_keys(&mut shown);
    }
    shown
}
