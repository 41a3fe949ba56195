use std::collections::BTreeSet;

use super::*;

/// `KIND.GROUP PATH KEY`, where KEY is a key that the field needs, or empty for any.
fn needed() -> BTreeSet<String> {
    let mut needed = BTreeSet::new();
    for rule in built_in() {
        let Finds::Field { format, .. } = &rule.finds else { continue };
        let mut need = |key: &str| needed.insert(format!("{} {} {key}", rule.group_kind, path(rule)));
        match format {
            Format::Output => {}
            Format::Key | Format::KeyBeside(_) => {
                need("");
            }
            Format::Whole(sets) if sets.is_empty() => {
                need("");
            }
            Format::Whole(sets) => {
                sets.iter().flat_map(|set| set.required.iter().chain(&set.optional)).for_each(|key| {
                    need(key);
                });
            }
        }
    }
    needed
}

#[test]
fn every_field_of_a_rule_has_a_purpose_with_all_its_keys_and_every_purpose_has_fields() {
    let mut served = BTreeSet::new();
    for purpose in Purpose::all() {
        assert!(!purpose.fields.is_empty(), "{} serves no field", purpose.id);
        for field in &purpose.fields {
            let at = format!("{} {}", field.group_kind, field.path);
            let keys: Vec<&str> = match purpose.any_keys || purpose.keys.iter().any(|key| key.free_name) {
                true => vec![""],
                // The fields read the first one.
                false if purpose.is_composable => vec![purpose.keys[0].key.as_str()],
                false => purpose.keys.iter().map(|key| key.key.as_str()).collect(),
            };
            for key in keys {
                assert!(needed().contains(&format!("{at} {key}")), "{}: no rule for {at} {key}", purpose.id);
                served.insert(format!("{at} {key}"));
            }
        }
    }
    let unserved: Vec<_> = needed().difference(&served).cloned().collect();
    assert!(unserved.is_empty(), "no purpose for {unserved:#?}");
}

#[test]
fn every_pattern_finds_a_rule() {
    for row in ROWS {
        let patterns: Vec<&'static str> = match &row.keys {
            Keys::Set(patterns, _) | Keys::Composable(patterns, _) | Keys::Any(patterns) => patterns.to_vec(),
            Keys::Named(named) => named.iter().flat_map(|named| named.fields).copied().collect(),
        };
        for pattern in patterns {
            assert!(rules(&[pattern]).next().is_some(), "{}: {pattern}", row.id);
        }
    }
}

#[test]
fn every_rule_of_a_purpose_asks_for_the_same_keys() {
    for row in ROWS {
        let (Keys::Set(patterns, _) | Keys::Composable(patterns, _)) = &row.keys else { continue };
        let sets: Vec<_> = rules(patterns).filter_map(|(_, format)| row.set_of(format)).collect();
        assert!(sets.iter().all(|set| *set == sets[0]), "{}: {sets:?}", row.id);
    }
}

#[test]
fn ids_are_names_in_order_and_each_occurs_once() {
    let ids: Vec<_> = Purpose::all().iter().map(|purpose| purpose.id).collect();
    assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
    for purpose in Purpose::all() {
        assert!(purpose.id.parse::<crate::SyncedSecretId>().is_ok());
        for secret_type in purpose.secret_types {
            let known: crate::SecretType = secret_type.parse().unwrap();
            assert!(crate::Admission::default().check_type(&known).is_ok(), "{secret_type}");
        }
        for key in &purpose.keys {
            assert!(key.key.parse::<crate::SecretKey>().is_ok());
        }
    }
}

#[test]
fn keys_fit_where_the_purpose_has_them_and_may_be_named_freely_where_the_resource_names_them() {
    let misfits = |id: &str, keys: &[&str]| Purpose::find(id).unwrap().misfits(keys);
    let key = |id: &str, name: &str| {
        Purpose::find(id).unwrap().keys.iter().find(|key| key.key == name).unwrap().clone()
    };
    let sasl = "kafka-sasl-credentials";
    assert_eq!(misfits(sasl, &["password", "username"]), []);
    assert_eq!(
        misfits(sasl, &["username", "token"]),
        [Misfit::Foreign(1), Misfit::Missing(key(sasl, "password"))]
    );
    assert_eq!(misfits("kafka-sasl-token", &["token"]), []);
    assert_eq!(misfits("kafka-sasl-token", &["Token"]).len(), 2);
    let x509 = ["client_key.pem", "client_cert.pem"];
    assert_eq!(misfits("dataflow-x509", &x509), [], "intermediate certificates are optional");
    assert_eq!(misfits("device-credentials", &["u", "p", "more"]), []);
    assert_eq!(misfits("device-credentials", &["username"]), [Misfit::TooFew(2)]);
    assert_eq!(misfits("trust-list", &["ca.crt", "other.crl"]), []);
    assert_eq!(Purpose::find("nothing"), None);
}

#[test]
fn a_pull_secret_is_a_whole_configuration_or_all_that_it_is_composed_from() {
    let pull = Purpose::find("registry-pull-secret").unwrap();
    let whole = ".dockerconfigjson";
    for keys in [&[whole][..], &["host", "username", "password"], &["email", "password", "host", "username"]]
    {
        assert_eq!(pull.misfits(keys), [], "{keys:?}");
    }
    for keys in [&["host", "username"][..], &[whole, "host", "username", "password"], &[whole, "email"], &[]]
    {
        assert_eq!(pull.misfits(keys), [Misfit::NeitherWholeNorComposed], "{keys:?}");
    }
    assert_eq!(pull.misfits(&[whole, "x"]), [Misfit::Foreign(1), Misfit::NeitherWholeNorComposed]);
    assert!(pull.keys.iter().all(|key| !key.required && !key.free_name));
    let words = pull.keys_in_words();
    assert_eq!(words, r#"".dockerconfigjson", or "host", "username", "password", "email" (optional)"#);
}
