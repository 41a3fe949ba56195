//! The extension's access to the vault: configured, or read from the class that the instance was set up with.

use std::{sync::Arc, time::Duration};

use kube::ResourceExt;

use super::{ExtensionIdentity, PROVIDER, SecretProviderClass};
use crate::edge::EdgeError;

/// The names of the classes that `az iot ops secretsync enable` makes: this, and seven hex digits.
const DEFAULT_CLASS: &str = "spc-ops-";

/// The engine's settings.
#[derive(Clone, Debug)]
pub struct Options {
    /// The service account that the extension uses for the vault.
    pub service_account: String,
    /// The identity that is federated with it; that of the instance's default class where absent.
    pub client_id: Option<String>,
    /// Its tenant; if absent, that of the instance's default class.
    pub tenant_id: Option<String>,
    /// The vault's name: the first label of its host.
    pub vault_name: String,
    /// The provider's name of the cloud; if absent, the public cloud.
    pub cloud: Option<&'static str>,
    /// How long the extension may take to answer a change before that is reported as a problem.
    pub patience: Duration,
}

/// What `az iot ops secretsync enable` sets up.
impl Default for Options {
    fn default() -> Self {
        Self {
            service_account: "aio-ssc-sa".to_owned(),
            client_id: None,
            tenant_id: None,
            vault_name: String::new(),
            cloud: None,
            patience: Duration::from_secs(30),
        }
    }
}

impl Options {
    /// The identity that the extension uses for the vault. `classes` are those of the namespace.
    pub fn identity(&self, classes: &[Arc<SecretProviderClass>]) -> Result<ExtensionIdentity, EdgeError> {
        let default =
            classes.iter().filter(|class| self.is_default(class)).min_by_key(|class| class.name_any());
        let from_class = |parameter: &str| default?.spec.parameters.get(parameter).cloned();
        let missing = |setting: &'static str| EdgeError::SettingMissing { setting };
        Ok(ExtensionIdentity {
            service_account: self.service_account.clone(),
            client_id: self
                .client_id
                .clone()
                .or_else(|| from_class("clientID"))
                .ok_or_else(|| missing("secret_store.client_id"))?,
            tenant_id: self
                .tenant_id
                .clone()
                .or_else(|| from_class("tenantID"))
                .ok_or_else(|| missing("secret_store.tenant_id"))?,
            vault_name: self.vault_name.clone(),
            cloud: self.cloud,
        })
    }

    fn is_default(&self, class: &SecretProviderClass) -> bool {
        let vault = class.spec.parameters.get("keyvaultName");
        class.name_any().starts_with(DEFAULT_CLASS)
            && class.spec.provider == PROVIDER
            && vault.is_some_and(|name| name.eq_ignore_ascii_case(&self.vault_name))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::resources::SecretProviderClassSpec, *};

    fn options() -> Options {
        Options { vault_name: "contoso-aio".to_owned(), ..Options::default() }
    }

    fn class(name: &str, vault: &str, client: &str) -> Arc<SecretProviderClass> {
        let parameters = [("keyvaultName", vault), ("clientID", client), ("tenantID", "tenant")];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let spec = SecretProviderClassSpec { provider: "azure".to_owned(), parameters };
        Arc::new(SecretProviderClass::new(name, spec))
    }

    #[test]
    fn the_vault_identity_is_configured_or_read_from_the_default_class() {
        let classes = [
            class("spc-ops-0000000", "another", "wrong"),
            class("opc-ua-connector", "contoso-aio", "wrong"),
            class("spc-ops-1a2b3c4", "Contoso-AIO", "right"),
        ];
        let access = options().identity(&classes).unwrap();
        assert_eq!((access.client_id.as_str(), access.tenant_id.as_str()), ("right", "tenant"));
        let configured = Options { client_id: Some("own".to_owned()), ..options() };
        assert_eq!(configured.identity(&classes).unwrap().client_id, "own");
    }

    #[test]
    fn a_missing_value_is_reported_with_the_setting_to_set() {
        let missing = options().identity(&[]).unwrap_err();
        assert!(missing.to_string().contains("secret_store.client_id"), "{missing}");
        let half = Options { client_id: Some("own".to_owned()), ..options() }.identity(&[]).unwrap_err();
        assert!(half.to_string().contains("secret_store.tenant_id"), "{half}");
    }
}
