//! `secret-service serve`: runs the service from its configuration.

use std::io::{self, Write};

use super::{
    CommandError,
    configuration::Configuration,
    descriptors, memory,
    service::{Service, Settings},
    signals,
};
use crate::{config::Config, telemetry};

/// Run the service for one Azure IoT Operations instance
///
/// Serves gRPC and syncs the instance's secrets from its Key Vault to the cluster. Neither the vault nor the
/// cluster has to be reachable at start: the service keeps retrying and catches up when they are.
///
/// SIGTERM or SIGINT shuts the service down after the calls in flight. A second signal stops it immediately.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Serve {
    #[command(flatten)]
    configuration: Configuration,
    /// Print the effective configuration, without secrets, and exit
    #[arg(long)]
    print_config: bool,
}

const EXAMPLES: &str = "\
Examples:
  # Write a file with every field, to start from
  secret-service serve --vault-uri https://contoso.vault.azure.net/ --print-config > secret-service.toml

  # Check it, then run
  secret-service check --config secret-service.toml
  secret-service serve --config secret-service.toml

  # In a pod with workload identity, on a Unix socket, without a configuration file
  SECRET_SERVICE_VAULT_URI=https://contoso.vault.azure.net/ \\
    secret-service serve --server-listen= --server-unix-socket /run/secret-service/grpc.sock

Exit codes:
  0  the service was shut down by a signal
  1  the service could not start, or a part of it failed
  2  invalid command line or configuration; each error is one line";

// === impl Serve ===

impl Serve {
    /// Runs until a signal stops it.
    pub async fn run(self) -> Result<(), CommandError> {
        let loaded = self.configuration.load()?;
        if self.print_config {
            return io::stdout().lock().write_all(loaded.print().as_bytes()).map_err(CommandError::failed);
        }
        let config = loaded.config;
        let _logging =
            telemetry::start(config.log.format, &config.log.level.0).map_err(CommandError::usage)?;
        memory::protect();
        descriptors::raise_limit();
        signals::run_until_signal(async |stop| {
            let service =
                Service::start(Settings::from_config(&config)?).await.map_err(CommandError::failed)?;
            log_start(&config, &service);
            let ended = service.run(stop).await.map_err(CommandError::failed);
            tracing::info!(failed = ended.is_err(), "the service has stopped");
            ended
        })
        .await
        .map_err(CommandError::failed)?
    }
}

fn log_start(config: &Config, service: &Service) {
    let addresses = service.addresses().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let unix_socket = config.server.unix_socket.as_deref().map(|path| path.display().to_string());
    let metrics = service.metrics_address().map(|address| address.to_string());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        addresses,
        unix_socket,
        metrics,
        vault = config.vault.uri.0.as_str(),
        namespace = config.kubernetes.namespace.0,
        database = %config.database.path.display(),
        "the service has started"
    );
    if config.authentication.anonymous {
        tracing::warn!(
            "authentication.anonymous is set: everyone who reaches a loopback address or the Unix socket of \
             this machine may do everything that authorization.rules does not forbid"
        );
    }
    if config.server.insecure {
        tracing::warn!(
            "server.insecure is set: without TLS, callers on other machines send their tokens in clear text"
        );
    }
}
