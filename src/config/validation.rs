//! Validation beyond single fields: combinations of fields, ranges, and whether the named files are readable.

use std::{path::Path, time::Duration};

use url::Host;

use super::{
    Audit, Authentication, Authorization, Backup, Cloud, CloudName, Config, Credential, CredentialKind,
    Database, Engine, Field, Kubernetes, Limits, Log, Oidc, OidcConsole, SecretStore, Server, Sync,
    SyncedSecrets, Usages, Vault, error::ErrorCollector,
};
use crate::{
    access::{LONGEST_DECISION_LIFE, LONGEST_TOKEN_LIFE},
    api::TokenKind,
    quote::Quote,
};

/// Audit events are kept long enough for somebody to read them.
const MIN_RETENTION: Duration = Duration::from_secs(86_400);

/// Minimum size of the audit log and of the change feed: less would hold almost nothing.
const MIN_BYTES: usize = 1_048_576;

/// More frequent backups would keep the service busy with little else.
const MIN_BACKUP_INTERVAL: Duration = Duration::from_secs(60);

/// Minimum rows and bytes for denied calls: less would hold almost nothing.
const MIN_DENIALS: (usize, usize) = (100, 65_536);

/// Keys that are older may have been withdrawn.
const LONGEST_KEY_CACHE: Duration = Duration::from_secs(3_600);

/// Validates a section whose fields are all valid by themselves.
pub(super) trait Validate {
    /// Adds the errors that it finds.
    fn validate(&self, _errors: &mut ErrorCollector) {}
}

impl Validate for Sync {}
impl Validate for SecretStore {}
impl Validate for SyncedSecrets {}
impl Validate for Usages {}
impl Validate for Log {}
impl Validate for OidcConsole {}

impl Validate for Vault {
    fn validate(&self, errors: &mut ErrorCollector) {
        check_readable("vault.ca_file", self.ca_file.as_deref(), errors);
    }
}

impl Validate for Credential {
    fn validate(&self, errors: &mut ErrorCollector) {
        use CredentialKind::{ClientCertificate, ClientSecret, ManagedIdentity, WorkloadIdentity};
        let application = [ClientSecret, ClientCertificate];
        let not_managed = [WorkloadIdentity, ClientSecret, ClientCertificate, CredentialKind::AzureCli];
        let with_client = [WorkloadIdentity, ManagedIdentity, ClientSecret, ClientCertificate];
        let (tenant, client) = (self.tenant_id.is_some(), self.client_id.is_some());
        self.check_use("credential.tenant_id", tenant, &not_managed, &application, errors);
        self.check_use("credential.client_id", client, &with_client, &application, errors);
        let certificate = (self.certificate_file.is_some(), [ClientCertificate]);
        self.check_use("credential.certificate_file", certificate.0, &certificate.1, &certificate.1, errors);
        self.check_use("credential.token_file", self.token_file.is_some(), &[WorkloadIdentity], &[], errors);
        self.check_use("credential.secret_file", self.secret_file.is_some(), &[ClientSecret], &[], errors);
        self.check_use("credential.secret", self.secret.is_some(), &[ClientSecret], &[], errors);
        self.check_secret(errors);
        check_readable("credential.secret_file", self.secret_file.as_deref(), errors);
        check_readable("credential.certificate_file", self.certificate_file.as_deref(), errors);
    }
}

impl Credential {
    /// Checks a field that only some kinds of credential use, and that some of them require.
    fn check_use(
        &self,
        path: &'static str,
        is_set: bool,
        used_by: &[CredentialKind],
        needed_by: &[CredentialKind],
        errors: &mut ErrorCollector,
    ) {
        let kind = self.kind;
        if is_set && !used_by.contains(&kind) {
            errors.add(
                path,
                format!("not used with credential.kind = \"{kind}\"; remove it, or choose another kind"),
            );
        }
        if !is_set && needed_by.contains(&kind) {
            let how = how_to_set(path);
            errors.add(path, format!("required for credential.kind = \"{kind}\"; {how}"));
        }
    }

