//! The metadata of a field, and the macro that makes metadata and types from one description.

use super::value::{Cardinality, ValueType};

/// A group of fields: a table in the TOML file.
#[derive(Debug)]
pub struct Section {
    /// Name of the table; with a dot for a table in the table of another section.
    pub name: &'static str,
    /// Heading, as written in the source: lines with a leading blank.
    pub help: &'static str,
    /// The fields, in the order of the documentation.
    pub fields: &'static [Field],
}

/// One field.
#[derive(Debug)]
pub struct Field {
    /// Name of its section.
    pub section: &'static str,
    /// Name within the section.
    pub name: &'static str,
    /// Full name: `vault.uri`.
    pub path: &'static str,
    /// Description, as written in the source: lines with a leading blank.
    help: &'static str,
    /// How cardinality values it takes.
    pub cardinality: Cardinality,
    /// Type of a value.
    pub value_type: ValueType,
    /// Value if it is not set.
    pub default: Option<&'static str>,
}

// === impl Section ===

impl Section {
    /// Heading, without a full stop.
    pub fn help(&self) -> String {
        join_lines(self.help)
    }

    /// Looks up a field by its name within the section.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The names of its fields, comma separated.
    pub fn names(&self) -> String {
        self.fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", ")
    }
}

// === impl Field ===

impl Field {
    /// Description, as one paragraph.
    pub fn help(&self) -> String {
        join_lines(self.help)
    }

    /// Its environment variable: `SECRET_SERVICE_VAULT_URI`.
    pub fn variable(&self) -> String {
        format!("SECRET_SERVICE_{}", self.path.replace('.', "_").to_uppercase())
    }

    /// Its flag without the leading dashes: `vault-uri`. Secrets have none, because other users can see a
    /// process's arguments.
    pub fn flag(&self) -> Option<String> {
        (!self.value_type.is_secret).then(|| self.path.replace(['.', '_'], "-"))
    }

    /// The accepted values.
    pub fn accepts(&self) -> String {
        match self.cardinality {
            Cardinality::List => format!("a list, each {}", self.value_type.accepts),
            Cardinality::One | Cardinality::Optional => self.value_type.accepts.to_owned(),
        }
    }

    /// Whether it has to be set.
    pub fn is_required(&self) -> bool {
        self.cardinality == Cardinality::One && self.default.is_none()
    }

    /// How to set it, for error messages.
    pub(super) fn how_to_set(&self) -> String {
        match self.flag() {
            Some(flag) => format!("set it in the file, with {} or with --{flag}", self.variable()),
            None => format!("set {}", self.variable()),
        }
    }

    pub(super) const fn new(
        names: (&'static str, &'static str, &'static str),
        help: &'static str,
        value: (Cardinality, ValueType),
        default: Option<&'static str>,
    ) -> Self {
        let ((section, name, path), (cardinality, value_type)) = (names, value);
        Self { section, name, path, help, cardinality, value_type, default }
    }
}

/// Joins the lines of a doc comment.
fn join_lines(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Makes the types of the configuration, the metadata of their fields, and the code that reads and prints
/// them.
macro_rules! configuration {
    ($(
        $(#[doc = $about:literal])+
        $section:ident: $type:ident {$(
            $(#[doc = $help:literal])+
            $field:ident: $value:ty $(= $default:literal)?,
        )+}
    )+) => {
        /// The whole configuration.
        #[derive(Clone, Debug)]
        pub struct Config {$(
            $(#[doc = $about])+
            pub $section: $type,
        )+}

        $(
            $(#[doc = $about])+
            #[derive(Clone, Debug)]
            pub struct $type {$(
                $(#[doc = $help])+
                pub $field: $value,
            )+}
        )+

        impl Config {
            /// All sections, in the order of the documentation.
            pub const SECTIONS: &'static [$crate::config::Section] = &[$(
                $crate::config::Section {
                    name: $crate::config::fields::configuration!(@table $section),
                    help: concat!($($about, " "),+),
                    fields: $type::FIELDS,
                },
            )+];

            /// Reads all sections, so that no error hides another.
            fn read(reader: &mut $crate::config::reader::Reader<'_>) -> Option<Self> {
                $(let $section = $type::read(reader);)+
                Some(Self {$($section: $section?,)+})
            }

            /// The value of every field as TOML; `None` if it has none or must not be shown.
            fn to_toml(&self) -> Vec<Option<String>> {
                vec![$($($crate::config::value::Value::print(&self.$section.$field),)+)+]
            }
        }

        $(impl $type {
            const FIELDS: &'static [$crate::config::Field] = &[$(
                $crate::config::Field::new(
                    (
                        $crate::config::fields::configuration!(@table $section),
                        stringify!($field),
                        concat!($crate::config::fields::configuration!(@table $section), ".", stringify!($field)),
                    ),
                    concat!($($help, " "),+),
                    (
                        <$value as $crate::config::value::Value>::CARDINALITY,
                        <$value as $crate::config::value::Value>::TYPE,
                    ),
                    $crate::config::fields::configuration!(@default $($default)?),
                ),
            )+];

            fn read(reader: &mut $crate::config::reader::Reader<'_>) -> Option<Self> {
                let mut fields = Self::FIELDS.iter();
                $(let $field: Option<$value> = reader.read(fields.next()?);)+
                let section = Self {$($field: $field?,)+};
                $crate::config::validation::Validate::validate(&section, &mut reader.errors);
                Some(section)
            }
        })+
    };
    // The table of a section: its name, unless it is in the table of another one.
    (@table authentication_oidc) => { "authentication.oidc" };
    (@table authentication_oidc_console) => { "authentication.oidc.console" };
    (@table $section:ident) => { stringify!($section) };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}
pub(super) use configuration;
