//! The types, labels and names that a synced secret may have, for every caller.
//!
//! Other software acts on Secrets by exactly these, some of it with high privileges: Helm applies the release
//! that a Secret with its name or label describes, and Argo CD takes cluster credentials from a Secret with
//! its label. So types and labels are an allow list that the configuration extends, and names of other
//! software are reserved for their owner.

use std::{collections::BTreeMap, fmt, str::FromStr};

use wildmatch::WildMatch;

use super::{NameError, SecretType, SyncedSecretId};

/// The allowed types: no software takes instructions from a Secret of these types.
const TYPES: [&str; 6] = [
    "Opaque",
    "kubernetes.io/tls",
    "kubernetes.io/basic-auth",
    "kubernetes.io/ssh-auth",
    "kubernetes.io/dockerconfigjson",
    "kubernetes.io/dockercfg",
];
/// The one label without a prefix that identifies Secrets of other software: the release records of Helm.
const OF_HELM: (&str, &str) = ("owner", "helm");
/// Reserved names and their owners.
const RESERVED: [(&str, &str); 3] = [
    ("sh.helm.release.v1.*", "Helm, which stores its releases in Secrets with such names"),
    ("spc-ops-*", "Azure IoT Operations, whose default SecretProviderClass has such a name"),
    ("aio-*", "Azure IoT Operations, which stores its own Secrets under such names"),
];
/// Names of the platform that users are expected to create: the connector for OPC UA mounts these Secrets.
const USER_PROVIDED: [&str; 3] =
    ["aio-opc-ua-broker-trust-list", "aio-opc-ua-broker-issuer-list", "aio-opc-ua-broker-client-certificate"];

/// The admission rules: built-in defaults and the operator's additions.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// Types allowed in addition to the built-in ones.
    pub types: Vec<SecretType>,
    /// Label keys allowed in addition to those without a prefix.
    pub labels: Vec<NamePattern>,
    /// Names reserved in addition to the built-in ones.
    pub reserved: Vec<ReservedName>,
    /// Names that are not reserved although they match a built-in pattern.
    pub free: Vec<NamePattern>,
}

/// A pattern of names: `*` is any text, `?` any character.
#[derive(Clone, Debug, PartialEq)]
pub struct NamePattern(WildMatch);

/// Names that are reserved for an owner: `PATTERN OWNER`, for example `grafana-* Grafana`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReservedName {
    pattern: NamePattern,
    owner: String,
}

// === impl Admission ===

impl Admission {
    /// Refuses a type that is not allowed.
    pub fn check_type(&self, secret_type: &SecretType) -> Result<(), NameError> {
        if TYPES.contains(&secret_type.as_str()) || self.types.contains(secret_type) {
            return Ok(());
        }
        Err(NameError::new(format!(
            "the type {:?} is not one of {}; ask the operator to allow it with synced_secrets.types",
            secret_type.as_str(),
            TYPES.join(", "),
        )))
    }

    /// Refuses labels that are not allowed. The prefix of a label key names the software that may act on it.
    pub fn check_labels(&self, labels: &BTreeMap<String, String>) -> Result<(), NameError> {
        let is_admitted = |(key, value): &(&String, &String)| {
            let is_private = !key.contains('/') && (key.as_str(), value.as_str()) != OF_HELM;
            is_private || self.labels.iter().any(|pattern| pattern.matches(key))
        };
        let Some((key, value)) = labels.iter().find(|label| !is_admitted(label)) else { return Ok(()) };
        let why = match key.contains('/') {
            true => "the owner of that prefix may act on it",
            false => "Helm would treat the Secret as one of its releases",
        };
        Err(NameError::new(format!(
            "the label {key}={value} is not allowed: {why}; ask the operator to allow it with \
             synced_secrets.labels"
        )))
    }

    /// The owner of a reserved name; `None` if the name is free.
    pub fn owner(&self, id: &SyncedSecretId) -> Option<&str> {
        let name = id.as_str();
        let configured = self.reserved.iter().find(|reserved| reserved.pattern.matches(name));
        configured.map(|reserved| reserved.owner.as_str()).or_else(|| {
            let is_free =
                USER_PROVIDED.contains(&name) || self.free.iter().any(|pattern| pattern.matches(name));
            let built_in = RESERVED.iter().find(|(pattern, _)| WildMatch::new(pattern).matches(name));
            built_in.filter(|_| !is_free).map(|(_, owner)| *owner)
        })
    }
}

// === impl NamePattern ===

impl NamePattern {
    fn matches(&self, name: &str) -> bool {
        self.0.matches(name)
    }
}

