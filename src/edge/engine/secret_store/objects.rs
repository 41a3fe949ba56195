//! The parameter `objects` of a SecretProviderClass for Azure: a string that holds YAML whose array holds
//! strings that hold YAML.

use serde::{Deserialize, Serialize};

/// One vault secret that the class asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Object {
    /// The vault secret.
    pub object_name: String,
    /// `secret`, `key` or `cert`.
    pub object_type: String,
    /// The name under which a SecretSync takes it; the vault secret's where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_alias: Option<String>,
    /// The pinned version; the latest where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_version: Option<String>,
    /// `utf-8`, `base64` or `hex`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_encoding: Option<String>,
    /// How a certificate with its key is written: `pem`, which it is where absent, or `pfx`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_format: Option<String>,
    /// How many versions a SecretSync may take, from the pinned one or the latest backwards; 0 and 1 mean it
    /// alone.
    #[serde(skip_serializing_if = "is_one")]
    pub object_version_history: u32,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Objects {
    array: Vec<String>,
}

/// The parameter for these objects.
pub(in crate::edge) fn write(objects: &[Object]) -> String {
    let yaml = |object| serde_yaml_ng::to_string(object).expect("text in a map has a YAML form");
    let objects = Objects { array: objects.iter().map(yaml).collect() };
    serde_yaml_ng::to_string(&objects).expect("a list of texts has a YAML form")
}

/// The objects of a parameter. What can't be read as one is left out.
pub(in crate::edge) fn read(parameter: &str) -> Vec<Object> {
    let objects: Objects = serde_yaml_ng::from_str(parameter).unwrap_or_default();
    let object = |text: &String| serde_yaml_ng::from_str::<Object>(text).ok();
    objects.array.iter().filter_map(object).filter(|object| !object.object_name.is_empty()).collect()
}

impl Object {
    /// The name under which a SecretSync takes it.
    pub fn path(&self) -> &str {
        self.object_alias.as_deref().filter(|alias| !alias.is_empty()).unwrap_or(&self.object_name)
    }

    /// Whether a `sourcePath` takes this: with a history, the path ends in the number of the version.
    pub fn is_at(&self, source_path: &str) -> bool {
        match is_one(&self.object_version_history) {
            true => source_path == self.path(),
            false => source_path.rsplit_once('/').is_some_and(|(path, _)| path == self.path()),
        }
    }
}

/// Whether that many versions are one.
fn is_one(history: &u32) -> bool {
    *history <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_objects_parameter_is_yaml_in_yaml_and_round_trips() {
        let objects = [
            Object {
                object_name: "edp1-username".to_owned(),
                object_type: "secret".to_owned(),
                object_alias: Some("username".to_owned()),
                ..Object::default()
            },
            Object {
                object_name: "123".to_owned(),
                object_type: "secret".to_owned(),
                object_alias: Some("yes".to_owned()),
                object_version: Some("0123456789abcdef0123456789abcdef".to_owned()),
                object_encoding: Some("base64".to_owned()),
                ..Object::default()
            },
        ];
        let text = write(&objects);
        assert!(
            text.starts_with("array:\n- |\n  objectName: edp1-username\n  objectType: secret\n"),
            "{text}"
        );
        assert!(text.contains("objectName: '123'"), "text stays text: {text}");
        assert_eq!(read(&text), objects);
    }

    #[test]
    fn the_portals_format_is_read_and_invalid_input_yields_no_objects() {
        let portals =
            "array:\n  - |\n    objectName: opc-username\n    objectType: secret\n  - |\n    objectName: 7\n";
        let names: Vec<_> = read(portals).into_iter().map(|object| object.object_name).collect();
        assert_eq!(names, ["opc-username", "7"], "plain text stays as it is written");
        for nonsense in ["", "array", "array: 7", "array: [7, {}]", "[", "array:\n - '{'"] {
            assert_eq!(read(nonsense), [], "{nonsense:?}");
        }
    }
}
