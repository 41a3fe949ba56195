//! What another program or library said, as it may be repeated to people: the one place that decides how much of it.
//!
//! Such text may be a dump, may steer a terminal, and may hold what nobody should read: a credential plugin of a kubeconfig prints
//! tokens, a parser quotes the line that it stumbles over. So a [`Quote`] is one line of bounded length without control characters,
//! of what a subprocess printed it holds nothing, and of a document that can't be read only the place. Errors of ours that pass on
//! somebody else's words hold a `Quote` and no `String`.

use std::{error::Error, fmt, io, ops::Deref};

use kube::{client::AuthError, config::KubeconfigError};
use tokio::task::JoinError;

use crate::model::steers;

/// The longest quote, in characters.
const LIMIT: usize = 300;
/// What of it is from the end: what others pass on stands at the front and the cause at the end, so the middle is what goes.
const TAIL: usize = 200;

/// Words of another program or library that may be repeated in messages, conditions, audit and log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Quote(String);

// === impl Quote ===

impl Quote {
    /// What an error says of itself and of what caused it, as its `Display` has it.
    pub fn error(error: &(dyn Error + 'static)) -> Self {
        Self(line(&own_words(error).unwrap_or_else(|| error.to_string())))
    }

    /// The innermost cause of an error.
    pub fn cause(error: &(dyn Error + 'static)) -> Self {
        let root = || chain(error).last().map(ToString::to_string).unwrap_or_default();
        Self(line(&own_words(error).unwrap_or_else(root)))
    }
}

impl<T: AsRef<str>> From<T> for Quote {
    fn from(text: T) -> Self {
        Self(line(text.as_ref()))
    }
}

impl Deref for Quote {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Quote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// An error and all below it. An [`io::Error`] hides the error that it wraps from `source`, so it is looked into.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|wrapped| wrapped as _).or_else(|| (**error).source())
    })
}

/// What is told instead of an error whose own words hold more than anybody should read.
fn own_words(error: &(dyn Error + 'static)) -> Option<String> {
    chain(error).find_map(|error| {
        if let Some(error) = error.downcast_ref() {
            return Some(of_credentials(error));
        }
        if let Some(KubeconfigError::Parse(error)) = error.downcast_ref() {
            let place =
                error.location().map(|place| format!(" (line {}, column {})", place.line(), place.column()));
            return Some(format!("the kubeconfig is not what it should be{}", place.unwrap_or_default()));
        }
        if let Some(error) = error.downcast_ref::<serde_json::Error>() {
            let place = (error.line(), error.column());
            return Some(format!(
                "an answer is not the JSON that is expected (line {}, column {})",
                place.0, place.1
            ));
        }
        let died = error.downcast_ref::<JoinError>()?;
        Some(if died.is_panic() { "it panicked" } else { "it was stopped" }.to_owned())
    })
}

/// Why a kubeconfig's credentials can't be had. Whoever prints them prints secrets.
fn of_credentials(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecRun { out, .. } => format!(
            "the credential plugin of the kubeconfig ended with {}; what it printed is not repeated: run it by hand to see it",
            out.status
        ),
        AuthError::AuthExecStart(error) => {
            format!("the credential plugin of the kubeconfig can't be run: {}", error.kind())
        }
        AuthError::AuthExecParse(_)
        | AuthError::ParseTokenKey(_)
        | AuthError::MalformedTokenExpirationDate(_)
        | AuthError::ExecPluginFailed => {
            "the credential plugin of the kubeconfig did not print an ExecCredential that can be used"
                .to_owned()
        }
        AuthError::ReadTokenFile(error, file) => {
            format!("the token file {} can't be read: {}", file.display(), error.kind())
        }
        // Of the kubeconfig itself, before anything was run.
        AuthError::MissingCommand | AuthError::ExecMissingClusterInfo | AuthError::NoValidNativeRootCA(_) => {
            error.to_string()
        }
        _ => "the credentials of the kubeconfig can't be used".to_owned(),
    }
}

/// One line of bounded length, without control characters and without the rules that others draw between paragraphs.
fn line(text: &str) -> String {
    let is_rule = |word: &&str| word.len() > 3 && word.bytes().all(|byte| byte == b'-');
    let words = text.split(|c: char| c.is_whitespace() || steers(c));
    let line = words.filter(|word| !word.is_empty() && !is_rule(word)).collect::<Vec<_>>().join(" ");
    let count = line.chars().count();
    if count <= LIMIT {
        return line;
    }
    let head: String = line.chars().take(LIMIT - TAIL).collect();
    let tail: String = line.chars().skip(count - TAIL).collect();
    format!("{} … {}", head.trim_end(), tail.trim_start())
}

#[cfg(test)]
mod tests;
