//! Somebody else who works on the vault, by Azure's SDK. Whether it works is nothing to them: the vault may have its faults.

use std::{path::Path, sync::Arc};

use azure_core::{
    cloud::CustomConfiguration,
    credentials::Secret,
    http::{ClientOptions, RetryOptions, Transport},
};
use azure_identity::{ClientSecretCredential, ClientSecretCredentialOptions};
use azure_security_keyvault_secrets::{
    SecretClient, SecretClientOptions,
    models::{SecretAttributes, SetSecretParameters, UpdateSecretPropertiesParameters},
};
use key_vault_double::KeyVault;
use secrecy::ExposeSecret;

pub struct Somebody(SecretClient);

impl Somebody {
    pub fn at(vault: &KeyVault, ca: &Path) -> Self {
        let pem = std::fs::read(ca).expect("the certificate of the authority");
        let ca = reqwest::Certificate::from_pem(&pem).expect("a certificate");
        let client = reqwest::Client::builder().tls_certs_merge([ca]).build().expect("a client");
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = vault.authority_host().to_string();
        let options = ClientOptions {
            transport: Some(Transport::new(Arc::new(client))),
            cloud: Some(Arc::new(cloud.into())),
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        };
        let application = vault.credential();
        let credential = ClientSecretCredential::new(
            &application.tenant_id,
            application.client_id.clone(),
            Secret::new(application.secret.expose_secret().to_owned()),
            Some(ClientSecretCredentialOptions { client_options: options.clone() }),
        );
        let options = SecretClientOptions {
            client_options: options,
            verify_challenge_resource: Some(false),
            ..SecretClientOptions::default()
        };
        let credential = credential.expect("a credential");
        Self(SecretClient::new(vault.uri().as_str(), credential, Some(options)).expect("a client"))
    }

    pub async fn sets(&self, name: &str, value: &str) {
        let parameters = SetSecretParameters { value: Some(value.to_owned()), ..Default::default() };
        let _ = self.0.set_secret(name, parameters.try_into().expect("JSON"), None).await;
    }

    pub async fn deletes(&self, name: &str) {
        let _ = self.0.delete_secret(name, None).await;
    }

    pub async fn recovers(&self, name: &str) {
        let _ = self.0.recover_deleted_secret(name, None).await;
    }

    /// For good.
    #[allow(dead_code, reason = "the soak does")]
    pub async fn purges(&self, name: &str) {
        let _ = self.0.purge_deleted_secret(name, None).await;
    }

    pub async fn enables(&self, name: &str, enabled: bool) {
        let secret_attributes = Some(SecretAttributes { enabled: Some(enabled), ..Default::default() });
        let parameters = UpdateSecretPropertiesParameters { secret_attributes, ..Default::default() };
        let _ = self.0.update_secret_properties(name, parameters.try_into().expect("JSON"), None).await;
    }
}
