//! What was measured, side by side.

use std::fmt;

use comfy_table::{CellAlignment, Table};

use crate::meter::Cost;

/// Rows, in the order in which they were measured; the first is what the times of the others are told in.
#[derive(Default)]
pub struct Report {
    rows: Vec<(String, Cost)>,
}

impl Report {
    /// Adds a row, and says so: a run takes minutes.
    pub fn add(&mut self, what: &str, cost: Cost) {
        eprintln!("{what}: {:.2} s", cost.took.as_secs_f64());
        self.rows.push((what.to_owned(), cost));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header([
            "what",
            "time",
            "× the bare loop",
            "vault requests",
            "API server writes",
            "API server reads",
            "CPU",
            "peak RSS",
            "own memory",
        ]);
        let bare = self.rows.first().map_or(f64::NAN, |(_, cost)| cost.took.as_secs_f64());
        for (what, cost) in &self.rows {
            let took = cost.took.as_secs_f64();
            table.add_row([
                what.clone(),
                format!("{took:.2} s"),
                format!("{:.1}", took / bare),
                or_nothing(cost.vault, |requests| requests.to_string()),
                cost.apiserver.writes.to_string(),
                cost.apiserver.reads.to_string(),
                or_nothing(cost.process, |process| format!("{:.2} s", process.cpu_seconds)),
                or_nothing(cost.process, |process| format!("{:.0} MiB", process.peak)),
                or_nothing(cost.process, |process| format!("{:.0} MiB", process.own)),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(formatter, "{table}")
    }
}

fn or_nothing<T: Copy>(measured: Option<T>, words: impl Fn(T) -> String) -> String {
    measured.map(words).unwrap_or_default()
}
