//! Validation beyond single fields: combinations of fields, ranges, and whether the named files are readable.

use std::{path::Path, time::Duration};

use super::{
    Audit, Authentication, Authorization, Backup, Cloud, CloudName, Config, Credential, CredentialKind,
    Database, Kubernetes, Limits, Log, SecretStore, Server, Sync, SyncedSecrets, Usages, Vault,
    reader::Reader,
};
use crate::{
    access::{LONGEST_DECISION_LIFE, LONGEST_TOKEN_LIFE},
    quote::Quote,
};

/// Audit events are kept long enough for somebody to read them.
const SHORTEST_RETENTION: Duration = Duration::from_secs(86_400);

/// Minimum size of the audit log and of the change feed: less would hold almost nothing.
const SMALLEST_BUDGET: usize = 1_048_576;

/// More frequent backups would keep the service busy with little else.
const SHORTEST_BACKUP_INTERVAL: Duration = Duration::from_secs(60);

/// Minimum rows and bytes for denied calls: less would hold almost nothing.
const SMALLEST_RING: (usize, usize) = (100, 65_536);

/// Validates a section whose fields are all valid by themselves.
pub(super) trait Rules {
    /// Records errors with the reader.
    fn check(&self, _reader: &mut Reader<'_>) {}
}

impl Rules for Sync {}
impl Rules for SecretStore {}
impl Rules for SyncedSecrets {}
impl Rules for Usages {}
impl Rules for Log {}

impl Rules for Vault {
    fn check(&self, reader: &mut Reader<'_>) {
        readable("vault.ca_file", self.ca_file.as_deref(), reader);
    }
}

impl Rules for Credential {
    fn check(&self, reader: &mut Reader<'_>) {
        use CredentialKind::{ClientCertificate, ClientSecret, ManagedIdentity, WorkloadIdentity};
        let of_application = [ClientSecret, ClientCertificate];
        let not_managed = [WorkloadIdentity, ClientSecret, ClientCertificate, CredentialKind::AzureCli];
        let with_client = [WorkloadIdentity, ManagedIdentity, ClientSecret, ClientCertificate];
        let (tenant, client) = (self.tenant_id.is_some(), self.client_id.is_some());
        self.belongs("credential.tenant_id", tenant, &not_managed, &of_application, reader);
        self.belongs("credential.client_id", client, &with_client, &of_application, reader);
        let certificate = (self.certificate_file.is_some(), [ClientCertificate]);
        self.belongs("credential.certificate_file", certificate.0, &certificate.1, &certificate.1, reader);
        self.belongs("credential.token_file", self.token_file.is_some(), &[WorkloadIdentity], &[], reader);
        self.belongs("credential.secret_file", self.secret_file.is_some(), &[ClientSecret], &[], reader);
        self.belongs("credential.secret", self.secret.is_some(), &[ClientSecret], &[], reader);
        self.check_secret(reader);
        readable("credential.secret_file", self.secret_file.as_deref(), reader);
        readable("credential.certificate_file", self.certificate_file.as_deref(), reader);
    }
}

impl Credential {
    /// Checks a field that only some kinds of credential use, and that some of them require.
    fn belongs(
        &self,
        path: &'static str,
        is_set: bool,
        used_by: &[CredentialKind],
        needed_by: &[CredentialKind],
        reader: &mut Reader<'_>,
    ) {
        let kind = self.kind;
        if is_set && !used_by.contains(&kind) {
            reader.mistake(
                path,
                format!("not used with credential.kind = \"{kind}\"; remove it, or choose another kind"),
            );
        }
        if !is_set && needed_by.contains(&kind) {
            let how = Reader::how_to_set(path);
            reader.mistake(path, format!("required for credential.kind = \"{kind}\"; {how}"));
        }
    }

