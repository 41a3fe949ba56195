//! What the keys and values of references become in a Kubernetes Secret, and what the API server asks of its contents
//! by its type, as `ValidateSecret` in `k8s.io/kubernetes/pkg/apis/core/validation` has it. Checked before anything is
//! written, and never stricter than the API server where a value becomes a key as it is.

mod docker_config;

use std::collections::BTreeSet;

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::{Reference, SecretKey, SecretType, SyncedSecret};
pub(crate) use docker_config::{EMAIL, PARTS, is_composed_from};

const DOCKER_CONFIG: (&str, &str) = ("kubernetes.io/dockerconfigjson", ".dockerconfigjson");
const DOCKERCFG: (&str, &str) = ("kubernetes.io/dockercfg", ".dockercfg");
const SSH: (&str, &str) = ("kubernetes.io/ssh-auth", "ssh-privatekey");
const NOT_EMPTY: &str = "a value that is not empty";

/// A value that can't be under its key. Never shows the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} needs {needs} under the key {key:?}")]
pub struct ContentError {
    what: String,
    key: String,
    needs: &'static str,
}

/// How the references of a synced secret become the keys of its Kubernetes Secret: each one is a key, or, in a Secret of
/// the type `kubernetes.io/dockerconfigjson` with the references `host`, `username`, `password` and possibly `email`
/// and no other, all of them together are the key `.dockerconfigjson`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents<'a> {
    secret_type: &'a SecretType,
    is_composed: bool,
}

/// The keys of a Kubernetes Secret and their bytes.
pub type Data<'a> = Vec<(&'a SecretKey, Zeroizing<Vec<u8>>)>;

// === impl Contents ===

impl<'a> Contents<'a> {
    /// Those of a Secret of this type with references of these keys.
    pub fn of<'k>(secret_type: &'a SecretType, keys: impl Iterator<Item = &'k SecretKey>) -> Self {
        let is_composed =
            secret_type.as_str() == DOCKER_CONFIG.0 && is_composed_from(keys.map(SecretKey::as_str));
        Self { secret_type, is_composed }
    }

    /// The type of the Secret.
    pub fn secret_type(self) -> &'a SecretType {
        self.secret_type
    }

    /// Whether all values together become one key.
    pub fn is_composed(self) -> bool {
        self.is_composed
    }

    /// The key of the Kubernetes Secret that gets the value of a reference with this key.
    pub fn data_key(self, key: &SecretKey) -> &SecretKey {
        if self.is_composed { &docker_config::KEY } else { key }
    }

    /// Whether these bytes can be the value of the reference with this key.
    pub fn check(self, key: &SecretKey, bytes: &[u8]) -> Result<(), ContentError> {
        if !self.is_composed {
            return self.secret_type.check_content(key.as_str(), bytes);
        }
        match docker_config::needs_of(key.as_str(), bytes) {
            None => Ok(()),
            Some(needs) => {
                let what = format!("the composed {}", DOCKER_CONFIG.1);
                Err(ContentError { what, key: key.to_string(), needs })
            }
        }
    }

    /// The keys of the Kubernetes Secret, from the values of the references in their order.
    pub fn data<'k>(
        self,
        references: &'k [Reference],
        values: Vec<Zeroizing<Vec<u8>>>,
    ) -> Result<Data<'k>, ContentError> {
        let values = references.iter().map(|reference| &reference.key).zip(values);
        if !self.is_composed {
            return Ok(values.collect());
        }
        let values: Data<'_> = values.collect();
        for (key, bytes) in &values {
            self.check(key, bytes)?;
        }
        let value = |wanted: &str| {
            let found = values.iter().find(|(key, _)| key.as_str() == wanted);
            found.map(|(_, bytes)| bytes.as_slice())
        };
        let key = &*docker_config::KEY;
        match docker_config::compose(value) {
            Some(json) => Ok(vec![(key, json)]),
            None => {
                let what = format!("the composed {key}");
                Err(ContentError { what, key: PARTS.join(", "), needs: "a value" })
            }
        }
    }
}

// === impl SyncedSecret ===

impl SyncedSecret {
    /// How its references become the keys of its Kubernetes Secret.
    pub fn contents(&self) -> Contents<'_> {
        Contents::of(&self.secret_type, self.references.iter().map(|reference| &reference.key))
    }

    /// The keys that its Kubernetes Secret has.
    pub fn data_keys(&self) -> BTreeSet<&SecretKey> {
        let contents = self.contents();
        self.references.iter().map(|reference| contents.data_key(&reference.key)).collect()
    }

    /// Whether its Kubernetes Secret has this key.
    pub fn has_data_key(&self, key: &str) -> bool {
        let contents = self.contents();
        self.references.iter().any(|reference| contents.data_key(&reference.key).as_str() == key)
    }

    /// What its type asks for, if its Kubernetes Secret doesn't have it.
    pub fn missing_keys(&self) -> Option<String> {
        let missing = self.secret_type.missing_keys(|key| self.has_data_key(key))?;
        if self.secret_type.as_str() != DOCKER_CONFIG.0 {
            return Some(missing);
        }
        let [host, username, password] = PARTS;
        Some(format!(
            "{missing}, or {host:?}, {username:?} and {password:?} to compose it from, with no other key than {:?} \
             beside them",
            EMAIL
        ))
    }
}

