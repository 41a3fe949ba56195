//! The effective configuration as a TOML file with comments, without secrets: what `--print-config` prints.

use super::{Config, Field, LoadedConfig};

/// Comments are wrapped at this column.
const WIDTH: usize = 100;

impl LoadedConfig {
    /// A configuration file with the same values, except secrets.
    pub fn print(&self) -> String {
        let mut text =
            String::from("# The effective configuration of secret-service. Use it as a --config file.\n");
        let mut values = self.config.to_toml().into_iter();
        for section in Config::SECTIONS {
            text.push('\n');
            comment(&mut text, &format!("{}.", section.help()));
            text.push_str(&format!("[{}]\n", section.name));
            for field in section.fields {
                text.push('\n');
                self.print_field(&mut text, field, values.next().flatten());
            }
        }
        text
    }

    fn print_field(&self, text: &mut String, field: &Field, value: Option<String>) {
        comment(text, &field.help());
        comment(text, &format!("Accepted: {}.", field.accepts()));
        let location = self.locations.get(field.path);
        let origin = location.map_or_else(|| "the default".to_owned(), ToString::to_string);
        let flag = field.flag().map(|flag| format!(" or --{flag}")).unwrap_or_default();
        comment(text, &format!("Also set by {}{flag}. Set by: {origin}.", field.variable()));
        let line = match value {
            Some(value) => format!("{} = {value}", field.name),
            None if location.is_some() => format!("# {} is set but not shown", field.name),
            None => format!("# {} =", field.name),
        };
        text.push_str(&line);
        text.push('\n');
    }
}

/// Appends a comment, wrapped into lines.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() > 1 && line.chars().count() + 1 + word.chars().count() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(&line);
    text.push('\n');
}
