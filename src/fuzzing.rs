//! The fuzz targets, by name: each takes any bytes and panics where a promise is broken.

use secrecy::SecretString;

use crate::{
    api, edge,
    model::{Encoding, Part, Reference, ReferenceStatus, SecretType, facts},
    secrets::Manifest,
    vault,
};

/// Names.
pub fn names(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        api::fuzzing::names(text);
    }
}

/// Tokens of pages and of watches.
pub fn tokens(data: &[u8]) {
    api::fuzzing::tokens(data);
}

/// Answers of a vault.
pub fn vault_answers(data: &[u8]) {
    vault::fuzzing::answers(data);
}

/// Custom resources of the Secret Store extension.
pub fn custom_resources(data: &[u8]) {
    edge::fuzzing::custom_resources(data);
}

/// Rules, and the resources that they look into.
pub fn usages(data: &[u8]) {
    edge::fuzzing::usages(data);
}

/// Manifests: YAML or JSON. What is refused is not repeated.
pub fn manifests(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Manifest::read(text) {
        Ok(manifest) => {
            for resource in manifest.resources() {
                assert!(resource.name.len() <= 253 && resource.group_kind.kind.len() <= 63);
                assert!(resource.api_version.ends_with(|last: char| last.is_ascii_alphanumeric()));
            }
        }
        Err(rule) => assert!(rule.len() < 200, "a message must not repeat unbounded input"),
    }
}

/// Values that hold certificates, which somebody made up: a PFX is not opened then. What comes out of one is read as the same.
pub fn certificates(data: &[u8]) {
    let value = SecretString::from(hex::encode(data));
    let types = ["Opaque", "kubernetes.io/tls"].map(|name| name.parse::<SecretType>().expect("it is a type"));
    for (secret_type, key) in
        types.iter().flat_map(|secret_type| ["tls.crt", "tls.key"].map(|key| (secret_type, key)))
    {
        for part in Part::ALL {
            let reference = Reference {
                key: key.parse().expect("it is a key"),
                vault_secret: "v".parse().expect("it is a name"),
                version: None,
                encoding: Encoding::Hex,
                part,
                create_pending: false,
                create_generation: 0,
                status: ReferenceStatus::default(),
            };
            let Ok(content) = reference.content(secret_type, &value, false) else { continue };
            for told in facts(&[&content], true).into_iter().flatten() {
                assert!(told.subject.chars().count() <= 512 && told.issuer.chars().count() <= 512);
            }
            let again = SecretString::from(hex::encode(&content));
            if matches!(part, Part::Certificate | Part::FullChain) {
                let again = reference.content(secret_type, &again, false).expect("it is what came out");
                assert_eq!(again, content);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    type Target = (&'static str, fn(&[u8]));

    /// In the order of the module.
    const TARGETS: [Target; 7] = [
        ("names", super::names),
        ("tokens", super::tokens),
        ("vault_answers", super::vault_answers),
        ("custom_resources", super::custom_resources),
        ("usages", super::usages),
        ("manifests", super::manifests),
        ("certificates", super::certificates),
    ];

    #[test]
    fn inputs_that_the_fuzzers_found_pass() {
        for (name, target) in TARGETS {
            let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
            let mut inputs = 0;
            for entry in fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()))
            {
                target(&fs::read(entry.unwrap().path()).unwrap());
                inputs += 1;
            }
            assert!(inputs > 0, "{name} has a corpus");
        }
    }
}