// === impl SecretType ===

impl SecretType {
    /// What the type asks for, if a Secret with these keys doesn't have it.
    fn missing_keys(&self, has: impl Fn(&str) -> bool) -> Option<String> {
        let (all, is_either): (&[&str], bool) = match self.as_str() {
            "kubernetes.io/tls" => (&["tls.crt", "tls.key"], false),
            "kubernetes.io/basic-auth" => (&["username", "password"], true),
            name if name == SSH.0 => (&[SSH.1], false),
            name if name == DOCKER_CONFIG.0 => (&[DOCKER_CONFIG.1], false),
            name if name == DOCKERCFG.0 => (&[DOCKERCFG.1], false),
            _ => return None,
        };
        let missing: Vec<_> = all.iter().filter(|key| !has(key)).map(|key| format!("{key:?}")).collect();
        match is_either {
            true if missing.len() == all.len() => Some(format!("the key {}", missing.join(" or "))),
            false if missing.len() == 1 => Some(format!("the key {}", missing[0])),
            false if !missing.is_empty() => Some(format!("the keys {}", missing.join(" and "))),
            _ => None,
        }
    }

    /// Whether the API server takes these bytes under a key.
    pub fn check_content(&self, key: &str, bytes: &[u8]) -> Result<(), ContentError> {
        let refused = |key: &str, needs| {
            let what = format!("a Secret of the type {self}");
            Err(ContentError { what, key: key.to_owned(), needs })
        };
        for (secret_type, json) in [DOCKER_CONFIG, DOCKERCFG] {
            if self.as_str() == secret_type && key == json && !is_json_object(bytes) {
                return refused(json, "a JSON object");
            }
        }
        if self.as_str() == SSH.0 && key == SSH.1 && bytes.is_empty() {
            return refused(SSH.1, NOT_EMPTY);
        }
        Ok(())
    }
}

