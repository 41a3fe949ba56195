//! How commands print what they found at this machine and its peers.

/// How to print what was found.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum ReportOutput {
    /// A table for people.
    #[default]
    Table,
    /// An object for programs.
    Json,
}
