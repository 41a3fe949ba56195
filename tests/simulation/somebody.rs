//! Somebody else who works on the vault, by Azure's SDK. Whether it works is nothing to them: the vault may have its faults.

use std::path::Path;

use azure_core::http::RetryOptions;
use azure_security_keyvault_secrets::{
    SecretClient,
    models::{SecretAttributes, SetSecretParameters, UpdateSecretPropertiesParameters},
};
use key_vault_double::KeyVault;

use crate::vault_client;

pub struct Somebody(SecretClient);

impl Somebody {
    pub fn at(vault: &KeyVault, ca: &Path) -> Self {
        Self(vault_client::client(vault, ca, RetryOptions::none()))
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
