//! Text from other programs and libraries, cleaned so that it can be shown to people. This is the only place
//! that does so.
//!
//! Such text may be very long, may control a terminal, and may contain secrets: a kubeconfig's credential
//! plugin prints tokens, a parser quotes the line that it can't read. So a [`Quote`] is one line of bounded
//! length without control characters. It contains no output of a subprocess, and of a document that can't be
//! parsed only the position. Our errors that pass on foreign text contain a `Quote`, not a `String`.

use std::{error::Error, fmt, io, ops::Deref};

use kube::{client::AuthError, config::KubeconfigError};
use tokio::task::JoinError;

use crate::model::is_unprintable;

/// Maximum length of a quote, in characters.
const LIMIT: usize = 300;
/// Characters kept from the end of a longer text. The context is at the front and the cause at the end, so
/// the middle is cut.
const TAIL: usize = 200;

/// Text of another program or library that is safe to repeat in messages, conditions, the audit log and the
/// log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Quote(String);

// === impl Quote ===

impl Quote {
    /// The message of an error, as its `Display` prints it.
    pub fn error(error: &(dyn Error + 'static)) -> Self {
        Self(line(&own_words(error).unwrap_or_else(|| error.to_string())))
    }

    /// The message of an error's innermost cause.
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

/// An error and its sources. An [`io::Error`] hides the error that it wraps from `source`, so it is
/// unwrapped.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|wrapped| wrapped as _).or_else(|| (**error).source())
    })
}

/// Our own message for errors whose message may contain secrets.
fn own_words(error: &(dyn Error + 'static)) -> Option<String> {
    chain(error).find_map(|error| {
        if let Some(error) = error.downcast_ref() {
            return Some(of_credentials(error));
        }
        if let Some(KubeconfigError::Parse(error)) = error.downcast_ref() {
            let place =
                error.location().map(|place| format!(" (line {}, column {})", place.line(), place.column()));
            return Some(format!("the kubeconfig is invalid{}", place.unwrap_or_default()));
        }
        if let Some(error) = error.downcast_ref::<serde_json::Error>() {
            let place = (error.line(), error.column());
            return Some(format!(
                "a response is not the expected JSON (line {}, column {})",
                place.0, place.1
            ));
        }
        let died = error.downcast_ref::<JoinError>()?;
        Some(if died.is_panic() { "it panicked" } else { "it was stopped" }.to_owned())
    })
}

/// Why the credentials in a kubeconfig are not usable. The original messages contain secrets.
fn of_credentials(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecRun { out, .. } => format!(
            "the credential plugin of the kubeconfig ended with {}; its output is not shown, because it may \
             contain secrets: run it by hand",
            out.status
        ),
        AuthError::AuthExecStart(error) => {
            format!("the credential plugin of the kubeconfig can't be run: {}", error.kind())
        }
        AuthError::AuthExecParse(_)
        | AuthError::ParseTokenKey(_)
        | AuthError::MalformedTokenExpirationDate(_)
        | AuthError::ExecPluginFailed => {
            "the credential plugin of the kubeconfig did not print a usable ExecCredential".to_owned()
        }
        AuthError::ReadTokenFile(error, file) => {
            format!("the token file {} can't be read: {}", file.display(), error.kind())
        }
        // About the kubeconfig itself, before anything was run.
        AuthError::MissingCommand | AuthError::ExecMissingClusterInfo | AuthError::NoValidNativeRootCA(_) => {
            error.to_string()
        }
        _ => "the credentials in the kubeconfig are not usable".to_owned(),
    }
}

/// One line of bounded length, without control characters and without separator lines such as `-----`.
fn line(text: &str) -> String {
    let is_rule = |word: &&str| word.len() > 3 && word.bytes().all(|byte| byte == b'-');
    let words = text.split(|c: char| c.is_whitespace() || is_unprintable(c));
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
