//! The connection to the service: address, TLS, token and timeout, from flags, the environment or a running
//! `dev`.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use serde::Deserialize;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use zeroize::Zeroizing;

use super::{bearer::Bearer, call::Client};
use crate::{cli::CommandError, proto::secret_service_client::SecretServiceClient};

/// Where a `dev` in the current directory publishes its address.
const DEV: &str = ".secret-service/dev.json";
/// The default address of the service.
const DEFAULT: &str = "127.0.0.1:50051";
const DEFAULT_PORT: u16 = 50051;
/// Timeout for connecting.
const CONNECT: Duration = Duration::from_secs(5);
/// Interval of HTTP/2 keep-alive pings.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Connection {
    /// Address of the service: HOST:PORT, or unix:PATH for a Unix socket
    ///
    /// If unset: the address in .secret-service/dev.json if a `secret-service dev` runs in the current
    /// directory, otherwise 127.0.0.1:50051.
    #[arg(long, global = true, env = "SECRET_SERVICE_ADDRESS", value_name = "ADDRESS")]
    address: Option<Address>,
    /// Use TLS and trust this machine's CA certificates. Implied by the other TLS flags
    #[arg(long, global = true)]
    tls: bool,
    /// CA certificates (PEM) to trust instead of this machine's
    #[arg(long, global = true, env = "SECRET_SERVICE_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Client certificate (PEM). Requires --key-file
    #[arg(long, global = true, requires = "key_file", value_name = "FILE")]
    cert_file: Option<PathBuf>,
    /// Private key (PEM) of the client certificate. Requires --cert-file
    #[arg(long, global = true, requires = "cert_file", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Expected name in the service's certificate, if it differs from the host in --address
    #[arg(long, global = true, value_name = "NAME")]
    server_name: Option<String>,
    /// File with a bearer token. It is read again for every call, because such files are rotated
    ///
    /// Alternatively set SECRET_SERVICE_TOKEN to the token itself. A token is only sent over TLS, to a Unix
    /// socket or to this machine.
    #[arg(long, global = true, env = "SECRET_SERVICE_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Timeout of a call, including retries. Time for --wait is added
    #[arg(long, global = true, env = "SECRET_SERVICE_TIMEOUT", value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// The address of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// The part of dev.json that the client reads.
#[derive(Deserialize)]
struct Dev {
    grpc: SocketAddr,
    pid: i32,
}

// === impl Connection ===

impl Connection {
    /// Timeout of a call.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A connection for calls without a token, and its address.
    pub fn channel(self) -> Result<(Channel, String), CommandError> {
        let tls = self.tls_config()?;
        let address = self.address.map_or_else(nearby, Ok)?;
        Ok((address.endpoint(tls)?.connect_lazy(), address.to_string()))
    }

    /// A client. It connects with the first call.
    pub fn open(self) -> Result<Client, CommandError> {
        let tls = self.tls_config()?;
        let bearer = Bearer::new(self.token_file.as_deref())?;
        let address = self.address.map_or_else(nearby, Ok)?;
        if !matches!(bearer, Bearer::None) && tls.is_none() && !address.is_on_this_machine() {
            return Err(CommandError::usage(
                "refusing to send a token over the network in clear text: use --tls or --ca-file FILE",
            ));
        }
        let endpoint = address.endpoint(tls)?;
        let channel = endpoint.connect_lazy();
        let stub = SecretServiceClient::with_interceptor(channel, bearer);
        Ok(Client::new(stub.max_decoding_message_size(usize::MAX), self.timeout, address.to_string()))
    }

    fn tls_config(&self) -> Result<Option<ClientTlsConfig>, CommandError> {
        let uses_tls =
            self.tls || self.ca_file.is_some() || self.cert_file.is_some() || self.server_name.is_some();
        if !uses_tls {
            return Ok(None);
        }
        let mut config = match &self.ca_file {
            Some(file) => {
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read("--ca-file", file)?))
            }
            None => ClientTlsConfig::new().with_native_roots(),
        };
        if let (Some(cert), Some(key)) = (&self.cert_file, &self.key_file) {
            let key = Zeroizing::new(read("--key-file", key)?);
            config = config.identity(Identity::from_pem(read("--cert-file", cert)?, &*key));
        }
        if let Some(name) = &self.server_name {
            config = config.domain_name(name);
        }
        Ok(Some(config))
    }
}

// === impl Address ===

