//! Output formats: tables for people, the API's JSON or YAML for programs, or names only.

use std::{
    io::{self, Write},
    sync::LazyLock,
};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};

use crate::{
    cli::CommandError,
    proto::{self, FILE_DESCRIPTOR_SET},
};

static CONTRACT: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).ok());

/// Output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Output {
    /// A table for people
    #[default]
    Table,
    /// The API response as JSON
    Json,
    /// The API response as YAML
    Yaml,
    /// Names only, one per line
    Name,
}

/// An answer that can be printed.
pub(super) trait Answer: Message {
    /// Full name of the protobuf message.
    const MESSAGE: &'static str;

    /// The resource names in it.
    fn names(&self) -> Vec<&str>;
}

impl Output {
    /// Prints a response; `table` formats it for people.
    pub fn print<A: Answer>(self, answer: &A, table: impl FnOnce(&A) -> String) -> Result<(), CommandError> {
        match self {
            Self::Table => say(&table(answer)),
            Self::Json => say(&json(answer, true)?),
            Self::Yaml => {
                say(serde_yaml_ng::to_string(&dynamic(answer)?).map_err(CommandError::failed)?.trim_end())
            }
            Self::Name => say(&answer.names().join("\n")),
        }
    }

    /// Prints one response of a stream.
    pub fn print_event<A: Answer>(
        self,
        answer: &A,
        line: impl FnOnce(&A) -> Option<String>,
    ) -> Result<(), CommandError> {
        match self {
            Self::Table => line(answer).map_or(Ok(()), |line| say(&line)),
            Self::Json => say(&json(answer, false)?),
            Self::Yaml => {
                let text = serde_yaml_ng::to_string(&dynamic(answer)?).map_err(CommandError::failed)?;
                say(&format!("---\n{}", text.trim_end()))
            }
            Self::Name => say(&answer.names().join("\n")),
        }
    }
}

/// Writes lines to standard output. If it was closed, as by `… | head`, the command ends without an error.
pub(super) fn say(text: &str) -> Result<(), CommandError> {
    if text.is_empty() {
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(CommandError::broken_pipe()),
        written => written.map_err(CommandError::failed),
    }
}

fn json<A: Answer>(answer: &A, pretty: bool) -> Result<String, CommandError> {
    let dynamic = dynamic(answer)?;
    let text = if pretty { serde_json::to_string_pretty(&dynamic) } else { serde_json::to_string(&dynamic) };
    text.map_err(CommandError::failed)
}

/// The response as a message with reflection.
fn dynamic<A: Answer>(answer: &A) -> Result<DynamicMessage, CommandError> {
    let message = CONTRACT.as_ref().and_then(|contract| contract.get_message_by_name(A::MESSAGE));
    let message = message.ok_or_else(|| CommandError::failed("the built-in API definition is invalid"))?;
    DynamicMessage::decode(message, answer.encode_to_vec().as_slice()).map_err(CommandError::failed)
}

macro_rules! answers {
    ($($message:ident: |$answer:ident| $names:expr;)+) => {$(
        impl Answer for proto::$message {
            const MESSAGE: &'static str = concat!("iotoperations.secrets.v1.", stringify!($message));

            fn names(&self) -> Vec<&str> {
                let $answer = self;
                $names
            }
        }
    )+};
}

answers! {
    SyncedSecret: |secret| vec![&secret.name];
    ListSyncedSecretsResponse: |list| list.synced_secrets.iter().map(|secret| secret.name.as_str()).collect();
    WatchSyncedSecretsResponse: |event| event.synced_secret.iter().map(|secret| secret.name.as_str()).collect();
    ListSecretUsagesResponse: |list| list.usages.iter().map(|usage| usage.resource.as_str()).collect();
    CheckResourceResponse: |checked| checked.resources.iter().map(|resource| resource.resource.as_str()).collect();
    ListSecretPurposesResponse: |list| list.purposes.iter().map(|purpose| purpose.id.as_str()).collect();
    Vault: |vault| vec![&vault.name];
    Caller: |caller| vec![&caller.user];
    VaultSecret: |secret| vec![&secret.name];
    VaultSecretVersion: |version| vec![&version.name];
    ListVaultSecretsResponse: |list| list.vault_secrets.iter().map(|secret| secret.name.as_str()).collect();
    ListVaultSecretVersionsResponse: |list| list.versions.iter().map(|version| version.name.as_str()).collect();
    ListAuditEventsResponse: |list| list.audit_events.iter().map(|event| event.name.as_str()).collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_names_and_words_of_the_contract() {
        let mut secret =
            proto::SyncedSecret { name: "syncedSecrets/a".to_owned(), generation: 2, ..Default::default() };
        secret.set_state(proto::synced_secret::State::Synced);
        secret.sync_time = Some(prost_types::Timestamp { seconds: 0, nanos: 0 });
        let json: serde_json::Value = serde_json::from_str(&json(&secret, true).unwrap()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "name": "syncedSecrets/a", "state": "STATE_SYNCED", "syncTime": "1970-01-01T00:00:00Z", "generation": "2",
            })
        );
    }

    #[test]
    fn yaml_says_the_same_as_json() {
        let vault =
            proto::Vault { name: "vault".to_owned(), uri: "https://a".to_owned(), ..Default::default() };
        let yaml = serde_yaml_ng::to_string(&dynamic(&vault).unwrap()).unwrap();
        let read: serde_json::Value = serde_yaml_ng::from_str(&yaml).unwrap();
        assert_eq!(read, serde_json::from_str::<serde_json::Value>(&json(&vault, false).unwrap()).unwrap());
    }
}
