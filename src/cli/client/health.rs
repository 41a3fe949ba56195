//! `secret-service health`: whether a service answers, and whether it can do its work. For probes.

use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::connection::Connection;
use crate::cli::Failure;

/// Ask a service whether it can do its work
///
/// By the gRPC health protocol, which needs no credentials. It can where its database answers and it sees the edge; the vault
/// may be away.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct Health {
    /// Be content with any answer: whether the service lives, not whether it can work
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
  0  it can
  1  it can't, or does not answer
  2  the command line is wrong";

// === impl Health ===

impl Health {
    /// Runs the command.
    pub async fn run(self) -> Result<(), Failure> {
        let patience = self.connection.timeout();
        let (channel, address) = self.connection.channel()?;
        let mut health = HealthClient::new(channel);
        let asked = health.check(HealthCheckRequest::default());
        let answer = match tokio::time::timeout(patience, asked).await {
            Ok(answer) => answer,
            Err(_) => {
                let patience = humantime::format_duration(patience);
                return Err(Failure::failed(format!("{address} does not answer within {patience}")));
            }
        };
        let answer = answer
            .map_err(|status| Failure::failed(format!("{address} does not answer: {}", status.message())))?;
        match answer.into_inner().status() {
            ServingStatus::Serving => Ok(()),
            _ if self.live => Ok(()),
            _ => Err(Failure::failed(format!("{address} answers, but can't do its work; its log says why"))),
        }
    }
}
