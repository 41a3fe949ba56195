//! What a field may hold: one value, perhaps none, or a list; and how it is read and printed.

/// A value as it was written, before anybody asks what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// One value.
    One(String),
    /// A list of values.
    List(Vec<String>),
}

/// What a field may hold: a scalar, perhaps none, or a list of them.
pub(super) trait Value: Sized {
    /// How many there may be.
    const MANY: Many;
    /// What one of them is.
    const KIND: Kind;

    /// Reads it; the error says what is wrong, not what would be right.
    fn read(raw: &Raw) -> Result<Self, String>;
    /// The value of a field that nobody set and that has no default, where there is one.
    fn absent() -> Option<Self>;
    /// As TOML writes it; nothing where there is none, or where it must not be seen.
    fn print(&self) -> Option<String>;
}

/// How many values a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Many {
    /// Just one.
    One,
    /// One or none.
    Optional,
    /// Any number.
    List,
}

/// What a value is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// A word that stands for it in help.
    pub name: &'static str,
    /// What is accepted.
    pub accepts: &'static str,
    /// Comes from the environment alone, and is never shown.
    pub is_secret: bool,
}

/// One value; one that exists is valid.
pub(super) trait Scalar: Sized {
    /// What it is.
    const KIND: Kind;

    /// Reads it; the error says what is wrong, not what would be right.
    fn parse(text: &str) -> Result<Self, String>;
    /// As TOML; nothing where it must not be seen.
    fn print(&self) -> Option<toml::Value>;
}

// === impl Value ===

impl<T: Scalar> Value for T {
    const MANY: Many = Many::One;
    const KIND: Kind = <T as Scalar>::KIND;

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::One(text) => T::parse(text),
            Raw::List(_) => Err("is a list".to_owned()),
        }
    }

    fn absent() -> Option<Self> {
        None
    }

    fn print(&self) -> Option<String> {
        Scalar::print(self).map(|value| value.to_string())
    }
}

impl<T: Scalar> Value for Option<T> {
    const MANY: Many = Many::Optional;
    const KIND: Kind = <T as Scalar>::KIND;

    fn read(raw: &Raw) -> Result<Self, String> {
        <T as Value>::read(raw).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn print(&self) -> Option<String> {
        self.as_ref().and_then(Value::print)
    }
}

impl<T: Scalar> Value for Vec<T> {
    const MANY: Many = Many::List;
    const KIND: Kind = <T as Scalar>::KIND;

    /// Outside of TOML a list is written with commas.
    fn read(raw: &Raw) -> Result<Self, String> {
        let texts: Vec<&str> = match raw {
            Raw::One(text) => text.split(',').map(str::trim).filter(|text| !text.is_empty()).collect(),
            Raw::List(texts) => texts.iter().map(String::as_str).collect(),
        };
        let (mut values, mut problems) = (Vec::with_capacity(texts.len()), Vec::new());
        for text in texts {
            match T::parse(text) {
                Ok(value) => values.push(value),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(values) } else { Err(problems.join("; ")) }
    }

    fn absent() -> Option<Self> {
        Some(Vec::new())
    }

    fn print(&self) -> Option<String> {
        let values = self.iter().filter_map(Scalar::print).collect();
        Some(toml::Value::Array(values).to_string())
    }
}

// === impl Kind ===

impl Kind {
    pub(super) const fn new(name: &'static str, accepts: &'static str) -> Self {
        Self { name, accepts, is_secret: false }
    }
}

/// The problem of a text that is not what it should be.
pub(super) fn not(text: &str, what: &str) -> String {
    format!("{text:?} is not {what}")
}
