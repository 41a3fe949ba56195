//! What a synced secret can be for: the built-in rules, grouped by what a person wants to do, with the keys that
//! each purpose needs and the words of the Azure portal.

use std::sync::LazyLock;

use wildmatch::WildMatch;

use super::{
    GroupKind, KeySet, UsageRule,
    extract::built_in,
    rule::{Finds, Format},
};
use crate::contents::{EMAIL, PARTS, is_composed_from};

/// What a synced secret can be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// Stable, for programs: `kafka-sasl-credentials`.
    pub id: &'static str,
    /// For people.
    pub title: &'static str,
    /// What to put in, in one sentence.
    pub description: &'static str,
    /// The types that the Kubernetes Secret may have; the first one is the default.
    pub secret_types: &'static [&'static str],
    /// Its keys, in the order in which a form asks for them.
    pub keys: Vec<PurposeKey>,
    /// Whether the Secret may have keys of any name.
    pub any_keys: bool,
    /// Whether the others are composed into the first key, so that they are given instead of it.
    pub is_composable: bool,
    /// The fields that can name such a Secret.
    pub fields: Vec<PurposeField>,
}

/// A key that a purpose asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurposeKey {
    /// Its name; a proposal if the name is free.
    pub key: String,
    /// In the portal's words.
    pub title: &'static str,
    /// Whether the purpose can't do without.
    pub required: bool,
    /// Whether the resource names the key, so that it can have any name.
    pub free_name: bool,
}

/// A field that can name a Secret for a purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurposeField {
    /// The group and kind of the resource.
    pub group_kind: GroupKind,
    /// Its path, as in a rule.
    pub path: String,
    /// The key of the purpose that the field names; empty if it names the whole Secret.
    pub key: String,
}

/// A key that does not fit a purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The key at this place is none of the purpose's.
    Foreign(usize),
    /// This one is missing.
    Missing(PurposeKey),
    /// Keys have free names, and there are fewer than are required.
    TooFew(usize),
    /// It is neither the key that the fields read, alone, nor all that this is composed from.
    NeitherWholeNorComposed,
}

/// A purpose as it is written down here; its keys and fields come from the rules.
struct Row {
    id: &'static str,
    title: &'static str,
    description: &'static str,
    secret_types: &'static [&'static str],
    keys: Keys,
}

/// Which keys a purpose has. Fields are patterns of `KIND.GROUP PATH`.
enum Keys {
    /// One of the key sets of these rules: the one with the first of these keys. Each with its title.
    Set(&'static [&'static str], &'static [(&'static str, &'static str)]),
    /// A key set of one key, the first, or the references from which this service composes it.
    Composable(&'static [&'static str], &'static [(&'static str, &'static str)]),
    /// Any.
    Any(&'static [&'static str]),
    /// Those that the fields name.
    Named(&'static [Named]),
}

/// A key that a field names.
struct Named {
    key: &'static str,
    title: &'static str,
    required: bool,
    fields: &'static [&'static str],
}

const OPAQUE: &[&str] = &["Opaque"];
const TLS: &[&str] = &["kubernetes.io/tls", "Opaque"];
const DOCKER_CONFIG: &[&str] = &["kubernetes.io/dockerconfigjson"];

