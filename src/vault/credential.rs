//! The credentials that the service can use for the vault.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use azure_core::{
    cloud::{CloudConfiguration, CustomConfiguration},
    credentials::{Secret, TokenCredential},
    http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport as SdkTransport},
    time::Duration,
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredential,
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;
use zeroize::Zeroizing;

use super::{
    Options, VaultError,
    assertion::CertificateAssertion,
    transport::{Proxies, Transport},
};
use crate::{fence::Fence, quote::Quote};

/// How the service authenticates to the vault.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A federated service account token (AKS, Arc). `None` fields come from `AZURE_CLIENT_ID`,
    /// `AZURE_TENANT_ID` and `AZURE_FEDERATED_TOKEN_FILE`.
    WorkloadIdentity {
        /// Application or managed identity.
        client_id: Option<String>,
        /// Its tenant.
        tenant_id: Option<String>,
        /// The projected token.
        token_file: Option<PathBuf>,
    },
    /// The managed identity of the machine: system-assigned, unless there is a client ID.
    ManagedIdentity {
        /// Client ID of a user-assigned identity.
        client_id: Option<String>,
    },
    /// An application with a secret.
    ClientSecret {
        /// Its tenant.
        tenant_id: String,
        /// Application.
        client_id: String,
        /// Its secret.
        secret: SecretString,
    },
    /// An application with its secret in a file, which is read again for each new credential.
    ClientSecretFile {
        /// Its tenant.
        tenant_id: String,
        /// Application.
        client_id: String,
        /// File with its secret.
        secret_file: PathBuf,
    },
    /// An application with a certificate and its key, in one PEM file.
    ClientCertificate {
        /// Its tenant.
        tenant_id: String,
        /// Application.
        client_id: String,
        /// Certificate and RSA key.
        pem_file: PathBuf,
    },
    /// The user who is signed in with the Azure CLI.
    AzureCli {
        /// The tenant to sign in to.
        tenant_id: Option<String>,
    },
}

/// The cloud that issues tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// The global Azure cloud.
    Public,
    /// Azure operated by 21Vianet.
    China,
    /// Azure for the US government.
    UsGovernment,
    /// Another authority host: an air-gapped cloud, or a double.
    Custom {
        /// For example `https://login.microsoftonline.com/`.
        authority_host: Url,
    },
}

// === impl Credential ===

impl Credential {
    /// Creates the SDK's credential, which shares connections with `vault`. Reads files and the environment,
    /// but does not use the network yet.
    pub(super) fn connect(
        &self,
        options: &Options,
        vault: &Transport,
    ) -> Result<Arc<dyn TokenCredential>, VaultError> {
        let credential: azure_core::Result<Arc<dyn TokenCredential>> = match self {
            Self::WorkloadIdentity { client_id, tenant_id, token_file } => {
                WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                    credential_options: assertion_options(options, vault),
                    client_id: client_id.clone(),
                    tenant_id: tenant_id.clone(),
                    token_file_path: token_file.clone(),
                }))
                .map(|credential| credential as _)
            }
            Self::ManagedIdentity { client_id } => {
                // The endpoint is on the machine itself, at a link-local address, so no proxy.
                let client_options =
                    client_options(options, Transport::new(options, Proxies::None, Fence::always())?);
                let user_assigned_id = client_id.clone().map(UserAssignedId::ClientId);
                let identity = ManagedIdentityCredentialOptions { user_assigned_id, client_options };
                ManagedIdentityCredential::new(Some(identity)).map(|credential| credential as _)
            }
            Self::ClientSecretFile { tenant_id, client_id, secret_file } => {
                let (tenant_id, client_id) = (tenant_id.clone(), client_id.clone());
                let read = Self::ClientSecret { tenant_id, client_id, secret: read_secret(secret_file)? };
                return read.connect(options, vault);
            }
            Self::ClientSecret { tenant_id, client_id, secret } => {
                let client_options = client_options(options, vault.share_connections());
                let secret = Secret::new(secret.expose_secret().to_owned());
                let options = ClientSecretCredentialOptions { client_options };
                ClientSecretCredential::new(tenant_id, client_id.clone(), secret, Some(options))
                    .map(|credential| credential as _)
            }
            Self::ClientCertificate { tenant_id, client_id, pem_file } => {
                let assertion = CertificateAssertion {
                    pem_file: pem_file.clone(),
                    client_id: client_id.clone(),
                    token_endpoint: options.cloud.token_endpoint(tenant_id)?,
                };
                assertion.check().map_err(unusable)?;
                let (tenant, client) = (tenant_id.clone(), client_id.clone());
                ClientAssertionCredential::new(
                    tenant,
                    client,
                    assertion,
                    Some(assertion_options(options, vault)),
                )
                .map(|credential| credential as _)
            }
            Self::AzureCli { tenant_id } => {
                let tenant_id = tenant_id.clone();
                AzureCliCredential::new(Some(AzureCliCredentialOptions { tenant_id, ..Default::default() }))
                    .map(|credential| credential as _)
            }
        };
        credential.map_err(unusable)
    }

    /// The tenant in the configuration.
    pub(super) fn tenant_id(&self) -> Option<&str> {
        match self {
            Self::WorkloadIdentity { tenant_id, .. } | Self::AzureCli { tenant_id } => tenant_id.as_deref(),
            Self::ClientSecret { tenant_id, .. }
            | Self::ClientSecretFile { tenant_id, .. }
            | Self::ClientCertificate { tenant_id, .. } => Some(tenant_id),
            Self::ManagedIdentity { .. } => None,
        }
    }

    /// The file to renew if the credential is no longer accepted.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::ClientSecretFile { secret_file: file, .. }
            | Self::ClientCertificate { pem_file: file, .. } => Some(file),
            Self::WorkloadIdentity { token_file, .. } => token_file.as_deref(),
            Self::ClientSecret { .. } | Self::ManagedIdentity { .. } | Self::AzureCli { .. } => None,
        }
    }

    /// The tenant in the environment, for kinds that use it.
    pub(super) fn tenant_id_of_environment(&self) -> Option<String> {
        matches!(self, Self::WorkloadIdentity { .. }).then(|| std::env::var("AZURE_TENANT_ID").ok()).flatten()
    }
}

