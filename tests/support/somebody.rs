//! Somebody else who works on the vault, by Azure's SDK: the portal, a script, a colleague.

use std::{path::Path, sync::Arc};

use azure_core::{
    cloud::CustomConfiguration,
    credentials::Secret,
    http::{ClientOptions, Transport},
    time::OffsetDateTime,
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
        let pem = std::fs::read(ca).unwrap();
        let ca = reqwest::Certificate::from_pem(&pem).unwrap();
        let transport =
            Transport::new(Arc::new(reqwest::Client::builder().tls_certs_merge([ca]).build().unwrap()));
        let mut cloud = CustomConfiguration::default();
        cloud.authority_host = vault.authority_host().to_string();
        let options = ClientOptions {
            transport: Some(transport),
            cloud: Some(Arc::new(cloud.into())),
            ..ClientOptions::default()
        };
        let credential = vault.credential();
        let credential = ClientSecretCredential::new(
            &credential.tenant_id,
            credential.client_id.clone(),
            Secret::new(credential.secret.expose_secret().to_owned()),
            Some(ClientSecretCredentialOptions { client_options: options.clone() }),
        );
        let options = SecretClientOptions {
            client_options: options,
            verify_challenge_resource: Some(false),
            ..SecretClientOptions::default()
        };
        Self(SecretClient::new(vault.uri().as_str(), credential.unwrap(), Some(options)).unwrap())
    }

    /// Sets a value: a new secret, or a new version.
    pub async fn sets(&self, name: &str, value: &str) {
        let parameters = SetSecretParameters { value: Some(value.to_owned()), ..Default::default() };
        self.0.set_secret(name, parameters.try_into().unwrap(), None).await.unwrap();
    }

    pub async fn deletes(&self, name: &str) {
        self.0.delete_secret(name, None).await.unwrap();
    }

    pub async fn enables(&self, name: &str, enabled: bool) {
        self.updates(name, SecretAttributes { enabled: Some(enabled), ..Default::default() }).await;
    }

    pub async fn expires(&self, name: &str, at: jiff::Timestamp) {
        let at = OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap();
        self.updates(name, SecretAttributes { expires: Some(at), ..Default::default() }).await;
    }

    /// The latest value.
    pub async fn reads(&self, name: &str) -> String {
        let secret = self.0.get_secret(name, None).await.unwrap().into_model().unwrap();
        secret.value.unwrap()
    }

    async fn updates(&self, name: &str, attributes: SecretAttributes) {
        let parameters =
            UpdateSecretPropertiesParameters { secret_attributes: Some(attributes), ..Default::default() };
        self.0.update_secret_properties(name, parameters.try_into().unwrap(), None).await.unwrap();
    }
}
