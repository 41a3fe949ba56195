//! The filter of `secrets list` and `secrets watch`.

use clap::ValueEnum;

use super::super::arguments::{self, VaultName};
use crate::{
    cli::CommandError,
    proto::{
        SyncedSecretFilter,
        synced_secret::{Origin, State},
        synced_secret_filter::UsedBy,
    },
};

/// All given flags must match.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Filter")]
pub(super) struct Filter {
    /// Only synced secrets in this state. Repeatable
    #[arg(long, value_enum)]
    state: Vec<Word>,
    /// Only names that contain this text
    #[arg(long, value_name = "TEXT")]
    contains: Option<String>,
    /// Only those that reference this vault secret
    #[arg(long, value_name = "NAME")]
    vault_secret: Option<VaultName>,
    /// Only those with this label. Repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Only those used by a resource of this kind, or by this resource
    #[arg(long, value_name = "KIND[/RESOURCE]", conflicts_with = "unused")]
    used_by: Option<String>,
    /// Only those that are not in use
    #[arg(long)]
    unused: bool,
    /// Only those created by other tools, which `secrets adopt` can take over
    #[arg(long)]
    unmanaged: bool,
}

/// A state on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Word {
    Pending,
    Synced,
    Degraded,
    Failed,
    Deleting,
}

impl Filter {
    /// As the protobuf message.
    pub fn to_proto(&self) -> Result<SyncedSecretFilter, CommandError> {
        let used_by = self.used_by.as_deref().map(|text| {
            let (kind, resource) = text.split_once('/').unwrap_or((text, ""));
            UsedBy { kind: kind.to_owned(), resource: resource.to_owned(), unused: false }
        });
        let unused = self.unused.then(|| UsedBy { unused: true, ..Default::default() });
        Ok(SyncedSecretFilter {
            states: self.state.iter().map(|word| State::from(*word).into()).collect(),
            name_contains: self.contains.clone().unwrap_or_default(),
            vault_secret: self.vault_secret.as_ref().map(VaultName::full).unwrap_or_default(),
            labels: arguments::words("--label", &self.label)?,
            used_by: used_by.or(unused),
            origin: if self.unmanaged { Origin::Unmanaged.into() } else { Origin::Unspecified.into() },
        })
    }
}

impl From<Word> for State {
    fn from(word: Word) -> Self {
        match word {
            Word::Pending => Self::Pending,
            Word::Synced => Self::Synced,
            Word::Degraded => Self::Degraded,
            Word::Failed => Self::Failed,
            Word::Deleting => Self::Deleting,
        }
    }
}
