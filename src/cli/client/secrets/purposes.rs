//! `secrets purposes`: what a synced secret can be for.

use clap::{
    Arg, Command, Error,
    builder::{PossibleValue, TypedValueParser},
    error::ErrorKind,
};

use super::super::{
    call::{Client, pages},
    output::Output,
    table::{cell, table},
};
use crate::{
    cli::CommandError,
    model::Purpose,
    proto::{self, ListSecretPurposesResponse, PurposeKey, SecretPurpose},
};

/// List what a synced secret can be for, with the keys that each purpose needs
#[derive(Debug, clap::Args)]
pub(super) struct Purposes {
    /// Maximum number of results. If unset, all
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

/// Any text, because the service may know more purposes than this program. Shells offer those that it knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct PurposeParser;

impl Purposes {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let page = async |page_size, page_token| {
            let request = proto::ListSecretPurposesRequest { page_size, page_token };
            let page = client
                .call(request, async |mut stub, request| stub.list_secret_purposes(request).await)
                .await?;
            Ok((page.purposes, page.next_page_token))
        };
        let purposes = pages(self.limit, page).await?;
        let answer = ListSecretPurposesResponse { purposes, ..Default::default() };
        output.print(&answer, |answer| purposes_table(&answer.purposes))
    }
}

impl TypedValueParser for PurposeParser {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, Error> {
        let text = value.to_str().filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| Error::new(ErrorKind::InvalidUtf8).with_cmd(command))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let value = |purpose: &Purpose| PossibleValue::new(purpose.id).help(purpose.title);
        Some(Box::new(Purpose::all().iter().map(value)))
    }
}

/// One row per purpose.
fn purposes_table(purposes: &[SecretPurpose]) -> String {
    let row = |purpose: &SecretPurpose| {
        let keys: Vec<String> = purpose.keys.iter().map(key).collect();
        let keys = if purpose.any_keys { "any".to_owned() } else { keys.join(", ") };
        let secret_type = purpose.secret_types.first().map(String::as_str).unwrap_or_default();
        [&purpose.id, &purpose.title, &keys, secret_type].map(cell)
    };
    table(["PURPOSE", "TITLE", "KEYS", "TYPE"], purposes.iter().map(row))
}

fn key(key: &PurposeKey) -> String {
    match (key.required, key.free_name) {
        (true, false) => key.key.clone(),
        (false, false) => format!("{} (optional)", key.key),
        (true, true) => format!("{} (any name)", key.key),
        (false, true) => format!("{} (any name, optional)", key.key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_say_whether_they_may_be_left_out_and_named_freely() {
        let key = |name: &str, required, free_name| PurposeKey {
            key: name.to_owned(),
            required,
            free_name,
            ..Default::default()
        };
        let keys = vec![key("a", true, false), key("b", false, false), key("c", true, true)];
        let secret_types = vec!["Opaque".to_owned()];
        let some = SecretPurpose { id: "p".to_owned(), keys, secret_types, ..Default::default() };
        let any = SecretPurpose { id: "q".to_owned(), any_keys: true, ..Default::default() };
        let table = purposes_table(&[some, any]);
        assert!(table.contains("a, b (optional), c (any name)") && table.contains("any"), "{table}");
    }
}