    fn check_secret(&self, errors: &mut ErrorCollector) {
        let count = usize::from(self.secret.is_some()) + usize::from(self.secret_file.is_some());
        if self.kind == CredentialKind::ClientSecret && count != 1 {
            let how = how_to_set("credential.secret");
            let wrong =
                if count == 0 { "required for credential.kind = \"client-secret\"" } else { "set twice" };
            errors.add("credential.secret_file", format!("{wrong}; name a file here, or {how}"));
        }
    }
}

impl Validate for Cloud {
    fn validate(&self, errors: &mut ErrorCollector) {
        let path = "cloud.authority_host";
        match (self.name, &self.authority_host) {
            (CloudName::Custom, None) => {
                let how = how_to_set(path);
                errors.add(path, format!("required for cloud.name = \"custom\"; {how}"));
            }
            (CloudName::Custom, Some(_)) | (_, None) => {}
            (_, Some(_)) => {
                errors.add(path, "only used with cloud.name = \"custom\"; remove it, or set cloud.name");
            }
        }
    }
}

impl Validate for Kubernetes {
    fn validate(&self, errors: &mut ErrorCollector) {
        check_readable("kubernetes.kubeconfig", self.kubeconfig.as_deref(), errors);
    }
}

impl Validate for Authentication {
    fn validate(&self, errors: &mut ErrorCollector) {
        if self.client_crl_file.is_some() && self.client_ca_file.is_none() {
            let problem = "without client certificates there is nothing to revoke; set authentication.client_ca_file too";
            errors.add("authentication.client_crl_file", problem);
        }
        let policies = [
            ("authentication.allow_unknown_revocation", self.allow_unknown_revocation),
            ("authentication.require_current_crl", self.require_current_crl),
        ];
        for (path, _) in policies.into_iter().filter(|(_, is_set)| *is_set && self.client_crl_file.is_none())
        {
            errors.add(
                path,
                "only used with revocation lists; set authentication.client_crl_file, or remove it",
            );
        }
        check_readable("authentication.client_ca_file", self.client_ca_file.as_deref(), errors);
        check_readable("authentication.client_crl_file", self.client_crl_file.as_deref(), errors);
        if self.token_cache > LONGEST_TOKEN_LIFE {
            errors.add("authentication.token_cache", "longer than 60 s; accepted: at most \"60s\"");
        }
        if self.audience.is_empty() {
            errors.add("authentication.audience", "empty; accepted: a name such as \"secret-service\"");
        }
    }
}

impl Validate for Oidc {
    fn validate(&self, errors: &mut ErrorCollector) {
        check_readable("authentication.oidc.ca_file", self.ca_file.as_deref(), errors);
        if self.key_cache > LONGEST_KEY_CACHE {
            errors.add("authentication.oidc.key_cache", "longer than an hour; accepted: at most \"1h\"");
        }
        let uses = [
            ("authentication.oidc.audience", !self.audience.is_empty(), true),
            ("authentication.oidc.username_prefix", self.username_prefix.is_some(), true),
            ("authentication.oidc.groups_prefix", self.groups_prefix.is_some(), true),
            ("authentication.oidc.ca_file", self.ca_file.is_some(), false),
            ("authentication.oidc.required_claims", !self.required_claims.is_empty(), false),
        ];
        for (path, is_set, is_needed) in uses {
            match (&self.issuer, is_set) {
                (None, true) => {
                    errors.add(path, "only used with authentication.oidc.issuer; set it, or remove this");
                }
                (Some(_), false) if is_needed => {
                    let how = how_to_set(path);
                    errors.add(path, format!("required with authentication.oidc.issuer; {how}"));
                }
                (None, false) | (Some(_), _) => {}
            }
        }
    }
}

impl Validate for Authorization {
    fn validate(&self, errors: &mut ErrorCollector) {
        if self.decision_cache > LONGEST_DECISION_LIFE {
            errors.add("authorization.decision_cache", "longer than 10 s; accepted: at most \"10s\"");
        }
    }
}

