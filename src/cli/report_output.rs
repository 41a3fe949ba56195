//! The output formats of `check` and `rebuild`.

/// Format of a report.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum ReportOutput {
    /// A table for people.
    #[default]
    Table,
    /// A JSON object for programs.
    Json,
}
