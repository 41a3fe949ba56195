//! Conversions as a specification: what each rule refuses, in the field's own path.

mod any;
mod others;

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::*;
use crate::api::rpc::{
    add_vault_secret_version::new_version, create_synced_secret::new_synced_secret,
    create_vault_secret::new_vault_secret, get_caller, get_vault, list_audit_events, pages::page_size,
    update_synced_secret::changes, view::is_full,
};
use crate::{
    model::{UsedBy, limits},
    proto::{self, NewVaultSecret, SecretReference, SyncedSecret},
    secrets::{Cause, NewSyncedSecret},
};

fn reference() -> SecretReference {
    SecretReference {
        key: "username".into(),
        vault_secret: "vaultSecrets/edp1-user".into(),
        ..Default::default()
    }
}

fn creating(value: &str) -> SecretReference {
    let create = NewVaultSecret { value: value.into(), ..Default::default() };
    SecretReference { create: Some(create), ..reference() }
}

fn wanted() -> SyncedSecret {
    SyncedSecret { references: vec![reference()], ..Default::default() }
}

fn create(id: &str, synced_secret: SyncedSecret) -> Result<NewSyncedSecret, Error> {
    let request = proto::CreateSyncedSecretRequest {
        synced_secret_id: id.into(),
        synced_secret: Some(synced_secret),
        ..Default::default()
    };
    new_synced_secret(request, Violations::default())
}

/// The violations, as "field: rule".
fn problems<T>(result: Result<T, Error>) -> Vec<String> {
    match result {
        Ok(_) => Vec::new(),
        Err(Error::Refused(problems)) => problems
            .into_iter()
            .map(|problem| match problem.cause {
                Cause::Invalid(rule) => format!("{}: {rule}", problem.field),
                other => panic!("{other:?}"),
            })
            .collect(),
        Err(other) => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, field: &str, part: &str) {
    let problems = problems(result);
    let start = format!("{field}: ");
    assert!(
        problems.len() == 1 && problems[0].starts_with(&start) && problems[0].contains(part),
        "expected {field} with {part:?}, got {problems:?}"
    );
}

fn with_reference(change: impl FnOnce(&mut SecretReference)) -> Result<NewSyncedSecret, Error> {
    let mut reference = reference();
    change(&mut reference);
    create("edp1secrets", SyncedSecret { references: vec![reference], ..wanted() })
}

fn with_create(change: impl FnOnce(&mut NewVaultSecret)) -> Result<NewSyncedSecret, Error> {
    with_reference(|reference| {
        let mut create = NewVaultSecret { value: "v".into(), ..Default::default() };
        change(&mut create);
        reference.create = Some(create);
    })
}

fn after(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: Timestamp::now().as_second() + seconds, nanos: 0 })
}

#[test]
fn a_valid_request_is_converted() {
    let mut wire = wanted();
    wire.name = "syncedSecrets/edp1secrets".into();
    wire.references.push(SecretReference { key: "password".into(), ..creating("hunter2") });
    wire.labels = BTreeMap::from([("example.com/line".into(), "7".into()), ("empty".into(), String::new())]);
    // Output-only fields are ignored.
    (wire.uid, wire.state, wire.generation) = ("nonsense".into(), 77, -1);
    wire.references[0].synced_version = "nonsense".into();
    let new = create("edp1secrets", wire).unwrap();
    assert_eq!(new.id.as_str(), "edp1secrets");
    assert_eq!(new.secret_type.as_str(), "Opaque");
    assert!(new.references[0].create.is_none() && !new.references[0].reference.create_pending);
    let created = new.references[1].create.as_ref().unwrap();
    assert_eq!(created.value.expose_secret(), "hunter2");
    assert!(new.references[1].reference.create_pending);
}

#[test]
fn errors_of_ids_and_names_show_the_valid_form() {
    refused(create("Edp1", wanted()), "synced_secret_id", "lower case");
    refused(create("", wanted()), "synced_secret_id", "1 to 253");
    refused(create("syncedSecrets/a", wanted()), "synced_secret_id", "use \"a\"");
    let named = |name: &str| create("a", SyncedSecret { name: name.into(), ..wanted() });
    refused(named("syncedSecrets/b"), "synced_secret.name", "syncedSecrets/a");
    refused(named("a"), "synced_secret.name", "use syncedSecrets/a");
    refused(synced_secret_name("name", "edp1secrets"), "name", "use syncedSecrets/edp1secrets");
    refused(synced_secret_name("name", ""), "name", "required");
    refused(synced_secret_name("name", "vaultSecrets/x"), "name", "use syncedSecrets/{id}");
    refused(synced_secret_name("name", "syncedSecrets/../x"), "name", "Kubernetes Secret");
    refused(vault_secret_name("name", "Edp1"), "name", "use vaultSecrets/Edp1");
    refused(get_vault::check_name("vaults/x"), "name", "\"vault\"");
    refused(
        new_synced_secret(
            proto::CreateSyncedSecretRequest { synced_secret_id: "a".into(), ..Default::default() },
            Violations::default(),
        ),
        "synced_secret",
        "required",
    );
}

