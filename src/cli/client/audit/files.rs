//! The audit as it stands in a file, the database or an export of it: verified, and exported. Needs no service that runs.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::{
    cli::{Failure, client::arguments, client::output::say},
    model::{Anchor, ChainWalk, ChainedEvent},
    store::{AuditFault, AuditReport, export_audit, verify_audit},
};

/// Where the database is.
#[derive(Debug, clap::Args)]
struct Database {
    /// The database file of the service, which may be running
    #[arg(
        long = "database",
        env = "SECRET_SERVICE_DATABASE_PATH",
        value_name = "FILE",
        default_value = "/var/lib/secret-service/secret-service.db"
    )]
    path: PathBuf,
}

/// Prove that no event was changed, taken out or put in
///
/// Every event carries a hash over itself and the one before it. This goes along all of them, in the database or in an export. Calls
/// that were not let in are a chain of their own, which forgets its oldest events where it has no room; the two chains hold each
/// other's hashes.
///
/// Whoever can write the file can also write the whole history anew, with hashes that fit. So keep an anchor elsewhere: the
/// sequence and the hash of an event, as this command prints them and as the service logs them with every event. With it,
/// everything up to that event is proven to be what it was then, in both chains. An anchor in the chain "changes" is good for as
/// long as audit.retention, one in the chain "denials" may give way to newer ones.
#[derive(Debug, clap::Args)]
#[command(after_long_help = VERIFY)]
pub(super) struct Verify {
    #[command(flatten)]
    database: Database,
    /// Verify an export instead of a database; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// An event that the history must still hold, as it was printed or logged once
    #[arg(long, value_name = "SEQUENCE:HASH")]
    anchor: Option<Anchor>,
    /// How to print what was found
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

/// Write the events as JSON lines, oldest first
///
/// One object a line: sequence, event_time, actor, action, resource, outcome, detail, request_id, previous_hash, beside_hash (of the newest
/// event of the other chain) and hash; and chain, which is "denials", with calls that were not let in.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXPORT)]
pub(super) struct Export {
    #[command(flatten)]
    database: Database,
    /// Only since a time (2027-01-31T12:00:00Z), or no longer ago than a span (2h)
    #[arg(long, value_name = "TIME", value_parser = arguments::past)]
    since: Option<prost_types::Timestamp>,
    /// Where to write; standard output where it is absent
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// How to print what was found.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Form {
    /// A line for people
    #[default]
    Text,
    /// An object for programs
    Json,
}

const VERIFY: &str = "\
Examples:
  secret-service audit verify --database /var/lib/secret-service/secret-service.db
  secret-service audit verify --anchor 1041:5f6c…

Exit codes:
  0  the chain is whole, and holds the anchor
  1  it is not, or it can't be read; the line says where
  2  the command line is wrong";

const EXPORT: &str = "\
Examples:
  secret-service audit export --since 24h | jq 'select(.outcome != \"OK\")'
  secret-service audit export --to audit.jsonl && secret-service audit verify --file audit.jsonl

Exit codes:
  0  all of it is written
  1  it can't be read or written
  2  the command line is wrong";

// === impl Verify ===

impl Verify {
    /// Runs the command.
    pub(super) async fn run(self) -> Result<(), Failure> {
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

/// The outer error is of the file, the inner one of the chain.
fn verify_file(file: &Path, anchor: Option<Anchor>) -> Result<Result<AuditReport, Failure>, Failure> {
    let unreadable = |error: io::Error| Failure::failed(format!("{}: {error}", file.display()));
    let reader: Box<dyn BufRead> = match file == Path::new("-") {
        true => Box::new(io::stdin().lock()),
        false => Box::new(BufReader::new(File::open(file).map_err(unreadable)?)),
    };
    let mut walk: Option<ChainWalk> = None;
    for (number, line) in (1..).zip(reader.lines()) {
        let line = line.map_err(unreadable)?;
        let event: ChainedEvent = serde_json::from_str(&line)
            .map_err(|error| Failure::failed(format!("{}:{number}: {error}", file.display())))?;
        let begun = walk.take().map_or_else(|| ChainWalk::open(event.event.sequence, anchor), Ok);
        let stepped = begun.and_then(|mut at| at.step(&event).map(|()| at));
        match stepped {
            Ok(at) => walk = Some(at),
            Err(error) => return Ok(Err(of_fault(file, error.into()))),
        }
    }
    let Some(walk) = walk else {
        return Err(Failure::failed(format!("{}: there is no event in it", file.display())));
    };
    let base = walk.base();
    let ended = walk.end(None).map_err(|error| of_fault(file, error.into()));
    Ok(ended.map(|(events, head)| AuditReport { events, base, head }))
}

fn of_fault(place: &Path, fault: AuditFault) -> Failure {
    Failure::failed(format!("{}: {fault}", place.display()))
}

fn words(place: &Path, report: &AuditReport, anchor: Option<Anchor>) -> String {
    let AuditReport { events, base, .. } = report;
    let pruned = |what: &str, base: Anchor| match base.sequence {
        0 => String::new(),
        last => format!("; {what} up to {last} were pruned"),
    };
    let pruned = pruned("events", base.changes) + &pruned("denials", base.denials);
    let proven = match anchor {
        Some(anchor) => format!("Up to event {} it is the history of the anchor.", anchor.sequence),
        None => {
            "Keep the anchor elsewhere; with --anchor it proves later that nobody wrote the history anew."
                .to_owned()
        }
    };
    format!("{}: {events} events are whole{pruned}. Anchor: {}\n{proven}", place.display(), report.anchor())
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
    pub(super) async fn run(self) -> Result<(), Failure> {
        let since = self.since.map_or(Timestamp::MIN, |since| {
            Timestamp::new(since.seconds, since.nanos).unwrap_or(Timestamp::MIN)
        });
        let mut out: Box<dyn Write> = match &self.to {
            Some(file) => {
                let made = File::create(file);
                Box::new(made.map_err(|error| Failure::failed(format!("{}: {error}", file.display())))?)
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
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::unread()),
            flushed => flushed.map_err(Failure::failed),
        }
    }
}
