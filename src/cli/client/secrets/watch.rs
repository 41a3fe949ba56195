//! `secrets watch`: prints changes as they happen, and resumes after disconnects and restarts of the service.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Code;

use super::{
    super::{
        call::{BACKOFF, Client},
        call_error::CallError,
        output::Output,
        table::{id, keys, problem, word},
    },
    filter::Filter,
};
use crate::{
    cli::CommandError,
    proto::{
        SyncedSecretFilter, WatchSyncedSecretsRequest, WatchSyncedSecretsResponse,
        watch_synced_secrets_response::Type,
    },
};

/// The service sends a heartbeat every 30 seconds. After two missed ones the connection counts as lost.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(75);

/// Print changes of synced secrets as they happen, until stopped
///
/// Prints the existing synced secrets first. Resumes after a disconnect. With -o json every event is one
/// line, including heartbeats. Each has a resume token that a later watch can continue from.
#[derive(Debug, clap::Args)]
pub(super) struct Watch {
    /// Continue after an event of an earlier watch, by its resumeToken
    #[arg(long, value_name = "TOKEN")]
    resume_token: Option<String>,
    #[command(flatten)]
    filter: Filter,
}

/// Why a watch ended.
enum End {
    /// It can resume.
    Interrupted(String),
    /// It can't resume.
    Failed(CommandError),
}

impl Watch {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let filter = self.filter.to_proto()?;
        let mut token = self.resume_token.clone().unwrap_or_default();
        let (mut failures, mut seen) = (0, false);
        loop {
            let before = token.clone();
            let begun = Instant::now();
            let why = match watch(client, output, &filter, &mut token, &mut seen).await {
                End::Failed(failure) => return Err(failure),
                End::Interrupted(why) => why,
            };
            if token != before || begun.elapsed() > HEARTBEAT_TIMEOUT {
                failures = 0;
            }
            // Once per disconnect.
            if failures == 0 {
                eprintln!("{why}; reconnecting …");
            }
            tokio::time::sleep(BACKOFF.pause(failures)).await;
            failures += 1;
        }
    }
}

/// Watches over one connection.
async fn watch(
    client: &Client,
    output: Output,
    filter: &SyncedSecretFilter,
    token: &mut String,
    seen: &mut bool,
) -> End {
    let request = WatchSyncedSecretsRequest { filter: Some(filter.clone()), resume_token: token.clone() };
    let mut stub = client.stub();
    let opened = match *seen {
        // The service answered before, so the outer loop retries without a limit: each call here is one
        // attempt.
        true => {
            let opened = stub.watch_synced_secrets(request).await.map(tonic::Response::into_inner);
            opened.map_err(|status| client.error(status))
        }
        false => open_first(client, request).await,
    };
    let mut stream = match opened {
        Ok(stream) => stream,
        Err(error) => return end(error, token, *seen),
    };
    loop {
        match tokio::time::timeout(HEARTBEAT_TIMEOUT, stream.message()).await {
            Ok(Ok(Some(event))) => {
                *seen = true;
                if !event.resume_token.is_empty() {
                    token.clone_from(&event.resume_token);
                }
                if let Err(failure) = output.print_event(&event, line) {
                    return End::Failed(failure);
                }
            }
            Ok(Ok(None)) => return End::Interrupted("the service ended the watch".to_owned()),
            Ok(Err(status)) => return end(client.error(status), token, *seen),
            Err(_) => return End::Interrupted("no heartbeat from the service".to_owned()),
        }
    }
}

async fn open_first(
    client: &Client,
    request: WatchSyncedSecretsRequest,
) -> Result<tonic::Streaming<WatchSyncedSecretsResponse>, CallError> {
    client
        .call(request, async |mut stub, mut request| {
            // A watch has no end, so the deadline of a call must not apply.
            request.metadata_mut().remove("grpc-timeout");
            stub.watch_synced_secrets(request).await
        })
        .await
}

/// Whether a watch can resume after an error.
fn end(error: CallError, token: &mut String, seen: bool) -> End {
    if seen && error.has_reason("RESUME_TOKEN_OUT_OF_RANGE") {
        token.clear();
        return End::Interrupted(
            "the changes since the disconnect are no longer kept, so the watch starts again".to_owned(),
        );
    }
    let passes = matches!(
        error.code(),
        Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded | Code::Aborted
    );
    match seen && (passes || error.is_unanswered()) {
        true => End::Interrupted(error.what()),
        false => End::Failed(error.into()),
    }
}

/// A line for people; heartbeats are left out.
fn line(event: &WatchSyncedSecretsResponse) -> Option<String> {
    let secret = event.synced_secret.as_ref()?;
    let what = match event.r#type() {
        Type::Added => "added",
        Type::Modified => "modified",
        Type::Deleted => "deleted",
        Type::Bookmark | Type::Unspecified => return None,
    };
    let now = jiff::Timestamp::now().strftime("%H:%M:%SZ");
    let (name, state, keys) = (id(&secret.name), word(secret.state()), keys(&secret.references));
    let line = format!("{now}  {what:<8}  {name}  {state}  {keys}  {}", problem(secret));
    Some(super::super::table::plain(line.trim_end()))
}
