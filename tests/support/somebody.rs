//! Somebody else who works on the vault, by Azure's SDK: the portal, a script, a colleague.

use std::path::Path;

use azure_core::{http::RetryOptions, time::OffsetDateTime};
use azure_security_keyvault_secrets::{
    SecretClient,
    models::{SecretAttributes, SetSecretParameters, UpdateSecretPropertiesParameters},
};
use key_vault_double::KeyVault;

use super::vault_client;

pub struct Somebody(SecretClient);

impl Somebody {
    pub fn at(vault: &KeyVault, ca: &Path) -> Self {
        Self(vault_client::client(vault, ca, RetryOptions::default()))
    }

    /// Sets a value: a new secret, or a new version.
    pub async fn sets(&self, name: &str, value: &str) {
        let parameters = SetSecretParameters { value: Some(value.to_owned()), ..Default::default() };
        self.0.set_secret(name, parameters.try_into().unwrap(), None).await.unwrap();
    }

    /// Sets a value that is valid from a time on.
    pub async fn sets_from(&self, name: &str, value: &str, at: jiff::Timestamp) {
        let not_before = OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap();
        let parameters = SetSecretParameters {
            value: Some(value.to_owned()),
            secret_attributes: Some(SecretAttributes { not_before: Some(not_before), ..Default::default() }),
            ..Default::default()
        };
        self.0.set_secret(name, parameters.try_into().unwrap(), None).await.unwrap();
    }

    pub async fn deletes(&self, name: &str) {
        self.0.delete_secret(name, None).await.unwrap();
    }

    pub async fn recovers(&self, name: &str) {
        self.0.recover_deleted_secret(name, None).await.unwrap();
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
