//! Whose the fields of a Secret are, as `managedFields` say it: pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::{Value, json};

use super::{EXTENSION, LABEL_PREFIX};
use crate::{
    edge::{FIELD_MANAGER, engine::direct::secret::data_keys, manifest::labels},
    model::SyncedSecret,
};

/// The entries of `managedFields` with all that this service or the extension writes into a Secret in one's
/// hands, as if it had applied just that: the type, the labels, and the keys that are wanted. What else
/// others have, they keep.
pub(super) fn handed_over(
    metadata: &ObjectMeta,
    desired: &SyncedSecret,
    receiver: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Vec<Value> {
    let entries = || metadata.managed_fields.iter().flatten();
    let is_applied = |entry: &ManagedFieldsEntry| {
        entry.operation.as_deref() == Some("Apply") && entry.subresource.is_none()
    };
    let is_of_receiver =
        |entry: &&ManagedFieldsEntry| entry.manager.as_deref() == Some(receiver) && is_applied(entry);
    // Somebody may have edited a label that is asked for, and it is theirs alone since.
    let of_both =
        entries().filter(|entry| matches!(entry.manager.as_deref(), Some(EXTENSION | FIELD_MANAGER)));
    let marks = metadata.labels.iter().flatten().map(|(label, _)| label);
    let marks = marks.filter(|label| label.starts_with(LABEL_PREFIX)).cloned();
    let given: BTreeSet<String> =
        labels_of(of_both).chain(labels(desired).into_keys()).chain(marks).collect();
    let mut received = entries()
        .find(is_of_receiver)
        .map_or_else(|| entry_of(receiver, "v1", json!({})), |entry| json!(entry));
    let fields = &mut received["fieldsV1"];
    for key in data_keys(metadata, |_| true).filter(|key| is_wanted(key)) {
        fields["f:data"][format!("f:{key}")] = json!({});
    }
    fields["f:type"] = json!({});
    let there = metadata.labels.iter().flatten().map(|(label, _)| label);
    for label in there.filter(|label| given.contains(*label)) {
        fields["f:metadata"]["f:labels"][format!("f:{label}")] = json!({});
    }
    let is_kept = |entry: &&ManagedFieldsEntry| {
        // All that the extension has in a Secret is what it gives.
        !is_of_receiver(entry) && entry.manager.as_deref() != Some(EXTENSION)
    };
    let others = entries().filter(is_kept).map(|entry| without(json!(entry), &given));
    let is_left = |entry: &Value| entry["fieldsV1"].as_object().is_some_and(|fields| !fields.is_empty());
    others.filter(is_left).chain([received]).collect()
}

/// An entry without the content of a Secret and these labels.
fn without(mut entry: Value, labels: &BTreeSet<String>) -> Value {
    let Some(fields) = entry["fieldsV1"].as_object_mut() else { return entry };
    fields.remove("f:data");
    fields.remove("f:type");
    if let Some(metadata) = fields.get_mut("f:metadata").and_then(Value::as_object_mut) {
        if let Some(held) = metadata.get_mut("f:labels").and_then(Value::as_object_mut) {
            held.retain(|label, _| {
                label != "." && !label.strip_prefix("f:").is_some_and(|label| labels.contains(label))
            });
            if held.is_empty() {
                metadata.remove("f:labels");
            }
        }
        if metadata.is_empty() {
            fields.remove("f:metadata");
        }
    }
    entry
}

/// An entry of `managedFields`, as an apply writes it. Without any entry, the API server assigns every field
/// to a manager `before-first-apply` at the next apply, which would cause conflicts.
pub(super) fn entry_of(manager: &str, api_version: &str, fields: Value) -> Value {
    json!({
        "manager": manager, "operation": "Apply", "apiVersion": api_version,
        "time": Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "fieldsType": "FieldsV1", "fieldsV1": fields,
    })
}

/// The labels that these entries own.
pub(super) fn labels_of<'a>(
    entries: impl Iterator<Item = &'a ManagedFieldsEntry>,
) -> impl Iterator<Item = String> {
    entries
        .filter_map(|entry| entry.fields_v1.as_ref()?.0.pointer("/f:metadata/f:labels")?.as_object())
        .flat_map(|labels| labels.keys())
        .filter_map(|label| label.strip_prefix("f:").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({
            "manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields,
        })
    }

    fn secret(entries: &[Value]) -> ObjectMeta {
        let labels = json!({ "ours": "1", "theirs": "1", "app.kubernetes.io/managed-by": "somebody" });
        serde_json::from_value(json!({ "name": "a", "labels": labels, "managedFields": entries })).unwrap()
    }

    /// The fields of each manager.
    fn fields(entries: &[Value]) -> Vec<(&str, &Value)> {
        entries.iter().map(|entry| (entry["manager"].as_str().unwrap(), &entry["fieldsV1"])).collect()
    }

    #[test]
    fn the_new_owner_gets_the_fields_of_both_engines_and_others_keep_theirs() {
        let desired = SyncedSecret::example("a");
        let given = entry(
            FIELD_MANAGER,
            "Apply",
            json!({
                "f:data": { "f:kept": {}, "f:dropped": {} }, "f:type": {},
                "f:metadata": { "f:labels": { "f:ours": {}, "f:gone": {} }, "f:annotations": { "f:a": {} } },
            }),
        );
        let edited = entry(
            "kubectl-edit",
            "Update",
            json!({
                "f:data": { ".": {}, "f:extra": {} },
                "f:metadata": { "f:labels": { "f:theirs": {}, "f:app.kubernetes.io/managed-by": {} } },
            }),
        );
        let handed = handed_over(&secret(&[given, edited]), &desired, EXTENSION, |key| key != "extra");
        let labels = json!({ "f:ours": {}, "f:app.kubernetes.io/managed-by": {} });
        assert_eq!(
            fields(&handed),
            [
                (FIELD_MANAGER, &json!({ "f:metadata": { "f:annotations": { "f:a": {} } } })),
                ("kubectl-edit", &json!({ "f:metadata": { "f:labels": { "f:theirs": {} } } })),
                (
                    EXTENSION,
                    &json!({
                        "f:data": { "f:kept": {}, "f:dropped": {} }, "f:type": {},
                        "f:metadata": { "f:labels": labels },
                    })
                ),
            ]
        );
    }

    #[test]
    fn the_new_owner_keeps_its_own_fields_and_the_extension_keeps_none() {
        let desired = SyncedSecret::example("a");
        let had = entry(FIELD_MANAGER, "Apply", json!({ "f:metadata": { "f:annotations": { "f:a": {} } } }));
        let owner = json!({ "f:data": { "f:k": {} }, "f:metadata": { "f:ownerReferences": {} } });
        let handed =
            handed_over(&secret(&[had, entry(EXTENSION, "Apply", owner)]), &desired, FIELD_MANAGER, |_| true);
        let labels = json!({ "f:app.kubernetes.io/managed-by": {} });
        let metadata = json!({ "f:annotations": { "f:a": {} }, "f:labels": labels });
        let all = json!({ "f:data": { "f:k": {} }, "f:type": {}, "f:metadata": metadata });
        assert_eq!(fields(&handed), [(FIELD_MANAGER, &all)]);
    }
}