impl Validate for Audit {
    fn validate(&self, errors: &mut ErrorCollector) {
        if self.retention < MIN_RETENTION {
            errors.add("audit.retention", "shorter than a day; accepted: \"1d\" or longer");
        }
        if self.bytes.get() < MIN_BYTES {
            errors.add("audit.bytes", format!("fewer than {MIN_BYTES}"));
        }
        let (rows, bytes) = MIN_DENIALS;
        if self.denials_rows.get() < rows {
            errors.add("audit.denials_rows", format!("fewer than {rows}"));
        }
        if self.denials_bytes.get() < bytes {
            errors.add("audit.denials_bytes", format!("fewer than {bytes}"));
        }
    }
}

impl Validate for Backup {
    fn validate(&self, errors: &mut ErrorCollector) {
        if self.interval < MIN_BACKUP_INTERVAL {
            errors.add("backup.interval", "shorter than a minute; accepted: \"1m\" or longer");
        }
    }
}

impl Validate for Database {
    fn validate(&self, errors: &mut ErrorCollector) {
        if self.feed_bytes.get() < MIN_BYTES {
            errors.add("database.feed_bytes", format!("fewer than {MIN_BYTES}"));
        }
    }
}

impl Validate for Limits {
    fn validate(&self, errors: &mut ErrorCollector) {
        if self.call_timeout > self.longest_call {
            errors.add(
                "limits.call_timeout",
                "longer than limits.longest_call; shorten it, or raise limits.longest_call",
            );
        }
        if self.request_bytes < self.message_bytes {
            errors.add(
                "limits.request_bytes",
                "smaller than limits.message_bytes, so a request of that size would never be accepted; raise \
                 it, or lower limits.message_bytes",
            );
        }
    }
}

impl Validate for Server {
    fn validate(&self, errors: &mut ErrorCollector) {
        if self.listen.is_empty() && self.unix_socket.is_none() {
            errors.add("server.listen", "nothing to listen on; set an address here, or server.unix_socket");
        }
        let is_protected = self.insecure || self.tls_cert_file.is_some();
        for address in self.listen.iter().filter(|address| !address.ip().is_loopback() && !is_protected) {
            let problem = format!(
                "{address} is reachable from other machines, and without TLS tokens are sent in clear text; \
                 use a loopback address, server.unix_socket, or server.tls_cert_file and its key; or set \
                 server.insecure = true if the network encrypts by itself"
            );
            errors.add("server.listen", problem);
        }
        let both = "server.tls_cert_file and server.tls_key_file need each other";
        match (&self.tls_cert_file, &self.tls_key_file) {
            (Some(_), None) => errors.add("server.tls_key_file", format!("missing: {both}")),
            (None, Some(_)) => errors.add("server.tls_cert_file", format!("missing: {both}")),
            (Some(_), Some(_)) | (None, None) => {}
        }
        check_readable("server.tls_cert_file", self.tls_cert_file.as_deref(), errors);
        check_readable("server.tls_key_file", self.tls_key_file.as_deref(), errors);
        if !self.allowed_origins.is_empty() && !self.grpc_web && !self.console {
            errors.add(
                "server.allowed_origins",
                "only used by browsers; set server.grpc_web = true or server.console = true, or remove it",
            );
        }
    }
}

/// Checks combinations of fields from several sections.
pub(super) fn check_combinations(config: &Config, errors: &mut ErrorCollector) {
    check_vault_host(config.vault.uri.0.host_str().unwrap_or_default(), config.cloud.name, errors);
    check_cloud_of_extension(config, errors);
    check_callers(config, errors);
    check_console(config, errors);
    let (server, anonymous) = (&config.server, config.authentication.anonymous);
    let is_open = anonymous && server.insecure && server.tls_cert_file.is_none();
    for address in server.listen.iter().filter(|address| is_open && !address.ip().is_loopback()) {
        let problem = format!(
            "together with authentication.anonymous = true this gives full access without credentials to \
             everyone who reaches {address} through this machine: a sidecar, a proxy or a port-forward \
             connects from loopback. Set authentication.anonymous = false, use server.tls_cert_file and its \
             key instead of server.insecure, or listen only on loopback addresses and server.unix_socket"
        );
        errors.add("server.insecure", problem);
    }
}

