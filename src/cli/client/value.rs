//! Secret values: read from a hidden prompt, standard input or a file, never from an argument, and wiped
//! after use.

use std::{
    fs::File,
    io::{self, IsTerminal, Read},
    path::Path,
};

use zeroize::Zeroizing;

use crate::{cli::CommandError, model::limits::VALUE_BYTES, proto::NewVaultSecret};

/// Stands for standard input where a file is expected.
const STDIN: &str = "-";

/// The help section of commands that take values.
pub(super) const VALUES_HELP: &str = "\
Values:
  A value is never an argument, because other users of the machine can see
  arguments. The command prompts for it, hidden and twice, or reads it from
  --value-file. A file is stored byte for byte, including a line break at its
  end. From standard input (-), one line break at the end is removed, unless
  --keep-newline is set. A value is UTF-8 and at most 25,600 bytes long. For
  binary data, store base64 or hex, and set the encoding of the reference.";

/// How to read values.
#[derive(Debug, clap::Args)]
pub(super) struct ValueInput {
    /// Keep a line break at the end of standard input
    #[arg(long)]
    keep_newline: bool,
}

/// A secret value. Not `Debug`, and wiped when dropped.
pub(super) struct Value(Zeroizing<String>);

impl Value {
    /// The message for the API. The gRPC library drops it without wiping it; that is why core dumps are off.
    pub fn into_new(mut self) -> NewVaultSecret {
        NewVaultSecret { value: std::mem::take(&mut *self.0), ..Default::default() }
    }
}

impl ValueInput {
    /// Reads the value of `what`: from the file if there is one, otherwise from a prompt.
    pub fn read(&self, what: &str, file: Option<&Path>) -> Result<Value, CommandError> {
        let value = match file {
            Some(file) if file == Path::new(STDIN) => self.standard_input(),
            Some(file) => from_file(file),
            None => return ask(what),
        };
        value.map_err(|problem| CommandError::usage(format!("the value of {what}: {problem}")))
    }

    fn standard_input(&self) -> Result<Value, String> {
        if io::stdin().is_terminal() {
            return Err(
                "standard input is a terminal, which would show it: omit --value-file to be prompted"
                    .to_owned(),
            );
        }
        let mut value = read_text(io::stdin().lock())?;
        if !self.keep_newline && value.ends_with('\n') {
            value.pop();
            if value.ends_with('\r') {
                value.pop();
            }
        }
        validate(value)
    }
}

/// Whether a path stands for standard input.
pub(super) fn is_stdin(file: &Path) -> bool {
    file == Path::new(STDIN)
}

fn from_file(file: &Path) -> Result<Value, String> {
    let problem = |error: io::Error| format!("{:?}: {error}", file.display().to_string());
    validate(read_text(File::open(file).map_err(problem)?)?)
}

/// Reads a file byte for byte, for the field `data`. The gRPC library drops it without wiping it, as a value.
pub(super) fn read_data(what: &str, file: &Path) -> Result<Vec<u8>, CommandError> {
    let refuse = |problem: String| {
        CommandError::usage(format!("the data of {what}, {:?}: {problem}", file.display().to_string()))
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(VALUE_BYTES + 32));
    let source = File::open(file).map_err(|error| refuse(error.to_string()))?;
    let read = source.take(VALUE_BYTES as u64 + 1).read_to_end(&mut bytes);
    match read.map_err(|error| refuse(error.to_string()))? {
        0 => Err(refuse("it is empty".to_owned())),
        // The service knows how many of them fit in the encoding.
        1..=VALUE_BYTES => Ok(std::mem::take(&mut *bytes)),
        _ => Err(refuse(too_large())),
    }
}

/// Prompts twice, because the input is hidden.
fn ask(what: &str) -> Result<Value, CommandError> {
    if !io::stdin().is_terminal() {
        return Err(CommandError::usage(format!(
            "the value of {what}: can't prompt, because standard input is not a terminal; use --value-file \
             with a file, or with - for standard input"
        )));
    }
    let ask =
        |prompt: String| rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(CommandError::failed);
    let (first, again) = (ask(format!("Value of {what} (hidden): "))?, ask("Repeat the value: ".to_owned())?);
    if first != again {
        return Err(CommandError::failed("the two values differ; nothing was changed"));
    }
    validate(first).map_err(|problem| CommandError::usage(format!("the value of {what}: {problem}")))
}

/// Reads text into a buffer that is allocated once: one that grows would leave copies behind.
fn read_text(source: impl Read) -> Result<Zeroizing<String>, String> {
    // One byte more than the maximum, to detect a longer value, and room for a line break that is removed.
    let most = VALUE_BYTES + 3;
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 32));
    source.take(most as u64).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() == most {
        return Err(too_large());
    }
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        drop(Zeroizing::new(error.into_bytes()));
        "it is not UTF-8; store it as base64, and set the encoding of the reference".to_owned()
    })
}

fn validate(value: Zeroizing<String>) -> Result<Value, String> {
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
        validate(read_text(bytes)?).map(|value| value.into_new().value)
    }

    #[test]
    fn a_value_is_text_within_the_vaults_size_limit() {
        assert_eq!(of("gr\u{fc}n\n".as_bytes()).unwrap(), "gr\u{fc}n\n");
        assert_eq!(of(&[b'a'; VALUE_BYTES]).unwrap().len(), VALUE_BYTES);
        assert!(of(&[b'a'; VALUE_BYTES + 1]).is_err() && of(&[b'a'; 10 * VALUE_BYTES]).is_err());
        assert!(of(b"").unwrap_err().contains("empty"));
    }

    #[test]
    fn binary_data_is_refused_without_being_shown() {
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