const ROWS: &[Row] = &[
    Row {
        id: "asset-endpoint-certificate",
        title: "Asset endpoint: X509 certificate",
        description: "The certificate with which a connector signs in to an asset endpoint.",
        secret_types: OPAQUE,
        keys: Keys::Named(&[Named {
            key: "certificate",
            title: "X509 client certificate",
            required: true,
            fields: &["AssetEndpointProfile.* *.x509Credentials.*"],
        }]),
    },
    Row {
        id: "broker-tls",
        title: "MQTT broker: server certificate",
        description: "The certificate chain and the private key of a broker listener or of an authentication server, in \
            PEM.",
        secret_types: TLS,
        keys: Keys::Set(
            &["BrokerListener.* *.tls.manual.secretRef", "BrokerAuthentication.* *.x509.secretRef"],
            &[("tls.crt", "Certificate"), ("tls.key", "Private key")],
        ),
    },
    Row {
        id: "code-signing-ca",
        title: "Registry endpoint: code signing CA",
        description: "The certificates of the authorities that sign artifacts, each under a key of its own.",
        secret_types: OPAQUE,
        keys: Keys::Any(&[
            "RegistryEndpoint.* *.codeSigningCas*.secretRef",
            "RegistryEndpoint.* *.trustedSigningKeys.secretRef",
        ]),
    },
    Row {
        id: "connector-files",
        title: "Connector: files or environment",
        description: "Keys that a connector finds as files in a folder or as environment variables.",
        secret_types: OPAQUE,
        keys: Keys::Any(&[
            "ConnectorTemplate.* *.volumes*.secret.secretName",
            "ConnectorTemplate.* *.volumes*.projected.sources*.secret.name",
            "ConnectorTemplate.* *.envFrom*.secretRef.name",
        ]),
    },
    Row {
        id: "connector-secret",
        title: "Connector: secret",
        description: "A value that a connector template gives to its connector under an alias or as an environment \
            variable.",
        secret_types: OPAQUE,
        keys: Keys::Named(&[Named {
            key: "secret",
            title: "Secret value",
            required: true,
            fields: &["* *.secrets*.secretRef", "ConnectorTemplate.* *.valueFrom.secretKeyRef.name"],
        }]),
    },
    Row {
        id: "data-lake-access-token",
        title: "Data Lake: access token",
        description: "The shared access signature (SAS) token of the storage account.",
        secret_types: OPAQUE,
        keys: Keys::Set(
            &["DataflowEndpoint.* *.accessTokenSettings.secretRef"],
            &[("accessToken", "Access token")],
        ),
    },
    Row {
        id: "dataflow-x509",
        title: "Data flow endpoint: X509 certificate",
        description: "The client certificate with which an MQTT, Kafka or OpenTelemetry endpoint signs in, in PEM.",
        secret_types: OPAQUE,
        keys: Keys::Set(
            &["DataflowEndpoint.* *.x509CertificateSettings.secretRef"],
            &[
                ("client_cert.pem", "X509 client certificate"),
                ("client_key.pem", "X509 client key"),
                ("client_intermediate_certs.pem", "X509 intermediate certificates"),
            ],
        ),
    },
    Row {
        id: "device-certificate",
        title: "Device: X509 certificate",
        description: "The certificate with which a connector signs in to a device, and its private key.",
        secret_types: OPAQUE,
        keys: Keys::Named(&[
            Named {
                key: "certificate",
                title: "X509 client certificate",
                required: true,
                fields: &["Device.* *.x509Credentials.certificateSecretName"],
            },
            Named {
                key: "privateKey",
                title: "X509 client key",
                required: true,
                fields: &["Device.* *.x509Credentials.keySecretName"],
            },
            Named {
                key: "intermediateCerts",
                title: "X509 intermediate certificates",
                required: false,
                fields: &["Device.* *.x509Credentials.intermediateCertificatesSecretName"],
            },
        ]),
    },
    Row {
        id: "device-credentials",
        title: "Device: username password",
        description: "The user name and the password with which a connector signs in to a device or asset endpoint.",
        secret_types: OPAQUE,
        keys: Keys::Named(&[
            Named {
                key: "username",
                title: "Username reference",
                required: true,
                fields: &[
                    "Device.* *.usernamePasswordCredentials.usernameSecretName",
                    "AssetEndpointProfile.* *.usernamePasswordCredentials.username*",
                ],
            },
            Named {
                key: "password",
                title: "Password reference",
                required: true,
                fields: &[
                    "Device.* *.usernamePasswordCredentials.passwordSecretName",
                    "AssetEndpointProfile.* *.usernamePasswordCredentials.password*",
                ],
            },
        ]),
    },
    Row {
        id: "issuer-list",
        title: "Issuer list",
        description: "Certificates of issuing authorities and their revocation lists, each under a file name.",
        secret_types: OPAQUE,
        keys: Keys::Any(&["Device.* *.trustSettings.issuerList"]),
    },
    Row {
        id: "kafka-sasl-credentials",
        title: "Kafka: SASL user name and password",
        description: "The user name and the password of SASL type Plain, ScramSha256 or ScramSha512; for Event Hubs, the \
            user name is $ConnectionString and the password is the connection string.",
        secret_types: OPAQUE,
        keys: Keys::Set(
            &["DataflowEndpoint.* *.saslSettings.secretRef"],
            &[("username", "Username reference"), ("password", "Password reference")],
        ),
    },
    Row {
        id: "kafka-sasl-token",
        title: "Kafka: SASL token",
        description: "The token secret of a Kafka endpoint.",
        secret_types: OPAQUE,
        keys: Keys::Set(&["DataflowEndpoint.* *.saslSettings.secretRef"], &[("token", "Token secret")]),
    },
    Row {
        id: "opentelemetry-tls",
        title: "OpenTelemetry: X509 certificate as a TLS secret",
        description: "The client certificate of an OpenTelemetry endpoint and its private key, in PEM.",
        secret_types: TLS,
        keys: Keys::Set(
            &["DataflowEndpoint.* spec.openTelemetrySettings.*"],
            &[("tls.crt", "X509 client certificate"), ("tls.key", "X509 client key")],
        ),
    },
    Row {
        id: "registry-pull-secret",
        title: "Registry: pull secret",
        description: "The credentials of a container registry: a whole docker configuration in JSON, or a host, a user name \
            and a password, from which the direct engine composes it.",
        secret_types: DOCKER_CONFIG,
        keys: Keys::Composable(
            &["* *.artifactPullSecretSettings.secretRef", "* *.imagePullSecrets*"],
            &[
                (".dockerconfigjson", "Artifact secret"),
                ("host", "Registry host"),
                ("username", "Username"),
                ("password", "Password"),
                ("email", "Email"),
            ],
        ),
    },
    Row {
        id: "trust-list",
        title: "Trust list",
        description: "Certificates that a connector trusts and their revocation lists, each under a file name.",
        secret_types: OPAQUE,
        keys: Keys::Any(&["Device.* *.trustSettings.trustList", "* *.trustSettings.trustListSecretRef"]),
    },
];

