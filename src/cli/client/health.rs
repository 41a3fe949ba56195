//! `secret-service health`: the health check for probes.

use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::connection::Connection;
use crate::cli::CommandError;

/// Check whether a service is ready
///
/// Uses the gRPC health protocol, which needs no credentials. A service is ready if its database answers and
/// it watches the cluster. The vault may be unreachable.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Health {
    /// Check liveness instead of readiness: accept any answer
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    connection: Connection,
}

const EXAMPLES: &str = "\
Examples:
  secret-service health --address unix:/run/secret-service/grpc.sock
  secret-service health --address secrets.example:50051 --tls

Exit codes:
  0  ready
  1  not ready, or no answer
  2  invalid command line";

// === impl Health ===

impl Health {
    /// Runs the command.
    pub async fn run(self) -> Result<(), CommandError> {
        let patience = self.connection.timeout();
        let (channel, address) = self.connection.channel()?;
        let mut health = HealthClient::new(channel);
        let asked = health.check(HealthCheckRequest::default());
        let answer = match tokio::time::timeout(patience, asked).await {
            Ok(answer) => answer,
            Err(_) => {
                let patience = humantime::format_duration(patience);
                return Err(CommandError::failed(format!("{address} did not answer within {patience}")));
            }
        };
        let answer = answer.map_err(|status| {
            CommandError::failed(format!("{address} does not answer: {}", status.message()))
        })?;
        match answer.into_inner().status() {
            ServingStatus::Serving => Ok(()),
            _ if self.live => Ok(()),
            _ => Err(CommandError::failed(format!("{address} is not ready; see its log"))),
        }
    }
}
