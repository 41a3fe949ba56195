//! The command line for people: `secrets`, `vault` and `audit` speak gRPC to a service that runs.

mod arguments;
mod audit;
mod call;
mod confirm;
mod connection;
mod health;
mod output;
mod refusal;
mod secrets;
mod table;
mod value;
mod vault;

pub(super) use audit::Audit;
pub(super) use health::Health;
pub(super) use secrets::Secrets;
pub(super) use vault::Vault;

use self::{call::Client, connection::Connection, output::Output};
use super::{Failure, memory};

/// The exit codes of all these commands.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0  it ended as it should
  1  it failed otherwise, the answer to the question was not yes, or a check does not hold
  2  the command line is wrong, or the service does not accept what it asks for (INVALID_ARGUMENT)
  3  it isn't there (NOT_FOUND)
  4  the name is taken (ALREADY_EXISTS)
  5  something stands in the way, for example what uses it (FAILED_PRECONDITION)
  6  not allowed (PERMISSION_DENIED, UNAUTHENTICATED)
  7  not now (UNAVAILABLE, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED), or nobody answers
  8  somebody else was first (ABORTED): look again, and repeat it
  9  it is recorded, but the edge does not hold it yet";

/// What every command has.
#[derive(Debug, clap::Args)]
struct Common {
    /// How to print the answer
    #[arg(short, long, global = true, value_enum, default_value_t, env = "SECRET_SERVICE_OUTPUT")]
    output: Output,
    #[command(flatten)]
    connection: Connection,
}

impl Common {
    /// A client, and how to print what it is told.
    fn open(self) -> Result<(Client, Output), Failure> {
        // Values pass through this process.
        memory::guard();
        Ok((self.connection.open()?, self.output))
    }
}

/// A request id: a try that comes again is the same request.
fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
