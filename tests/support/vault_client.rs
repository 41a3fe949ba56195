//! Azure's SDK as others use it on the vault of a test.

use std::{path::Path, sync::Arc};

use azure_core::{
    cloud::CustomConfiguration,
    credentials::Secret,
    http::{ClientOptions, RetryOptions, Transport},
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use key_vault_double::KeyVault;
use secrecy::ExposeSecret;

/// A client of a vault, with the vault's own credential.
pub fn client(vault: &KeyVault, ca: &Path, retry: RetryOptions) -> SecretClient {
    let pem = std::fs::read(ca).expect("the certificate of the authority");
    let ca = reqwest::Certificate::from_pem(&pem).expect("a certificate");
    let client = reqwest::Client::builder().tls_certs_merge([ca]).build().expect("a client");
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = vault.authority_host().to_string();
    let client_options = ClientOptions {
        transport: Some(Transport::new(Arc::new(client))),
        cloud: Some(Arc::new(cloud.into())),
        retry,
        ..ClientOptions::default()
    };
    let application = vault.credential();
    let credential = ClientSecretCredential::new(
        &application.tenant_id,
        application.client_id.clone(),
        Secret::new(application.secret.expose_secret().to_owned()),
        Some(ClientSecretCredentialOptions { client_options: client_options.clone() }),
    );
    let options = SecretClientOptions {
        client_options,
        verify_challenge_resource: Some(false),
        ..SecretClientOptions::default()
    };
    let credential = credential.expect("a credential");
    SecretClient::new(vault.uri().as_str(), credential, Some(options)).expect("a client")
}
