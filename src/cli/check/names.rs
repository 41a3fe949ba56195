//! The checks by name. Scripts match the id, which never changes; people read the title.

use serde::Serialize;

use crate::model::ConditionType;

/// A check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct CheckName {
    /// For scripts.
    id: &'static str,
    /// For people. May be reworded.
    #[serde(rename = "check")]
    pub title: &'static str,
}

impl CheckName {
    /// The check behind a condition without a name here: named as the condition is.
    pub fn of_condition(kind: ConditionType) -> Self {
        Self { id: kind.as_str(), title: kind.as_str() }
    }
}

/// Declares all checks, and the list of them.
macro_rules! checks {
    ($($name:ident = $id:literal, $title:literal;)*) => {
        $(pub(super) const $name: CheckName = CheckName { id: $id, title: $title };)*

        #[cfg(test)]
        const ALL: &[CheckName] = &[$($name),*];
    };
}

checks! {
    CONFIGURATION = "configuration", "configuration";
    DATABASE = "database", "database: intact, known schema, writable";
    DISK = "database.disk", "database: free disk space";
    BACKUP = "backup", "backup: the newest is recent";
    TLS = "tls", "tls: certificates and revocation lists are current";
    ISSUER = "oidc.issuer", "openid connect: the issuer answers, and its keys can be read";
    VAULT = "vault.configuration", "vault: configured";
    VAULT_REACHABLE = "vault.reachable", "vault: reachable, accepts the token";
    VAULT_LIST = "vault.list", "vault: right to list secrets";
    VAULT_GET = "vault.get", "vault: right to read values";
    VAULT_CREATE = "vault.create", "vault: right to create secrets";
    VAULT_CLOCK = "vault.clock", "clock: agrees with the vault";
    CLUSTER = "cluster.configuration", "cluster: configured";
    NAMESPACE = "cluster.namespace", "cluster: the namespace exists";
    RIGHTS = "cluster.secrets", "cluster: rights on Secrets";
    WATCH = "cluster.watch", "cluster: Secrets can be watched";
    LEASE = "cluster.lease", "cluster: leader election";
    CALLERS = "cluster.reviews", "cluster: token and access reviews are allowed";
    USAGES = "cluster.usages", "cluster: usages of Secrets can be read";
    CLUSTER_CLOCK = "cluster.clock", "clock: agrees with the cluster";
    ENGINE = "engine", "engine: which one, and why";
    STORE_RESOURCES = "secret-store.rights", "secret store: rights on its resources";
    EXTENSION = "secret-store.extension", "secret store: the extension is installed and running";
    IDENTITY = "secret-store.identity", "secret store: identity and tenant are known";
    SERVICE_ACCOUNT = "secret-store.service-account", "secret store: the service account has that identity";
    ONE_VAULT = "secret-store.vault", "secret store: all classes use this vault";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_check_has_an_id_and_a_title_of_its_own() {
        let ids: BTreeSet<_> = ALL.iter().map(|name| name.id).collect();
        let titles: BTreeSet<_> = ALL.iter().map(|name| name.title).collect();
        assert_eq!((ids.len(), titles.len()), (ALL.len(), ALL.len()));
    }
}
