//! What the provider knows of the clouds: those that a class can name, and those that a file describes.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The endpoints of a cloud, as far as secrets need them. The names are those of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Cloud {
    /// The authority.
    pub active_directory_endpoint: String,
    /// What follows the name of a vault and a dot.
    #[serde(rename = "keyVaultDNSSuffix")]
    pub vault_suffix: String,
}

// === impl Cloud ===

impl Cloud {
    /// The cloud of a class: `cloudName`, or else the public one. `AzureStackCloud` is described by the file `cloudEnvFileName`.
    pub fn of(parameters: &BTreeMap<String, String>) -> Result<Self, String> {
        let parameter = |name: &str| parameters.get(name).map(|value| value.trim()).unwrap_or_default();
        let name = parameter("cloudName");
        let found = match name.to_ascii_uppercase().as_str() {
            "" | "AZUREPUBLICCLOUD" => Ok(Self::public()),
            "AZUREUSGOVERNMENTCLOUD" => {
                Ok(Self::new("https://login.microsoftonline.us/", "vault.usgovcloudapi.net"))
            }
            "AZURECHINACLOUD" => Ok(Self::new("https://login.chinacloudapi.cn/", "vault.azure.cn")),
            "AZURESTACKCLOUD" => Self::described_in(parameter("cloudEnvFileName")),
            _ => Err(format!("autorest/azure: There is no cloud environment matching the name {name:?}")),
        };
        found.map_err(|why| format!("cloudName {name} is not valid, error: {why}"))
    }

    pub fn public() -> Self {
        Self::new("https://login.microsoftonline.com/", "vault.azure.net")
    }

    fn new(authority: &str, vault_suffix: &str) -> Self {
        Self { active_directory_endpoint: authority.to_owned(), vault_suffix: vault_suffix.to_owned() }
    }

    fn described_in(file: &str) -> Result<Self, String> {
        let text = std::fs::read(file).map_err(|error| format!("open {file}: {error}"))?;
        serde_json::from_slice(&text).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parameters: &[(&str, &str)]) -> Result<Cloud, String> {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Cloud::of(&parameters.collect())
    }

    #[test]
    fn a_cloud_is_found_by_its_name_or_in_the_file_that_describes_it() {
        assert_eq!(of(&[]).unwrap(), Cloud::public());
        let government = of(&[("cloudName", " azureUSGovernmentCloud ")]).unwrap();
        assert_eq!(government.vault_suffix, "vault.usgovcloudapi.net");

        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("cloud.json");
        let named = [("cloudName", "AzureStackCloud"), ("cloudEnvFileName", file.to_str().unwrap())];
        assert!(of(&named).unwrap_err().starts_with("cloudName AzureStackCloud is not valid, error: open "));
        let text = r#"{"name": "AzureStackCloud", "activeDirectoryEndpoint": "https://login.azurestack.example/",
            "keyVaultEndpoint": "https://vault.azurestack.example/", "keyVaultDNSSuffix": "vault.azurestack.example"}"#;
        std::fs::write(&file, text).unwrap();
        let custom = Cloud::new("https://login.azurestack.example/", "vault.azurestack.example");
        assert_eq!(of(&named).unwrap(), custom);

        let unknown = of(&[("cloudName", "AzureGermanyCloud")]).unwrap_err();
        assert!(
            unknown.contains("no cloud environment matching the name \"AzureGermanyCloud\""),
            "{unknown}"
        );
    }
}