#[test]
fn references_follow_their_rules() {
    let field = |name: &str| format!("synced_secret.references[0].{name}");
    refused(with_reference(|wire| wire.key = "a b".into()), &field("key"), "letters");
    refused(
        with_reference(|wire| wire.vault_secret = "edp1".into()),
        &field("vault_secret"),
        "vaultSecrets/edp1",
    );
    refused(
        with_reference(|wire| wire.vault_secret = "vaultSecrets/a_b".into()),
        &field("vault_secret"),
        "127",
    );
    refused(with_reference(|wire| wire.version = "latest".into()), &field("version"), "32 hex");
    refused(with_reference(|wire| wire.encoding = 9), &field("encoding"), "knows");
    let none = SyncedSecret { references: vec![], ..wanted() };
    refused(create("a", none), "synced_secret.references", "at least one");
    let key = |place: usize| SecretReference { key: format!("k{place}"), ..reference() };
    let many = |count: usize| SyncedSecret { references: (0..count).map(key).collect(), ..wanted() };
    assert!(create("a", many(limits::REFERENCES)).is_ok());
    refused(create("a", many(limits::REFERENCES + 1)), "synced_secret.references", "at most 100");
    let twice = SyncedSecret { references: vec![reference(), reference()], ..wanted() };
    refused(create("a", twice), "synced_secret.references[1].key", "references[0]");
}

#[test]
fn a_created_vault_secret_has_no_version_and_is_created_once() {
    let both = with_reference(|wire| (wire.version, wire.create) = ("0".repeat(32), creating("v").create));
    refused(both, "synced_secret.references[0].version", "must be empty");
    let again =
        SecretReference { key: "b".into(), vault_secret: "vaultSecrets/EDP1-user".into(), ..creating("v") };
    let twice = SyncedSecret { references: vec![creating("v"), again], ..wanted() };
    refused(create("a", twice), "synced_secret.references[1].vault_secret", "references[0]");
}

#[test]
fn values_have_a_maximum_size_and_an_encoding_and_never_appear_in_errors() {
    let value = "synced_secret.references[0].create.value";
    let sized = |bytes: usize| with_create(|create| create.value = "v".repeat(bytes));
    assert!(sized(limits::VALUE_BYTES).is_ok());
    refused(sized(limits::VALUE_BYTES + 1), value, "25601");
    refused(sized(0), value, "required");
    // The limit counts bytes, not characters.
    refused(with_create(|create| create.value = "ä".repeat(12_801)), value, "25602");
    let encoded = with_reference(|wire| (wire.create, wire.encoding) = (creating("hunter2").create, 2));
    refused(encoded, "synced_secret.references[0].encoding", "not valid hex");
    let all = problems(with_create(|create| create.value = "canary".repeat(9_999)));
    assert!(!format!("{all:?}").contains("canary"));
}

#[test]
fn a_value_is_taken_out_of_the_request() {
    let mut wire = "hunter2".to_owned();
    wire.reserve(100);
    let taken = super::vault_secret::take_value(&mut wire);
    assert_eq!((wire.as_str(), taken.expose_secret()), ("", "hunter2"));
}

#[test]
fn times_lie_in_the_future_and_in_order() {
    let field = |name: &str| format!("synced_secret.references[0].create.{name}");
    refused(with_create(|create| create.expire_time = after(-1)), &field("expire_time"), "future");
    let swapped =
        with_create(|create| (create.not_before_time, create.expire_time) = (after(200), after(100)));
    refused(swapped, &field("not_before_time"), "before expire_time");
    assert!(
        with_create(|create| (create.not_before_time, create.expire_time) = (after(-5), after(100))).is_ok()
    );
    for (seconds, nanos) in [(0, -1), (0, 1_000_000_000), (i64::MAX, 0), (i64::MIN, 0), (253_402_300_800, 0)]
    {
        let wire = Some(prost_types::Timestamp { seconds, nanos });
        refused(with_create(|create| create.not_before_time = wire), &field("not_before_time"), "years");
    }
}

