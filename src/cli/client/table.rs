//! Tables for people: no borders, ages instead of times, colour only on a terminal.

use std::{env, io::IsTerminal, time::SystemTime};

use comfy_table::{Cell, Color, ContentArrangement, Table, presets::NOTHING};
use prost_types::Timestamp;

use crate::proto::{Condition, SecretReference, SyncedSecret, condition::Status, synced_secret::State};

/// Minimum terminal width for wrapping cells. A narrower terminal wraps lines by itself.
const NARROW: u16 = 60;

/// Formats a table; empty if there are no rows.
pub(super) fn table<const COLUMNS: usize>(
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [Cell; COLUMNS]>,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    // Some terminals report no width, and some are so narrow that words would be split into letters.
    if std::io::stdout().is_terminal() && table.width().is_some_and(|width| width >= NARROW) {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for row in rows {
        table.add_row(row);
    }
    if table.row_count() == 0 {
        return String::new();
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// Formats lines of names and values.
pub(super) fn description<'a>(lines: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let line = |(name, text): (&str, String)| format!("{:<13} {text}", format!("{name}:"));
    let lines: Vec<_> = lines.into_iter().filter(|(_, text)| !text.is_empty()).map(line).collect();
    lines.join("\n")
}

/// One row per synced secret.
pub(super) fn synced_secrets(secrets: &[SyncedSecret]) -> String {
    let row = |secret: &SyncedSecret| {
        [
            cell(id(&secret.name)),
            state(secret.state()),
            cell(&keys(&secret.references)),
            cell(used(secret)),
            cell(&ago(secret.sync_time.as_ref())),
            cell(&ago(secret.create_time.as_ref())),
            cell(&problem(secret)),
        ]
    };
    table(["NAME", "STATE", "KEYS", "USED", "SYNCED", "AGE", "PROBLEM"], secrets.iter().map(row))
}

/// One row per condition.
pub(super) fn conditions(conditions: &[Condition]) -> String {
    let row = |condition: &Condition| {
        [
            cell(&condition.r#type),
            status(condition.status()),
            cell(&condition.reason),
            cell(&ago(condition.last_transition_time.as_ref())),
            cell(&condition.message),
        ]
    };
    table(["CONDITION", "HOLDS", "REASON", "SINCE", "MESSAGE"], conditions.iter().map(row))
}

/// A cell without control characters.
pub(super) fn cell(text: &str) -> Cell {
    Cell::new(plain(text))
}

/// A cell with yes or no.
pub(super) fn yes(yes: bool) -> Cell {
    Cell::new(if yes { "yes" } else { "no" })
}

/// Replaces control characters: text from the network must neither break lines nor move the cursor.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// The last segment of a resource name.
pub(super) fn id(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

/// The keys of references, comma separated.
pub(super) fn keys(references: &[SecretReference]) -> String {
    references.iter().map(|reference| reference.key.as_str()).collect::<Vec<_>>().join(", ")
}

/// Whether something uses it, as one word; empty if that was not checked yet.
fn used(secret: &SyncedSecret) -> &'static str {
    match in_use(secret).map(Condition::status) {
        Some(Status::True) => "yes",
        Some(Status::False) => "no",
        Some(Status::Unknown) => "unknown",
        Some(Status::Unspecified) | None => "",
    }
}

/// Its InUse condition.
pub(super) fn in_use(secret: &SyncedSecret) -> Option<&Condition> {
    secret.conditions.iter().find(|condition| condition.r#type == "InUse")
}

/// Why it is not in sync, from its Synced condition.
pub(super) fn problem(secret: &SyncedSecret) -> String {
    let synced = secret.conditions.iter().find(|condition| condition.r#type == "Synced");
    match synced {
        Some(synced) if synced.status() != Status::True => plain(&synced.message),
        _ => String::new(),
    }
}

/// The name of a state: `Synced`.
pub(super) fn word(state: State) -> String {
    let name = state.as_str_name().trim_start_matches("STATE_").to_lowercase();
    let mut characters = name.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

/// The age of a time: `5m`.
pub(super) fn ago(time: Option<&Timestamp>) -> String {
    time.map(|time| span(now() - time.seconds)).unwrap_or_default()
}

/// A time relative to now: `in 30d`, or `2d ago`.
pub(super) fn when(time: Option<&Timestamp>) -> String {
    match time.map(|time| time.seconds - now()) {
        Some(ahead @ 0..) => format!("in {}", span(ahead)),
        Some(past) => format!("{} ago", span(-past)),
        None => String::new(),
    }
}

/// The absolute time.
pub(super) fn moment(time: Option<&Timestamp>) -> String {
    time.and_then(|time| jiff::Timestamp::from_second(time.seconds).ok())
        .map(|time| time.to_string())
        .unwrap_or_default()
}

fn state(state: State) -> Cell {
    let cell = Cell::new(word(state));
    coloured(
        cell,
        match state {
            State::Synced => Color::Green,
            State::Failed => Color::Red,
            State::Degraded | State::Pending => Color::Yellow,
            State::Deleting | State::Unspecified => Color::Reset,
        },
    )
}

fn status(status: Status) -> Cell {
    match status {
        Status::True => coloured(Cell::new("yes"), Color::Green),
        Status::False => coloured(Cell::new("NO"), Color::Red),
        Status::Unknown | Status::Unspecified => coloured(Cell::new("unknown"), Color::Yellow),
    }
}

/// Colours a cell unless NO_COLOR is set. The table drops colours if the output is not a terminal.
fn coloured(cell: Cell, color: Color) -> Cell {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if unwanted { cell } else { cell.fg(color) }
}

/// A rough duration: 45s, 5m, 3h, 2d, 3y.
fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{minutes}m"),
        7_200..172_800 => format!("{hours}h"),
        _ if days < 730 => format!("{days}d"),
        _ => format!("{}y", days / 365),
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_and_never_negative() {
        let shown = [-5, 0, 119, 120, 7_199, 7_200, 172_799, 172_800, 86_400 * 800].map(span);
        assert_eq!(shown, ["0s", "0s", "119s", "2m", "119m", "2h", "47h", "2d", "2y"]);
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_blanks() {
        let rows = [[cell("a"), cell("x")], [cell("longer"), cell("")]];
        assert_eq!(table(["NAME", "B"], rows), "NAME    B\na       x\nlonger");
        assert_eq!(table(["NAME"], []), "");
    }

    #[test]
    fn a_cell_cannot_move_the_cursor() {
        assert_eq!(plain("a\x1b[2J\nb"), "a [2J b");
    }

    #[test]
    fn states_are_words() {
        assert_eq!(word(State::Degraded), "Degraded");
    }
}
