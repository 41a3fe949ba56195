//! Converts the configuration into the options of each module.

use std::num::NonZeroUsize;

use super::{CommandError, service::Settings};
use crate::{
    access,
    api::{self, Listen, Tls},
    config::{self, CloudName, Config, CredentialKind, Engine},
    edge::{
        self,
        secret_store::{self, ProviderCloud},
    },
    model::{Admission, SyncEngine, UsageRules},
    reconcile, secrets, store, vault,
};

impl Settings {
    /// Converts a configuration. Files with secrets and keys are read later, by the code that uses them.
    pub fn from_config(config: &Config) -> Result<Self, CommandError> {
        Ok(Self {
            database: config.database.path.clone(),
            instance: instance(config),
            backups: backup_schedule(config),
            vault: vault_options(config),
            edge: edge_options(config),
            lease: edge::LeaseOptions { name: config.kubernetes.lease.0.clone(), identity: None },
            usages: usage_options(config),
            reconcile: reconcile::Options {
                interval: config.sync.interval,
                jitter: config.sync.jitter.0,
                workers: config.sync.workers.get(),
                engine: configured_engine(config),
                secret_store: secret_store_options(config),
                retention: retention(config),
                not_before: config.sync.not_before,
                rebuild: config.database.rebuild,
                admission: admission(config),
            },
            admission: admission(config),
            secrets: secrets::Options {
                denials: denial_options(config),
                vault_check_lifetime: config.vault.look_cache,
            },
            access: access_options(config),
            server: server_options(config)?,
        })
    }
}

/// The instance that the database belongs to.
pub(super) fn instance(config: &Config) -> store::Instance {
    store::Instance {
        vault: config.vault.uri.0.as_str().to_owned(),
        namespace: config.kubernetes.namespace.0.clone(),
    }
}

/// Retention of the audit log and the change feed.
fn retention(config: &Config) -> store::Retention {
    store::Retention {
        audit: config.audit.retention,
        audit_bytes: config.audit.bytes.get() as u64,
        feed_bytes: config.database.feed_bytes.get() as u64,
        ..store::Retention::default()
    }
}

/// The backup schedule, if a directory is configured. File names contain the vault and the namespace.
pub(super) fn backup_schedule(config: &Config) -> Option<store::Schedule> {
    let config::Backup { directory, interval, keep } = &config.backup;
    Some(store::Schedule {
        directory: directory.clone()?,
        name: format!("{}-{}", secret_store_options(config).vault_name, config.kubernetes.namespace.0),
        interval: *interval,
        keep: keep.get(),
    })
}

/// Options of the Key Vault client.
pub(super) fn vault_options(config: &Config) -> vault::Options {
    let vault = &config.vault;
    vault::Options {
        uri: vault.uri.0.clone(),
        credential: credential(&config.credential),
        cloud: match (config.cloud.name, &config.cloud.authority_host) {
            (CloudName::Custom, Some(host)) => vault::Cloud::Custom { authority_host: host.0.clone() },
            (CloudName::China, _) => vault::Cloud::China,
            (CloudName::UsGovernment, _) => vault::Cloud::UsGovernment,
            (CloudName::Public | CloudName::Custom, _) => vault::Cloud::Public,
        },
        api_version: vault.api_version.clone(),
        verify_challenge: vault.verify_challenge,
        ca_file: vault.ca_file.clone(),
        timeout: vault.timeout,
        concurrency: vault.concurrency.get(),
        waiting: vault.waiting.get(),
        requests_per_10s: Some(vault.requests_per_10s.get()),
    }
}

/// The engine for new synced secrets; `None` to choose by what the cluster serves.
pub(super) fn configured_engine(config: &Config) -> Option<SyncEngine> {
    match config.sync.engine {
        Engine::Auto => None,
        Engine::SecretStore => Some(SyncEngine::SecretStore),
        Engine::Direct => Some(SyncEngine::Direct),
    }
}

/// Options of the secret-store engine.
pub(super) fn secret_store_options(config: &Config) -> secret_store::Options {
    let settings = &config.secret_store;
    let host = config.vault.uri.0.host_str().unwrap_or_default();
    let of_host = || host.split('.').next().unwrap_or_default().to_owned();
    secret_store::Options {
        read_certificates: settings.read_certificates,
        service_account: settings.service_account.clone(),
        client_id: settings.client_id.clone(),
        tenant_id: settings.tenant_id.clone(),
        vault_name: settings.vault_name.clone().unwrap_or_else(of_host),
        cloud: match (&settings.cloud_env_file, config::cloud_of_vault(config)) {
            (Some(file), _) => ProviderCloud::File(file.clone()),
            (None, CloudName::Public) => ProviderCloud::Default,
            (None, CloudName::China) => ProviderCloud::Named("AzureChinaCloud"),
            (None, CloudName::UsGovernment) => ProviderCloud::Named("AzureUSGovernmentCloud"),
            (None, CloudName::Custom) => ProviderCloud::Unknown,
        },
        patience: settings.patience,
    }
}

