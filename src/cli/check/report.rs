//! The report of the checks, for people and for programs.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;

use super::names::CheckName;
use crate::cli::CommandError;

/// The results of all checks.
pub(super) struct Report(pub Vec<CheckResult>);

/// The result of one check.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct CheckResult {
    /// What was checked.
    #[serde(flatten)]
    pub check: CheckName,
    pub holds: CheckStatus,
    /// What was found, and how to fix it.
    pub found: String,
}

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CheckStatus {
    Yes,
    No,
    /// Could not be checked, because something else is broken.
    Unknown,
    /// Failed or could not be checked, but syncing works without it.
    Warning,
}

impl Report {
    /// Number of checks that failed or could not be carried out, without warnings.
    pub fn failures(&self) -> usize {
        self.0.iter().filter(|row| matches!(row.holds, CheckStatus::No | CheckStatus::Unknown)).count()
    }

    pub fn print(&self, as_json: bool) -> Result<(), CommandError> {
        let text = if as_json { self.json() } else { self.table().to_string() };
        writeln!(io::stdout().lock(), "{text}").map_err(CommandError::failed)
    }

    fn json(&self) -> String {
        let report = serde_json::json!({"ok": self.failures() == 0, "checks": self.0});
        serde_json::to_string_pretty(&report).expect("plain data is always JSON")
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table
            .load_style(UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(["check", "holds", "found, and how to fix it"]);
        if table.width().is_none() {
            // Not a terminal, so there is no width to adapt to.
            table.set_width(120);
        }
        for row in &self.0 {
            table.add_row([row.check.title, row.holds.word(), &row.found]);
        }
        table
    }
}

impl CheckResult {
    pub fn passed(check: CheckName, found: impl Into<String>) -> Self {
        Self { check, holds: CheckStatus::Yes, found: found.into() }
    }

    pub fn failed(check: CheckName, found: impl Into<String>) -> Self {
        Self { check, holds: CheckStatus::No, found: found.into() }
    }

    pub fn unknown(check: CheckName, found: impl Into<String>) -> Self {
        Self { check, holds: CheckStatus::Unknown, found: found.into() }
    }

    pub fn warning(check: CheckName, found: impl Into<String>) -> Self {
        Self { check, holds: CheckStatus::Warning, found: found.into() }
    }
}

impl CheckStatus {
    fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "NO",
            Self::Unknown => "unknown",
            Self::Warning => "warning",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::names::{BACKUP, DISK, TLS, VAULT},
        *,
    };

    #[test]
    fn a_report_is_ok_when_every_requirement_of_syncing_is_met() {
        let mut report =
            Report(vec![CheckResult::passed(TLS, "fine"), CheckResult::warning(BACKUP, "not for everybody")]);
        assert_eq!((report.failures(), &json(&report)["ok"]), (0, &true.into()));
        report.0.extend([CheckResult::unknown(DISK, "who knows"), CheckResult::failed(VAULT, "mend it")]);
        assert_eq!((report.failures(), &json(&report)["ok"]), (2, &false.into()));
        let failed = &json(&report)["checks"][3];
        assert_eq!((&failed["id"], &failed["holds"]), (&"vault.configuration".into(), &"no".into()));
        let table = report.table().to_string();
        assert!(table.contains("mend it") && table.contains("warning"), "{table}");
    }

    fn json(report: &Report) -> serde_json::Value {
        serde_json::from_str(&report.json()).unwrap()
    }
}