/// Whether Go reads the bytes into a `map[string]interface{}`. It takes `null`, and any bytes inside of a string.
fn is_json_object(bytes: &[u8]) -> bool {
    let start = bytes.trim_ascii_start();
    (start.starts_with(b"{") || start.trim_ascii_end() == b"null")
        && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> SecretType {
        name.parse().unwrap()
    }

    #[test]
    fn every_type_names_the_keys_that_it_lacks() {
        for (name, held, missing) in [
            ("Opaque", &[][..], None),
            ("example.com/own", &[], None),
            ("kubernetes.io/tls", &["tls.crt", "tls.key", "ca.crt"], None),
            ("kubernetes.io/tls", &["tls.crt"], Some("the key \"tls.key\"")),
            ("kubernetes.io/tls", &["x"], Some("the keys \"tls.crt\" and \"tls.key\"")),
            ("kubernetes.io/basic-auth", &["password"], None),
            ("kubernetes.io/basic-auth", &["x"], Some("the key \"username\" or \"password\"")),
            ("kubernetes.io/ssh-auth", &["x"], Some("the key \"ssh-privatekey\"")),
            ("kubernetes.io/dockerconfigjson", &["config"], Some("the key \".dockerconfigjson\"")),
            ("kubernetes.io/dockercfg", &["config"], Some("the key \".dockercfg\"")),
        ] {
            let told = of(name).missing_keys(|key| held.contains(&key));
            assert_eq!(told.as_deref(), missing, "{name} {held:?}");
        }
    }

    #[test]
    fn a_docker_configuration_is_a_json_object_and_its_error_does_not_show_it() {
        let docker = of(DOCKER_CONFIG.0);
        let check = |bytes: &[u8]| docker.check_content(DOCKER_CONFIG.1, bytes);
        let deep = [b"{\"a\":".repeat(1_000), b"1".to_vec(), b"}".repeat(1_000)].concat();
        for good in [&b"{}"[..], b" {\"auths\":{}}\n", b"null", b"{\"a\":\"\\ud800\xff\"}", &deep] {
            assert_eq!(check(good), Ok(()), "{:?}", String::from_utf8_lossy(good));
        }
        for bad in [&b""[..], b"user:hunter2", b"[]", b"7", b"\"{}\"", b"{\"auths\":", b"{} x", b"nullx"] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.contains("a JSON object") && !error.contains("hunter2"), "{error}");
        }
        assert_eq!(docker.check_content("other", b"x"), Ok(()), "other keys are free");
        assert_eq!(of("Opaque").check_content(DOCKER_CONFIG.1, b"x"), Ok(()));
        assert!(of(SSH.0).check_content(SSH.1, b"").is_err());
    }

    fn secret(secret_type: &str, keys: &[&str]) -> SyncedSecret {
        let one = SyncedSecret::example("pull").references.remove(0);
        let reference = |key: &&str| Reference { key: key.parse().unwrap(), ..one.clone() };
        SyncedSecret {
            secret_type: of(secret_type),
            references: keys.iter().map(reference).collect(),
            ..SyncedSecret::example("pull")
        }
    }

    #[test]
    fn a_docker_configuration_is_composed_from_exactly_its_parts() {
        let docker = DOCKER_CONFIG.0;
        for (secret_type, keys, composed) in [
            (docker, &["host", "username", "password"][..], true),
            (docker, &["password", "email", "username", "host"], true),
            (docker, &["host", "username"], false),
            (docker, &["host", "username", "password", "other"], false),
            (docker, &["host", "username", "password", ".dockerconfigjson"], false),
            (docker, &[".dockerconfigjson"], false),
            ("Opaque", &["host", "username", "password"], false),
            (DOCKERCFG.0, &["host", "username", "password"], false),
        ] {
            let secret = secret(secret_type, keys);
            assert_eq!(secret.contents().is_composed(), composed, "{secret_type} {keys:?}");
            let data_keys: Vec<_> = secret.data_keys().into_iter().map(SecretKey::as_str).collect();
            let mut wanted = if composed { vec![DOCKER_CONFIG.1] } else { keys.to_vec() };
            wanted.sort_unstable();
            assert_eq!(data_keys, wanted);
            assert_eq!(secret.has_data_key("host"), !composed && keys.contains(&"host"));
            let is_complete = composed || keys.contains(&DOCKER_CONFIG.1) || secret_type == "Opaque";
            assert_eq!(secret.missing_keys().is_none(), is_complete, "{secret_type} {keys:?}");
        }
        let missing = secret(docker, &["host"]).missing_keys().unwrap();
        assert!(missing.contains("\"host\", \"username\" and \"password\""), "{missing}");
    }

    #[test]
    fn values_become_keys_as_they_are_or_one_composed_key_in_whatever_order() {
        let bytes = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
        let parts = secret(DOCKER_CONFIG.0, &["password", "host", "username"]);
        let values = || vec![bytes("p"), bytes("h"), bytes("u")];
        let data = parts.contents().data(&parts.references, values()).unwrap();
        let [(key, json)] = data.as_slice() else { panic!("{}", data.len()) };
        assert_eq!(key.as_str(), DOCKER_CONFIG.1);
        let wanted = r#"{"auths":{"h":{"username":"u","password":"p","auth":"dTpw"}}}"#;
        assert_eq!(str::from_utf8(json).unwrap(), wanted);
        assert!(parts.contents().data(&parts.references, vec![bytes("p")]).is_err());

        let raw = secret("Opaque", &["password", "host", "username"]);
        let data = raw.contents().data(&raw.references, values()).unwrap();
        let data: Vec<_> = data.iter().map(|(key, bytes)| (key.as_str(), bytes.as_slice())).collect();
        assert_eq!(data, [("password", &b"p"[..]), ("host", b"h"), ("username", b"u")]);
    }

    #[test]
    fn a_part_that_would_make_no_configuration_is_told_by_its_key_without_its_value() {
        let docker = secret(DOCKER_CONFIG.0, &["host", "username", "password", "email"]);
        let check = |key: &str, bytes: &[u8]| docker.contents().check(&key.parse().unwrap(), bytes);
        for (key, good) in [
            ("host", "https://index.docker.io/v1/"),
            ("host", "contoso.azurecr.io:443"),
            ("username", "dom\\user name"),
            ("password", " a:b\n"),
            ("email", "a@b"),
        ] {
            assert_eq!(check(key, good.as_bytes()), Ok(()), "{key} {good:?}");
        }
        for (key, bad, needs) in [
            ("host", &b""[..], "not empty"),
            ("username", b"", "not empty"),
            ("password", b"", "not empty"),
            ("email", b"", "not empty"),
            ("host", b"hunter2.io\n", "line breaks"),
            ("host", b" hunter2.io", "spaces"),
            ("host", b"hunter2\0", "spaces"),
            ("host", "hunter2\u{a0}".as_bytes(), "spaces"),
            ("username", b"hunter2:x", "without ':'"),
            ("username", b"hunter2\xff", "UTF-8"),
            ("password", b"hunter2\xff", "UTF-8"),
        ] {
            let error = check(key, bad).unwrap_err().to_string();
            assert!(error.contains(needs) && error.contains(&format!("{key:?}")), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        // As raw keys beside a whole configuration they are free.
        let raw = secret(DOCKER_CONFIG.0, &["host", ".dockerconfigjson"]);
        assert_eq!(raw.contents().check(&"host".parse().unwrap(), b""), Ok(()));
        assert!(raw.contents().check(&".dockerconfigjson".parse().unwrap(), b"").is_err());
    }
}
