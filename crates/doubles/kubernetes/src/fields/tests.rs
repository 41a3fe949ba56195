//! The rules of field management, one by one.

use serde_json::{Value, json};

use super::{
    Operation::{Apply, Update},
    managers::Entry,
    *,
};

// === ownership ===

#[test]
fn an_applier_owns_the_leaves_it_names_and_nothing_that_names_the_object() {
    let mut object = with_data(json!({"a": "eA=="}));
    object["metadata"]["labels"] = json!({"l": "1"});
    object["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}]);
    object["metadata"]["finalizers"] = json!(["x/1"]);
    let object = apply(None, &object, &by("ann"), false, &schema()).unwrap();
    assert_eq!(
        object["metadata"]["managedFields"],
        json!([{
            "manager": "ann",
            "operation": "Apply",
            "apiVersion": "v1",
            "time": "2026-01-02T03:04:05Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:data": {"f:a": {}},
                "f:metadata": {
                    "f:finalizers": {"v:\"x/1\"": {}},
                    "f:labels": {"f:l": {}},
                    "f:ownerReferences": {"k:{\"uid\":\"u\"}": {}},
                },
            },
        }])
    );
}

#[test]
fn a_creator_by_update_also_owns_the_maps() {
    let object = update(None, with_data(json!({"a": "eA=="})), &by("ann"), &schema());
    assert_eq!(object["metadata"]["managedFields"][0]["operation"], "Update");
    assert_eq!(object["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:data": {".": {}, "f:a": {}}}));
}

#[test]
fn an_update_takes_the_fields_it_changes_from_whoever_has_them() {
    let live = created("ann", json!({"a": "eA==", "b": "eA=="}));
    let object = updated(&live, "bob", json!({"a": "eQ==", "b": "eA=="}));
    assert_eq!(owned(&object, "ann", Apply), [".data.b"]);
    assert_eq!(owned(&object, "bob", Update), [".data.a"]);
}

#[test]
fn a_field_that_an_update_removes_has_no_owner() {
    let live = created("ann", json!({"a": "eA==", "b": "eA=="}));
    let object = updated(&live, "bob", json!({"b": "eA=="}));
    assert_eq!(owned(&object, "ann", Apply), [".data.b"]);
    assert_eq!(entry(&object, "bob", Update).map(|entry| entry.fields), None);
}

#[test]
fn one_manager_has_an_entry_for_each_version_it_updates_in_and_one_for_all_it_applies_in() {
    let in_v2 = Manager { api_version: "v2".to_owned(), ..by("ann") };
    let live = created("ann", json!({"a": "eA=="}));
    let object = apply(Some(&live), &with_data(json!({"b": "eA=="})), &in_v2, false, &schema()).unwrap();
    let entries = Managers::of(&object).unwrap().0;
    assert_eq!(entries.iter().map(|entry| entry.api_version.as_str()).collect::<Vec<_>>(), ["v2"]);

    let live = update(None, with_data(json!({"a": "eA=="})), &by("ann"), &schema());
    let object = update(Some(&live), with_data(json!({"a": "eQ=="})), &in_v2, &schema());
    let entries = Managers::of(&object).unwrap().0;
    assert_eq!(entries.iter().map(|entry| entry.api_version.as_str()).collect::<Vec<_>>(), ["v1", "v2"]);
}

#[test]
fn the_status_subresource_has_an_entry_of_its_own() {
    let mut live = json!({"apiVersion": "x/v1", "kind": "X", "metadata": {"name": "x"}, "spec": {"a": 1}});
    live = update(None, live, &by("ann"), &FieldSchema::custom(&json!({})));
    let mut new = live.clone();
    new["status"] = json!({"ready": true});
    new["metadata"]["managedFields"] = json!([]);
    let status = Manager { subresource: "status".to_owned(), ..by("ann") };
    let object = update(Some(&live), new, &status, &FieldSchema::custom(&json!({})));
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "and the list that was sent does not count");
    assert_eq!(entries[1]["subresource"], "status");
    assert_eq!(entries[1]["fieldsV1"], json!({"f:status": {".": {}, "f:ready": {}}}));
}

