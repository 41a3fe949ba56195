//! `secret-service audit`: lists, verifies and exports the audit log.

mod files;

use clap::Subcommand;
use prost_types::Timestamp;

use super::{
    Common, EXIT_CODES, arguments,
    call::pages,
    call_error::CallError,
    table::{cell, moment, table},
};
use crate::{cli::CommandError, proto};

/// Read and verify the audit log
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(Box<List>),
    Verify(files::Verify),
    Export(files::Export),
}

/// List audit events of a running service, newest first
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXIT_CODES)]
struct List {
    #[command(flatten)]
    common: Common,
    /// Only events about this resource: syncedSecrets/NAME, vaultSecrets/NAME or vault
    #[arg(long, value_name = "RESOURCE")]
    resource: Option<String>,
    /// Only events of this actor, exactly as the list shows it
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only events of this action, for example CreateSyncedSecret or Rotated
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only events with this outcome, for example PERMISSION_DENIED
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// Only what failed: events whose outcome is neither OK nor ACCEPTED
    #[arg(long)]
    failed: bool,
    /// Only events since a time (2027-01-31T12:00:00Z) or within a duration (2h)
    #[arg(long, value_name = "TIME", value_parser = arguments::past)]
    since: Option<Timestamp>,
    /// Only events before a time (2027-01-31T12:00:00Z), or older than a duration (2h)
    #[arg(long, value_name = "TIME", value_parser = arguments::past)]
    until: Option<Timestamp>,
    /// Maximum number of events
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
}

impl Audit {
    /// Runs the command.
    pub async fn run(self) -> Result<(), CommandError> {
        match self.command {
            Command::List(list) => list.run().await,
            Command::Verify(verify) => verify.run().await,
            Command::Export(export) => export.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<(), CommandError> {
        let (client, output) = self.common.open()?;
        let filter = proto::ListAuditEventsRequest {
            resource: self.resource.unwrap_or_default(),
            actor: self.actor.unwrap_or_default(),
            action: self.action.unwrap_or_default(),
            outcome: self.outcome.unwrap_or_default(),
            failed_only: self.failed,
            since_time: self.since,
            until_time: self.until,
            ..Default::default()
        };
        let page = async |page_size, page_token| {
            let request = proto::ListAuditEventsRequest { page_size, page_token, ..filter.clone() };
            let page =
                client.call(request, async |mut stub, request| stub.list_audit_events(request).await).await?;
            Ok::<_, CallError>((page.audit_events, page.next_page_token))
        };
        let audit_events = pages(Some(self.limit), page).await?;
        let answer = proto::ListAuditEventsResponse { audit_events, ..Default::default() };
        output.print(&answer, |answer| {
            let row = |event: &proto::AuditEvent| {
                [
                    cell(&moment(event.event_time.as_ref())),
                    cell(&event.actor),
                    cell(&event.action),
                    cell(&event.resource),
                    cell(&event.outcome),
                    cell(&event.detail),
                ]
            };
            let header = ["TIME", "ACTOR", "ACTION", "RESOURCE", "OUTCOME", "DETAIL"];
            table(header, answer.audit_events.iter().map(row))
        })
    }
}
