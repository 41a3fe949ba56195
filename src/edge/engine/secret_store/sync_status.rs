//! Interprets the conditions of a SecretSync. Pure functions. No single condition is sufficient, and unknown
//! reasons are passed on.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;
use serde_json::{Map, Value};

use super::{SecretSyncStatus, SyncCondition};
use crate::{edge::refusal::Refusal, model::Reason, quote::Quote};

/// The reasons of a condition before the first attempt.
const NOTHING_YET: [&str; 3] = ["SyncStarting", "NoUpdatesAttemptedYet", "Unknown"];

/// What to do about a value in another encoding.
pub(super) const ENCODING: &str =
    "Store the value in that encoding, or change the reference's encoding with UpdateSyncedSecret.";

/// What to do about a value that holds no certificate or no key.
const CERTIFICATE: &str =
    "Store a certificate with its private key in the vault, or change the reference with UpdateSyncedSecret.";

/// Objects of a partial sync that one message names.
const NAMED: usize = 5;

/// The extension's result for a delegation.
#[derive(Debug, PartialEq, Eq)]
pub enum SyncOutcome {
    /// The Secret is written.
    Synced,
    /// The extension has not reported anything since.
    Unanswered,
    /// It failed, completely or partially.
    Failed(SyncFailure),
}

/// Why the extension failed.
#[derive(Debug, PartialEq, Eq)]
pub struct SyncFailure {
    /// The reason in our terms.
    pub reason: Reason,
    /// The extension's reason and message, shortened, and the remedy.
    pub message: String,
    /// The transition time of the condition, if it has one.
    pub since: Option<Timestamp>,
    /// After a partial sync, the objects that were not synced.
    pub objects: Vec<FailedObject>,
    /// The extension's full message, to search it for names. May be a dump.
    text: String,
}

/// An object that a partial sync left behind.
#[derive(Debug, PartialEq, Eq)]
pub struct FailedObject {
    /// The key, or the object's path.
    pub path: String,
    /// The reason in our terms.
    pub reason: Reason,
    /// The extension's message, shortened, and the remedy.
    pub message: String,
}

/// An Azure error, as the SDK for Go formats it (`Code="…" Message="…"`) or as the vault returns it (JSON).
static AZURE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"Message="((?:[^"\\]|\\.)*)"|"message"\s*:\s*"((?:[^"\\]|\\.)*)""#).expect("it is a regex")
});
/// The object that an error of Azure's provider is about.
static OBJECT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"objectName:\s*"?([0-9A-Za-z-]+)"#).expect("it is a regex"));

// === impl SyncFailure ===

impl SyncFailure {
    /// Whether the API server's refusal, as the extension passes it on, is about the content of a key.
    pub fn is_about_content_of(&self, key: &str) -> bool {
        Refusal::of(&self.text) == Some(Refusal::Content) && self.text.contains(&format!("data[{key}]"))
    }

    /// Whether the extension could not take certificate or private key for a key out of a value.
    pub fn is_about_certificate_of(&self, key: &str) -> bool {
        self.text.contains(&format!("cert data for {key}:"))
    }

    /// Whether the extension's message names a vault secret.
    pub fn is_about(&self, vault_secret: &str) -> bool {
        match OBJECT.captures_iter(&self.text).last() {
            Some(named) => named[1].eq_ignore_ascii_case(vault_secret),
            None => names(&self.text, vault_secret),
        }
    }
}

/// Whether a text has a name as a whole word.
fn names(text: &str, name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.match_indices(name)
        .any(|(at, _)| !text[..at].ends_with(is_of_name) && !text[at + name.len()..].starts_with(is_of_name))
}

/// Interprets a status. `hash_before` is the hash at the time of the delegation.
pub fn sync_outcome(status: Option<&SecretSyncStatus>, hash_before: &str) -> SyncOutcome {
    let Some(status) = status else { return SyncOutcome::Unanswered };
    match status
        .conditions
        .iter()
        .filter(|condition| is_bad(condition))
        .max_by_key(|bad| bad.last_transition_time)
    {
        Some(bad) => SyncOutcome::Failed(failed(bad)),
        // The hash covers both generations and `forceSynchronization`, so every success changes it.
        None if !status.sync_hash.is_empty() && status.sync_hash != hash_before => SyncOutcome::Synced,
        None => SyncOutcome::Unanswered,
    }
}

