//! Reads fields from their sources, highest precedence first, and collects all errors instead of stopping at
//! the first.

use std::collections::BTreeMap;

use super::{
    Config, ConfigError, ConfigErrors, Field, Sources,
    error::{ErrorCollector, Location},
    sources::FileValues,
    validation,
    value::{Raw, Value},
};

/// A valid configuration, and where each of its values was set.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    /// The values.
    pub config: Config,
    pub(super) locations: BTreeMap<&'static str, Location>,
}

/// Reads one configuration.
pub(super) struct Reader<'a> {
    sources: &'a Sources,
    file: FileValues,
    pub(super) errors: ErrorCollector,
}

// === impl LoadedConfig ===

impl LoadedConfig {
    /// Reads the configuration. Reports all errors at once.
    pub fn from(sources: &Sources) -> Result<Self, ConfigErrors> {
        let (file, errors) = sources.read_file();
        // A file that is not TOML may set the fields that seem to be missing.
        let is_toml = sources.file.is_none() || errors.iter().all(|error| error.path.is_some());
        if !is_toml {
            return Err(ConfigErrors(errors));
        }
        let mut reader = Reader { sources, file, errors: ErrorCollector { errors, ..Default::default() } };
        reader.errors.errors.extend(sources.unknown_variables());
        let config = Config::read(&mut reader);
        if let Some(config) = &config {
            validation::check_combinations(config, &mut reader.errors);
        }
        match config {
            Some(config) if reader.errors.errors.is_empty() => {
                Ok(Self { config, locations: reader.errors.locations })
            }
            _ => Err(ConfigErrors(reader.errors.errors)),
        }
    }
}

// === impl Reader ===

impl Reader<'_> {
    /// The value of a field; `None` if it is invalid or missing, which is then among the errors.
    pub fn read<T: Value>(&mut self, field: &'static Field) -> Option<T> {
        let sources = self.sources;
        let written = sources
            .flag(field)
            .or_else(|| sources.variable(field))
            .or_else(|| self.file.get(field.path).cloned());
        let (raw, location) = match (written, field.default) {
            (Some((raw, location)), _) => (raw, Some(location)),
            (None, Some(default)) => (Raw::One(default.to_owned()), None),
            (None, None) => return T::unset().or_else(|| self.missing(field)),
        };
        if let Some(location) = &location {
            self.errors.locations.insert(field.path, location.clone());
        }
        match T::read(&raw) {
            Ok(value) => Some(value),
            Err(problem) => {
                let problem = format!("{problem}; accepted: {}", field.accepts());
                self.errors.errors.push(ConfigError { location, path: Some(field.path.to_owned()), problem });
                None
            }
        }
    }

    fn missing<T>(&mut self, field: &Field) -> Option<T> {
        let problem = format!("required; {}; accepted: {}", field.how_to_set(), field.accepts());
        self.errors.errors.push(ConfigError { location: None, path: Some(field.path.to_owned()), problem });
        None
    }
}
