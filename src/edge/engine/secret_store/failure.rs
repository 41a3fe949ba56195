//! Which references a failure of the extension is about, in the words that the direct engine uses for the same cause.

use std::time::Duration;

use super::{SyncFailure, removal::SUSPENSION_POLL, sync_status::ENCODING};
use crate::{
    edge::engine::{Failure, Retry, Target, not_a_certificate, not_encoded, refused_content},
    model::{Reason, Reference},
};

/// Assigns a failure of the extension to the references that it names. After a partial sync, each has its own
/// reason. The extension is triggered again after `again_in`.
pub(super) fn failure_of(target: &Target<'_>, failed: SyncFailure, again_in: Duration) -> Failure {
    let references = &target.secret.references;
    let is_partial = !failed.objects.is_empty();
    let (mut problems, mut message) = (Vec::new(), failed.message.clone());
    for (place, reference) in references.iter().enumerate() {
        let Some((reason, said)) = problem_of(reference, &failed) else { continue };
        let told = in_our_words(target, reference, reason, &said);
        // What is said of the whole names the same cause.
        message = message.replace(&said, &told);
        problems.push((place, reason, told));
    }
    let retry = Retry::After(again_in.max(SUSPENSION_POLL));
    let failure = Failure { reason: failed.reason, message, problems, retry };
    if is_partial {
        // The others were written.
        return failure;
    }
    let statuses = target.delegation.map(|delegation| delegation.statuses.as_slice()).unwrap_or_default();
    let found = statuses.iter().take(references.len()).enumerate();
    let found = found.filter_map(|(place, status)| Some((place, status.synced_version.as_ref()?)));
    failure.holding_back(references, found)
}

/// The reason and the extension's words about one reference, if the failure is about it.
fn problem_of(reference: &Reference, failed: &SyncFailure) -> Option<(Reason, String)> {
    let (key, vault_secret) = (reference.key.as_str(), reference.vault_secret.as_str());
    let mut objects = failed.objects.iter();
    let left = objects.find(|left| left.path == key || left.path.eq_ignore_ascii_case(vault_secret));
    match left {
        Some(left) => Some((left.reason, left.message.clone())),
        None if !failed.objects.is_empty() => None,
        None => (failed.is_about_content_of(key)
            || failed.is_about_certificate_of(key)
            || failed.is_about(vault_secret))
        .then(|| (failed.reason, failed.message.clone())),
    }
}

/// The extension names neither the key nor the encoding, and the API server not what the type needs.
fn in_our_words(target: &Target<'_>, reference: &Reference, reason: Reason, said: &str) -> String {
    match reason {
        Reason::InvalidEncoding => {
            format!("{} {}", not_encoded(reference), said.replace(ENCODING, "").trim_end())
        }
        Reason::InvalidCertificate => {
            not_a_certificate(reference, "the Secret Store extension finds none in it")
        }
        // The value is not known here; any text that is none of what a type needs brings its words.
        Reason::EdgeRejected => match target.secret.secret_type.check_content(reference.key.as_str(), b"") {
            Err(error) if said.contains(&format!("data[{}]", reference.key)) => {
                format!("{} {said}", refused_content(reference, &error))
            }
            _ => said.to_owned(),
        },
        _ => said.to_owned(),
    }
}
