//! Values that are one of a few words.

use std::fmt;

use super::value::{Kind, Scalar};
use crate::telemetry::Format;

/// A value that is one of a few words.
macro_rules! words {
    ($type:ty, $name:literal, $accepts:literal, $($word:literal => $value:path,)+) => {
        impl Scalar for $type {
            const KIND: Kind = Kind::new($name, $accepts);

            fn parse(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($value),)+
                    _ => Err(format!("{text:?} is none of them")),
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
    /// A federated service-account token.
    WorkloadIdentity,
    /// The machine's identity.
    ManagedIdentity,
    /// An application with a secret.
    ClientSecret,
    /// An application with a certificate.
    ClientCertificate,
    /// Whoever is signed in with the Azure CLI.
    AzureCli,
}

words! {
    CredentialKind, "KIND",
    "workload-identity, managed-identity, client-secret, client-certificate or azure-cli",
    "workload-identity" => CredentialKind::WorkloadIdentity,
    "managed-identity" => CredentialKind::ManagedIdentity,
    "client-secret" => CredentialKind::ClientSecret,
    "client-certificate" => CredentialKind::ClientCertificate,
    "azure-cli" => CredentialKind::AzureCli,
}

/// Which Azure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudName {
    /// Azure.
    Public,
    /// Azure operated by 21Vianet.
    China,
    /// Azure for the US government.
    UsGovernment,
    /// Another one, named by its authority host.
    Custom,
}

words! {
    CloudName, "CLOUD", "public, china, us-government or custom",
    "public" => CloudName::Public,
    "china" => CloudName::China,
    "us-government" => CloudName::UsGovernment,
    "custom" => CloudName::Custom,
}

/// How synced secrets reach the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// By the Secret Store extension where its custom resources are served, else directly.
    Auto,
    /// The Secret Store extension reads the values and writes the Kubernetes Secrets.
    SecretStore,
    /// The service reads the values and writes the Kubernetes Secrets.
    Direct,
}

words! {
    Engine, "ENGINE", "auto, secret-store or direct",
    "auto" => Engine::Auto,
    "secret-store" => Engine::SecretStore,
    "direct" => Engine::Direct,
}

words! {
    Format, "FORMAT", "text or json",
    "text" => Format::Text,
    "json" => Format::Json,
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Scalar::print(self).as_ref().and_then(toml::Value::as_str).unwrap_or_default())
    }
}
