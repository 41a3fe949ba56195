//! Errors in the configuration. Each is one line: where, what is wrong, what is accepted.

use std::{fmt, path::Path};

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where the value was set; `None` if it was not set at all.
    pub place: Option<Place>,
    /// The field, for example `vault.uri`; `None` if the error is about the whole file.
    pub path: Option<String>,
    /// What is wrong, and what is accepted.
    pub problem: String,
}

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of the file, counted from 1; `None` for the whole file.
    File(String, Option<usize>),
    /// An environment variable.
    Variable(String),
    /// A flag, without its dashes.
    Flag(String),
}

/// All errors in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

// === impl Place ===

impl Place {
    /// A line of a file.
    pub(super) fn line(file: &Path, line: impl Into<Option<usize>>) -> Self {
        Self::File(file.display().to_string(), line.into())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file, Some(line)) => write!(f, "{file}:{line}"),
            Self::File(file, None) => f.write_str(file),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if let Some(path) = &self.path {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.problem)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, mistake) in self.0.iter().enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