static PURPOSES: LazyLock<Vec<Purpose>> = LazyLock::new(|| ROWS.iter().map(Row::purpose).collect());

// === impl Purpose ===

impl Purpose {
    /// All of them, ordered by id.
    pub fn all() -> &'static [Self] {
        &PURPOSES
    }

    /// The one with this id.
    pub fn find(id: &str) -> Option<&'static Self> {
        Self::all().iter().find(|purpose| purpose.id == id)
    }

    /// What does not fit it, of a Secret with these keys.
    pub fn misfits(&self, keys: &[&str]) -> Vec<Misfit> {
        let required = self.keys.iter().filter(|key| key.required);
        if self.keys.iter().any(|key| key.free_name) {
            let required = required.count();
            return (keys.len() < required).then_some(Misfit::TooFew(required)).into_iter().collect();
        }
        let is_composable = self.is_composable;
        let is_whole = || matches!((keys, self.keys.as_slice()), ([key], [whole, ..]) if *key == whole.key);
        let is_neither = is_composable && !is_whole() && !is_composed_from(keys.iter().copied());
        let is_foreign = |key: &str| !self.any_keys && self.keys.iter().all(|known| known.key != key);
        let foreign =
            keys.iter().enumerate().filter(|(_, key)| is_foreign(key)).map(|(at, _)| Misfit::Foreign(at));
        let missing = required.filter(|key| !keys.contains(&key.key.as_str())).cloned().map(Misfit::Missing);
        foreign.chain(missing).chain(is_neither.then_some(Misfit::NeitherWholeNorComposed)).collect()
    }

    /// Its keys for people: `"username" and "password"`.
    pub fn keys_in_words(&self) -> String {
        let one = |key: &PurposeKey| match key.required {
            true => format!("{:?}", key.key),
            false => format!("{:?} (optional)", key.key),
        };
        if self.is_composable {
            let [host, username, password] = PARTS;
            let whole = self.keys.first().map(|whole| whole.key.as_str()).unwrap_or_default();
            return format!("{whole:?}, or {host:?}, {username:?}, {password:?}, {EMAIL:?} (optional)");
        }
        self.keys.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

// === impl Row ===

impl Row {
    fn purpose(&self) -> Purpose {
        let is_composable = matches!(self.keys, Keys::Composable(..));
        let (keys, any_keys, fields) = match &self.keys {
            Keys::Any(patterns) => (
                Vec::new(),
                true,
                fields(patterns, "", |format| matches!(format, Format::Whole(sets) if sets.is_empty())),
            ),
            Keys::Named(named) => {
                let is_named = |format: &Format| matches!(format, Format::Key | Format::KeyBeside(_));
                let fields =
                    named.iter().flat_map(|named| fields(named.fields, named.key, is_named)).collect();
                let key = |named: &Named| PurposeKey {
                    key: named.key.to_owned(),
                    title: named.title,
                    required: named.required,
                    free_name: true,
                };
                (named.iter().map(key).collect(), false, fields)
            }
            Keys::Set(patterns, titles) | Keys::Composable(patterns, titles) => {
                let fields = fields(patterns, "", |format| self.set_of(format).is_some());
                let set = rules(patterns).find_map(|(_, format)| self.set_of(format));
                let keys = titles.iter().map(|(key, title)| PurposeKey {
                    key: (*key).to_owned(),
                    title,
                    required: !is_composable
                        && set.is_some_and(|set| set.required.iter().any(|one| one == key)),
                    free_name: false,
                });
                (keys.collect(), false, fields)
            }
        };
        let Self { id, title, description, secret_types, .. } = self;
        Purpose { id, title, description, secret_types, keys, any_keys, is_composable, fields }
    }

    /// The key set of a rule that the purpose is for.
    fn set_of<'a>(&self, format: &'a Format) -> Option<&'a KeySet> {
        let (Format::Whole(sets), Keys::Set(_, [(first, _), ..]) | Keys::Composable(_, [(first, _), ..])) =
            (format, &self.keys)
        else {
            return None;
        };
        sets.iter().find(|set| set.required.iter().any(|key| key == first))
    }
}