fn assertion_options(options: &Options, vault: &Transport) -> ClientAssertionCredentialOptions {
    ClientAssertionCredentialOptions { client_options: client_options(options, vault.share_connections()) }
}

fn client_options(options: &Options, transport: Arc<Transport>) -> ClientOptions {
    ClientOptions {
        transport: Some(SdkTransport::new(transport)),
        // A token request is idempotent, so a lost one is retried, and soon, because a call waits for it.
        // Managed identity overrides this with what its endpoint requires.
        retry: RetryOptions::exponential(ExponentialRetryOptions {
            initial_delay: Duration::milliseconds(50),
            max_delay: Duration::seconds(2),
            max_retries: 1,
            ..Default::default()
        }),
        cloud: Some(Arc::new(options.cloud.configuration())),
        ..Default::default()
    }
}

/// The SDK's errors about an unusable credential name files, variables and IDs, but no secrets.
fn unusable(error: impl std::error::Error + 'static) -> VaultError {
    VaultError::Configuration(format!("the credential: {}", Quote::error(&error)).into())
}

/// Reads a secret from a file, without the line break that editors add.
fn read_secret(file: &Path) -> Result<SecretString, VaultError> {
    let wrong = |why: Quote| {
        VaultError::Configuration(format!("the file with the client secret {}: {why}", file.display()).into())
    };
    let bytes = Zeroizing::new(std::fs::read(file).map_err(|error| wrong(Quote::error(&error)))?);
    let text = std::str::from_utf8(&bytes).ok().map(|text| text.trim_end_matches(['\r', '\n']));
    let text = text.filter(|text| !text.is_empty()).ok_or_else(|| wrong("it is empty or not text".into()))?;
    Ok(text.to_owned().into())
}

// === impl Cloud ===

impl Cloud {
    fn configuration(&self) -> CloudConfiguration {
        match self {
            Self::Public => CloudConfiguration::AzurePublic,
            Self::China => CloudConfiguration::AzureChina,
            Self::UsGovernment => CloudConfiguration::AzureGovernment,
            Self::Custom { authority_host } => {
                let mut custom = CustomConfiguration::default();
                custom.authority_host = authority_host.to_string();
                custom.into()
            }
        }
    }

    /// The endpoint that the SDK requests a tenant's tokens from.
    fn token_endpoint(&self, tenant_id: &str) -> Result<Url, VaultError> {
        let authority = match self {
            Self::Public => "https://login.microsoftonline.com",
            Self::China => "https://login.chinacloudapi.cn",
            Self::UsGovernment => "https://login.microsoftonline.us",
            Self::Custom { authority_host } => authority_host.as_str(),
        };
        let endpoint = Url::parse(authority)
            .and_then(|authority| authority.join(&format!("/{tenant_id}/oauth2/v2.0/token")));
        endpoint.map_err(unusable)
    }
}