#[test]
fn entries_are_ordered_by_operation_time_and_name() {
    let mut object = created("cy", json!({"a": "eA=="}));
    let others =
        [("bob", "2026-02-01T00:00:00Z"), ("zoe", "2026-01-01T00:00:00Z"), ("ann", "2026-02-01T00:00:00Z")];
    for (name, time) in others {
        let live = object.clone();
        object["data"][name] = "eA==".into();
        object = update(Some(&live), object, &at(name, time), &schema());
    }
    let managers: Vec<_> = Managers::of(&object).unwrap().0.into_iter().map(|entry| entry.manager).collect();
    assert_eq!(managers, ["cy", "zoe", "ann", "bob"]);
}

#[test]
fn the_oldest_of_more_than_ten_updaters_are_merged() {
    let mut object = secret();
    for number in 10..22 {
        let live = (number > 10).then(|| object.clone());
        object["data"][format!("k{number}")] = "eA==".into();
        let who = at(&format!("m{number}"), &format!("2026-01-{number}T00:00:00Z"));
        object = update(live.as_ref(), object, &who, &schema());
    }
    let entries = Managers::of(&object).unwrap().0;
    assert_eq!(entries.len(), 10);
    assert_eq!(entries[0].manager, "ancient-changes");
    assert_eq!(entries[0].fields.paths(), [".data", ".data.k10", ".data.k11", ".data.k12"]);
}

// === conflicts ===

