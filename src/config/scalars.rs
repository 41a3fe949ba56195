//! Values of types from the standard library and from crates.

use std::{
    net::SocketAddr,
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use secrecy::SecretString;

use super::value::{Scalar, ValueType, is_not};
use crate::quote::Quote;

impl Scalar for String {
    const TYPE: ValueType = ValueType::new("TEXT", "text that is not empty");

    fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.as_str().into())
    }
}

impl Scalar for SecretString {
    const TYPE: ValueType = ValueType {
        name: "SECRET",
        accepts: "a secret that is not empty; environment variable only",
        is_secret: true,
    };

    fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned().into()) }
    }

    fn print(&self) -> Option<toml::Value> {
        None
    }
}

impl Scalar for PathBuf {
    const TYPE: ValueType = ValueType::new("PATH", "a path");

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text.into()) }
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.display().to_string().into())
    }
}

impl Scalar for bool {
    const TYPE: ValueType = ValueType::new("BOOLEAN", "true or false");

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| is_not(text, "a boolean"))
    }

    fn print(&self) -> Option<toml::Value> {
        Some((*self).into())
    }
}

impl Scalar for Duration {
    const TYPE: ValueType = ValueType::new(
        "DURATION",
        "a duration above zero with its unit, for example \"500ms\", \"30s\" or \"5m\"",
    );

    fn parse(text: &str) -> Result<Self, String> {
        match humantime::parse_duration(text) {
            Ok(Self::ZERO) => Err(format!("{text:?} is not above zero")),
            Ok(duration) => Ok(duration),
            Err(error) => Err(format!("{text:?} is not a duration ({})", Quote::error(&error))),
        }
    }

    fn print(&self) -> Option<toml::Value> {
        Some(humantime::format_duration(*self).to_string().into())
    }
}

impl Scalar for SocketAddr {
    const TYPE: ValueType = ValueType::new(
        "ADDRESS:PORT",
        "an IP address and a port, for example \"127.0.0.1:50051\" or \"[::1]:50051\"",
    );

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| is_not(text, "an IP address and a port"))
    }

    fn print(&self) -> Option<toml::Value> {
        Some(self.to_string().into())
    }
}

macro_rules! positive_integers {
    ($($type:ty)+) => {$(
        impl Scalar for $type {
            const TYPE: ValueType = ValueType::new("NUMBER", "a whole number of at least 1");

            fn parse(text: &str) -> Result<Self, String> {
                // TOML allows 1_000.
                text.replace('_', "").parse().map_err(|_| is_not(text, "a whole number of at least 1"))
            }

            fn print(&self) -> Option<toml::Value> {
                i64::try_from(self.get()).ok().map(Into::into)
            }
        }
    )+};
}
positive_integers!(NonZeroU32 NonZeroUsize);
