//! The client commands: `secrets`, `vault`, `audit` and `health` call a running service over gRPC.

mod arguments;
mod audit;
mod bearer;
mod call;
mod call_error;
mod confirm;
mod connection;
mod health;
mod output;
mod secrets;
mod table;
mod value;
mod vault;

pub(super) use audit::Audit;
pub(super) use health::Health;
pub(super) use secrets::Secrets;
pub(super) use vault::Vault;

use self::{call::Client, connection::Connection, output::Output};
use super::{CommandError, memory};

/// The exit codes of the client commands.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  any other failure, a declined confirmation, or a failed check
  2  invalid command line, or invalid request (INVALID_ARGUMENT)
  3  not found (NOT_FOUND)
  4  the name is taken (ALREADY_EXISTS)
  5  a precondition is not met, for example the secret is in use (FAILED_PRECONDITION)
  6  not allowed (PERMISSION_DENIED, UNAUTHENTICATED)
  7  temporarily not possible (UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED), or no answer
  8  a concurrent change (ABORTED): look at the current state and retry
  9  the change is recorded, but not yet applied to the cluster";

/// Arguments of every client command.
#[derive(Debug, clap::Args)]
struct Common {
    /// Output format
    #[arg(short, long, global = true, value_enum, default_value_t, env = "SECRET_SERVICE_OUTPUT")]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Common {
    /// The client, and the output format.
    fn open(self) -> Result<(Client, Output), CommandError> {
        // Values pass through this process.
        memory::protect();
        Ok((self.connection.open()?, self.output))
    }
}

/// A request id, which makes retries idempotent.
fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