#[test]
fn another_value_than_another_managers_is_a_conflict() {
    let live = created("ann", json!({"a": "eA==", "b": "eA=="}));
    let conflicts = applied(&live, "bob", json!({"a": "eQ=="})).unwrap_err();
    assert_eq!(conflicts.0[0].field, ".data.a");
    assert_eq!(conflicts.0[0].manager, "ann");
    assert_eq!(conflicts.0[0].message(), r#"conflict with "ann""#);
    assert_eq!(conflicts.to_string(), r#"Apply failed with 1 conflict: conflict with "ann": .data.a"#);
}

#[test]
fn all_conflicts_are_reported_by_manager() {
    let live =
        updated(&created("cy", json!({"a": "eA==", "b": "eA=="})), "ann", json!({"a": "eQ==", "b": "eA=="}));
    let conflicts = applied(&live, "bob", json!({"a": "eg==", "b": "eg=="})).unwrap_err();
    assert_eq!(
        conflicts.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"ann\" using v1:\n- .data.a\nconflicts with \"cy\":\n- .data.b"
    );
}

#[test]
fn the_same_value_is_co_owned_and_then_protected_by_both() {
    let live = created("ann", json!({"a": "eA=="}));
    let both = applied(&live, "bob", json!({"a": "eA=="})).unwrap();
    assert_eq!(owned(&both, "ann", Apply), owned(&both, "bob", Apply));
    assert!(applied(&both, "ann", json!({"a": "eQ=="})).is_err());
}

#[test]
fn force_takes_the_field_from_the_others() {
    let live = created("ann", json!({"a": "eA==", "b": "eA=="}));
    let object = forced(&live, "bob", json!({"a": "eQ=="}));
    assert_eq!(object["data"], json!({"a": "eQ==", "b": "eA=="}));
    assert_eq!(owned(&object, "ann", Apply), [".data.b"]);
    assert_eq!(owned(&object, "bob", Apply), [".data.a"]);
}

#[test]
fn an_applier_conflicts_with_its_own_updates() {
    let live = updated(&created("ann", json!({"a": "eA=="})), "ann", json!({"a": "eQ=="}));
    let conflicts = applied(&live, "ann", json!({"a": "eA=="})).unwrap_err();
    assert_eq!(conflicts.0[0].operation, Update);
}

#[test]
fn fields_of_an_object_without_managers_belong_to_before_first_apply() {
    let live = with_data(json!({"a": "eA=="}));
    let conflicts = applied(&live, "ann", json!({"a": "eQ=="})).unwrap_err();
    assert_eq!(conflicts.0[0].message(), r#"conflict with "before-first-apply" using v1"#);
    let object = applied(&live, "ann", json!({"b": "eA=="})).unwrap();
    assert_eq!(owned(&object, "before-first-apply", Update), [".data", ".data.a"]);
}

// === removal ===

#[test]
fn a_field_that_its_applier_omits_is_removed() {
    let live = created("ann", json!({"a": "eA==", "b": "eA=="}));
    assert_eq!(applied(&live, "ann", json!({"a": "eA=="})).unwrap()["data"], json!({"a": "eA=="}));
}

#[test]
fn a_field_that_its_applier_omits_stays_if_another_owns_it() {
    let live = created("ann", json!({"a": "eA==", "b": "eA=="}));
    let live = applied(&live, "bob", json!({"b": "eA=="})).unwrap();
    let object = applied(&live, "ann", json!({"a": "eA=="})).unwrap();
    assert_eq!(object["data"], json!({"a": "eA==", "b": "eA=="}));
    assert_eq!(owned(&object, "ann", Apply), [".data.a"]);
}

#[test]
fn omitting_a_whole_map_leaves_no_empty_map() {
    let live = created("ann", json!({"a": "eA=="}));
    let object = apply(Some(&live), &secret(), &by("ann"), false, &schema()).unwrap();
    assert_eq!(object, secret());
}

#[test]
fn a_hand_over_by_applying_without_data_keeps_co_owned_fields() {
    let live = created("ann", json!({"a": "eA=="}));
    let live = applied(&live, "bob", json!({"a": "eA=="})).unwrap();
    let object = apply(Some(&live), &secret(), &by("ann"), true, &schema()).unwrap();
    assert_eq!(object["data"], json!({"a": "eA=="}));
    assert!(applied(&object, "bob", json!({"a": "eQ=="})).is_ok());
}

#[test]
fn items_of_sets_and_keyed_lists_are_removed_one_by_one() {
    let with = |uids: &[&str], finalizers: &[&str]| {
        let mut object = secret();
        let owner = |uid| json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid});
        object["metadata"]["ownerReferences"] = uids.iter().map(owner).collect();
        object["metadata"]["finalizers"] = json!(finalizers);
        object
    };
    let live = apply(None, &with(&["1", "2"], &["x/1", "x/2"]), &by("ann"), false, &schema()).unwrap();
    let live = apply(Some(&live), &with(&["2", "3"], &["x/2", "x/3"]), &by("bob"), false, &schema()).unwrap();
    let object = apply(Some(&live), &with(&["1"], &["x/1"]), &by("ann"), false, &schema()).unwrap();
    let uids = object["metadata"]["ownerReferences"].as_array().unwrap().iter().map(|owner| &owner["uid"]);
    assert_eq!(uids.collect::<Vec<_>>(), ["1", "2", "3"]);
    let object = apply(Some(&object), &secret(), &by("ann"), false, &schema()).unwrap();
    assert_eq!(object["metadata"]["finalizers"], json!(["x/2", "x/3"]));
}

// === managedFields that a client sends ===

#[test]
fn taking_an_entry_out_of_managed_fields_releases_its_fields() {
    let live = updated(&created("controller", json!({"a": "eA=="})), "kubectl-patch", json!({"a": "eQ=="}));
    let live = updated(&live, "other", json!({"a": "eQ==", "b": "eA=="}));
    assert!(applied(&live, "controller", json!({"a": "eA=="})).is_err());
    let mut new = live.clone();
    let entries = new["metadata"]["managedFields"].as_array_mut().unwrap();
    entries.retain(|entry| entry["manager"] != "kubectl-patch");
    let released = update(Some(&live), new, &by("mender"), &schema());
    assert_eq!(owned(&released, "mender", Update), [] as [&str; 0]);
    assert_eq!(applied(&released, "controller", json!({"a": "eA=="})).unwrap()["data"]["a"], "eA==");
}

#[test]
fn an_empty_list_or_an_empty_entry_makes_the_object_forget_its_managers() {
    let live = created("ann", json!({"a": "eA=="}));
    for reset in [json!([]), json!([{}])] {
        let mut new = live.clone();
        new["metadata"]["managedFields"] = reset;
        let object = update(Some(&live), new, &by("bob"), &schema());
        assert_eq!(object, with_data(json!({"a": "eA=="})));
        let later = updated(&object, "bob", json!({"a": "eQ=="}));
        assert_eq!(later["metadata"].get("managedFields"), None, "and it stays so until it is applied to");
    }
}

#[test]
fn invalid_entries_are_ignored() {
    let live = created("ann", json!({"a": "eA=="}));
    let mut new = live.clone();
    new["metadata"]["managedFields"] = json!([{"manager": "bob", "operation": "Sing"}]);
    assert_eq!(update(Some(&live), new, &by("bob"), &schema()), live);
}

// === time ===

#[test]
fn the_time_changes_only_with_the_object() {
    let live = created("ann", json!({"a": "eA=="}));
    let later = at("ann", "2027-01-01T00:00:00Z");
    let time = |object: &Value| object["metadata"]["managedFields"][0]["time"].clone();
    let same = apply(Some(&live), &with_data(json!({"a": "eA=="})), &later, false, &schema()).unwrap();
    assert_eq!(time(&same), "2026-01-02T03:04:05Z");
    let other = apply(Some(&live), &with_data(json!({"a": "eQ=="})), &later, false, &schema()).unwrap();
    assert_eq!(time(&other), "2027-01-01T00:00:00Z");
}

// === types ===

#[test]
fn lists_of_a_custom_type_merge_as_its_schema_says() {
    let item = json!({"type": "object", "properties": {"k": {"type": "string"}, "v": {"type": "string"}}});
    let list =
        |kind: &str| json!({"type": "array", "x-kubernetes-list-type": kind, "items": {"type": "string"}});
    let schema = FieldSchema::custom(&json!({"type": "object", "properties": {"spec": {
        "type": "object",
        "properties": {
            "atomic": {"type": "array", "items": item},
            "keyed": {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": item,
            },
            "set": list("set"),
            "whole": {"type": "object", "x-kubernetes-map-type": "atomic"},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }}}));
    let object = json!({"apiVersion": "x/v1", "kind": "X", "metadata": {"name": "x"}, "spec": {
        "atomic": [{"k": "1"}],
        "keyed": [{"k": "1", "v": "2"}],
        "set": ["s"],
        "whole": {"a": "1"},
        "map": {"a": "1"},
    }});
    let object = apply(None, &object, &by("ann"), false, &schema).unwrap();
    assert_eq!(
        object["metadata"]["managedFields"][0]["fieldsV1"],
        json!({"f:spec": {
            "f:atomic": {},
            "f:keyed": {"k:{\"k\":\"1\"}": {".": {}, "f:k": {}, "f:v": {}}},
            "f:map": {"f:a": {}},
            "f:set": {"v:\"s\"": {}},
            "f:whole": {},
        }})
    );
}

#[test]
fn nobody_owns_the_structures_common_to_all_built_in_types() {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}, "spec": {"finalizers": ["k"]}});
    let object = update(None, object, &by("ann"), &FieldSchema::builtin("", "Namespace"));
    assert_eq!(object["metadata"]["managedFields"][0]["fieldsV1"], json!({"f:spec": {"f:finalizers": {}}}));
}

