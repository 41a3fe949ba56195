//! What the API server asks of the contents of a Secret by its type, as `ValidateSecret` in
//! `k8s.io/kubernetes/pkg/apis/core/validation` has it. Checked before anything is written, and never stricter than the
//! API server.

use serde::de::IgnoredAny;

use super::SecretType;

const DOCKER_CONFIG: (&str, &str) = ("kubernetes.io/dockerconfigjson", ".dockerconfigjson");
const DOCKERCFG: (&str, &str) = ("kubernetes.io/dockercfg", ".dockercfg");
const SSH: (&str, &str) = ("kubernetes.io/ssh-auth", "ssh-privatekey");

/// A value that the API server refuses under its key. Never shows the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a Secret of the type {secret_type} needs {needs} under the key {key:?}")]
pub struct ContentError {
    secret_type: String,
    key: &'static str,
    needs: &'static str,
}

impl SecretType {
    /// What the type asks for, if a Secret with these keys doesn't have it.
    pub fn missing_keys(&self, has: impl Fn(&str) -> bool) -> Option<String> {
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
        let refused = |key, needs| Err(ContentError { secret_type: self.as_str().to_owned(), key, needs });
        for (secret_type, json) in [DOCKER_CONFIG, DOCKERCFG] {
            if self.as_str() == secret_type && key == json && !is_json_object(bytes) {
                return refused(json, "a JSON object");
            }
        }
        if self.as_str() == SSH.0 && key == SSH.1 && bytes.is_empty() {
            return refused(SSH.1, "a value that is not empty");
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
}
