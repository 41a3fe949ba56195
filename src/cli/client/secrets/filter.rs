//! Which synced secrets are listed or watched.

use clap::ValueEnum;

use super::super::arguments::{self, VaultName};
use crate::{
    cli::Failure,
    proto::{
        SyncedSecretFilter,
        synced_secret::{Origin, State},
        synced_secret_filter::UsedBy,
    },
};

/// Every flag that is given must match.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Which ones")]
pub(super) struct Filter {
    /// Only those in this state. Can be given several times
    #[arg(long, value_enum)]
    state: Vec<Word>,
    /// Only those with this in their name
    #[arg(long, value_name = "TEXT")]
    contains: Option<String>,
    /// Only those that refer to this vault secret
    #[arg(long, value_name = "NAME")]
    vault_secret: Option<VaultName>,
    /// Only those with this label. Can be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Only those that a resource of this kind uses, or this one resource
    #[arg(long, value_name = "KIND[/RESOURCE]", conflicts_with = "unused")]
    used_by: Option<String>,
    /// Only those that nothing uses
    #[arg(long)]
    unused: bool,
    /// Only those that other tools made, which `secrets adopt` takes over
    #[arg(long)]
    unmanaged: bool,
}

/// A state, as a word.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Word {
    Pending,
    Synced,
    Degraded,
    Failed,
    Deleting,
}

impl Filter {
    /// As the contract has it.
    pub fn wire(&self) -> Result<SyncedSecretFilter, Failure> {
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