/// The built-in rules for fields that match a pattern.
fn rules(patterns: &[&'static str]) -> impl Iterator<Item = (&'static UsageRule, &'static Format)> {
    let patterns: Vec<WildMatch> = patterns.iter().map(|pattern| WildMatch::new(pattern)).collect();
    let of_field = |rule: &'static UsageRule| match &rule.finds {
        Finds::Field { format, .. } => Some((rule, format)),
        Finds::Fixed { .. } | Finds::Names => None,
    };
    let matches = move |rule: &UsageRule| {
        let place = format!("{} {}", rule.group_kind, path(rule));
        patterns.iter().any(|pattern| pattern.matches(&place))
    };
    built_in().iter().filter_map(of_field).filter(move |(rule, _)| matches(rule))
}

fn fields(patterns: &[&'static str], key: &str, fits: impl Fn(&Format) -> bool) -> Vec<PurposeField> {
    let field = |rule: &UsageRule| PurposeField {
        group_kind: rule.group_kind.clone(),
        path: path(rule),
        key: key.to_owned(),
    };
    rules(patterns).filter(|(_, format)| fits(format)).map(|(rule, _)| field(rule)).collect()
}

/// A rule prints itself as `KIND.GROUP PATH FORMAT`.
fn path(rule: &UsageRule) -> String {
    rule.to_string().split(' ').nth(1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