/// Options of the Kubernetes client.
pub(super) fn edge_options(config: &Config) -> edge::Options {
    edge::Options {
        kubeconfig: config.kubernetes.kubeconfig.clone(),
        context: config.kubernetes.context.clone(),
        namespace: config.kubernetes.namespace.0.clone(),
        timeout: config.kubernetes.timeout,
    }
}

/// Options of usage tracking.
pub(super) fn usage_options(config: &Config) -> edge::UsageOptions {
    let rules = UsageRules::with(config.usages.rules.iter().cloned());
    let rules = if config.usages.workloads { rules.and_workloads() } else { rules };
    edge::UsageOptions { rules, interval: config.usages.interval }
}

/// Which synced secrets callers may create or adopt.
pub(super) fn admission(config: &Config) -> Admission {
    let config::SyncedSecrets { types, labels, reserved_names, free_names } = config.synced_secrets.clone();
    Admission { types, labels, reserved: reserved_names, free: free_names }
}

fn credential(configured: &config::Credential) -> vault::Credential {
    let config::Credential { tenant_id, client_id, token_file, .. } = configured.clone();
    // Validation of the configuration guarantees the fields that a kind requires.
    let needed = |value: Option<String>| value.unwrap_or_default();
    match configured.kind {
        CredentialKind::WorkloadIdentity => {
            vault::Credential::WorkloadIdentity { client_id, tenant_id, token_file }
        }
        CredentialKind::ManagedIdentity => vault::Credential::ManagedIdentity { client_id },
        CredentialKind::ClientSecret => {
            let (tenant_id, client_id) = (needed(tenant_id), needed(client_id));
            match &configured.secret {
                Some(secret) => {
                    vault::Credential::ClientSecret { tenant_id, client_id, secret: secret.clone() }
                }
                None => vault::Credential::ClientSecretFile {
                    tenant_id,
                    client_id,
                    secret_file: configured.secret_file.clone().unwrap_or_default(),
                },
            }
        }
        CredentialKind::ClientCertificate => vault::Credential::ClientCertificate {
            tenant_id: needed(tenant_id),
            client_id: needed(client_id),
            pem_file: configured.certificate_file.clone().unwrap_or_default(),
        },
        CredentialKind::AzureCli => vault::Credential::AzureCli { tenant_id },
    }
}

/// How denied calls are recorded.
fn denial_options(config: &Config) -> secrets::DenialOptions {
    let audit = &config.audit;
    secrets::DenialOptions {
        kinds_per_actor: audit.denials_per_actor.get(),
        ring: store::Ring { rows: audit.denials_rows.get(), bytes: audit.denials_bytes.get() },
    }
}

/// Options of authentication and authorization.
fn access_options(config: &Config) -> access::Options {
    let (authentication, authorization) = (&config.authentication, &config.authorization);
    let tokens = access::TokenOptions {
        audience: authentication.audience.clone(),
        life: authentication.token_cache,
        unknown_per_second: config.limits.unknown_tokens_per_second,
        unknown_per_second_per_address: config.limits.unknown_tokens_per_second_per_address,
        of_cluster: authentication.tokens,
        issuer: issuer_options(config),
    };
    access::Options {
        tokens: (tokens.of_cluster || tokens.issuer.is_some()).then_some(tokens),
        anonymous: authentication.anonymous,
        decision_life: authorization.decision_cache,
        reviews_per_second: authorization.reviews_per_second,
        reviews_under_way: authorization.reviews_under_way.get(),
        rules: authorization.rules.iter().cloned().collect(),
    }
}

/// The OpenID Connect issuer, if one is configured.
pub(super) fn issuer_options(config: &Config) -> Option<access::IssuerOptions> {
    let oidc = &config.authentication_oidc;
    // Validation of the configuration guarantees the prefixes.
    let mapping = |claim: &String, prefix: &Option<config::NamePrefix>| access::ClaimMapping {
        claim: claim.clone(),
        prefix: prefix.as_ref().map(|prefix| prefix.0.clone()).unwrap_or_default(),
    };
    Some(access::IssuerOptions {
        ca_file: oidc.ca_file.clone(),
        username: mapping(&oidc.username_claim, &oidc.username_prefix),
        groups: mapping(&oidc.groups_claim, &oidc.groups_prefix),
        required_claims: oidc
            .required_claims
            .iter()
            .map(|claim| (claim.name.clone(), claim.value.clone()))
            .collect(),
        key_life: oidc.key_cache,
        ..access::IssuerOptions::new(oidc.issuer.as_ref()?.0.clone(), oidc.audience.clone())
    })
}

