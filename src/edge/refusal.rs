//! What a refusal of the API server means, by its message: one list for both engines, because the Secret Store extension
//! passes on what the API server said to it.

use crate::model::Reason;

/// A refusal whose status code alone does not say what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The Secret, or the changed field, is immutable.
    Immutable,
    /// The namespace is being deleted.
    NamespaceTerminating,
    /// There is no such namespace.
    NamespaceMissing,
    /// The values are too large.
    TooLarge,
    /// The annotations are too large: they name every reference.
    TooManyAnnotations,
    /// The type of the Secret needs keys that it doesn't have.
    KeyMissing,
    /// The content of a key does not fit the type of the Secret.
    Content,
}

impl Refusal {
    /// The refusal that a message is about.
    pub(super) fn of(message: &str) -> Option<Self> {
        let says = |words: &str| message.contains(words);
        match () {
            () if says("because it is being terminated") => Some(Self::NamespaceTerminating),
            () if says("namespaces \"") && says("not found") => Some(Self::NamespaceMissing),
            () if says("immutable") => Some(Self::Immutable),
            () if says("metadata.annotations: Too long") => Some(Self::TooManyAnnotations),
            () if says("data: Too long") || says("request is too large") => Some(Self::TooLarge),
            () if says("<secret contents redacted>") => Some(Self::Content),
            () if says("data[") && says("Required value") => Some(Self::KeyMissing),
            () => None,
        }
    }

    /// The reason in conditions.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::NamespaceTerminating => Reason::NamespaceTerminating,
            Self::TooLarge => Reason::TooLarge,
            Self::Immutable
            | Self::NamespaceMissing
            | Self::TooManyAnnotations
            | Self::KeyMissing
            | Self::Content => Reason::EdgeRejected,
        }
    }

    /// What to do.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Immutable => {
                "The field named above is immutable: delete the Secret, and the service creates it again."
            }
            Self::NamespaceTerminating => {
                "Nothing can be created in it any more: wait until it is gone and create it again, or configure the namespace of the \
                 instance."
            }
            Self::NamespaceMissing => "Create the namespace, or configure the namespace of the instance.",
            Self::TooLarge => "Split the references across several synced secrets.",
            Self::TooManyAnnotations => {
                "The annotations name each reference: shorten the description, or split the references across several synced \
                 secrets."
            }
            Self::KeyMissing => {
                "A Secret of this type has the keys that the message names: add references for them with UpdateSyncedSecret."
            }
            Self::Content => {
                "Store a value in the vault that fits the type of the Secret: kubernetes.io/dockerconfigjson and \
                 kubernetes.io/dockercfg need a JSON object."
            }
        }
    }
}

/// The cause if a web page or a proxy has answered instead of the server.
pub(super) fn intercepted(code: u16, message: &str) -> Option<String> {
    let text = message.trim_start().get(..9).unwrap_or(message.trim_start()).to_ascii_lowercase();
    match code {
        407 => Some("a proxy asks for credentials (status 407)".to_owned()),
        _ if text.starts_with("<!doctype") || text.starts_with("<html") => {
            Some(format!("a web page came in its place (status {code})"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_own_meaning() {
        for (message, refusal) in [
            (
                "secrets \"a\" is forbidden: unable to create new content in namespace x because it is being terminated",
                Some(Refusal::NamespaceTerminating),
            ),
            ("namespaces \"x\" not found", Some(Refusal::NamespaceMissing)),
            (
                "Secret \"a\" is invalid: data: Forbidden: field is immutable when `immutable` is set",
                Some(Refusal::Immutable),
            ),
            (
                "Secret \"a\" is invalid: type: Invalid value: \"Opaque\": field is immutable",
                Some(Refusal::Immutable),
            ),
            (
                "Secret \"a\" is invalid: metadata.annotations: Too long: may not be more than 262144 bytes",
                Some(Refusal::TooManyAnnotations),
            ),
            (
                "Secret \"a\" is invalid: data: Too long: may not be more than 1048576 bytes",
                Some(Refusal::TooLarge),
            ),
            ("etcdserver: request is too large", Some(Refusal::TooLarge)),
            (
                "Secret \"a\" is invalid: data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": invalid character 'u' looking for beginning of value",
                Some(Refusal::Content),
            ),
            ("Secret \"a\" is invalid: data[tls.key]: Required value", Some(Refusal::KeyMissing)),
            ("secrets \"a\" is forbidden: User \"x\" cannot patch resource", None),
            ("Secret \"a\" is invalid: metadata.labels: Too long: must have at most 63 bytes", None),
        ] {
            assert_eq!(Refusal::of(message), refusal, "{message}");
        }
    }

    #[test]
    fn a_web_page_and_a_proxy_are_no_answer_of_the_server() {
        for page in ["<html><body>Sign in", "\n<!DOCTYPE html>", "<HTML>"] {
            assert!(intercepted(403, page).unwrap().contains("web page"), "{page}");
        }
        assert!(intercepted(407, "").unwrap().contains("credentials"));
        for (code, message) in
            [(403, "secrets is forbidden"), (403, ""), (403, "ä<html>"), (500, "größer als <html>")]
        {
            assert_eq!(intercepted(code, message), None, "{message}");
        }
    }
}
