//! What is known of a field besides its value, and the macro that makes fields and types from one description.

use super::value::{Kind, Many};

/// A group of fields: a table of the file.
#[derive(Debug)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub help: &'static str,
    /// Its fields.
    pub fields: &'static [Field],
}

/// One field.
#[derive(Debug)]
pub struct Field {
    /// Its section.
    pub section: &'static str,
    /// Its name in the section.
    pub name: &'static str,
    /// Both: `vault.uri`.
    pub path: &'static str,
    /// What it means, as it was written: lines with a leading blank.
    help: &'static str,
    /// How many values it has.
    pub many: Many,
    /// What a value is.
    pub kind: Kind,
    /// What it is where nobody sets it.
    pub default: Option<&'static str>,
}

// === impl Section ===

impl Section {
    /// What it is about.
    pub fn help(&self) -> String {
        unwrapped(self.help)
    }

    /// Its field of a name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The names of its fields, for people.
    pub fn names(&self) -> String {
        self.fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", ")
    }
}

// === impl Field ===

impl Field {
    /// What it means, in one paragraph.
    pub fn help(&self) -> String {
        unwrapped(self.help)
    }

    /// Its environment variable: `SECRET_SERVICE_VAULT_URI`.
    pub fn variable(&self) -> String {
        format!("SECRET_SERVICE_{}_{}", self.section.to_uppercase(), self.name.to_uppercase())
    }

    /// Its flag without dashes in front: `vault-uri`; none where the value must not be seen in a list of processes.
    pub fn flag(&self) -> Option<String> {
        (!self.kind.is_secret).then(|| format!("{}-{}", self.section, self.name).replace('_', "-"))
    }

    /// What is accepted.
    pub fn accepts(&self) -> String {
        match self.many {
            Many::List => format!("a list, each {}", self.kind.accepts),
            Many::One | Many::Optional => self.kind.accepts.to_owned(),
        }
    }

    /// Whether it must be set by somebody.
    pub fn is_required(&self) -> bool {
        self.many == Many::One && self.default.is_none()
    }

    pub(super) const fn new(
        names: (&'static str, &'static str, &'static str),
        help: &'static str,
        value: (Many, Kind),
        default: Option<&'static str>,
    ) -> Self {
        let ((section, name, path), (many, kind)) = (names, value);
        Self { section, name, path, help, many, kind, default }
    }
}

/// Doc comments without the breaks of their lines.
fn unwrapped(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Makes the types of the configuration, what is known of their fields, and how they are read and printed.
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
                    name: stringify!($section),
                    help: concat!($($about, " "),+),
                    fields: $type::FIELDS,
                },
            )+];

            /// Reads all sections, so that no mistake hides another.
            fn read(reader: &mut $crate::config::reader::Reader<'_>) -> Option<Self> {
                $(let $section = $type::read(reader);)+
                Some(Self {$($section: $section?,)+})
            }

            /// Every field as TOML writes its value, where it has one to be seen.
            fn printed(&self) -> Vec<Option<String>> {
                vec![$($($crate::config::value::Value::print(&self.$section.$field),)+)+]
            }
        }

        $(impl $type {
            const FIELDS: &'static [$crate::config::Field] = &[$(
                $crate::config::Field::new(
                    (stringify!($section), stringify!($field), concat!(stringify!($section), ".", stringify!($field))),
                    concat!($($help, " "),+),
                    (
                        <$value as $crate::config::value::Value>::MANY,
                        <$value as $crate::config::value::Value>::KIND,
                    ),
                    $crate::config::fields::configuration!(@default $($default)?),
                ),
            )+];

            fn read(reader: &mut $crate::config::reader::Reader<'_>) -> Option<Self> {
                let mut fields = Self::FIELDS.iter();
                $(let $field: Option<$value> = reader.read(fields.next()?);)+
                let section = Self {$($field: $field?,)+};
                $crate::config::rules::Rules::check(&section, reader);
                Some(section)
            }
        })+
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}
pub(super) use configuration;
