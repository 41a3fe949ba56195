//! What is told of a failure.

use std::{collections::BTreeSet, fmt::Write as _, path::Path};

use crate::model::{Call, Inner};

/// How many lines of a history are printed; the whole is in a file.
const LINES: usize = 120;

/// What was found, the history of the synced secrets that it names, and where everything else is.
pub fn report(inner: &Inner, found: &[String], directory: &Path) -> String {
    let mut report = String::new();
    for id in concerned(inner, found) {
        let history = history(inner, &id);
        let _ = writeln!(report, "The history of {id}, its last {LINES} lines:");
        for line in &history[history.len().saturating_sub(LINES)..] {
            let _ = writeln!(report, "  {line}");
        }
    }
    report.push('\n');
    for found in found {
        let _ = writeln!(report, "- {}", found.replace('\n', "\n  "));
    }
    let trace: String = inner
        .trace
        .iter()
        .map(|(moment, text)| format!("{:>9.3} {text}\n", moment.time.as_secs_f64()))
        .collect();
    let file = directory.join("trace.txt");
    let _ = std::fs::write(&file, trace);
    let _ = write!(
        report,
        "Everything since the last checkpoint is in {}; the database and the logs are beside it.",
        file.display()
    );
    report
}

/// The synced secrets that findings name, by themselves or by a call.
fn concerned(inner: &Inner, found: &[String]) -> BTreeSet<String> {
    let names = inner.calls.iter().filter_map(Call::synced_secret);
    let mut concerned: BTreeSet<String> =
        names.filter(|id| found.iter().any(|found| names_it(found, id))).map(str::to_owned).collect();
    for call in &inner.calls {
        if found.iter().any(|found| names_it(found, &format!("call {}", call.number))) {
            concerned.extend(call.synced_secret().map(str::to_owned));
        }
    }
    concerned
}

/// Everything that concerns a synced secret, with every end of the process.
fn history(inner: &Inner, id: &str) -> Vec<String> {
    let calls: Vec<String> = inner
        .calls
        .iter()
        .filter(|call| call.synced_secret() == Some(id))
        .map(|call| format!("call {} ", call.number))
        .collect();
    let concerns = |text: &str| {
        names_it(text, id)
            || calls.iter().any(|call| text.starts_with(call.as_str()))
            || text.starts_with("life ")
            || text.starts_with("the service ")
            || text.starts_with("all faults ")
    };
    inner
        .trace
        .iter()
        .filter(|(_, text)| concerns(text))
        .map(|(moment, text)| format!("{:>9.3} {text}", moment.time.as_secs_f64()))
        .collect()
}

/// Whether a text names something, and not something else whose name begins alike.
fn names_it(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let after = text[at + name.len()..].chars().next();
        !after.is_some_and(|after| after.is_ascii_alphanumeric() || after == '-')
    })
}
