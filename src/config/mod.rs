//! The configuration of `secret-service serve`: every field with its meaning and its default.
//!
//! A field can be set in a TOML file, by its environment variable and by its flag. Each overrides the one
//! before. The descriptions here also make `--help`, the manual page, `--print-config` and
//! docs/configuration.md.

mod enums;
mod error;
mod fields;
mod print;
mod reader;
mod scalars;
mod sources;
mod types;
mod validation;
mod value;

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use secrecy::SecretString;

pub use enums::{CloudName, CredentialKind, Engine};
pub use error::{ConfigError, ConfigErrors};
pub use fields::{Field, Section};
pub use reader::LoadedConfig;
pub use sources::Sources;
pub use types::{
    Fraction, HostUrl, IssuerUrl, LogFilter, NamePrefix, Namespace, ObjectName, Origin, RequiredClaim,
    ScopeToken,
};
pub use validation::cloud_of_vault;
pub use value::{Cardinality, ValueType};

use crate::{
    api::TokenKind,
    model::{AccessRule, NamePattern, NotBefore, ReservedName, SecretType, UsageRule},
    telemetry::Format,
};

fields::configuration! {
    /// The Azure Key Vault to sync from
    vault: Vault {
        /// The URI of the vault.
        uri: HostUrl,
        /// The api-version sent with every request. If unset, the newest one that the Azure SDK supports.
        api_version: Option<String>,
        /// Whether to check that the vault's 401 challenge names a resource in the vault's own domain. Turn
        /// this off only for a vault behind a custom host name.
        verify_challenge: bool = "true",
        /// Certificates (PEM) to trust in addition to the public ones, for the vault and for the token
        /// authority.
        ca_file: Option<PathBuf>,
        /// Deadline of every call to the vault, including retries.
        timeout: Duration = "10s",
        /// How long the result of GetVault is cached. The answer's check_time says when the vault was
        /// checked.
        look_cache: Duration = "10s",
        /// Maximum requests to the vault in flight. Each uses a connection of its own. One caller gets at
        /// most half of those that other callers leave free.
        concurrency: NonZeroUsize = "32",
        /// Maximum requests queued for the vault. Callers take turns, and each can queue at most an eighth.
        /// Further calls fail with RESOURCE_EXHAUSTED.
        waiting: NonZeroUsize = "2048",
        /// Maximum requests to the vault in any ten seconds. Azure allows a vault 4,000, shared by all its
        /// clients. The last eighth is reserved for callers that sent few requests in these ten seconds.
        requests_per_10s: NonZeroU32 = "2000",
    }

    /// The identity that the service uses for the vault
    credential: Credential {
        /// How the service authenticates to the vault.
        kind: CredentialKind = "workload-identity",
        /// Tenant of the identity. Required for client-secret and client-certificate.
        tenant_id: Option<String>,
        /// Client ID of the application or of the user-assigned managed identity. Required for client-secret
        /// and client-certificate.
        client_id: Option<String>,
        /// File with the application's client secret. For client-secret.
        secret_file: Option<PathBuf>,
        /// The application's client secret, if it is not in a file. For client-secret.
        secret: Option<SecretString>,
        /// PEM file with the application's certificate and its RSA key. For client-certificate.
        certificate_file: Option<PathBuf>,
        /// File with the projected service account token. If unset, AZURE_FEDERATED_TOKEN_FILE. For
        /// workload-identity.
        token_file: Option<PathBuf>,
    }

    /// The Azure cloud that issues the service's tokens
    cloud: Cloud {
        /// The Azure cloud.
        name: CloudName = "public",
        /// The token authority of a custom cloud: a Microsoft Entra ID, not an AD FS. In the public cloud this is
        /// login.microsoftonline.com, in us-government login.microsoftonline.us, in china login.chinacloudapi.cn.
        authority_host: Option<HostUrl>,
    }

    /// The cluster, and the namespace of the Azure IoT Operations instance
    kubernetes: Kubernetes {
        /// The kubeconfig file. If unset: KUBECONFIG, ~/.kube/config, or the pod's service account.
        kubeconfig: Option<PathBuf>,
        /// The context in the kubeconfig. If unset, its current context.
        context: Option<String>,
        /// The namespace of the instance.
        namespace: Namespace = "azure-iot-operations",
        /// Deadline of every call to the Kubernetes API.
        timeout: Duration = "10s",
        /// The Lease in that namespace that elects the leader. The holder does all writing. Any other process
        /// with the same Lease serves reads only, and takes over when the holder stops.
        lease: ObjectName = "secret-service",
    }

    /// How synced secrets follow the vault
    sync: Sync {
        /// How synced secrets reach the cluster. auto uses the Secret Store extension if the cluster serves
        /// its custom resources. Secrets that the extension already manages stay with it, even while those
        /// resources are not served.
        engine: Engine = "auto",
        /// How often to check the vault for new versions.
        interval: Duration = "5m",
        /// How much to vary the interval at random, as a fraction of it. 0.1 means up to 10 % shorter or
        /// longer.
        jitter: Fraction = "0.1",
        /// What to do with a version whose not-before date is in the future. warn: sync it, and say so in the
        /// condition NotYetValid; Key Vault serves such versions like any others. hold: keep the versions at the
        /// edge until then, those of the other keys too, and sync at that time. Only the direct engine holds: the
        /// Secret Store extension takes a version as soon as it reads it, so with it hold acts as warn; keep a
        /// version at the edge by naming it in the reference.
        not_before: NotBefore = "warn",
        /// Number of workers that reconcile synced secrets.
        workers: NonZeroUsize = "8",
    }

    /// Settings for the Secret Store extension, used by the secret-store engine
    secret_store: SecretStore {
        /// The Kubernetes service account that the extension uses to read the vault.
        service_account: String = "aio-ssc-sa",
        /// Client ID of the identity federated with that service account. If unset, taken from the instance's
        /// default SecretProviderClass: the one that its Instance names, or else the only one whose name is
        /// spc-ops- and seven hex digits.
        client_id: Option<String>,
        /// Tenant of that identity. If unset, taken from the instance's default SecretProviderClass.
        tenant_id: Option<String>,
        /// Name of the vault. If unset, the first label of the host in vault.uri.
        vault_name: Option<String>,
        /// The file that describes a custom cloud to Azure's provider (cloudEnvFileName of its classes): its path in the
        /// container of the extension's provider, where it must be mounted. The service does not read it. Required for a
        /// vault of a custom cloud, because the provider makes the vault's host from the file's keyVaultDNSSuffix.
        cloud_env_file: Option<String>,
        /// How long to wait for the extension to process a change before reporting a problem.
        patience: Duration = "30s",
        /// Whether to read the certificates in the Secrets that the extension wrote, to tell what they are and when they
        /// expire. The API server has no way to read a part of a Secret: the service reads all of it, looks at the certificates
        /// alone, and wipes the rest. If unset, it reads no value at the edge.
        read_certificates: bool = "false",
    }

    /// Which synced secrets callers may create or adopt
    synced_secrets: SyncedSecrets {
        /// Kubernetes Secret types that callers may use, in addition to Opaque, kubernetes.io/tls,
        /// kubernetes.io/basic-auth, kubernetes.io/ssh-auth, kubernetes.io/dockerconfigjson and
        /// kubernetes.io/dockercfg. Types that grant rights in the cluster can't be added.
        types: Vec<SecretType>,
        /// Label keys that callers may set, and that a Secret may carry to be adopted, in addition to keys
        /// without a prefix. Other controllers act on labels, some with far-reaching rights. * matches any
        /// text and ? any one character: line.example.com/*.
        labels: Vec<NamePattern>,
        /// Names that nobody may create or adopt: a pattern, and who owns the names. Names of Helm
        /// (sh.helm.release.v1.*) and of Azure IoT Operations (spc-ops-*, aio-*) are always reserved. The
        /// Helm chart adds the Secrets that the service itself needs.
        reserved_names: Vec<ReservedName>,
        /// Names to allow even though they match a reserved pattern of Helm or Azure IoT Operations.
        free_names: Vec<NamePattern>,
    }

    /// How the service finds what uses a synced secret
    usages: Usages {
        /// Fields that reference Secrets, in addition to the built-in ones of Azure IoT Operations:
        /// KIND.GROUP PATH SECRET/KEY, KIND.GROUP PATH SECRET [KEYS], KIND.GROUP PATH SECRET @FIELD where the
        /// field FIELD beside it names the key, KIND.GROUP PATH OUTPUT for a Secret that another program
        /// writes, KIND PROGRAM FIXED SECRET for a program that uses a Secret without a resource that says so,
        /// or KIND.GROUP alone for every field whose name ends in SecretName, secretName, SecretRef, secretRef or
        /// secretKeyRef. In a path, * matches any field, [*] any item and ** everything below. The KIND * matches every kind. The keys
        /// a+b|c mean both a and b, or c. The service needs the verbs list and watch on these kinds.
        rules: Vec<UsageRule>,
        /// Whether Deployments, StatefulSets, DaemonSets, ReplicaSets, Jobs, CronJobs and Pods of the namespace
        /// that mount a Secret or read it into their environment count as uses. The service then needs the
        /// verbs list and watch on them (usages.workloads of the Helm chart grants them); without these,
        /// deletions need force.
        workloads: bool = "false",
        /// How often to ask the cluster which of these kinds it serves.
        interval: Duration = "10s",
    }

    /// The gRPC server
    server: Server {
        /// TCP addresses to listen on. An empty list turns TCP off.
        listen: Vec<SocketAddr> = "127.0.0.1:50051",
        /// Unix socket to listen on. An existing socket file is replaced at start.
        unix_socket: Option<PathBuf>,
        /// The server's certificate chain (PEM). Turns on TLS for every TCP address. Requires tls_key_file.
        tls_cert_file: Option<PathBuf>,
        /// The private key of the server's certificate (PEM). Requires tls_cert_file.
        tls_key_file: Option<PathBuf>,
        /// Allow listening beyond loopback without TLS. Tokens are then sent in clear text. Use this only in
        /// a network that encrypts by itself, such as a service mesh.
        insecure: bool = "false",
        /// Whether to serve browsers too (gRPC-Web).
        grpc_web: bool = "false",
        /// Whether to serve the console, a web page, at / of every address. It turns on server.grpc_web.
        console: bool = "false",
        /// Origins of the web pages that may call the service (CORS), and of the console, if people reach it by another
        /// host than an address or localhost. Empty: none.
        allowed_origins: Vec<Origin>,
        /// Whether to serve gRPC reflection, so that clients can discover the API.
        reflection: bool = "true",
        /// Address to serve Prometheus metrics on, at /metrics, over plain HTTP and without authentication.
        /// If unset, metrics are not served. Metrics contain numbers only, never names of secrets.
        metrics_listen: Option<SocketAddr>,
        /// How long calls in flight may take to finish at shutdown.
        drain: Duration = "20s",
    }

    /// How callers authenticate
    authentication: Authentication {
        /// CA certificates (PEM) that client certificates are verified against. The caller is the
        /// certificate's first URI subject alternative name, or else its common name. Its organizations are
        /// the caller's groups. Requires server.tls_cert_file.
        client_ca_file: Option<PathBuf>,
        /// Certificate revocation lists (PEM), one for each CA and each intermediate CA. A certificate that
        /// was revoked, or whose issuer was, is refused within ten seconds, on open connections too.
        client_crl_file: Option<PathBuf>,
        /// Whether to accept a client certificate if client_crl_file has no list for one of its intermediate
        /// CAs. By default every intermediate CA needs a list.
        allow_unknown_revocation: bool = "false",
        /// Whether to refuse client certificates once their revocation list is past its next update. By
        /// default an outdated list still counts, so that a site cut off from its CA keeps its callers. The
        /// log, the check command and a metric report the outdated list.
        require_current_crl: bool = "false",
        /// Whether to accept Kubernetes service account tokens. The service needs the verb create on
        /// tokenreviews.authentication.k8s.io.
        tokens: bool = "true",
        /// The audience that tokens must be issued for.
        audience: String = "secret-service",
        /// How long a verified token is cached, at most 60 s and never past its expiry. A deleted service
        /// account loses access within this time.
        token_cache: Duration = "60s",
        /// Whether callers on this machine need no credentials: all who connect through loopback or the Unix
        /// socket. They may do everything that authorization.rules does not forbid.
        anonymous: bool = "false",
    }

    /// People who sign in with OpenID Connect
    authentication_oidc: Oidc {
        /// The issuer whose tokens the service verifies itself, exactly as their claim iss names it. Its keys come from
        /// ISSUER/.well-known/openid-configuration. If unset, no such tokens are accepted. Tokens of other issuers go to
        /// the cluster, if authentication.tokens is on and they name another host.
        issuer: Option<IssuerUrl>,
        /// The audiences (claim aud) that tokens may be for: the client IDs of the applications that people sign in with, or
        /// the application ID URI of the API. One of them must match. Required with authentication.oidc.issuer.
        audience: Vec<String>,
        /// CA certificates (PEM) for the issuer's TLS, in place of the public ones. Read again each time that keys are
        /// fetched.
        ca_file: Option<PathBuf>,
        /// The claim that names the user. If it is email, the claim email_verified must be true or absent. For people in
        /// Microsoft Entra ID, oid never changes; preferred_username and upn may.
        username_claim: String = "sub",
        /// What is put before user names, so that no user of the issuer has the name of another caller. Required with
        /// authentication.oidc.issuer; "" for none, which is refused together with client certificates. No user may have
        /// a name that begins with system:.
        username_prefix: Option<NamePrefix>,
        /// The claim with the user's groups: a text or a list. Without it, the user has no groups for the cluster, and rules
        /// in authorization.rules for the issuer's groups still restrict the user.
        groups_claim: String = "groups",
        /// What is put before the names of groups; best another one than that of users, because rules don't tell users from
        /// groups. Required with authentication.oidc.issuer; "" for none, which is refused together with client
        /// certificates. Groups that begin with system: don't count.
        groups_prefix: Option<NamePrefix>,
        /// Claims that a token must have, each with its value (a text), such as tid and the tenant.
        required_claims: Vec<RequiredClaim>,
        /// How long the issuer's keys are used before they are fetched again, at most an hour. A token with an unknown key
        /// causes a fetch earlier, at most every 10 s. While the issuer can't be reached, the last keys stay valid for 24 h.
        key_cache: Duration = "10m",
    }

    /// How people sign in to the console
    authentication_oidc_console: OidcConsole {
        /// The client ID of the console at the issuer: a public client (a single-page application) with PKCE and the
        /// redirect URI ORIGIN/signed-in, such as https://console.example/signed-in. If unset, people can't sign in to the
        /// console with OpenID Connect.
        client_id: Option<String>,
        /// The scopes that the console asks for. For token = "access", one of them must name the API that the token is
        /// for, such as api://CLIENT-ID/access. Add offline_access where the issuer gives refresh tokens only with it, as
        /// Microsoft Entra ID does: without one, people sign in again each time that their token ends, in Entra after about
        /// an hour.
        scopes: Vec<ScopeToken> = "openid, profile",
        /// Which token the console sends with its calls. id: the ID token, whose audience is the client ID. access: the
        /// access token, which must be a JSON web token of the issuer for one of authentication.oidc.audience.
        token: TokenKind = "id",
    }

    /// What callers are allowed to do
    authorization: Authorization {
        /// How long an authorization decision is cached, at most 10 s. Decisions come from
        /// SubjectAccessReviews. The service needs the verb create on
        /// subjectaccessreviews.authorization.k8s.io.
        decision_cache: Duration = "10s",
        /// Maximum access reviews a second for the names that one caller asks for, with a burst of 128.
        /// Further calls fail with RESOURCE_EXHAUSTED. A caller with a right on all names needs one review
        /// for all of them.
        reviews_per_second: NonZeroU32 = "20",
        /// Maximum concurrent access reviews. One caller gets at most an eighth and queues for its own.
        reviews_under_way: NonZeroUsize = "64",
        /// Rules that narrow down what the cluster grants: allow or deny, then a user, a group or *, then
        /// syncedSecrets/PATTERN or vaultSecrets/PATTERN. In a pattern, * matches any text and ? any one
        /// character. Names that a deny rule matches are refused. Whoever has allow rules is refused all
        /// other names. Lists still show all names.
        rules: Vec<AccessRule>,
    }

    /// Limits on connections, calls and messages
    limits: Limits {
        /// Maximum size in bytes of a request that can carry secret values.
        message_bytes: NonZeroUsize = "1048576",
        /// Maximum size in bytes of any other request, and of each request in a reflection stream.
        small_message_bytes: NonZeroUsize = "16384",
        /// How long a request may take to arrive after its call begins.
        receive_timeout: Duration = "10s",
        /// Maximum size in bytes of a response. Lists return smaller pages to stay below it. gRPC clients
        /// accept 4 MiB by default.
        answer_bytes: NonZeroUsize = "4194304",
        /// Maximum concurrent calls over all connections. Further calls fail with RESOURCE_EXHAUSTED.
        concurrent_calls: NonZeroUsize = "1024",
        /// Maximum concurrent calls of one caller, including calls whose response it has not read. If unset,
        /// an eighth of limits.concurrent_calls.
        calls_per_caller: Option<NonZeroUsize>,
        /// Maximum bytes of all requests in flight that are larger than limits.small_message_bytes.
        request_bytes: NonZeroUsize = "16777216",
        /// Maximum bytes of such requests of one caller. If unset, an eighth of limits.request_bytes.
        request_bytes_per_caller: Option<NonZeroUsize>,
        /// Maximum calls a second of one caller, and the size of a burst. Further calls fail with
        /// RESOURCE_EXHAUSTED and the time to wait.
        calls_per_second: NonZeroU32 = "1000",
        /// Maximum concurrent calls on one connection. Further calls wait.
        streams_per_connection: NonZeroU32 = "256",
        /// Maximum open watches. Further ones fail with RESOURCE_EXHAUSTED.
        watchers: NonZeroUsize = "256",
        /// Maximum open watches of one caller. If unset, an eighth of limits.watchers.
        watches_per_caller: Option<NonZeroUsize>,
        /// Maximum concurrent calls that need no credentials and are answered immediately, such as health
        /// checks. The same number applies separately to calls whose credentials the cluster is verifying, and to requests
        /// for the console's page. Authenticated calls are not delayed by any of them.
        open_calls: NonZeroUsize = "512",
        /// Maximum such calls from one address. If unset, a quarter of limits.open_calls, because many
        /// callers can share an address.
        open_calls_per_address: Option<NonZeroUsize>,
        /// Maximum open health watches and reflection streams, which need no credentials.
        open_streams: NonZeroUsize = "256",
        /// Maximum such streams from one address. If unset, a quarter of limits.open_streams.
        open_streams_per_address: Option<NonZeroUsize>,
        /// Maximum unknown tokens a second that the service asks the cluster to verify, from all addresses.
        /// Tokens that were valid within the last hour don't count. Nor do tokens on a connection where a
        /// call was already authenticated.
        unknown_tokens_per_second: NonZeroU32 = "200",
        /// Maximum unknown tokens a second from one address, or over the connections of one caller.
        unknown_tokens_per_second_per_address: NonZeroU32 = "20",
        /// How long a reflection stream may stay open.
        reflection_timeout: Duration = "30s",
        /// How long a health watch may stay open on a connection where no call was authenticated. Clients
        /// reopen it by themselves.
        health_watch_timeout: Duration = "10m",
        /// Maximum connections. A new one closes the oldest that is idle, or that has only health watches and
        /// reflection streams. If there is none, the new one is refused.
        connections: NonZeroUsize = "4096",
        /// Maximum connections whose first authenticated call came from the same caller. A new one closes
        /// that caller's oldest idle one. If unset, an eighth of limits.connections.
        connections_per_caller: Option<NonZeroUsize>,
        /// Maximum connections on which no call was authenticated yet, including TLS handshakes. A new one
        /// closes the oldest from the address that has most.
        open_connections: NonZeroUsize = "512",
        /// Maximum such connections from one address. A new one closes the oldest from there. If unset, a
        /// quarter of limits.open_connections.
        open_connections_per_address: Option<NonZeroUsize>,
        /// Connections reserved for server.unix_socket in addition to all others, so that probes always get
        /// through.
        unix_connections: NonZeroUsize = "64",
        /// Calls reserved for server.unix_socket once the other limits on calls are reached.
        unix_calls: NonZeroUsize = "64",
        /// Maximum connections to server.metrics_listen, at most half of them from one address. A new one
        /// closes the oldest.
        metrics_connections: NonZeroUsize = "16",
        /// How long one request for metrics may take, response included.
        metrics_timeout: Duration = "10s",
        /// How long a caller may stop reading a response before its connection is closed. A file of the console may take three
        /// times as long in all.
        send_timeout: Duration = "30s",
        /// Deadline of a call that sets none.
        call_timeout: Duration = "30s",
        /// Maximum duration of a call, whatever its deadline.
        longest_call: Duration = "2m",
    }

    /// The service's own database
    database: Database {
        /// The SQLite database file. Its directory must exist. SQLite puts files with the same prefix beside
        /// it.
        path: PathBuf = "/var/lib/secret-service/secret-service.db",
        /// Whether to rebuild a lost database at start from the Secrets in the cluster. The rebuild trusts
        /// their annotations: if others may write Secrets in the namespace, read docs/security.md first.
        rebuild: bool = "true",
        /// Approximate maximum size in bytes of the change feed, at least 1048576. The feed keeps a day and
        /// up to 100,000 changes if they fit. The oldest are dropped first, and a watcher that resumes from a
        /// dropped change gets OUT_OF_RANGE.
        feed_bytes: NonZeroUsize = "134217728",
    }

    /// Backups of the database
    backup: Backup {
        /// Directory for backups, preferably on another disk or a network share. It is created if its parent
        /// exists. If unset, no backups are made.
        directory: Option<PathBuf>,
        /// Time between backups, at least a minute. A backup is also made at start if the newest is older
        /// than this.
        interval: Duration = "6h",
        /// Number of backups to keep. The oldest are deleted. `secret-service restore FILE` restores one.
        keep: NonZeroUsize = "8",
    }

    /// The audit log
    audit: Audit {
        /// How long to keep audit events, at least a day, counting only the time that the service runs.
        /// `secret-service audit verify` proves that the stored events are unchanged.
        retention: Duration = "365d",
        /// Approximate maximum size in bytes of the events that record actions, at least 1048576. The oldest
        /// are deleted first, even before audit.retention, and an event records the deletion.
        bytes: NonZeroUsize = "268435456",
        /// Maximum number of denied calls to keep, at least 100. The oldest are deleted first. They never
        /// displace events that record actions.
        denials_rows: NonZeroUsize = "100000",
        /// Approximate maximum size in bytes of the denied calls, at least 65536. The oldest are deleted
        /// first.
        denials_bytes: NonZeroUsize = "33554432",
        /// How many distinct denied methods and resources of one caller are recorded a minute. Further ones
        /// are recorded under the caller's name without the resource. Repetitions are counted in one event.
        denials_per_actor: NonZeroUsize = "32",
    }

    /// The log, written to standard error
    log: Log {
        /// Which lines to log. SECRET_SERVICE_LOG and RUST_LOG take precedence. No level ever logs secret
        /// values or message bodies.
        level: LogFilter = "info",
        /// Format of a log line.
        format: Format = "json",
    }
}

#[cfg(test)]
mod tests;