/// Checks that somebody can authenticate, and that nobody can pass for somebody else.
fn check_callers(config: &Config, errors: &mut ErrorCollector) {
    let (authentication, oidc) = (&config.authentication, &config.authentication_oidc);
    let has_certificates = authentication.client_ca_file.is_some();
    if !authentication.tokens && !authentication.anonymous && !has_certificates && oidc.issuer.is_none() {
        let problem = "no caller could authenticate; set authentication.tokens = true, authentication.client_ca_file, \
                       authentication.oidc.issuer, or authentication.anonymous = true";
        errors.add("authentication.tokens", problem);
    }
    let prefixes = [
        ("authentication.oidc.username_prefix", &oidc.username_prefix),
        ("authentication.oidc.groups_prefix", &oidc.groups_prefix),
    ];
    for (path, prefix) in prefixes {
        if has_certificates && prefix.as_ref().is_some_and(|prefix| prefix.0.is_empty()) {
            let problem = "empty, so a name of the issuer could be the one in a client certificate; set a prefix such \
                           as \"oidc:\", or remove authentication.client_ca_file";
            errors.add(path, problem);
        }
    }
}

/// Checks that people who sign in to the console can call.
fn check_console(config: &Config, errors: &mut ErrorCollector) {
    let (oidc, console) = (&config.authentication_oidc, &config.authentication_oidc_console);
    let path = "authentication.oidc.console.client_id";
    let Some(client_id) = &console.client_id else { return };
    if !config.server.console {
        errors.add(path, "only used by the console; set server.console = true, or remove it");
    }
    if oidc.issuer.is_none() {
        errors.add(path, "only used with authentication.oidc.issuer; set it, or remove this");
    }
    if !console.scopes.iter().any(|scope| scope.0 == "openid") {
        errors.add("authentication.oidc.console.scopes", "without openid, nobody signs in; add it");
    }
    if console.token == TokenKind::Id && !oidc.audience.contains(client_id) {
        let problem = format!(
            "its ID tokens would be refused, because they are for {client_id:?}; add it to authentication.oidc.audience, \
             or set authentication.oidc.console.token = \"access\""
        );
        errors.add(path, problem);
    }
}

/// The endings of vault names, and the clouds that they belong to.
const VAULT_SUFFIXES: [(&str, CloudName, &str); 3] = [
    (".vault.azure.net", CloudName::Public, "public"),
    (".vault.azure.cn", CloudName::China, "china"),
    (".vault.usgovcloudapi.net", CloudName::UsGovernment, "us-government"),
];

/// The endings of the names that private DNS zones have for private endpoints, and of the vaults behind them.
const PRIVATE_SUFFIXES: [(&str, &str); 6] = [
    (".privatelink.vaultcore.azure.net", ".vault.azure.net"),
    (".privatelink.vaultcore.azure.cn", ".vault.azure.cn"),
    (".privatelink.vaultcore.usgovcloudapi.net", ".vault.usgovcloudapi.net"),
    (".vaultcore.azure.net", ".vault.azure.net"),
    (".vaultcore.azure.cn", ".vault.azure.cn"),
    (".vaultcore.usgovcloudapi.net", ".vault.usgovcloudapi.net"),
];

/// Checks that the vault has a name that its certificate has, and that the cloud is the vault's.
fn check_vault_host(host: &str, cloud: CloudName, errors: &mut ErrorCollector) {
    let of = |suffix: &str| host.strip_suffix(suffix).filter(|name| !name.is_empty());
    for (suffix, public) in PRIVATE_SUFFIXES {
        if let Some(name) = of(suffix) {
            let problem = format!(
                "{host} is the name of a private endpoint in DNS, for which a vault has no certificate; set \
                 \"https://{name}{public}/\", which DNS resolves to the private endpoint inside of its network"
            );
            return errors.add("vault.uri", problem);
        }
    }
    let Some((own, word)) = cloud_by_suffix(host) else { return };
    if cloud != CloudName::Custom && cloud != own {
        let problem = format!(
            "{host} is a vault of another cloud, so it would accept no token; set cloud.name = \"{word}\", or another vault.uri"
        );
        errors.add("cloud.name", problem);
    }
}

/// The cloud whose names a host has, and its word.
fn cloud_by_suffix(host: &str) -> Option<(CloudName, &'static str)> {
    let is_of = |suffix: &str| host.strip_suffix(suffix).is_some_and(|name| !name.is_empty());
    VAULT_SUFFIXES.iter().find(|(suffix, ..)| is_of(suffix)).map(|(_, cloud, word)| (*cloud, *word))
}

