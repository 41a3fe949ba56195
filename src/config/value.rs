//! The values of a field: one, optional, or a list. How they are parsed and printed.

/// An unparsed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// One value.
    One(String),
    /// A list of values.
    List(Vec<String>),
}

/// The type of a field: a scalar, an optional one, or a list of them.
pub(super) trait Value: Sized {
    /// How cardinality scalars it holds.
    const CARDINALITY: Cardinality;
    /// The type of one scalar.
    const TYPE: ValueType;

    /// Parses it. The error says what is wrong; the caller adds what is accepted.
    fn read(raw: &Raw) -> Result<Self, String>;
    /// The value of an unset field without a default; `None` if the field is required.
    fn unset() -> Option<Self>;
    /// As TOML; `None` if there is no value or it must not be shown.
    fn print(&self) -> Option<String>;
}

/// How cardinality values a field takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// Exactly one.
    One,
    /// One or none.
    Optional,
    /// Any number.
    List,
}

/// The type of a value, as help and error messages describe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueType {
    /// Placeholder in `--help`.
    pub name: &'static str,
    /// The accepted values.
    pub accepts: &'static str,
    /// Whether it is set by its environment variable only and never shown.
    pub is_secret: bool,
}

/// One value. Parsing validates it, so every instance is valid.
pub(super) trait Scalar: Sized {
    /// Its type, for help and errors.
    const TYPE: ValueType;

    /// Parses it. The error says what is wrong; the caller adds what is accepted.
    fn parse(text: &str) -> Result<Self, String>;
    /// As TOML; `None` if it must not be shown.
    fn print(&self) -> Option<toml::Value>;
}

// === impl Value ===

impl<T: Scalar> Value for T {
    const CARDINALITY: Cardinality = Cardinality::One;
    const TYPE: ValueType = <T as Scalar>::TYPE;

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::One(text) => T::parse(text),
            Raw::List(_) => Err("is a list".to_owned()),
        }
    }

    fn unset() -> Option<Self> {
        None
    }

    fn print(&self) -> Option<String> {
        Scalar::print(self).map(|value| value.to_string())
    }
}

impl<T: Scalar> Value for Option<T> {
    const CARDINALITY: Cardinality = Cardinality::Optional;
    const TYPE: ValueType = <T as Scalar>::TYPE;

    fn read(raw: &Raw) -> Result<Self, String> {
        <T as Value>::read(raw).map(Some)
    }

    fn unset() -> Option<Self> {
        Some(None)
    }

    fn print(&self) -> Option<String> {
        self.as_ref().and_then(Value::print)
    }
}

impl<T: Scalar> Value for Vec<T> {
    const CARDINALITY: Cardinality = Cardinality::List;
    const TYPE: ValueType = <T as Scalar>::TYPE;

    /// Flags and variables write a list with commas.
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

    fn unset() -> Option<Self> {
        Some(Vec::new())
    }

    fn print(&self) -> Option<String> {
        let values = self.iter().filter_map(Scalar::print).collect();
        Some(toml::Value::Array(values).to_string())
    }
}

// === impl ValueType ===

impl ValueType {
    pub(super) const fn new(name: &'static str, accepts: &'static str) -> Self {
        Self { name, accepts, is_secret: false }
    }
}

/// The error for a text that is not a `what`.
pub(super) fn is_not(text: &str, what: &str) -> String {
    format!("{text:?} is not {what}")
}