#[test]
fn tags_and_content_types_fit_into_the_vault() {
    let field = |name: &str| format!("synced_secret.references[0].create.{name}");
    let tagged = |tags: Vec<(String, String)>| with_create(|create| create.tags = tags.into_iter().collect());
    let many = |count: usize| (0..count).map(|place| (format!("t{place}"), String::new())).collect();
    assert!(tagged(many(limits::TAGS)).is_ok());
    refused(tagged(many(limits::TAGS + 1)), &field("tags"), "at most 14");
    assert!(tagged(vec![("ä".repeat(256), "ö".repeat(256))]).is_ok());
    for (name, value) in [
        ("".into(), "".into()),
        ("t".repeat(257), "".into()),
        ("t".into(), "v".repeat(257)),
        ("t\0".into(), "".into()),
    ] {
        refused(tagged(vec![(name, value)]), &field("tags"), "256");
    }
    refused(tagged(vec![("secret-service".into(), "x".into())]), &field("tags"), "which this service sets");
    let typed = |text: String| with_create(|create| create.content_type = text);
    assert!(typed("x".repeat(255)).is_ok());
    refused(typed("x".repeat(256)), &field("content_type"), "255");
    refused(typed("text/\nplain".into()), &field("content_type"), "printable");
}

#[test]
fn labels_follow_the_rules_of_kubernetes() {
    let labelled = |key: &str, value: &str| {
        let labels = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        create("a", SyncedSecret { labels, ..wanted() })
    };
    for (key, value) in [("a", ""), ("a.b/c_d", "V-1.x"), (&"k".repeat(63), &"v".repeat(63))] {
        assert!(labelled(key, value).is_ok(), "{key} {value}");
    }
    for key in [
        "",
        "/a",
        "a/",
        "A.b/c",
        "a/b/c",
        "-a",
        "a-",
        "ä",
        "a b",
        &"k".repeat(64),
        &format!("{}/k", "p".repeat(254)),
    ] {
        refused(labelled(key, ""), "synced_secret.labels", "not a label key");
    }
    for value in ["-", "a b", "v\n", &"v".repeat(64)] {
        refused(labelled("a", value), "synced_secret.labels", "not a label value");
    }
    refused(
        labelled("app.kubernetes.io/managed-by", "me"),
        "synced_secret.labels",
        "which this service sets",
    );
    let labels = (0..=limits::LABELS).map(|place| (format!("l{place}"), String::new())).collect();
    refused(create("a", SyncedSecret { labels, ..wanted() }), "synced_secret.labels", "at most 64");
}

#[test]
fn descriptions_and_types_have_limits() {
    let described = |text: String| create("a", SyncedSecret { description: text, ..wanted() });
    assert!(described("ä\n\t".repeat(limits::DESCRIPTION_CHARS / 3)).is_ok());
    refused(described("x".repeat(1_025)), "synced_secret.description", "1024");
    refused(described("a\0b".into()), "synced_secret.description", "printable");
    let typed = |text: &str| create("a", SyncedSecret { secret_type: text.into(), ..wanted() });
    refused(typed("kubernetes.io/service-account-token"), "synced_secret.secret_type", "grants privileges");
    refused(typed("a b"), "synced_secret.secret_type", "letters");
}

#[test]
fn all_violations_are_reported_at_once() {
    let wire = SyncedSecret {
        name: "b".into(),
        secret_type: "a b".into(),
        description: "\0".into(),
        labels: BTreeMap::from([("-".into(), String::new()), ("+".into(), String::new())]),
        references: vec![
            SecretReference {
                key: "a b".into(),
                vault_secret: "x y".into(),
                version: "v".into(),
                encoding: 7,
                ..Default::default()
            },
            SecretReference { key: "c d".into(), ..creating("") },
        ],
        ..Default::default()
    };
    let fields: Vec<_> = problems(create("A", wire))
        .into_iter()
        .map(|text| text.split(": ").next().unwrap().to_owned())
        .collect();
    assert_eq!(
        fields,
        [
            "synced_secret_id",
            "synced_secret.name",
            "synced_secret.secret_type",
            "synced_secret.description",
            "synced_secret.labels",
            "synced_secret.labels",
            "synced_secret.references[0].key",
            "synced_secret.references[0].vault_secret",
            "synced_secret.references[0].version",
            "synced_secret.references[0].encoding",
            "synced_secret.references[1].create.value",
            "synced_secret.references[1].key",
        ]
    );
}
