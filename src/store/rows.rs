//! How a stored value becomes one of the model, or an error that names where it stands.

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use super::StoreError;

/// Where a stored value stands, for the error that names it.
pub(super) struct Row {
    pub(super) table: &'static str,
    pub(super) key: String,
}

impl Row {
    pub(super) fn corrupt(&self, column: &'static str, problem: impl ToString) -> StoreError {
        StoreError::Corrupt { table: self.table, column, row: self.key.clone(), problem: problem.to_string() }
    }

    pub(super) fn parse<T>(&self, column: &'static str, text: &str) -> Result<T, StoreError>
    where
        T: std::str::FromStr<Err: ToString>,
    {
        text.parse().map_err(|error: T::Err| self.corrupt(column, error))
    }

    pub(super) fn json<T: DeserializeOwned>(
        &self,
        column: &'static str,
        text: &str,
    ) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|error| self.corrupt(column, error))
    }

    pub(super) fn time(&self, column: &'static str, microseconds: i64) -> Result<Timestamp, StoreError> {
        Timestamp::from_microsecond(microseconds).map_err(|error| self.corrupt(column, error))
    }
}

/// Model types always have a JSON form: their maps have text for keys.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a model type has a JSON form")
}