/// Options of TLS; `None` if it is off.
pub(super) fn tls_options(config: &Config) -> Option<Tls> {
    let (server, authentication) = (&config.server, &config.authentication);
    let (Some(cert), Some(key)) = (&server.tls_cert_file, &server.tls_key_file) else { return None };
    Some(Tls {
        cert_file: cert.clone(),
        key_file: key.clone(),
        client_ca_file: authentication.client_ca_file.clone(),
        client_crl_file: authentication.client_crl_file.clone(),
        revocation: api::Revocation {
            allow_unknown: authentication.allow_unknown_revocation,
            require_current: authentication.require_current_crl,
        },
    })
}

fn server_options(config: &Config) -> Result<api::Options, CommandError> {
    let (server, limits) = (&config.server, &config.limits);
    let tcp = server.listen.iter().copied().map(Listen::Tcp);
    let unix = server.unix_socket.iter().cloned().map(Listen::Unix);
    let tls = tls_options(config);
    if tls.is_none() && config.authentication.client_ca_file.is_some() {
        let text = "authentication.client_ca_file: only used with TLS; set server.tls_cert_file and its key";
        return Err(CommandError::usage(text));
    }
    Ok(api::Options {
        listen: tcp.chain(unix).collect(),
        tls,
        limits: api::Limits {
            message_bytes: limits.message_bytes.get(),
            small_message_bytes: limits.small_message_bytes.get(),
            receive_timeout: limits.receive_timeout,
            answer_bytes: limits.answer_bytes.get(),
            concurrent_calls: limits.concurrent_calls.get(),
            streams_per_connection: limits.streams_per_connection.get(),
            calls_per_caller: or_eighth(limits.calls_per_caller, limits.concurrent_calls),
            request_bytes: limits.request_bytes.get(),
            request_bytes_per_caller: or_eighth(limits.request_bytes_per_caller, limits.request_bytes),
            calls_per_second: Some(limits.calls_per_second),
            watchers: limits.watchers.get(),
            watches_per_caller: or_eighth(limits.watches_per_caller, limits.watchers),
            open_calls: limits.open_calls.get(),
            open_calls_per_address: or_quarter(limits.open_calls_per_address, limits.open_calls),
            open_streams: limits.open_streams.get(),
            open_streams_per_address: or_quarter(limits.open_streams_per_address, limits.open_streams),
            reflection_timeout: limits.reflection_timeout,
            health_watch_timeout: limits.health_watch_timeout,
            connections: limits.connections.get(),
            connections_per_caller: or_eighth(limits.connections_per_caller, limits.connections),
            open_connections: limits.open_connections.get(),
            open_connections_per_address: or_quarter(
                limits.open_connections_per_address,
                limits.open_connections,
            ),
            unix_connections: limits.unix_connections.get(),
            unix_calls: limits.unix_calls.get(),
            metrics_connections: limits.metrics_connections.get(),
            metrics_timeout: limits.metrics_timeout,
            send_timeout: limits.send_timeout,
            call_timeout: limits.call_timeout,
            longest_call: limits.longest_call,
            ..api::Limits::default()
        },
        metrics: server.metrics_listen,
        reflection: server.reflection,
        grpc_web: server.grpc_web,
        allowed_origins: server.allowed_origins.iter().map(|origin| origin.0.clone()).collect(),
        console: server.console.then(|| console_options(config)),
        drain: server.drain,
    })
}

/// Options of the console.
fn console_options(config: &Config) -> api::ConsoleOptions {
    let config::OidcConsole { client_id, scopes, token } = &config.authentication_oidc_console;
    let scopes = || scopes.iter().map(|scope| scope.0.clone()).collect();
    let client = |client_id| api::PublicClient { client_id, scopes: scopes(), token: *token };
    api::ConsoleOptions { client: client_id.clone().map(client) }
}

/// The share of one address: as configured, or a quarter. Many legitimate callers can share an address,
/// behind an ingress or NAT.
fn or_quarter(configured: Option<NonZeroUsize>, all: NonZeroUsize) -> usize {
    configured.map_or(all.get() / 4, NonZeroUsize::get).max(1)
}

/// The share of one caller: as configured, or an eighth.
fn or_eighth(configured: Option<NonZeroUsize>, all: NonZeroUsize) -> usize {
    configured.map_or(all.get() / 8, NonZeroUsize::get).max(1)
}
