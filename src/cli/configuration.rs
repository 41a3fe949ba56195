//! The flags of the configuration, made from the descriptions of its fields.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, error::Error};

use super::CommandError;
use crate::config::{Cardinality, Config, Field, LoadedConfig, Sources};

/// The configuration: a file, and flags for each of its fields.
#[derive(Debug, Args)]
pub(super) struct Configuration {
    /// The configuration file (TOML)
    ///
    /// Every field can also be set by its environment variable, which overrides the file, and by its flag,
    /// which overrides both. `serve --print-config` prints a file with all fields.
    #[arg(long, env = "SECRET_SERVICE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// The values of the given flags, by the path of their field.
#[derive(Debug)]
struct Flags(BTreeMap<&'static str, Vec<String>>);

// === impl Configuration ===

impl Configuration {
    /// Reads the configuration. Reports all errors at once.
    pub fn load(self) -> Result<LoadedConfig, CommandError> {
        let sources = Sources::gather(self.config, self.flags.0);
        let loaded = sources
            .map_err(|mistake| vec![mistake])
            .and_then(|sources| LoadedConfig::from(&sources).map_err(|mistakes| mistakes.0));
        loaded.map_err(|mistakes| CommandError::invalid_config(&mistakes))
    }
}

// === impl Flags ===

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let mut command = command;
        for section in Config::SECTIONS {
            command = command.next_help_heading(format!("{} [{}]", section.help(), section.name));
            command = command.args(section.fields.iter().filter_map(argument));
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut flags = Self(BTreeMap::new());
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        for field in Config::SECTIONS.iter().flat_map(|section| section.fields) {
            if let Ok(Some(values)) = matches.try_get_many::<String>(field.path) {
                self.0.insert(field.path, values.cloned().collect());
            }
        }
        Ok(())
    }
}

/// The flag of a field; secrets have none. clap does not validate the value: the configuration does, so that
/// no error hides another.
fn argument(field: &'static Field) -> Option<Arg> {
    let default = field.default.map(|default| format!(" [default: {default}]")).unwrap_or_default();
    let notes = format!("[env: {}]{default}", field.variable());
    let (help, accepts) = (field.help(), field.accepts());
    let flag = Arg::new(field.path)
        .long(field.flag()?)
        .value_name(field.value_type.name)
        .help(format!("{} {notes}", help.trim_end_matches('.')))
        .long_help(format!("{help}\n\nAccepted: {accepts}.\n{notes}"));
    Some(match (field.cardinality, field.value_type.name) {
        (Cardinality::List, _) => flag.action(ArgAction::Append),
        (_, "BOOLEAN") => flag.num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ => flag,
    })
}
