//! Rows of tables: one list of the columns of a table, and the conversion of stored values, with errors that
//! name table, column and row.

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::Sqlite;

use super::StoreError;

/// The place of a stored value, for error messages.
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

/// A statement with its values.
pub(super) type Query = sqlx::query::Query<'static, Sqlite, <Sqlite as sqlx::Database>::Arguments>;

/// Declares a table by one list of its columns. Generates the struct of a row, read by column names; `SELECT`
/// and `INSERT` of all columns; and the query that binds them in that order. `updated where` adds an `UPDATE`
/// of the row with a key that meets a condition; it never writes the key.
///
/// A new column needs one line in the list, its migration, and the mapping to the model.
macro_rules! table {
    (
        $(#[$doc:meta])*
        $row:ident of $table:ident ordered by $order:literal, updated where $guard:literal { $($columns:tt)* }
    ) => {
        table! { $(#[$doc])* $row of $table ordered by $order { $($columns)* } }
        table! { @update $row of $table where $guard { $($columns)* } }
    };
    (
        $(#[$doc:meta])*
        $row:ident of $table:ident ordered by $order:literal {
            key { $first:ident: $first_type:ty, $($key:ident: $key_type:ty,)* }
            $($column:ident: $type:ty,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(sqlx::FromRow)]
        struct $row {
            $first: $first_type,
            $($key: $key_type,)*
            $($column: $type,)*
        }

        impl $row {
            const TABLE: &str = stringify!($table);
            const SELECT: &str = concat!(
                "SELECT ", stringify!($first), $(", ", stringify!($key),)* $(", ", stringify!($column),)*
                " FROM ", stringify!($table), " ORDER BY ", $order
            );
            const INSERT: &str = concat!(
                "INSERT INTO ", stringify!($table),
                " (", stringify!($first), $(", ", stringify!($key),)* $(", ", stringify!($column),)*
                ") VALUES (?", $(table!(@value $key),)* $(table!(@value $column),)* ")"
            );

            /// Binds the values of [`Self::INSERT`].
            fn bind_insert(self, query: crate::store::rows::Query) -> crate::store::rows::Query {
                query.bind(self.$first)$(.bind(self.$key))*$(.bind(self.$column))*
            }
        }
    };
    (
        @update $row:ident of $table:ident where $guard:literal {
            key { $first:ident: $first_type:ty, $($key:ident: $key_type:ty,)* }
            $head:ident: $head_type:ty,
            $($column:ident: $type:ty,)*
        }
    ) => {
        impl $row {
            const UPDATE: &str = concat!(
                "UPDATE ", stringify!($table), " SET ", stringify!($head), " = ?", $(", ", stringify!($column), " = ?",)*
                " WHERE ", stringify!($first), " = ?", $(" AND ", stringify!($key), " = ?",)* " AND ", $guard
            );

            /// Binds the values of [`Self::UPDATE`], except those of its condition.
            fn bind_update(self, query: crate::store::rows::Query) -> crate::store::rows::Query {
                query
                    .bind(self.$head)
                    $(.bind(self.$column))*
                    .bind(self.$first)
                    $(.bind(self.$key))*
            }
        }
    };
    (@value $column:ident) => { ", ?" };
}
pub(super) use table;

/// Selects the sequence up to which to prune a table to free `?1` bytes; the newest row always stays.
macro_rules! prune_boundary {
    ($table:literal) => {
        concat!(
            "SELECT max(sequence)
               FROM ", $table, "
              WHERE sequence < (SELECT max(sequence) FROM ", $table, ")
                AND sequence <= coalesce((SELECT sequence
                                            FROM (SELECT sequence, sum(bytes) OVER (ORDER BY sequence) AS so_far FROM ", $table, ")
                                           WHERE so_far >= ?1
                                           ORDER BY sequence
                                           LIMIT 1),
                                         9223372036854775807)"
        )
    };
}
pub(super) use prune_boundary;