impl Address {
    fn is_on_this_machine(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => {
                let host = host.trim_matches(['[', ']']);
                host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|host| host.is_loopback())
            }
        }
    }

    fn endpoint(&self, tls: Option<ClientTlsConfig>) -> Result<Endpoint, CommandError> {
        let uri = match (self, &tls) {
            (Self::Unix(_), Some(_)) => {
                return Err(CommandError::usage("a Unix socket has no TLS: omit the TLS flags"));
            }
            (Self::Unix(path), None) => format!("unix:{}", path.display()),
            (Self::Tcp { host, port }, None) => format!("http://{host}:{port}"),
            (Self::Tcp { host, port }, Some(_)) => format!("https://{host}:{port}"),
        };
        let mut endpoint = Endpoint::from_shared(uri)
            .and_then(|endpoint| endpoint.user_agent(concat!("secret-service/", env!("CARGO_PKG_VERSION"))))
            .map_err(CommandError::usage)?
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_while_idle(true);
        if let Some(tls) = tls {
            endpoint = endpoint.tls_config(tls).map_err(CommandError::usage)?;
        }
        Ok(endpoint)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path.is_empty() {
                true => Err("expected the path of the socket after unix:".to_owned()),
                false => Ok(Self::Unix(path.into())),
            };
        }
        let wrong = "expected HOST:PORT or unix:PATH, for example 127.0.0.1:50051; use --tls for TLS";
        let authority: http::uri::Authority = text.parse().map_err(|_| wrong)?;
        if authority.host().is_empty() || text.contains('@') {
            return Err(wrong.to_owned());
        }
        Ok(Self::Tcp {
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(DEFAULT_PORT),
        })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

fn read(flag: &str, file: &Path) -> Result<Vec<u8>, CommandError> {
    fs::read(file)
        .map_err(|error| CommandError::usage(format!("{flag}: {:?}: {error}", file.display().to_string())))
}

/// The address if none is given: that of a `dev` that runs here, otherwise the default.
fn nearby() -> Result<Address, CommandError> {
    running_dev(Path::new(DEV)).map_or_else(|| DEFAULT.parse(), Ok).map_err(CommandError::usage)
}

/// The address in a dev.json, if that `dev` still runs. The directory may come from somebody else, so only a
/// file of our own user is trusted, and only for a loopback address.
fn running_dev(file: &Path) -> Option<Address> {
    let is_ours = |file: &Path| -> io::Result<bool> {
        Ok(fs::metadata(file)?.uid() == rustix::process::geteuid().as_raw())
    };
    let text = is_ours(file).ok()?.then(|| fs::read(file).ok())??;
    let dev: Dev = serde_json::from_slice(&text).ok()?;
    let pid = rustix::process::Pid::from_raw(dev.pid)?;
    let runs = rustix::process::test_kill_process(pid).is_ok();
    (runs && dev.grpc.ip().is_loopback()).then(|| dev.grpc.to_string().parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Result<Address, String> {
        Ok(Address::Tcp { host: host.to_owned(), port })
    }

    #[test]
    fn an_address_is_a_host_with_or_without_a_port_or_a_unix_socket() {
        assert_eq!("localhost:1".parse(), tcp("localhost", 1));
        assert_eq!("secrets.example".parse(), tcp("secrets.example", 50051));
        assert_eq!("[::1]:7".parse(), tcp("[::1]", 7));
        assert_eq!("unix:/run/s.sock".parse(), Ok(Address::Unix("/run/s.sock".into())));
        assert_eq!("unix:///run/s.sock".parse(), Ok(Address::Unix("/run/s.sock".into())));
        for wrong in ["", "http://a:1", "unix:", "a b", "me@host:1"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_loopback_and_unix_sockets_count_as_this_machine() {
        let here = |text: &str| text.parse::<Address>().unwrap().is_on_this_machine();
        assert!(here("127.0.0.1:1") && here("[::1]:1") && here("localhost:1") && here("unix:/s"));
        assert!(!here("10.0.0.1:1") && !here("localhost.example:1"));
    }

    #[test]
    fn a_dev_json_counts_only_while_its_process_runs_and_only_with_a_local_address() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("dev.json");
        let found = |grpc: &str, pid: u32| {
            fs::write(&file, serde_json::json!({"grpc": grpc, "pid": pid}).to_string()).unwrap();
            running_dev(&file)
        };
        assert_eq!(found("127.0.0.1:7", std::process::id()), tcp("127.0.0.1", 7).ok());
        assert_eq!(found("10.0.0.1:7", std::process::id()), None);
        let mut ended = std::process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        assert_eq!(found("127.0.0.1:7", ended.id()), None);
        assert_eq!(running_dev(&directory.path().join("none")), None);
    }
}
