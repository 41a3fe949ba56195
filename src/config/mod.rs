//! The configuration of `secret-service serve`: every field, what it means, what it is where nobody sets it.
//!
//! A field is set in a TOML file, by its environment variable or by its flag, each before the one before. What is written
//! here is also what `--help`, the manual page and `--print-config` say.

mod fields;
mod mistake;
mod names;
mod print;
mod reader;
mod rules;
mod scalars;
mod sources;
mod value;
mod words;

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use secrecy::SecretString;

pub use fields::{Field, Section};
pub use mistake::{Mistake, Mistakes};
pub use names::{HostUrl, LogFilter, Namespace, ObjectName, Origin, Share};
pub use reader::Loaded;
pub use sources::Sources;
pub use value::{Kind, Many};
pub use words::{CloudName, CredentialKind, Engine};

use crate::{
    model::{AccessRule, NamePattern, ReservedName, SecretType, UsageRule},
    telemetry::Format,
};

fields::configuration! {
    /// The Key Vault that the instance is bound to
    vault: Vault {
        /// Where the vault is.
        uri: HostUrl,
        /// The `api-version` of every request; the newest that the SDK knows where absent.
        api_version: Option<String>,
        /// Whether the vault's 401 challenge must name a resource of the vault's own domain. Turn it off only for a vault
        /// behind a name of its own.
        verify_challenge: bool = "true",
        /// Certificates (PEM) to trust besides the public ones, for the vault and for the authority that gives tokens.
        ca_file: Option<PathBuf>,
        /// Deadline of every call to the vault, retries included.
        timeout: Duration = "10s",
        /// How long what GetVault found is told to others too; `check_time` of the answer says when that was.
        look_cache: Duration = "10s",
        /// Requests in flight at a time; each is a connection. One caller has at most half of those that the other callers leave.
        concurrency: NonZeroUsize = "32",
        /// Requests that wait for their turn. Callers take turns, and one caller has an eighth of them at most; more are told to come back.
        waiting: NonZeroUsize = "2048",
        /// Requests in any ten seconds. A vault bears 4,000 over all its callers. The last eighth is for callers who asked for little in
        /// these ten seconds.
        requests_per_10s: NonZeroU32 = "2000",
    }

    /// As whom the service comes to the vault
    credential: Credential {
        /// How the service authenticates.
        kind: CredentialKind = "workload-identity",
        /// Tenant of the identity. Needed by client-secret and client-certificate.
        tenant_id: Option<String>,
        /// Application, or user-assigned managed identity. Needed by client-secret and client-certificate.
        client_id: Option<String>,
        /// A file that holds the secret of the application. For client-secret.
        secret_file: Option<PathBuf>,
        /// The secret of the application, where no file holds it. For client-secret.
        secret: Option<SecretString>,
        /// A PEM file with the application's certificate and its RSA key. For client-certificate.
        certificate_file: Option<PathBuf>,
        /// The projected service-account token; AZURE_FEDERATED_TOKEN_FILE where absent. For workload-identity.
        token_file: Option<PathBuf>,
    }

    /// The Azure that gives tokens
    cloud: Cloud {
        /// Which Azure.
        name: CloudName = "public",
        /// Who gives tokens in a custom cloud, as login.microsoftonline.com does in the public one.
        authority_host: Option<HostUrl>,
    }

    /// The cluster, and the instance's namespace in it
    kubernetes: Kubernetes {
        /// The kubeconfig file; where absent KUBECONFIG, ~/.kube/config or the pod's own account.
        kubeconfig: Option<PathBuf>,
        /// The context in the kubeconfig; its current one where absent.
        context: Option<String>,
        /// The namespace of the instance.
        namespace: Namespace = "azure-iot-operations",
        /// Deadline of every call to the Kubernetes API.
        timeout: Duration = "10s",
        /// The Lease in that namespace whose holder acts for the instance. Any other process with the same one serves reads, and takes over
        /// when the holder has ended.
        lease: ObjectName = "secret-service",
    }

    /// How synced secrets are kept in step with the vault
    sync: Sync {
        /// How synced secrets reach the edge. Auto takes the Secret Store extension where its custom resources are served; what the
        /// extension has in its hands stays there also while they are not.
        engine: Engine = "auto",
        /// How often the vault is asked for new versions.
        interval: Duration = "5m",
        /// The share of the interval by which each check comes earlier or later.
        jitter: Share = "0.1",
        /// Synced secrets worked on at a time.
        workers: NonZeroUsize = "8",
    }

    /// What the Secret Store extension is told, in that engine
    secret_store: SecretStore {
        /// The service account as which the extension comes to the vault.
        service_account: String = "aio-ssc-sa",
        /// The identity federated with that account; that of the instance's default class (spc-ops-…) where absent.
        client_id: Option<String>,
        /// Tenant of that identity; that of the instance's default class where absent.
        tenant_id: Option<String>,
        /// The vault's name; the first label of vault.uri where absent.
        vault_name: Option<String>,
        /// How long the extension may leave a change without an answer before that is told as a problem.
        patience: Duration = "30s",
    }

    /// What synced secrets may be, whoever asks
    synced_secrets: SyncedSecrets {
        /// Types of Kubernetes Secrets that callers may ask for or adopt, besides Opaque, kubernetes.io/tls, kubernetes.io/basic-auth,
        /// kubernetes.io/ssh-auth, kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg. Those that grant power in the cluster
        /// are never among them.
        types: Vec<SecretType>,
        /// Labels that callers may set and that an adopted Secret may have, by their keys, besides those without a prefix: others
        /// act on labels, some with great rights. In a key, * is any text and ? any character: line.example.com/*.
        labels: Vec<NamePattern>,
        /// Names that belong to somebody, so that nobody creates or adopts them: a pattern, and whose they are. Besides those of Helm
        /// (sh.helm.release.v1.*) and of Azure IoT Operations (spc-ops-*, aio-*). The chart adds the Secrets that the service itself is
        /// run with.
        reserved_names: Vec<ReservedName>,
        /// Names that are not reserved although a pattern of Helm or of Azure IoT Operations fits them.
        free_names: Vec<NamePattern>,
    }

    /// What uses synced secrets
    usages: Usages {
        /// Fields that name secrets, besides those of Azure IoT Operations that are known: KIND.GROUP PATH SECRET/KEY,
        /// KIND.GROUP PATH SECRET [KEYS], or KIND.GROUP alone for any field whose name ends in SecretName or secretRef. In a
        /// path, * is any field and [*] any item; the KIND * is any kind; the keys a+b|c are both a and b, or c. The
        /// service's account needs the verbs list and watch on the kinds.
        rules: Vec<UsageRule>,
        /// How often the cluster is asked which of the kinds it serves.
        interval: Duration = "10s",
    }

    /// Where and how gRPC is served
    server: Server {
        /// The TCP addresses to listen on; none where the list is empty.
        listen: Vec<SocketAddr> = "127.0.0.1:50051",
        /// A Unix socket to listen on; its file is made anew at start.
        unix_socket: Option<PathBuf>,
        /// The server's certificate with its chain (PEM): TLS on every TCP address. Comes with tls_key_file.
        tls_cert_file: Option<PathBuf>,
        /// The key of the server's certificate (PEM). Comes with tls_cert_file.
        tls_key_file: Option<PathBuf>,
        /// Listen beyond this machine without TLS, so that tokens travel in the clear. For a network that encrypts by itself, as
        /// a service mesh does.
        insecure: bool = "false",
        /// Whether browsers are served too (gRPC-Web).
        grpc_web: bool = "false",
        /// The web pages that may call, by their origin; none where the list is empty.
        allowed_origins: Vec<Origin>,
        /// Whether clients may ask for the contract (gRPC reflection).
        reflection: bool = "true",
        /// Where metrics are served for Prometheus, over plain HTTP at /metrics, to whoever asks; nowhere where it is not given. They are
        /// numbers: no name of a secret is in them.
        metrics_listen: Option<SocketAddr>,
        /// How long calls under way may take at the end.
        drain: Duration = "20s",
    }

    /// How callers show who they are
    authentication: Authentication {
        /// Certificates (PEM) of the authorities that vouch for clients. A client is then who its certificate names: the first
        /// URI among its subject alternative names, else its common name; its organizations are its groups. For server.tls_cert_file.
        client_ca_file: Option<PathBuf>,
        /// Revocation lists (PEM) of those authorities, one of each, and of the authorities between them and clients. A revoked
        /// certificate, and one whose issuer is revoked, stops working within ten seconds, on open connections too.
        client_crl_file: Option<PathBuf>,
        /// Whether a client certificate is let in although an authority in its chain, the root excepted, has no list in client_crl_file.
        /// Without this, authorities in between need their lists there too.
        allow_unknown_revocation: bool = "false",
        /// Whether a client certificate is refused once the revocation list about it is past its next update. Without this the list
        /// goes on counting, and that it is old is told by the log, by check and by a metric: a site without a way to the authority
        /// keeps its callers.
        require_current_crl: bool = "false",
        /// Whether tokens of the cluster's service accounts count. The service's own account needs the verb create on
        /// tokenreviews.authentication.k8s.io.
        tokens: bool = "true",
        /// The audience that tokens must be for.
        audience: String = "secret-service",
        /// How long the owner of a token is remembered, and never longer than the token is valid; at most 60 s. A deleted
        /// service account stops working within this time.
        token_cache: Duration = "60s",
        /// Whether callers on this machine need no credentials: those that come through a loopback address or the Unix
        /// socket. They may do everything that the rules leave.
        anonymous: bool = "false",
    }

    /// What callers may do
    authorization: Authorization {
        /// How long a decision of the cluster is remembered; at most 10 s. The cluster is asked by SubjectAccessReview, so the
        /// service's own account needs the verb create on subjectaccessreviews.authorization.k8s.io.
        decision_cache: Duration = "10s",
        /// Reviews a second that one caller can cause by the names it asks for, and 128 at once; more are told when to come back. Whoever has
        /// a right on all names causes one review for all of them.
        reviews_per_second: NonZeroU32 = "20",
        /// Reviews of rights under way at a time. One caller has an eighth of them at most, and waits for its own.
        reviews_under_way: NonZeroUsize = "64",
        /// Rules that narrow what callers may name, whatever the cluster grants them: allow or deny, then a user or a group or
        /// *, then syncedSecrets/PATTERN or vaultSecrets/PATTERN, where * in the pattern is any text and ? any character. What
        /// a rule denies is refused; who is allowed some names is refused all others. Lists show all names.
        rules: Vec<AccessRule>,
    }

    /// What callers may ask for at most
    limits: Limits {
        /// Bytes of a request that may carry values of secrets.
        message_bytes: NonZeroUsize = "1048576",
        /// Bytes of any other request, and of each question in a stream of reflection.
        small_message_bytes: NonZeroUsize = "16384",
        /// How long a request may take to arrive, once its call has begun.
        receive_timeout: Duration = "10s",
        /// Bytes of an answer; lists make shorter pages. Clients accept 4 MiB where they are not told otherwise.
        answer_bytes: NonZeroUsize = "4194304",
        /// Calls at a time, over all connections; more are told to come back.
        concurrent_calls: NonZeroUsize = "1024",
        /// Calls at a time of one caller, those included whose answers it has not taken; more are told to come back. Where it is not
        /// given, an eighth of limits.concurrent_calls.
        calls_per_caller: Option<NonZeroUsize>,
        /// Bytes of all requests larger than limits.small_message_bytes that arrive or are carried out; more are told to come back.
        request_bytes: NonZeroUsize = "16777216",
        /// The same of one caller. Where it is not given, an eighth of limits.request_bytes.
        request_bytes_per_caller: Option<NonZeroUsize>,
        /// Calls a second of one caller, and as many at once; more are told when to come back.
        calls_per_second: NonZeroU32 = "1000",
        /// Calls at a time on one connection; more wait.
        streams_per_connection: NonZeroU32 = "256",
        /// Watches at a time; more are told to come back.
        watchers: NonZeroUsize = "256",
        /// Watches at a time of one caller; more are told to come back. Where it is not given, an eighth of limits.watchers.
        watches_per_caller: Option<NonZeroUsize>,
        /// Calls at a time that show no credentials and are answered at once, such as health checks; and as many besides whose credentials
        /// the cluster is asked about. Nobody else's calls wait for them.
        open_calls: NonZeroUsize = "512",
        /// The same from one address. Where it is not given, a quarter of limits.open_calls: many callers can come from one address.
        open_calls_per_address: Option<NonZeroUsize>,
        /// Watches of health and streams of reflection at a time, which need no credentials; more are told to come back.
        open_streams: NonZeroUsize = "256",
        /// The same from one address. Where it is not given, a quarter of limits.open_streams.
        open_streams_per_address: Option<NonZeroUsize>,
        /// Tokens a second from all addresses that nobody knows yet and of which the cluster is asked; more are told to come back. Tokens
        /// that were good within the last hour don't count, nor do those that come over a connection on which a call was let in.
        unknown_tokens_per_second: NonZeroU32 = "200",
        /// The same from one address, or over the connections of one caller.
        unknown_tokens_per_second_per_address: NonZeroU32 = "20",
        /// How long a stream of reflection may last.
        reflection_timeout: Duration = "30s",
        /// How long a watch of health may last on a connection on which no call was let in; clients open it again by themselves.
        health_watch_timeout: Duration = "10m",
        /// Connections at a time. One more cuts the oldest that does nothing, or nothing but watch health and ask for the contract; where
        /// all do something, it is refused.
        connections: NonZeroUsize = "4096",
        /// Those of them on which one caller was let in first: one more cuts its oldest that does nothing. Where it is not given, an eighth of
        /// limits.connections.
        connections_per_caller: Option<NonZeroUsize>,
        /// Those of them on which no call was let in so far, handshakes included. One more cuts the oldest from the address that has most.
        open_connections: NonZeroUsize = "512",
        /// The same from one address: one more cuts the oldest from there. Where it is not given, a quarter of limits.open_connections.
        open_connections_per_address: Option<NonZeroUsize>,
        /// Connections through server.unix_socket that have room besides all others, so that probes always get through.
        unix_connections: NonZeroUsize = "64",
        /// Calls through server.unix_socket that have room besides all others when the other limits of calls are reached.
        unix_calls: NonZeroUsize = "64",
        /// Connections at a time to server.metrics_listen, half of them from one address. One more cuts the oldest.
        metrics_connections: NonZeroUsize = "16",
        /// How long a connection there may take for its request and its page.
        metrics_timeout: Duration = "10s",
        /// How long a caller may leave an answer, or a part of it, where it is; then its connection is cut.
        send_timeout: Duration = "30s",
        /// Deadline of a call that brings none.
        call_timeout: Duration = "30s",
        /// The longest that a call may take, whatever its deadline.
        longest_call: Duration = "2m",
    }

    /// What is recorded
    database: Database {
        /// The database file (SQLite); its directory must exist. Files beside it start with the same name.
        path: PathBuf = "/var/lib/secret-service/secret-service.db",
        /// Whether a database that was lost, and made anew at the start, is filled with the synced secrets that the edge holds. What the
        /// Secrets' annotations say is believed then: where others may write Secrets in the namespace, see docs/security.md.
        rebuild: bool = "true",
        /// Bytes that the change feed takes, about; at least 1048576. It goes back a day and 100,000 changes as long as that has room: the
        /// oldest go before the newest, and a watcher that resumes from them is told OUT_OF_RANGE.
        feed_bytes: NonZeroUsize = "134217728",
    }

    /// Backups of the database
    backup: Backup {
        /// The directory that backups are put into, best on another disk than the database, or a share. It is made where its parent is there.
        /// No backups are made where this is absent.
        directory: Option<PathBuf>,
        /// How long after a backup the next one is made; at least a minute. A start makes one where the newest is older.
        interval: Duration = "6h",
        /// How many are kept; the oldest go. `secret-service restore FILE` puts one in place.
        keep: NonZeroUsize = "8",
    }

    /// The record of who did what
    audit: Audit {
        /// How long events are kept, counting the time that the service runs; at least a day. `secret-service audit verify` proves that
        /// what is kept is what was recorded.
        retention: Duration = "365d",
        /// Bytes that events of what was done take, about; at least 1048576. The oldest go before the newest, however young they are, and an event
        /// says so.
        bytes: NonZeroUsize = "268435456",
        /// Calls that were not let in which are kept, at least 100: the oldest go before the newest, and never an event of what was done.
        denials_rows: NonZeroUsize = "100000",
        /// Bytes that they take, about; at least 65536. The oldest go before the newest here too.
        denials_bytes: NonZeroUsize = "33554432",
        /// Refused methods and resources of one caller that are told apart within a minute. What is more is recorded too, under the caller's
        /// name and without the resource. Repetitions are counted in one event.
        denials_per_actor: NonZeroUsize = "32",
    }

    /// What is logged, on standard error
    log: Log {
        /// Which lines. SECRET_SERVICE_LOG and RUST_LOG come before it. No filter makes values or bodies visible.
        level: LogFilter = "info",
        /// How a line looks.
        format: Format = "json",
    }
}

#[cfg(test)]
mod tests;
