//! Secret values: from a hidden prompt, standard input or a file, never from an argument, and wiped when they were used.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::Path,
};

use zeroize::Zeroizing;

use crate::{cli::Failure, model::limits::VALUE_BYTES, proto::NewVaultSecret};

/// Stands for standard input where a file is expected.
const STDIN: &str = "-";

/// Where values come from, for the help of commands that take some.
pub(super) const ABOUT: &str = "\
Values:
  A value is never an argument: everybody on the machine sees those. It is
  asked for at the terminal, hidden and twice, or comes from --value-file. A
  file is taken byte for byte, with the line break at its end if it has one. Of
  standard input (-) one line break at the end is left out, unless
  --keep-newline is given. A value is UTF-8 and at most 25,600 bytes; for other
  bytes, store base64 or hex, and name the encoding where it is synced.";

/// How values are read.
#[derive(Debug, clap::Args)]
pub(super) struct Reading {
    /// Keep the line break at the end of what comes from standard input
    #[arg(long)]
    keep_newline: bool,
}

/// A secret value. Not `Debug`, and wiped when dropped.
pub(super) struct Value(Zeroizing<String>);

impl Value {
    /// What the contract takes. The message is dropped unwiped, by code that isn't ours; the process guards its memory.
    pub fn into_new(mut self) -> NewVaultSecret {
        NewVaultSecret { value: std::mem::take(&mut *self.0), ..Default::default() }
    }
}

impl Reading {
    /// Reads the value of something: from the file, where one is named, else at the terminal.
    pub fn read(&self, what: &str, file: Option<&Path>) -> Result<Value, Failure> {
        let value = match file {
            Some(file) if file == Path::new(STDIN) => self.standard_input(),
            Some(file) => from_file(file),
            None => return ask(what),
        };
        value.map_err(|problem| Failure::usage(format!("the value of {what}: {problem}")))
    }

    fn standard_input(&self) -> Result<Value, String> {
        if io::stdin().is_terminal() {
            return Err(
                "standard input is the terminal, which would show it: leave out --value-file".to_owned()
            );
        }
        let mut value = take(io::stdin().lock())?;
        if !self.keep_newline && value.ends_with('\n') {
            value.pop();
            if value.ends_with('\r') {
                value.pop();
            }
        }
        checked(value)
    }
}

/// Whether a path stands for standard input.
pub(super) fn is_stdin(file: &Path) -> bool {
    file == Path::new(STDIN)
}

fn from_file(file: &Path) -> Result<Value, String> {
    let problem = |error: io::Error| format!("{:?}: {error}", file.display().to_string());
    checked(take(File::open(file).map_err(problem)?)?)
}

/// Asks twice: what nobody sees, nobody can check.
fn ask(what: &str) -> Result<Value, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "the value of {what}: standard input is no terminal to ask at; say --value-file with a file, or with - to take \
             it from standard input"
        )));
    }
    let ask =
        |prompt: String| rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(Failure::failed);
    let (first, again) = (ask(format!("Value of {what} (hidden): "))?, ask("The same again: ".to_owned())?);
    if first != again {
        return Err(Failure::failed("the two values are not the same; nothing was done"));
    }
    checked(first).map_err(|problem| Failure::usage(format!("the value of {what}: {problem}")))
}

/// Reads text into memory that is allocated once, so that no copy of it stays behind.
fn take(source: impl Read) -> Result<Zeroizing<String>, String> {
    // One more than the longest, to see that it is too long, and the line break that may be left out.
    let most = VALUE_BYTES + 3;
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 32));
    source.take(most as u64).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() == most {
        return Err(too_large());
    }
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        "it is not UTF-8; store it as base64, and name the encoding where it is synced".to_owned()
    })
}

fn checked(value: Zeroizing<String>) -> Result<Value, String> {
    match value.len() {
        0 => Err("it is empty".to_owned()),
        1..=VALUE_BYTES => Ok(Value(value)),
        _ => Err(too_large()),
    }
}

fn too_large() -> String {
    format!("it is larger than {VALUE_BYTES} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Result<String, String> {
        checked(take(bytes)?).map(|value| value.into_new().value)
    }

    #[test]
    fn a_value_is_text_of_a_length_that_the_vault_takes() {
        assert_eq!(of("gr\u{fc}n\n".as_bytes()).unwrap(), "gr\u{fc}n\n");
        assert_eq!(of(&[b'a'; VALUE_BYTES]).unwrap().len(), VALUE_BYTES);
        assert!(of(&[b'a'; VALUE_BYTES + 1]).is_err() && of(&[b'a'; 10 * VALUE_BYTES]).is_err());
        assert!(of(b"").unwrap_err().contains("empty"));
    }

    #[test]
    fn what_is_no_text_is_refused_without_being_shown() {
        let problem = of(b"canary\xff").unwrap_err();
        assert!(problem.contains("UTF-8") && !problem.contains("canary"));
    }

    #[test]
    fn a_file_is_taken_byte_for_byte() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("value");
        std::fs::write(&file, "a\n").unwrap();
        assert_eq!(from_file(&file).unwrap_or_else(|_| panic!()).into_new().value, "a\n");
    }
}