    fn check_secret(&self, reader: &mut Reader<'_>) {
        let count = usize::from(self.secret.is_some()) + usize::from(self.secret_file.is_some());
        if self.kind == CredentialKind::ClientSecret && count != 1 {
            let how = Reader::how_to_set("credential.secret");
            let wrong =
                if count == 0 { "required for credential.kind = \"client-secret\"" } else { "set twice" };
            reader.mistake("credential.secret_file", format!("{wrong}; name a file here, or {how}"));
        }
    }
}

impl Rules for Cloud {
    fn check(&self, reader: &mut Reader<'_>) {
        let path = "cloud.authority_host";
        match (self.name, &self.authority_host) {
            (CloudName::Custom, None) => {
                let how = Reader::how_to_set(path);
                reader.mistake(path, format!("required for cloud.name = \"custom\"; {how}"));
            }
            (CloudName::Custom, Some(_)) | (_, None) => {}
            (_, Some(_)) => {
                reader.mistake(path, "only used with cloud.name = \"custom\"; remove it, or set cloud.name");
            }
        }
    }
}

impl Rules for Kubernetes {
    fn check(&self, reader: &mut Reader<'_>) {
        readable("kubernetes.kubeconfig", self.kubeconfig.as_deref(), reader);
    }
}

impl Rules for Authentication {
    fn check(&self, reader: &mut Reader<'_>) {
        if !self.tokens && !self.anonymous && self.client_ca_file.is_none() {
            let problem = "no caller could authenticate; set authentication.tokens = true, authentication.client_ca_file, or \
                           authentication.anonymous = true";
            reader.mistake("authentication.tokens", problem);
        }
        if self.client_crl_file.is_some() && self.client_ca_file.is_none() {
            let problem = "without client certificates there is nothing to revoke; set authentication.client_ca_file too";
            reader.mistake("authentication.client_crl_file", problem);
        }
        let policies = [
            ("authentication.allow_unknown_revocation", self.allow_unknown_revocation),
            ("authentication.require_current_crl", self.require_current_crl),
        ];
        for (path, _) in policies.into_iter().filter(|(_, is_set)| *is_set && self.client_crl_file.is_none())
        {
            reader.mistake(
                path,
                "only used with revocation lists; set authentication.client_crl_file, or remove it",
            );
        }
        readable("authentication.client_ca_file", self.client_ca_file.as_deref(), reader);
        readable("authentication.client_crl_file", self.client_crl_file.as_deref(), reader);
        if self.token_cache > LONGEST_TOKEN_LIFE {
            reader.mistake("authentication.token_cache", "longer than 60 s; accepted: at most \"60s\"");
        }
        if self.audience.is_empty() {
            reader.mistake("authentication.audience", "empty; accepted: a name such as \"secret-service\"");
        }
    }
}

impl Rules for Authorization {
    fn check(&self, reader: &mut Reader<'_>) {
        if self.decision_cache > LONGEST_DECISION_LIFE {
            reader.mistake("authorization.decision_cache", "longer than 10 s; accepted: at most \"10s\"");
        }
    }
}

impl Rules for Audit {
    fn check(&self, reader: &mut Reader<'_>) {
        if self.retention < SHORTEST_RETENTION {
            reader.mistake("audit.retention", "shorter than a day; accepted: \"1d\" or longer");
        }
        if self.bytes.get() < SMALLEST_BUDGET {
            reader.mistake("audit.bytes", format!("fewer than {SMALLEST_BUDGET}"));
        }
        let (rows, bytes) = SMALLEST_RING;
        if self.denials_rows.get() < rows {
            reader.mistake("audit.denials_rows", format!("fewer than {rows}"));
        }
        if self.denials_bytes.get() < bytes {
            reader.mistake("audit.denials_bytes", format!("fewer than {bytes}"));
        }
    }
}

impl Rules for Backup {
    fn check(&self, reader: &mut Reader<'_>) {
        if self.interval < SHORTEST_BACKUP_INTERVAL {
            reader.mistake("backup.interval", "shorter than a minute; accepted: \"1m\" or longer");
        }
    }
}

impl Rules for Database {
    fn check(&self, reader: &mut Reader<'_>) {
        if self.feed_bytes.get() < SMALLEST_BUDGET {
            reader.mistake("database.feed_bytes", format!("fewer than {SMALLEST_BUDGET}"));
        }
    }
}

impl Rules for Limits {
    fn check(&self, reader: &mut Reader<'_>) {
        if self.call_timeout > self.longest_call {
            reader.mistake(
                "limits.call_timeout",
                "longer than limits.longest_call; shorten it, or raise limits.longest_call",
            );
        }
        if self.request_bytes < self.message_bytes {
            reader.mistake(
                "limits.request_bytes",
                "smaller than limits.message_bytes, so a request of that size would never be accepted; raise \
                 it, or lower limits.message_bytes",
            );
        }
    }
}

impl Rules for Server {
    fn check(&self, reader: &mut Reader<'_>) {
        if self.listen.is_empty() && self.unix_socket.is_none() {
            reader
                .mistake("server.listen", "nothing to listen on; set an address here, or server.unix_socket");
        }
        let is_protected = self.insecure || self.tls_cert_file.is_some();
        for address in self.listen.iter().filter(|address| !address.ip().is_loopback() && !is_protected) {
            let problem = format!(
                "{address} is reachable from other machines, and without TLS tokens are sent in clear text; \
                 use a loopback address, server.unix_socket, or server.tls_cert_file and its key; or set \
                 server.insecure = true if the network encrypts by itself"
            );
            reader.mistake("server.listen", problem);
        }
        let both = "server.tls_cert_file and server.tls_key_file need each other";
        match (&self.tls_cert_file, &self.tls_key_file) {
            (Some(_), None) => reader.mistake("server.tls_key_file", format!("missing: {both}")),
            (None, Some(_)) => reader.mistake("server.tls_cert_file", format!("missing: {both}")),
            (Some(_), Some(_)) | (None, None) => {}
        }
        readable("server.tls_cert_file", self.tls_cert_file.as_deref(), reader);
        readable("server.tls_key_file", self.tls_key_file.as_deref(), reader);
        if !self.allowed_origins.is_empty() && !self.grpc_web {
            reader.mistake(
                "server.allowed_origins",
                "only used by browsers; set server.grpc_web = true, or remove it",
            );
        }
    }
}

/// Checks combinations of fields from several sections.
pub(super) fn across(config: &Config, reader: &mut Reader<'_>) {
    let (server, anonymous) = (&config.server, config.authentication.anonymous);
    let is_open = anonymous && server.insecure && server.tls_cert_file.is_none();
    for address in server.listen.iter().filter(|address| is_open && !address.ip().is_loopback()) {
        let problem = format!(
            "together with authentication.anonymous = true this gives full access without credentials to \
             everyone who reaches {address} through this machine: a sidecar, a proxy or a port-forward \
             connects from loopback. Set authentication.anonymous = false, use server.tls_cert_file and its \
             key instead of server.insecure, or listen only on loopback addresses and server.unix_socket"
        );
        reader.mistake("server.insecure", problem);
    }
}

/// Checks that a named file exists and can be read.
fn readable(path: &'static str, file: Option<&Path>, reader: &mut Reader<'_>) {
    let Some(file) = file else { return };
    let problem = match std::fs::File::open(file).and_then(|opened| opened.metadata()) {
        Ok(metadata) if metadata.is_dir() => "is a directory".to_owned(),
        Ok(_) => return,
        Err(error) => format!("can't be read: {}", Quote::error(&error)),
    };
    reader.mistake(
        path,
        format!("{:?} {problem}; name a file that the service can read", file.display().to_string()),
    );
}
