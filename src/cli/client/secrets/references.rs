//! References of a new or changed synced secret: to new and to existing vault secrets.

use std::path::PathBuf;

use super::super::{
    arguments::{encode, files, no_key, reference, take_parts},
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
}

/// Parses references to existing vault secrets.
pub(super) fn existing(flag: &str, texts: &[String]) -> Result<Vec<SecretReference>, CommandError> {
    texts.iter().map(|text| reference(flag, text, true)).collect()
}

/// Adds references, replacing those with the same key.
pub(super) fn put(held: &mut Vec<SecretReference>, new: Vec<SecretReference>) {
    for reference in new {
        match held.iter_mut().find(|held| held.key == reference.key) {
            Some(held) => *held = reference,
            None => held.push(reference),
        }
    }
}

/// Removes references by their keys.
pub(super) fn take(held: &mut Vec<SecretReference>, keys: &[String]) -> Result<(), CommandError> {
    for key in keys {
        let before = held.len();
        held.retain(|reference| reference.key != *key);
        if held.len() == before {
            return Err(no_key("--remove", key));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(references: &[SecretReference]) -> Vec<(&str, &str)> {
        references.iter().map(|one| (one.key.as_str(), one.vault_secret.as_str())).collect()
    }

    #[test]
    fn a_reference_replaces_the_one_with_the_same_key() {
        let mut held = existing("--from", &["a=x".to_owned(), "b=y".to_owned()]).unwrap();
        put(&mut held, existing("--set", &["a=z".to_owned(), "c=w".to_owned()]).unwrap());
        assert_eq!(shown(&held), [("a", "vaultSecrets/z"), ("b", "vaultSecrets/y"), ("c", "vaultSecrets/w")]);
    }

    #[test]
    fn a_removed_reference_must_exist() {
        let mut held = existing("--from", &["a=x".to_owned(), "b=y".to_owned()]).unwrap();
        take(&mut held, &["a".to_owned()]).unwrap();
        assert_eq!(shown(&held), [("b", "vaultSecrets/y")]);
        assert!(take(&mut held, &["a".to_owned()]).is_err());
    }
}