fn is_bad(condition: &SyncCondition) -> bool {
    match condition.status.as_str() {
        _ if condition.reason == "PartialSync" => true,
        "True" => false,
        "False" => true,
        _ => !NOTHING_YET.contains(&condition.reason.as_str()),
    }
}

/// What Go says of a value that is not what it should be, up to where it shows the value's first bytes.
static OF_VALUE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(asn1: (?:structure|syntax) error: [a-z' ]+|encoding/hex: invalid byte)[^\n]*")
        .expect("it is a regex")
});

fn failed(condition: &SyncCondition) -> SyncFailure {
    let condition = &SyncCondition {
        message: OF_VALUE.replace_all(&condition.message, "$1").into_owned(),
        ..condition.clone()
    };
    let (reason, remedy) = meaning(&condition.reason, &condition.message);
    let objects =
        if condition.reason == "PartialSync" { left_behind(&condition.message) } else { Vec::new() };
    let words = match objects.is_empty() {
        true => words(&condition.message).to_string(),
        false => {
            let said = objects.iter().take(NAMED).map(|left| format!("{}: {}", left.path, left.message));
            let more = objects.len().checked_sub(NAMED).filter(|more| *more > 0);
            said.chain(more.map(|more| format!("And {more} more."))).collect::<Vec<_>>().join(" ")
        }
    };
    let message = format!(
        "The Secret Store extension says {} ({}): {}. {remedy}",
        Quote::from(&condition.reason),
        Quote::from(&condition.r#type),
        words.trim_end_matches('.')
    );
    let text = condition.message.clone();
    SyncFailure { reason, message, since: condition.last_transition_time, objects, text }
}

/// The relevant part of a message: the cause that Azure names and its object; otherwise the beginning and the
/// end.
fn words(message: &str) -> Quote {
    let Some(cause) = AZURE.captures_iter(message).last() else { return message.into() };
    let cause = cause.get(1).or(cause.get(2)).map_or("", |cause| cause.as_str());
    let object =
        OBJECT.captures_iter(message).last().map(|named| format!("the vault secret {:?}: ", &named[1]));
    format!("{}{cause}", object.unwrap_or_default()).into()
}

/// The extension's reason in our terms, and the remedy.
fn meaning(reason: &str, message: &str) -> (Reason, &'static str) {
    match reason {
        "ProviderError" | "RemoteSecretStoreFetchFailed" => of_the_vault(message),
        "PartialSync" => {
            let remedy =
                "Fix the objects named above. Until then the Secret holds some new values and some old ones.";
            (Reason::PartiallySynced, remedy)
        }
        "ControllerPatchError" => of_the_api_server(message),
        "SecretProviderClassMisconfigured" | "ControllerSpcError" | "ControllerSPCError" => (
            Reason::ExtensionFailed,
            "The service writes the class again. If this persists, check that the provider `azure` is installed.",
        ),
        "InvalidClusterSecretLabelError"
        | "InvalidClusterSecretAnnotationError"
        | "UserInputValidationFailed" => {
            (Reason::EdgeRejected, "Change what the message names with UpdateSyncedSecret.")
        }
        "ValidatingAdmissionPolicyCheckFailed" => (
            Reason::EdgeRejected,
            "An admission policy of the cluster refuses the Secret; look at the extension's policies and its allowed types.",
        ),
        _ => (Reason::ExtensionFailed, "See the extension's log, in the namespace azure-secret-store."),
    }
}

/// The cause of an API server's refusal, by its message.
fn of_the_api_server(message: &str) -> (Reason, &'static str) {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if let Some(refusal) = Refusal::of(message) {
        (refusal.reason(), refusal.remedy())
    } else if says(&["is invalid", "Invalid value", "Unsupported value"]) {
        (Reason::EdgeRejected, "Change what the message names with UpdateSyncedSecret.")
    } else if says(&["forbidden", "denied"]) {
        (
            Reason::EdgeForbidden,
            "Give the extension's account the right to write Secrets here, or look at the admission policies of the cluster.",
        )
    } else if says(&["conflict"]) {
        (
            Reason::EdgeConflict,
            "Somebody else's fields are in the way; the service takes them out of a Secret that the extension made. Another \
             Secret of that name must be adopted or deleted.",
        )
    } else {
        (
            Reason::ExtensionFailed,
            "The extension tries again by itself. If this persists, check the API server.",
        )
    }
}