impl FromStr for NamePattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./*?".contains(&byte);
        match !text.is_empty() && text.bytes().all(is_of_name) {
            true => Ok(Self(WildMatch::new(text))),
            false => Err(NameError::new(
                "a pattern consists of letters, digits, '-', '_', '.', '/', * for any \
                    text and ? for any character",
            )),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

// === impl ReservedName ===

impl FromStr for ReservedName {
    type Err = NameError;

    fn from_str(line: &str) -> Result<Self, NameError> {
        let (pattern, owner) = line.trim().split_once(char::is_whitespace).unwrap_or_default();
        let owner = owner.trim();
        if owner.is_empty() || owner.chars().any(char::is_control) {
            return Err(NameError::new(
                "a reserved name is a pattern and its owner, for example grafana-* \
                Grafana",
            ));
        }
        Ok(Self { pattern: pattern.parse()?, owner: owner.to_owned() })
    }
}

impl fmt::Display for ReservedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pattern, self.owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_type_is_one_of_six_or_one_allowed_by_the_operator() {
        let admission = Admission::default();
        for good in TYPES {
            assert!(admission.check_type(&good.parse().unwrap()).is_ok(), "{good}");
        }
        let release: SecretType = "helm.sh/release.v1".parse().unwrap();
        let refused = admission.check_type(&release).unwrap_err().to_string();
        assert!(
            refused.contains("synced_secrets.types") && refused.contains("helm.sh/release.v1"),
            "{refused}"
        );
        let admission = Admission { types: vec![release.clone()], ..admission };
        assert!(admission.check_type(&release).is_ok());
    }

    #[test]
    fn a_label_has_no_prefix_or_one_allowed_by_the_operator() {
        let admission = Admission::default();
        assert!(
            admission.check_labels(&labels(&[("line", "1"), ("owner", "ada"), ("name", "helm")])).is_ok()
        );
        for (key, value) in [
            ("owner", "helm"),
            ("app.kubernetes.io/managed-by", "Helm"),
            ("helm.sh/chart", "x"),
            ("argocd.argoproj.io/secret-type", "cluster"),
            ("cluster.x-k8s.io/cluster-name", "edge"),
            ("nobody.has.heard.of/it", ""),
        ] {
            let refused = admission.check_labels(&labels(&[("line", "1"), (key, value)])).unwrap_err();
            let refused = refused.to_string();
            assert!(refused.contains("synced_secrets.labels") && refused.contains(key), "{refused}");
        }
        let named = ["line.example.com/*", "owner"].map(|pattern| pattern.parse().unwrap());
        let admission = Admission { labels: named.into(), ..admission };
        assert!(admission.check_labels(&labels(&[("line.example.com/a", ""), ("owner", "helm")])).is_ok());
        assert!(admission.check_labels(&labels(&[("of.line.example.com/a", "")])).is_err());
    }

    #[test]
    fn a_name_is_free_or_its_owner_is_named() {
        let owner =
            |admission: &Admission, name: &str| admission.owner(&name.parse().unwrap()).map(str::to_owned);
        let mut admission = Admission::default();
        for (name, whose) in [
            ("sh.helm.release.v1.aio.v3", "Helm"),
            ("spc-ops-0000000", "SecretProviderClass"),
            ("aio-broker-tls", "Azure IoT Operations"),
        ] {
            assert!(owner(&admission, name).unwrap().contains(whose), "{name}");
        }
        for free in ["edp1secrets", "sh.helm.release", "spc-opsx", "aio", USER_PROVIDED[0], USER_PROVIDED[2]]
        {
            assert_eq!(owner(&admission, free), None, "{free}");
        }
        admission.reserved = vec!["secret-service-tls this service".parse().unwrap()];
        admission.free = vec!["aio-press-*".parse().unwrap(), "secret-*".parse().unwrap()];
        assert_eq!(owner(&admission, "secret-service-tls").as_deref(), Some("this service"));
        assert_eq!(owner(&admission, "aio-press-7"), None);
        assert!(owner(&admission, "aio-broker-tls").is_some());
    }

    #[test]
    fn admission_patterns_round_trip_and_other_text_is_refused() {
        let reserved: ReservedName = " grafana-*   Grafana and its  agents ".parse().unwrap();
        assert_eq!(reserved.to_string(), "grafana-* Grafana and its  agents");
        assert_eq!("line.example.com/*".parse::<NamePattern>().unwrap().to_string(), "line.example.com/*");
        for bad in ["", "grafana", "grafana ", "gra,fana x", "ä x"] {
            assert!(bad.parse::<ReservedName>().is_err(), "{bad:?}");
        }
        assert!("a b".parse::<NamePattern>().is_err());
    }
}
