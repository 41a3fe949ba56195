//! Values that are one of a fixed set of words.

use std::fmt;

use super::value::{Scalar, ValueType};
use crate::{api::TokenKind, model::NotBefore, telemetry::Format};

/// Implements [`Scalar`] for an enum, with a word for each variant.
macro_rules! string_enum {
    ($type:ty, $name:literal, $accepts:literal, $($word:literal => $value:path,)+) => {
        impl Scalar for $type {
            const TYPE: ValueType = ValueType::new($name, $accepts);

            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($value),)+
                    _ => Err(format!("{text:?} is unknown")),
                }
            }

            fn print(&self) -> Option<toml::Value> {
                match self { $($value => Some($word.into()),)+ }
            }
        }
    };
}

/// How the service authenticates to the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A federated Kubernetes service account token.
    WorkloadIdentity,
    /// The managed identity of the machine.
    ManagedIdentity,
    /// An application with a client secret.
    ClientSecret,
    /// An application with a client certificate.
    ClientCertificate,
    /// The user who is signed in with the Azure CLI.
    AzureCli,
}

string_enum! {
    CredentialKind, "KIND",
    "workload-identity, managed-identity, client-secret, client-certificate or azure-cli",
    "workload-identity" => CredentialKind::WorkloadIdentity,
    "managed-identity" => CredentialKind::ManagedIdentity,
    "client-secret" => CredentialKind::ClientSecret,
    "client-certificate" => CredentialKind::ClientCertificate,
    "azure-cli" => CredentialKind::AzureCli,
}

/// An Azure cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudName {
    /// The global Azure cloud.
    Public,
    /// Azure operated by 21Vianet.
    China,
    /// Azure for the US government.
    UsGovernment,
    /// Another cloud, identified by its authority host.
    Custom,
}

string_enum! {
    CloudName, "CLOUD", "public, china, us-government or custom",
    "public" => CloudName::Public,
    "china" => CloudName::China,
    "us-government" => CloudName::UsGovernment,
    "custom" => CloudName::Custom,
}

/// Which engine writes new synced secrets to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The Secret Store extension if the cluster serves its custom resources, otherwise the direct engine.
    Auto,
    /// The Secret Store extension reads the values and writes the Kubernetes Secrets.
    SecretStore,
    /// The service reads the values and writes the Kubernetes Secrets.
    Direct,
}

string_enum! {
    Engine, "ENGINE", "auto, secret-store or direct",
    "auto" => Engine::Auto,
    "secret-store" => Engine::SecretStore,
    "direct" => Engine::Direct,
}

string_enum! {
    NotBefore, "POLICY", "hold or warn",
    "hold" => NotBefore::Hold,
    "warn" => NotBefore::Warn,
}

string_enum! {
    TokenKind, "TOKEN", "id or access",
    "id" => TokenKind::Id,
    "access" => TokenKind::Access,
}

string_enum! {
    Format, "FORMAT", "text or json",
    "text" => Format::Text,
    "json" => Format::Json,
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Scalar::print(self).as_ref().and_then(toml::Value::as_str).unwrap_or_default())
    }
}
