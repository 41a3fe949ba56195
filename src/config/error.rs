//! Errors in the configuration. Each is one line: where, what is wrong, what is accepted.

use std::{collections::BTreeMap, fmt, path::Path};

/// One error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where the value was set; `None` if it was not set at all.
    pub location: Option<Location>,
    /// The field, for example `vault.uri`; `None` if the error is about the whole file.
    pub path: Option<String>,
    /// What is wrong, and what is accepted.
    pub problem: String,
}

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A line of the file, counted from 1; `None` for the whole file.
    File(String, Option<usize>),
    /// An environment variable.
    Variable(String),
    /// A flag, without its dashes.
    Flag(String),
}

/// All errors in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// Collects errors while a configuration is read.
#[derive(Default)]
pub(super) struct ErrorCollector {
    /// The errors so far.
    pub errors: Vec<ConfigError>,
    /// Where each value was set, by the path of its field.
    pub locations: BTreeMap<&'static str, Location>,
}

// === impl ErrorCollector ===

impl ErrorCollector {
    /// Adds an error about a field whose value is valid by itself.
    pub(super) fn add(&mut self, path: &'static str, problem: impl Into<String>) {
        let location = self.locations.get(path).cloned();
        self.errors.push(ConfigError { location, path: Some(path.to_owned()), problem: problem.into() });
    }
}

// === impl Location ===

impl Location {
    /// A line of a file.
    pub(super) fn line(file: &Path, line: impl Into<Option<usize>>) -> Self {
        Self::File(file.display().to_string(), line.into())
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file, Some(line)) => write!(f, "{file}:{line}"),
            Self::File(file, None) => f.write_str(file),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        if let Some(path) = &self.path {
            write!(f, "{path}: ")?;
        }
        f.write_str(&self.problem)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
