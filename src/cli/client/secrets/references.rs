//! References of a new or changed synced secret: to new and to existing vault secrets.

use std::path::PathBuf;

use super::super::{
    arguments::{encode, files, reference, take_parts},
    value::{ValueInput, is_stdin},
};
use crate::{cli::CommandError, proto::SecretReference};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "References")]
pub(super) struct New {
    /// Create a secret in the vault and sync it to KEY. Repeatable
    ///
    /// The command prompts for the value, or reads it from --value-file.
    #[arg(long = "new", value_name = "KEY=VAULT_SECRET")]
    new: Vec<String>,
    /// Read the value for --new KEY from a file, or - for standard input. Repeatable
    #[arg(long, value_name = "KEY=FILE")]
    value_file: Vec<String>,
    #[command(flatten)]
    reading: ValueInput,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "References")]
pub(super) struct Encodings {
    /// Decode the value of KEY before syncing it: base64, hex or none. Repeatable
    #[arg(long, value_name = "KEY=ENCODING")]
    encoding: Vec<String>,
    /// Take a part of the certificate in the value for KEY: certificate, chain, private-key, full-chain, pfx or
    /// whole. Repeatable
    ///
    /// In a Secret of the type kubernetes.io/tls, tls.crt gets the certificates and tls.key the private key
    /// without it.
    #[arg(long, value_name = "KEY=PART")]
    part: Vec<String>,
}

impl New {
    pub fn is_empty(&self) -> bool {
        self.new.is_empty()
    }

    /// Reads the references with their values. Validates everything else first, so that nobody types a value
    /// in vain.
    pub fn read(&self) -> Result<Vec<SecretReference>, CommandError> {
        let files = files(&self.value_file)?;
        let mut references =
            self.new.iter().map(|text| reference("--new", text, false)).collect::<Result<Vec<_>, _>>()?;
        for key in files.keys() {
            if references.iter().all(|reference| reference.key != *key) {
                return Err(CommandError::usage(format!("--value-file {key}=…: no --new has this key")));
            }
        }
        if files.values().filter(|file| is_stdin(file)).count() > 1 {
            return Err(CommandError::usage("--value-file: only one value can come from standard input"));
        }
        for reference in &mut references {
            let file = files.get(&reference.key).map(PathBuf::as_path);
            reference.create = Some(self.reading.read(&reference.key, file)?.into_new());
        }
        Ok(references)
    }
}

impl Encodings {
    pub fn apply(&self, references: &mut [SecretReference]) -> Result<(), CommandError> {
        encode(references, &self.encoding)?;
        take_parts(references, &self.part)
    }

    pub fn is_empty(&self) -> bool {
        self.encoding.is_empty() && self.part.is_empty()
    }

    /// Whether one is of this key.
    pub fn names(&self, key: &str) -> bool {
        self.texts().any(|text| text.split_once('=').is_some_and(|(named, _)| named == key))
    }

    /// Whether all are of keys of these references.
    pub fn are_of(&self, references: &[SecretReference]) -> bool {
        let is_named = |text: &String| references.iter().any(|one| text.split('=').next() == Some(&one.key));
        self.texts().all(is_named)
    }

    fn texts(&self) -> impl Iterator<Item = &String> {
        self.encoding.iter().chain(&self.part)
    }
}

/// Parses references to existing vault secrets.
pub(super) fn existing(flag: &str, texts: &[String]) -> Result<Vec<SecretReference>, CommandError> {
    texts.iter().map(|text| reference(flag, text, true)).collect()
}
