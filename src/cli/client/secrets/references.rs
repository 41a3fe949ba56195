//! References of a new or a changed synced secret: what is to be created in the vault, and what is there already.

use std::path::PathBuf;

use super::super::{
    arguments::{encode, files, no_key, reference},
    value::{Reading, is_stdin},
};
use crate::{cli::Failure, proto::SecretReference};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "References")]
pub(super) struct New {
    /// Create a secret in the vault first, and save its value under KEY. Can be given several times
    ///
    /// The value is asked for at the terminal, hidden, or comes from --value-file.
    #[arg(long = "new", value_name = "KEY=VAULT_SECRET")]
    new: Vec<String>,
    /// Where the value of a --new comes from: a file, or - for standard input
    #[arg(long, value_name = "KEY=FILE")]
    value_file: Vec<String>,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "References")]
pub(super) struct Encodings {
    /// The vault holds the value of this key in an encoding (base64, hex, none): the edge gets what it stands for
    #[arg(long, value_name = "KEY=ENCODING")]
    encoding: Vec<String>,
}

impl New {
    pub fn is_empty(&self) -> bool {
        self.new.is_empty()
    }

    /// The references, with their values read. Everything else that can be wrong is looked at first, so that nobody types a
    /// value in vain.
    pub fn read(&self) -> Result<Vec<SecretReference>, Failure> {
        let files = files(&self.value_file)?;
        let mut references =
            self.new.iter().map(|text| reference("--new", text, false)).collect::<Result<Vec<_>, _>>()?;
        for key in files.keys() {
            if references.iter().all(|reference| reference.key != *key) {
                return Err(Failure::usage(format!("--value-file {key}=…: no --new has this key")));
            }
        }
        if files.values().filter(|file| is_stdin(file)).count() > 1 {
            return Err(Failure::usage("--value-file: standard input holds one value, not several"));
        }
        for reference in &mut references {
            let file = files.get(&reference.key).map(PathBuf::as_path);
            reference.create = Some(self.reading.read(&reference.key, file)?.into_new());
        }
        Ok(references)
    }
}

impl Encodings {
    pub fn apply(&self, references: &mut [SecretReference]) -> Result<(), Failure> {
        encode(references, &self.encoding)
    }

    pub fn is_empty(&self) -> bool {
        self.encoding.is_empty()
    }
}

/// References to what the vault holds.
pub(super) fn existing(flag: &str, texts: &[String]) -> Result<Vec<SecretReference>, Failure> {
    texts.iter().map(|text| reference(flag, text, true)).collect()
}

/// Puts references to the ones that are held, in place of those with the same key.
pub(super) fn put(held: &mut Vec<SecretReference>, new: Vec<SecretReference>) {
    for reference in new {
        match held.iter_mut().find(|held| held.key == reference.key) {
            Some(held) => *held = reference,
            None => held.push(reference),
        }
    }
}

/// Takes references away by their keys.
pub(super) fn take(held: &mut Vec<SecretReference>, keys: &[String]) -> Result<(), Failure> {
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
    fn a_reference_takes_the_place_of_the_one_with_its_key() {
        let mut held = existing("--from", &["a=x".to_owned(), "b=y".to_owned()]).unwrap();
        put(&mut held, existing("--set", &["a=z".to_owned(), "c=w".to_owned()]).unwrap());
        assert_eq!(shown(&held), [("a", "vaultSecrets/z"), ("b", "vaultSecrets/y"), ("c", "vaultSecrets/w")]);
    }

    #[test]
    fn what_is_taken_away_must_be_there() {
        let mut held = existing("--from", &["a=x".to_owned(), "b=y".to_owned()]).unwrap();
        take(&mut held, &["a".to_owned()]).unwrap();
        assert_eq!(shown(&held), [("b", "vaultSecrets/y")]);
        assert!(take(&mut held, &["a".to_owned()]).is_err());
    }
}
