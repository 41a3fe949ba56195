//! `audit verify` and `audit export`: work on the database file or an export, without a running service.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::{
    cli::{CommandError, client::arguments, client::output::say},
    model::{Anchor, ChainWalk, ChainedEvent},
    store::{AuditFault, AuditReport, export_audit, verify_audit},
};

/// The database file.
#[derive(Debug, clap::Args)]
struct Database {
    /// The service's database file. The service may be running
    #[arg(
        long = "database",
        env = "SECRET_SERVICE_DATABASE_PATH",
        value_name = "FILE",
        default_value = "/var/lib/secret-service/secret-service.db"
    )]
    path: PathBuf,
}

/// Verify that no event was changed, removed or inserted
///
/// Every event contains a hash over itself and the previous event. The command verifies this chain in the
/// database or in an export. Denied calls form a second chain, which drops its oldest events when it is full.
/// The two chains include each other's hashes.
///
/// Someone who can write the file could forge the whole history with matching hashes. So keep an anchor
/// somewhere else: the sequence and hash of an event. This command prints one, and the service logs one with
/// every event. An anchor proves that both chains are unchanged up to that event. An anchor in the chain
/// "changes" stays valid as long as audit.retention. One in the chain "denials" becomes invalid when its
/// event is dropped.
#[derive(Debug, clap::Args)]
#[command(after_long_help = VERIFY)]
pub(super) struct Verify {
    #[command(flatten)]
    database: Database,
    /// Verify an export instead of the database; - for standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// An anchor that was printed or logged earlier: the history must still contain this event
    #[arg(long, value_name = "SEQUENCE:HASH")]
    anchor: Option<Anchor>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

/// Export the events as JSON lines, oldest first
///
/// Each line is an object with sequence, event_time, actor, action, resource, outcome, detail, request_id,
/// previous_hash, beside_hash (the hash of the newest event in the other chain) and hash. Denied calls also
/// have chain, which is "denials".
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXPORT)]
pub(super) struct Export {
    #[command(flatten)]
    database: Database,
    /// Only events since a time (2027-01-31T12:00:00Z) or within a duration (2h)
    #[arg(long, value_name = "TIME", value_parser = arguments::past)]
    since: Option<prost_types::Timestamp>,
    /// File to write to. If unset, standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// Output format.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Form {
    /// Text for people
    #[default]
    Text,
    /// A JSON object for programs
    Json,
}

const VERIFY: &str = "\
Examples:
  secret-service audit verify --database /var/lib/secret-service/secret-service.db
  secret-service audit verify --anchor 1041:5f6c…

Exit codes:
  0  the chain is intact and contains the anchor
  1  it is not, or it can't be read; the message says where
  2  invalid command line";

const EXPORT: &str = "\
Examples:
  secret-service audit export --since 24h | jq 'select(.outcome != \"OK\")'
  secret-service audit export --to audit.jsonl && secret-service audit verify --file audit.jsonl

Exit codes:
  0  all events were written
  1  the database can't be read, or the file can't be written
  2  invalid command line";

// === impl Verify ===

impl Verify {
    /// Runs the command.
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let (place, found) = match &self.file {
            Some(file) => (file, verify_file(file, self.anchor)?),
            None => {
                let path = &self.database.path;
                (path, verify_audit(path, self.anchor).await.map_err(|fault| of_fault(path, fault)))
            }
        };
        match (self.output, found) {
            (Form::Text, Ok(report)) => say(&words(place, &report, self.anchor)),
            (Form::Json, Ok(report)) => say(&json(Ok(&report))),
            (Form::Text, Err(failure)) => Err(failure),
            (Form::Json, Err(failure)) => {
                say(&json(Err(&failure.to_string())))?;
                Err(failure)
            }
        }
    }
}

/// The outer error is about reading the file, the inner one about the chain.
fn verify_file(
    file: &Path,
    anchor: Option<Anchor>,
) -> Result<Result<AuditReport, CommandError>, CommandError> {
    let unreadable = |error: io::Error| CommandError::failed(format!("{}: {error}", file.display()));
    let reader: Box<dyn BufRead> = match file == Path::new("-") {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(file).map_err(unreadable)?)),
    };
    let mut walk: Option<ChainWalk> = None;
    for (number, line) in (1..).zip(reader.lines()) {
        let line = line.map_err(unreadable)?;
        let event: ChainedEvent = serde_json::from_str(&line)
            .map_err(|error| CommandError::failed(format!("{}:{number}: {error}", file.display())))?;
        let begun = walk.take().map_or_else(|| ChainWalk::open(event.event.sequence, anchor), Ok);
        let stepped = begun.and_then(|mut at| at.step(&event).map(|()| at));
        match stepped {
            Ok(at) => walk = Some(at),
            Err(error) => return Ok(Err(of_fault(file, error.into()))),
        }
    }
    let Some(walk) = walk else {
        return Err(CommandError::failed(format!("{}: it contains no events", file.display())));
    };
    let base = walk.base();
    let ended = walk.end(None).map_err(|error| of_fault(file, error.into()));
    Ok(ended.map(|(events, head)| AuditReport { events, base, head }))
}

fn of_fault(place: &Path, fault: AuditFault) -> CommandError {
    CommandError::failed(format!("{}: {fault}", place.display()))
}

fn words(place: &Path, report: &AuditReport, anchor: Option<Anchor>) -> String {
    let AuditReport { events, base, .. } = report;
    let pruned = |what: &str, base: Anchor| match base.sequence {
        0 => String::new(),
        last => format!("; {what} up to {last} were pruned"),
    };
    let pruned = pruned("events", base.changes) + &pruned("denials", base.denials);
    let proven = match anchor {
        Some(anchor) => {
            format!("The anchor matches: the history is unchanged up to event {}.", anchor.sequence)
        }
        None => {
            "Keep the anchor somewhere else. With --anchor it proves later that nobody forged the history."
                .to_owned()
        }
    };
    format!("{}: {events} events are intact{pruned}. Anchor: {}\n{proven}", place.display(), report.anchor())
}

fn json(found: Result<&AuditReport, &str>) -> String {
    let value = match found {
        Ok(report) => serde_json::json!({
            "ok": true, "events": report.events, "pruned_sequence": report.base.changes.sequence,
            "pruned_denials_sequence": report.base.denials.sequence, "sequence": report.anchor().sequence,
            "hash": report.anchor().hash, "anchor": report.anchor().to_string(),
        }),
        Err(problem) => serde_json::json!({ "ok": false, "problem": problem }),
    };
    value.to_string()
}

// === impl Export ===

impl Export {
    /// Runs the command.
    pub(super) async fn run(self) -> Result<(), CommandError> {
        let since = self.since.map_or(Timestamp::MIN, |since| {
            Timestamp::new(since.seconds, since.nanos).unwrap_or(Timestamp::MIN)
        });
        let mut out: Box<dyn Write> = match &self.to {
            Some(file) => {
                let made = File::create(file);
                Box::new(made.map_err(|error| CommandError::failed(format!("{}: {error}", file.display())))?)
            }
            None => Box::new(io::stdout().lock()),
        };
        let mut out = BufWriter::new(&mut out);
        let exported = export_audit(&self.database.path, |event| {
            if event.event.event_time < since {
                return Ok(());
            }
            serde_json::to_writer(&mut out, &event)?;
            out.write_all(b"\n")
        })
        .await;
        exported.map_err(|fault| of_fault(&self.database.path, fault))?;
        match out.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(CommandError::broken_pipe()),
            flushed => flushed.map_err(CommandError::failed),
        }
    }
}
