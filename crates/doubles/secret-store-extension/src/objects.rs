//! The parameters of a class of Azure's provider: the vault, and the objects to fetch from it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::cloud::Cloud;

/// The parameters of a class that the double uses.
#[derive(Debug)]
pub(super) struct Parameters {
    /// Whose vault it is.
    pub cloud: Cloud,
    /// In lower case.
    pub vault_name: String,
    pub objects: Vec<VaultObject>,
}

/// An object of the vault, to be fetched as a file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct VaultObject {
    pub object_name: String,
    #[serde(default)]
    pub object_type: ObjectType,
    #[serde(default)]
    object_alias: String,
    /// Empty for the latest version.
    #[serde(default)]
    pub object_version: String,
    /// The number of versions, from that one backwards; 0 and 1 mean only that one.
    #[serde(default)]
    pub object_version_history: u32,
    #[serde(default)]
    pub object_encoding: String,
    #[serde(default)]
    pub object_format: String,
}

/// The kinds of objects that the double fetches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ObjectType {
    /// A value; of a certificate's secret the certificate with its key.
    Secret,
    /// A certificate alone.
    Cert,
    /// A public key, which the double doesn't fetch.
    Key,
    /// None is given.
    #[default]
    Absent,
}

/// The strings in `objects`.
#[derive(Deserialize)]
struct Array {
    array: Vec<String>,
}

// === impl Parameters ===

impl Parameters {
    pub fn parse(parameters: &BTreeMap<String, String>) -> Result<Self, String> {
        let set = |name: &str| {
            let value = parameters.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
            value.ok_or_else(|| format!("{name} is not set"))
        };
        let vault_name = set("keyvaultName")?.to_ascii_lowercase();
        // The provider accepts both spellings.
        set("tenantID").or_else(|_| set("tenantId"))?;
        let cloud = Cloud::of(parameters)?;
        let Array { array } = serde_yaml_ng::from_str(set("objects")?)
            .map_err(|error| format!("failed to yaml unmarshal objects, error: {error}"))?;
        let objects: Vec<VaultObject> = array
            .iter()
            .enumerate()
            .map(|(index, object)| {
                VaultObject::parse(object).map_err(|why| format!("object at index {index}: {why}"))
            })
            .collect::<Result<_, _>>()?;
        if objects.is_empty() {
            return Err("objects array is empty".to_owned());
        }
        Ok(Self { cloud, vault_name, objects })
    }
}

// === impl VaultObject ===

impl VaultObject {
    fn parse(text: &str) -> Result<Self, String> {
        let object: Self = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
        if !matches!(object.object_type, ObjectType::Secret | ObjectType::Cert) {
            return Err(format!(
                "objectType {:?}: the double has secrets and certificates only",
                object.kind()
            ));
        }
        object.check().map_err(|why| object.failed(&object.object_version, &why))?;
        Ok(object)
    }

    /// What the provider refuses before it asks the vault.
    fn check(&self) -> Result<(), String> {
        let (format, encoding) = (&self.object_format, &self.object_encoding);
        if !["", "pem", "pfx"].contains(&format.to_ascii_lowercase().as_str()) {
            return Err(format!("invalid objectFormat: {format}, should be PEM or PFX"));
        }
        if format == "pfx" && self.object_type != ObjectType::Secret {
            return Err("PFX format only supported for objectType: secret".to_owned());
        }
        if !encoding.is_empty() && self.object_type != ObjectType::Secret {
            return Err("objectEncoding only supported for objectType: secret".to_owned());
        }
        if !["", "utf-8", "base64", "hex"].contains(&encoding.to_ascii_lowercase().as_str()) {
            return Err(format!("invalid objectEncoding: {encoding}, should be hex, base64 or utf-8"));
        }
        Ok(())
    }

    /// The message of a failure of the object.
    pub fn failed(&self, version: &str, why: &str) -> String {
        let (kind, name) = (self.kind(), &self.object_name);
        format!("failed to get objectType:{kind}, objectName:{name}, objectVersion:{version}: {why}")
    }

    /// The collection of the vault that it is in.
    pub fn collection(&self) -> &'static str {
        match self.object_type {
            ObjectType::Cert => "certificates",
            _ => "secrets",
        }
    }

    fn kind(&self) -> &'static str {
        match self.object_type {
            ObjectType::Secret => "secret",
            ObjectType::Cert => "cert",
            ObjectType::Key => "key",
            ObjectType::Absent => "",
        }
    }

    /// Its `sourcePath`; with a history, `/` and the number of the version follow, 0 for the newest.
    pub fn path(&self) -> &str {
        if self.object_alias.is_empty() { &self.object_name } else { &self.object_alias }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(objects: &str) -> BTreeMap<String, String> {
        [("keyvaultName", "Contoso-AIO"), ("tenantID", "t"), ("clientID", "c"), ("objects", objects)]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn objects_are_parsed_from_a_string_of_strings_and_versions_stay_verbatim() {
        let objects = "array:\n  - |\n    objectName: a\n    objectType: secret\n    objectVersion: \
                       00000000000000000000000000000012\n  - |\n    objectName: b\n    objectType: secret\n    \
                       objectAlias: other\n    objectVersionHistory: 3\n    objectEncoding: base64\n";
        let parsed = Parameters::parse(&parameters(objects)).unwrap();
        assert_eq!(parsed.vault_name, "contoso-aio");
        let [a, b] = parsed.objects.as_slice() else { panic!("{parsed:?}") };
        assert_eq!((a.path(), a.object_version.as_str()), ("a", "00000000000000000000000000000012"));
        assert_eq!((b.path(), b.object_version_history, b.object_encoding.as_str()), ("other", 3, "base64"));
    }

    #[test]
    fn errors_in_a_class_are_reported() {
        for (objects, why) in [
            ("", "objects is not set"),
            ("array: []", "objects array is empty"),
            ("array:\n  - objectName: a\n", "failed to yaml unmarshal objects"),
            (
                "array:\n  - |\n    objectName: a\n    objectType: key\n",
                "object at index 0: objectType \"key\"",
            ),
            ("array:\n  - |\n    objectType: secret\n", "object at index 0: missing field `objectName`"),
            (
                "array:\n  - |\n    objectName: a\n    objectType: cert\n    objectEncoding: utf-8\n",
                "object at index 0: failed to get objectType:cert, objectName:a, objectVersion:: objectEncoding \
                 only supported for objectType: secret",
            ),
            (
                "array:\n  - |\n    objectName: a\n    objectType: cert\n    objectFormat: pfx\n",
                "object at index 0: failed to get objectType:cert, objectName:a, objectVersion:: PFX format only \
                 supported for objectType: secret",
            ),
        ] {
            let error = Parameters::parse(&parameters(objects)).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
    }
}
