//! Reads fields from their sources, highest precedence first, and collects all errors instead of stopping at
//! the first.

use std::collections::BTreeMap;

use super::{
    Config, Field, Mistake, Mistakes, Sources,
    error::Place,
    sources::FileValues,
    validation,
    value::{Raw, Value},
};

/// A valid configuration, and where each of its values was set.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    pub(super) places: BTreeMap<&'static str, Place>,
}

/// Reads one configuration.
pub(super) struct Reader<'a> {
    sources: &'a Sources,
    file: FileValues,
    places: BTreeMap<&'static str, Place>,
    mistakes: Vec<Mistake>,
}

// === impl Loaded ===

impl Loaded {
    /// Reads the configuration. Reports all errors at once.
    pub fn from(sources: &Sources) -> Result<Self, Mistakes> {
        let (file, mistakes) = sources.read_file();
        // A file that is not TOML may set the fields that seem to be missing.
        let is_toml = sources.file.is_none() || mistakes.iter().all(|mistake| mistake.path.is_some());
        if !is_toml {
            return Err(Mistakes(mistakes));
        }
        let mut reader = Reader { sources, file, places: BTreeMap::new(), mistakes };
        reader.mistakes.extend(sources.unknown_variables());
        let config = Config::read(&mut reader);
        if let Some(config) = &config {
            validation::across(config, &mut reader);
        }
        match config {
            Some(config) if reader.mistakes.is_empty() => Ok(Self { config, places: reader.places }),
            _ => Err(Mistakes(reader.mistakes)),
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
        let (raw, place) = match (written, field.default) {
            (Some((raw, place)), _) => (raw, Some(place)),
            (None, Some(default)) => (Raw::One(default.to_owned()), None),
            (None, None) => return T::absent().or_else(|| self.missing(field)),
        };
        if let Some(place) = &place {
            self.places.insert(field.path, place.clone());
        }
        match T::read(&raw) {
            Ok(value) => Some(value),
            Err(problem) => {
                let problem = format!("{problem}; accepted: {}", field.accepts());
                self.mistakes.push(Mistake { place, path: Some(field.path.to_owned()), problem });
                None
            }
        }
    }

    /// Records an error about a field whose value is valid by itself.
    pub fn mistake(&mut self, path: &'static str, problem: impl Into<String>) {
        let place = self.places.get(path).cloned();
        self.mistakes.push(Mistake { place, path: Some(path.to_owned()), problem: problem.into() });
    }

    /// How to set a field, for error messages.
    pub fn how_to_set(path: &str) -> String {
        let field =
            Config::SECTIONS.iter().flat_map(|section| section.fields).find(|field| field.path == path);
        field.map(how_to_set).unwrap_or_default()
    }

    fn missing<T>(&mut self, field: &Field) -> Option<T> {
        let problem = format!("required; {}; accepted: {}", how_to_set(field), field.accepts());
        self.mistakes.push(Mistake { place: None, path: Some(field.path.to_owned()), problem });
        None
    }
}

fn how_to_set(field: &Field) -> String {
    match field.flag() {
        Some(flag) => format!("set it in the file, with {} or with --{flag}", field.variable()),
        None => format!("set {}", field.variable()),
    }
}
