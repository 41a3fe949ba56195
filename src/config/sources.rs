//! Where values come from: a TOML file, the environment and flags. Also finds unknown names there.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

use super::{Config, ConfigError, Field, Section, error::Location, value::Raw};
use crate::quote::Quote;

/// Prefix of all our environment variables.
const PREFIX: &str = "SECRET_SERVICE_";

/// The unparsed sources of a configuration. Not `Debug`: the environment holds secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file's name and text.
    pub file: Option<(PathBuf, String)>,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// The values of the flags, by the path of their field.
    pub flags: BTreeMap<&'static str, Vec<String>>,
}

/// The values in the file, by the path of their field.
pub(super) type FileValues = BTreeMap<&'static str, (Raw, Location)>;

impl Sources {
    /// Reads the file and this process's environment.
    pub fn gather(
        file: Option<PathBuf>,
        flags: BTreeMap<&'static str, Vec<String>>,
    ) -> Result<Self, ConfigError> {
        let file = match file {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(&path).map_err(|error| ConfigError {
                    location: Some(Location::line(&path, None)),
                    path: None,
                    problem: format!("can't read the configuration file: {}", Quote::error(&error)),
                })?;
                Some((path, text))
            }
        };
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Ok(Self { file, environment: std::env::vars_os().filter_map(text).collect(), flags })
    }

    /// The value of a field's variable. An empty one counts as unset.
    pub(super) fn variable(&self, field: &Field) -> Option<(Raw, Location)> {
        let name = field.variable();
        let value = self.environment.get(&name).filter(|value| !value.is_empty())?;
        Some((Raw::One(value.clone()), Location::Variable(name)))
    }

    /// The value of a field's flag.
    pub(super) fn flag(&self, field: &Field) -> Option<(Raw, Location)> {
        let raw = match self.flags.get(field.path)?.as_slice() {
            [one] => Raw::One(one.clone()),
            cardinality => Raw::List(cardinality.to_vec()),
        };
        Some((raw, Location::Flag(field.flag()?)))
    }

    /// The values in the file, and the errors of the file itself.
    pub(super) fn read_file(&self) -> (FileValues, Vec<ConfigError>) {
        let Some((path, text)) = &self.file else { return Default::default() };
        let mut file = File { path, text, values: FileValues::new(), errors: Vec::new() };
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            file.error(
                error.span().map_or(0, |span| span.start),
                None,
                Quote::from(error.message()).to_string(),
            );
        }
        // A file that is not TOML has no fields.
        if errors.is_empty() {
            for (key, value) in table.get_ref() {
                file.read_section(key, value);
            }
        }
        (file.values, file.errors)
    }

    /// Variables with our prefix that no field has.
    pub(super) fn unknown_variables(&self) -> Vec<ConfigError> {
        let is_known = |name: &str| {
            Config::SECTIONS.iter().flat_map(|section| section.fields).any(|field| field.variable() == name)
        };
        let ours = |name: &&String| {
            let of_section = |section: &Section| {
                name.starts_with(&format!("{PREFIX}{}_", section.name.replace('.', "_").to_uppercase()))
            };
            Config::SECTIONS.iter().any(of_section) && !is_of_kubernetes(name) && !is_known(name)
        };
        let error = |name: &String| ConfigError {
            location: Some(Location::Variable(name.clone())),
            path: None,
            problem: "unknown variable; --help lists all of them".to_owned(),
        };
        self.environment.keys().filter(ours).map(error).collect()
    }
}

/// Kubernetes sets variables for every Service in the namespace. A Service's name may start like our
/// variables.
fn is_of_kubernetes(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") || name.contains("_PORT")
}

/// The section with this name.
fn section(name: &str) -> Option<&'static Section> {
    Config::SECTIONS.iter().find(|section| section.name == name)
}

/// A file while it is read.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
    values: FileValues,
    errors: Vec<ConfigError>,
}

impl File<'_> {
    fn read_section(&mut self, key: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>) {
        let (name, at) = (key.get_ref().as_ref(), key.span().start);
        let Some(section) = section(name) else {
            let known = Config::SECTIONS.iter().map(|section| section.name).collect::<Vec<_>>().join(", ");
            return self.error(
                at,
                Some(name.to_owned()),
                format!("unknown section; the sections are {known}"),
            );
        };
        self.read_table(section, at, value);
    }

    fn read_table(&mut self, section: &Section, at: usize, value: &Spanned<DeValue<'_>>) {
        let name = section.name;
        let Some(table) = value.get_ref().as_table() else {
            let problem = format!(
                "is a section, not a field: write [{name}] and its fields below it ({})",
                section.names()
            );
            return self.error(at, Some(name.to_owned()), problem);
        };
        for (key, value) in table {
            match self::section(&format!("{name}.{}", key.get_ref())) {
                Some(inner) => self.read_table(inner, key.span().start, value),
                None => self.read_field(section, key, value),
            }
        }
    }

    fn read_field(&mut self, section: &Section, key: &Spanned<DeString<'_>>, value: &Spanned<DeValue<'_>>) {
        let (name, at) = (key.get_ref().as_ref(), key.span().start);
        let path = Some(format!("{}.{name}", section.name));
        match section.field(name) {
            None => self.error(
                at,
                path,
                format!("unknown field; the fields of [{}] are {}", section.name, section.names()),
            ),
            Some(field) if field.value_type.is_secret => {
                let problem = format!(
                    "secrets are not allowed in this file: set {}, or name a file in {}.{name}_file",
                    field.variable(),
                    section.name
                );
                self.error(at, path, problem);
            }
            Some(field) => match raw(value.get_ref()) {
                Some(raw) => {
                    let location = Location::line(self.path, self.line(at));
                    self.values.insert(field.path, (raw, location));
                }
                None => self.error(at, path, format!("is a table; accepted: {}", field.accepts())),
            },
        }
    }

    fn error(&mut self, at: usize, path: Option<String>, problem: String) {
        let location = Some(Location::line(self.path, self.line(at)));
        self.errors.push(ConfigError { location, path, problem });
    }

    fn line(&self, at: usize) -> usize {
        self.text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
    }
}

/// A value or a list as text; `None` for a table or a nested list.
fn raw(value: &DeValue<'_>) -> Option<Raw> {
    match value {
        DeValue::Table(_) => None,
        DeValue::Array(items) => {
            items.iter().map(|item| text(item.get_ref())).collect::<Option<_>>().map(Raw::List)
        }
        scalar => text(scalar).map(Raw::One),
    }
}

fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(boolean) => Some(boolean.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