// === helpers ===

pub(super) fn schema() -> FieldSchema {
    FieldSchema::builtin("", "Secret")
}

pub(super) fn secret() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}})
}

fn with_data(data: Value) -> Value {
    let mut secret = secret();
    secret["data"] = data;
    secret
}

pub(super) fn by(name: &str) -> Manager {
    at(name, "2026-01-02T03:04:05.678Z")
}

pub(super) fn at(name: &str, time: &str) -> Manager {
    let time = time.parse().unwrap();
    Manager { name: name.to_owned(), api_version: "v1".to_owned(), time, subresource: String::new() }
}

pub(super) fn entry(object: &Value, manager: &str, operation: Operation) -> Option<Entry> {
    let mut entries = Managers::of(object).unwrap().0.into_iter();
    entries.find(|entry| entry.manager == manager && entry.operation == operation)
}

fn owned(object: &Value, manager: &str, operation: Operation) -> Vec<String> {
    entry(object, manager, operation).map(|entry| entry.fields.paths()).unwrap_or_default()
}

/// What an apply without force does to the `data` of a Secret whose `data` others wrote.
fn applied(live: &Value, name: &str, data: Value) -> Result<Value, Conflicts> {
    apply(Some(live), &with_data(data), &by(name), false, &schema())
}

fn forced(live: &Value, name: &str, data: Value) -> Value {
    apply(Some(live), &with_data(data), &by(name), true, &schema()).unwrap()
}

fn created(name: &str, data: Value) -> Value {
    apply(None, &with_data(data), &by(name), false, &schema()).unwrap()
}

fn updated(live: &Value, name: &str, data: Value) -> Value {
    update(Some(live), with_data(data), &by(name), &schema())
}