/// The status of the vault's answer in a provider's error, as the Azure SDK for Go writes it, now and earlier.
static STATUS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(?:RESPONSE |Status(?:Code)?=)(\d{3})\b").expect("it is a pattern"));

/// The cause of a provider's error, by the vault's answer in it. The status decides, and the code refines it:
/// other vaults than Azure's have codes of their own.
fn of_the_vault(message: &str) -> (Reason, &'static str) {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let status = STATUS.captures(message).map(|found| found[1].to_owned()).unwrap_or_default();
    if says(&["<html", "<HTML", "<!DOCTYPE", "<!doctype", "Proxy Authentication Required"]) {
        (
            Reason::VaultUnreachable,
            "A proxy answers in the vault's place: check the proxy settings of the Secret Store extension, and let the proxy pass the \
             vault's host.",
        )
    } else if says(&["ForbiddenByFirewall"]) {
        (Reason::VaultFirewall, "Allow the edge's network in the vault's firewall.")
    } else if says(&["SecretDisabled", "disabled secret"]) {
        (Reason::VaultSecretDisabled, "Enable the vault secret, or refer to another version.")
    } else if status == "404" && says(&["ERROR CODE UNAVAILABLE"]) {
        (
            Reason::VaultUnreachable,
            "Something other than the vault answers: check the vault's name and the gateways and proxies on the way to it.",
        )
    } else if status == "404" || says(&["SecretNotFound"]) {
        (Reason::VaultSecretNotFound, "Create the vault secret or the version, or change the reference.")
    } else if says(&["AADSTS"]) {
        (
            Reason::VaultUnauthenticated,
            "Check the service account's federated credential and the client and tenant ids.",
        )
    } else if says(&["illegal base64 data", "encoding/hex:"]) {
        (Reason::InvalidEncoding, ENCODING)
    } else if says(&["pkcs12:", "failed to get cert data for", "unknown private key type"])
        && !says(&["Only 'tls.key' and 'tls.crt' are supported"])
    {
        (Reason::InvalidCertificate, CERTIFICATE)
    } else if says(&["Only 'tls.key' and 'tls.crt' are supported"]) {
        (
            Reason::EdgeRejected,
            "A Secret of the type kubernetes.io/tls has the keys tls.crt and tls.key only: change the references with UpdateSyncedSecret.",
        )
    } else if (status == "403" || says(&["Forbidden"])) && says(&["objectType:cert"]) {
        (
            Reason::VaultForbidden,
            "Give the identity of secret sync the role Key Vault Certificate User on the vault. A new role assignment takes a few minutes \
             to take effect; the service tries again by itself.",
        )
    } else if status == "403" || says(&["Forbidden"]) {
        (
            Reason::VaultForbidden,
            "Give the identity of secret sync the role Key Vault Secrets User on the vault. A new role assignment takes a few minutes to \
             take effect; the service tries again by itself.",
        )
    } else if status == "429" || says(&["Throttled"]) {
        (Reason::VaultThrottled, "Wait. The extension tries again by itself.")
    } else if says(&["no such host", "dial tcp", "connection refused", "deadline exceeded", "Timeout"]) {
        (
            Reason::VaultUnreachable,
            "Check the network and DNS between the edge and the vault. The extension tries again by itself.",
        )
    } else {
        (Reason::ExtensionFailed, "See the extension's log, in the namespace azure-secret-store.")
    }
}

/// Whether an object was synced: the outcome is exactly one word, and not a message that contains it.
fn is_success(outcome: &str) -> bool {
    let outcome = outcome.to_lowercase();
    outcome.len() < 64 && outcome.contains("succe") && !outcome.contains("unsucce")
}

/// The objects that a partial sync did not sync, from its JSON (object to outcome).
fn left_behind(message: &str) -> Vec<FailedObject> {
    let start = message.find('{').unwrap_or(message.len());
    let outcomes: Map<String, Value> = serde_json::from_str(&message[start..]).unwrap_or_default();
    let said = |outcome: Value| match outcome {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let outcomes = outcomes.into_iter().map(|(path, outcome)| (path, said(outcome)));
    let left = outcomes.filter(|(_, said)| !is_success(said));
    left.map(|(path, said)| {
        let (reason, remedy) = of_the_vault(&said);
        let message = format!("{}. {remedy}", words(&said).trim_end_matches('.'));
        FailedObject { path: Quote::from(path).to_string(), reason, message }
    })
    .collect()
}

#[cfg(test)]
mod tests;
