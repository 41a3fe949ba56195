//! The vault's operations, and how method and path name them.

use std::fmt;

use axum::http::Method;
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// An operation, under the name that Key Vault's own audit log gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Operation {
    SecretSet,
    SecretGet,
    SecretUpdate,
    SecretDelete,
    SecretList,
    SecretListVersions,
    SecretListDeleted,
    SecretGetDeleted,
    SecretRecover,
    SecretPurge,
    SecretBackup,
    SecretRestore,
    CertificateGet,
    CertificateListVersions,
    /// A token, from any of the endpoints that issue one.
    Token,
}

/// The target of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) operation: Operation,
    /// As the client spells it; empty for operations on the vault itself.
    pub(super) name: String,
    /// Absent for the latest version.
    pub(super) version: Option<String>,
}

// === impl Operation ===

impl Operation {
    /// All operations.
    pub const ALL: [Self; 15] = [
        Self::SecretSet,
        Self::SecretGet,
        Self::SecretUpdate,
        Self::SecretDelete,
        Self::SecretList,
        Self::SecretListVersions,
        Self::SecretListDeleted,
        Self::SecretGetDeleted,
        Self::SecretRecover,
        Self::SecretPurge,
        Self::SecretBackup,
        Self::SecretRestore,
        Self::CertificateGet,
        Self::CertificateListVersions,
        Self::Token,
    ];

    /// Whether the operation is a write.
    pub(super) fn changes_the_vault(self) -> bool {
        matches!(
            self,
            Self::SecretSet
                | Self::SecretUpdate
                | Self::SecretDelete
                | Self::SecretRecover
                | Self::SecretPurge
                | Self::SecretRestore
        )
    }

    /// The name of its data action in Azure RBAC.
    pub(super) fn action(self) -> &'static str {
        match self {
            Self::SecretSet => "secrets/setSecret/action",
            Self::SecretGet => "secrets/getSecret/action",
            Self::SecretUpdate => "secrets/update/action",
            Self::SecretDelete => "secrets/delete",
            Self::SecretRecover => "secrets/recover/action",
            Self::SecretPurge => "secrets/purge/action",
            Self::SecretBackup => "secrets/backup/action",
            Self::SecretRestore => "secrets/restore/action",
            Self::CertificateGet | Self::CertificateListVersions => "certificates/read",
            _ => "secrets/readMetadata/action",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

// === impl Target ===

impl Target {
    /// Reads method and path. A trailing slash is ignored: the SDKs request `/secrets/NAME/` for the latest version.
    pub(super) fn parse(method: &Method, path: &str) -> Result<Self, Refusal> {
        let path = path.trim_matches('/');
        let segments: Vec<&str> = path.split('/').collect();
        let (operation, name, version) = match (segments.as_slice(), method.as_str()) {
            (["secrets"], "GET") => (Operation::SecretList, "", None),
            (["secrets", "restore"], "POST") => (Operation::SecretRestore, "", None),
            (["secrets", name, "versions"], "GET") => (Operation::SecretListVersions, *name, None),
            (["secrets", name, "backup"], "POST") => (Operation::SecretBackup, *name, None),
            (["secrets", name], "PUT") => (Operation::SecretSet, *name, None),
            (["secrets", name], "DELETE") => (Operation::SecretDelete, *name, None),
            (["secrets", name], "GET") => (Operation::SecretGet, *name, None),
            (["secrets", name], "PATCH") => (Operation::SecretUpdate, *name, None),
            (["secrets", name, version], "GET") => (Operation::SecretGet, *name, Some(*version)),
            (["secrets", name, version], "PATCH") => (Operation::SecretUpdate, *name, Some(*version)),
            (["certificates", name, "versions"], "GET") => (Operation::CertificateListVersions, *name, None),
            (["certificates", name], "GET") => (Operation::CertificateGet, *name, None),
            (["certificates", name, version], "GET") => (Operation::CertificateGet, *name, Some(*version)),
            (["deletedsecrets"], "GET") => (Operation::SecretListDeleted, "", None),
            (["deletedsecrets", name], "GET") => (Operation::SecretGetDeleted, *name, None),
            (["deletedsecrets", name], "DELETE") => (Operation::SecretPurge, *name, None),
            (["deletedsecrets", name, "recover"], "POST") => (Operation::SecretRecover, *name, None),
            (["secrets" | "deletedsecrets", ..] | ["certificates", _, ..], _) if segments.len() <= 3 => {
                return Err(Refusal::method_not_allowed(method, path));
            }
            _ => return Err(Refusal::no_such_path(path)),
        };
        let on_the_vault = segments.len() == 1 || operation == Operation::SecretRestore;
        if !on_the_vault && !is_name(name) {
            return Err(Refusal::bad_parameter(format!("The request URI contains an invalid name: {name}")));
        }
        Ok(Self { operation, name: name.to_owned(), version: version.map(str::to_owned) })
    }
}

/// Key Vault's rule for the names of secrets.
pub(super) fn is_name(name: &str) -> bool {
    (1..=127).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_slash_means_the_latest_version() {
        let target = Target::parse(&Method::GET, "/secrets/a/").unwrap();
        assert_eq!(target, Target { operation: Operation::SecretGet, name: "a".to_owned(), version: None });
    }

    #[test]
    fn a_secret_may_be_called_restore() {
        assert_eq!(Target::parse(&Method::GET, "/secrets/restore").unwrap().operation, Operation::SecretGet);
        assert_eq!(
            Target::parse(&Method::POST, "/secrets/restore").unwrap().operation,
            Operation::SecretRestore
        );
    }

    #[test]
    fn unknown_paths_methods_and_names_are_refused() {
        let status = |method: Method, path: &str| Target::parse(&method, path).unwrap_err().status.as_u16();
        assert_eq!(status(Method::GET, "/secrets/a_b"), 400);
        assert_eq!(status(Method::GET, &format!("/secrets/{}", "a".repeat(128))), 400);
        assert_eq!(status(Method::POST, "/secrets/a"), 405);
        assert_eq!(status(Method::PATCH, "/certificates/a"), 405);
        assert_eq!(status(Method::GET, "/certificates"), 404);
        assert_eq!(status(Method::GET, "/keys/a"), 404);
        assert_eq!(status(Method::GET, "/secrets/a/b/c"), 404);
    }
}