/// The cloud that the vault is in, as its name says. A vault with a name that no known cloud has is in a custom one; one on
/// loopback is a double, which stands for one in the public cloud.
pub fn cloud_of_vault(config: &Config) -> CloudName {
    let Some(host) = config.vault.uri.0.host() else { return config.cloud.name };
    let is_on_loopback = match &host {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => *name == "localhost",
    };
    match (config.cloud.name, cloud_by_suffix(&host.to_string())) {
        (CloudName::Custom, Some((own, _))) => own,
        (CloudName::Custom, None) if is_on_loopback => CloudName::Public,
        (cloud, _) => cloud,
    }
}

/// Checks that the Secret Store extension is told where the vault of a custom cloud is.
fn check_cloud_of_extension(config: &Config, errors: &mut ErrorCollector) {
    let path = "secret_store.cloud_env_file";
    let is_set = config.secret_store.cloud_env_file.is_some();
    if is_set && config.cloud.name != CloudName::Custom {
        errors.add(path, "only used with cloud.name = \"custom\"; remove it, or set cloud.name");
    }
    // The engine is not known here where the cluster decides.
    if !is_set && config.sync.engine != Engine::Direct && cloud_of_vault(config) == CloudName::Custom {
        let how = how_to_set(path);
        let problem = format!(
            "required for a vault of a custom cloud unless sync.engine = \"direct\": without it the Secret Store extension \
             would look for the vault in the public cloud; {how}, or set sync.engine"
        );
        errors.add(path, problem);
    }
}

/// How to set the field at this path.
fn how_to_set(path: &str) -> String {
    let field = Config::SECTIONS.iter().flat_map(|section| section.fields).find(|field| field.path == path);
    field.map(Field::how_to_set).unwrap_or_default()
}

/// Checks that a named file exists and can be read.
fn check_readable(path: &'static str, file: Option<&Path>, errors: &mut ErrorCollector) {
    let Some(file) = file else { return };
    let problem = match std::fs::File::open(file).and_then(|opened| opened.metadata()) {
        Ok(metadata) if metadata.is_dir() => "is a directory".to_owned(),
        Ok(_) => return,
        Err(error) => format!("can't be read: {}", Quote::error(&error)),
    };
    errors.add(
        path,
        format!("{:?} {problem}; name a file that the service can read", file.display().to_string()),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(host: &str, cloud: CloudName) -> String {
        let mut errors = ErrorCollector::default();
        check_vault_host(host, cloud, &mut errors);
        format!("{:?}", errors.errors)
    }

    #[test]
    fn the_cloud_must_be_the_one_of_the_vaults_name() {
        let clouds = [CloudName::Public, CloudName::China, CloudName::UsGovernment];
        for (suffix, own, word) in VAULT_SUFFIXES {
            for cloud in clouds {
                let told = refused(&format!("contoso{suffix}"), cloud);
                assert_eq!(told.contains("cloud.name"), cloud != own, "{suffix} {cloud:?}: {told}");
                assert!(cloud == own || told.contains(word), "{told}");
            }
            assert!(!refused(&format!("contoso{suffix}"), CloudName::Custom).contains("cloud.name"));
        }
        for host in ["127.0.0.1", "localhost", "vault.azure.net", "contoso.vault.azure.net.example.com"] {
            assert!(!refused(host, CloudName::China).contains("cloud.name"), "{host}");
        }
    }

    #[test]
    fn the_name_of_a_private_endpoint_is_refused_with_the_name_of_its_vault() {
        for cloud in [CloudName::Public, CloudName::Custom] {
            let told = refused("contoso.privatelink.vaultcore.azure.net", cloud);
            assert!(
                told.contains("vault.uri") && told.contains("https://contoso.vault.azure.net/"),
                "{told}"
            );
        }
        let told = refused("contoso.vaultcore.usgovcloudapi.net", CloudName::UsGovernment);
        assert!(told.contains("https://contoso.vault.usgovcloudapi.net/"), "{told}");
    }
}
