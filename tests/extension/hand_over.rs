//! From one hand to another: a Secret that is watched all the time shows no moment without it.

use k8s_openapi::{api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, PropagationPolicy};
use secret_store_extension_double::{FIELD_MANAGER, LABEL};
use serde_json::{Value, json};

use crate::{
    fixture::{CREATED, Fixture, UPDATED, collected, eventually},
    support::{kubectl, script::say},
    witness::Witness,
};

const US: &str = "secret-service";

/// Observation 3.
#[tokio::test]
async fn an_edit_by_hand_is_reverted_only_after_the_editor_left_the_managed_fields() {
    let fixture = Fixture::start().await;
    fixture.synced("edited", "v").await;
    let witness = Witness::of(&fixture.site.secrets(), "edited").await;
    let editor = kubectl();
    let edit = json!({"stringData": {"password": "by-hand"}});
    fixture.site.secrets().patch("edited", &editor, &Patch::Merge(edit)).await.unwrap();

    fixture.extension.poll().await;
    assert_eq!(fixture.site.edge("edited").await.unwrap()["password"], "by-hand");
    assert_eq!(fixture.condition("edited", UPDATED).await.unwrap().reason, "SecretUpToDate");
    fixture.force("edited").await;
    let conflict = fixture.until("edited", UPDATED, "ControllerPatchError").await;
    assert!(conflict.message.contains("kubectl-patch"), "{conflict:?}");
    assert_eq!(fixture.condition("edited", CREATED).await.unwrap().reason, "CreateSuccessful");

    fixture.disown("edited", |manager| manager != "kubectl-patch").await;
    fixture.force("edited").await;
    fixture.until_edge("edited", "password", "v").await;
    fixture.until("edited", UPDATED, "SecretUpToDate").await;
    witness.testify().await;
}

/// Observation 13.
#[tokio::test]
async fn the_controller_merges_its_keys_label_and_owner_into_an_existing_secret() {
    let fixture = Fixture::start().await;
    fixture.site.seed("merged", "v").await;
    fixture.class("merged", &["merged"]).await;
    let mut theirs = Secret { type_: Some("Opaque".to_owned()), ..Secret::default() };
    theirs.metadata.name = Some("merged".to_owned());
    theirs.string_data = Some([("theirs".to_owned(), "x".to_owned())].into());
    let somebody = PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
    let made = fixture.site.secrets().create(&somebody, &theirs).await.unwrap();
    fixture.sync("merged", "merged", &[("merged", "password")]).await;
    fixture.until("merged", CREATED, "CreateSuccessful").await;
    let after = fixture.site.secrets().get("merged").await.unwrap();
    assert_eq!(after.metadata.uid, made.metadata.uid);
    assert_eq!(after.data.unwrap().into_keys().collect::<Vec<_>>(), ["password", "theirs"]);
    assert_eq!(after.metadata.owner_references.unwrap()[0].name, "merged");
    assert!(after.metadata.labels.unwrap().contains_key(LABEL));
    assert_eq!(managers(after.metadata.managed_fields), ["kubectl-create", FIELD_MANAGER]);
}

/// Observation 14.
#[tokio::test]
async fn a_key_removed_by_hand_loses_its_manager_and_is_not_restored() {
    let fixture = Fixture::start().await;
    fixture.synced("emptied", "v").await;
    let editor = kubectl();
    let removed = json!([{ "op": "remove", "path": "/data/password" }]);
    let removed = Patch::<Secret>::Json(serde_json::from_value(removed).unwrap());
    fixture.site.secrets().patch("emptied", &editor, &removed).await.unwrap();
    fixture.extension.poll().await;
    let secret = fixture.site.secrets().get("emptied").await.unwrap();
    assert_eq!(secret.data, None);
    assert_eq!(fixture.condition("emptied", UPDATED).await.unwrap().reason, "SecretUpToDate");
    let fields = secret.metadata.managed_fields.unwrap();
    let text = serde_json::to_string(&fields).unwrap();
    assert!(!text.contains("f:password"), "{text}");
    assert_eq!(managers(Some(fields)), [FIELD_MANAGER]);

    fixture.force("emptied").await;
    fixture.until_edge("emptied", "password", "v").await;
}

fn managers(fields: Option<Vec<ManagedFieldsEntry>>) -> Vec<String> {
    let mut managers: Vec<_> = fields.into_iter().flatten().filter_map(|entry| entry.manager).collect();
    managers.sort();
    managers
}

/// Observation 5.
#[tokio::test]
async fn a_secret_handed_to_the_controller_is_co_owned_until_the_previous_manager_releases_its_fields() {
    let fixture = Fixture::start().await;
    fixture.site.seed("handed", "v").await;
    let whole = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "handed"}, "type": "Opaque",
        "data": {"password": "dg=="},
    });
    fixture.apply_as_us("handed", &whole).await;
    let witness = Witness::of(&fixture.site.secrets(), "handed").await;
    fixture.class("handed", &["handed"]).await;
    fixture.sync("handed", "handed", &[("handed", "password")]).await;
    fixture.until("handed", CREATED, "CreateSuccessful").await;
    assert_eq!(fixture.condition("handed", UPDATED).await.unwrap().reason, "SecretUpToDate");

    fixture.site.somebody.sets("handed", "rotated").await;
    fixture.extension.poll().await;
    let conflict = fixture.condition("handed", UPDATED).await.unwrap();
    assert_eq!(conflict.reason, "ControllerPatchError");
    assert!(conflict.message.contains(US), "{conflict:?}");

    let mut without_data = whole.clone();
    without_data.as_object_mut().unwrap().remove("data");
    fixture.apply_as_us("handed", &without_data).await;
    assert_eq!(fixture.site.edge("handed").await.unwrap()["password"], "v", "what is co-owned stays");
    fixture.force("handed").await;
    fixture.until_edge("handed", "password", "rotated").await;
    witness.testify().await;
}

/// Observation 6.
#[tokio::test]
async fn orphan_propagation_still_deletes_the_secret() {
    let fixture = Fixture::start().await;
    fixture.synced("orphan", "v").await;
    let orphan =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    let deleted = fixture.syncs.delete("orphan", &orphan).await.unwrap();
    if deleted.is_right() {
        // A SecretSync that is gone at once was not held by the finalizer whose removal brings about the last look.
        assert!(fixture.site.is_double(), "a real API server holds it until its dependents are orphans");
        return say("orphan propagation: SKIPPED, this Kubernetes double has no finalizer for it");
    }
    collected("the SecretSync is gone", async || fixture.syncs.get_opt("orphan").await.unwrap().is_none())
        .await;
    collected("the Secret is gone", async || fixture.site.edge("orphan").await.is_none()).await;
}

/// Observation 6, what works.
#[tokio::test]
async fn a_secretsync_without_a_class_releases_its_secret() {
    let fixture = Fixture::start().await;
    fixture.synced("freed", "v").await;
    let witness = Witness::of(&fixture.site.secrets(), "freed").await;

    fixture.change("freed", json!({"secretProviderClassName": "no-such-class"})).await;
    fixture.until("freed", UPDATED, "SecretProviderClassMisconfigured").await;
    fixture.disown("freed", |_| false).await;
    fixture.syncs.delete("freed", &DeleteParams::default()).await.unwrap();
    eventually("the SecretSync is gone", async || fixture.syncs.get_opt("freed").await.unwrap().is_none())
        .await;
    let ours = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "freed"}, "data": {"password": "b3Vycw=="},
    });
    fixture.apply_as_us("freed", &ours).await;

    // A controller that had not stopped before it writes would have taken it back, and the collector would take it now.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(fixture.site.edge("freed").await.unwrap()["password"], "ours");
    witness.testify().await;
}

/// Observation 7.
#[tokio::test]
async fn the_portals_secretsync_is_taken_over_in_place() {
    let fixture = Fixture::start().await;
    for secret in ["opc-username", "opc-password"] {
        fixture.site.seed(secret, "v").await;
    }
    // The portal's class, without the pinned version that the vault doesn't have.
    fixture.apply_the_portals().await;
    fixture.class("spc-ops-1a2b3c4", &["opc-username", "opc-password"]).await;
    fixture.force("edp1secrets").await;
    fixture.until_edge("edp1secrets", "opc-username", "v").await;
    fixture.until("edp1secrets", UPDATED, "SecretUpToDate").await;
    let witness = Witness::of(&fixture.site.secrets(), "edp1secrets").await;
    let before = fixture.syncs.get("edp1secrets").await.unwrap().metadata.uid;

    fixture.class("ours", &["opc-username", "opc-password"]).await;
    let ours = json!({
        "apiVersion": "secret-sync.x-k8s.io/v1alpha1", "kind": "SecretSync", "metadata": {"name": "edp1secrets"},
        "spec": {"secretProviderClassName": "ours"},
    });
    let parameters = PatchParams::apply(US).force();
    fixture.syncs.patch("edp1secrets", &parameters, &Patch::Apply(ours)).await.unwrap();
    fixture.site.somebody.sets("opc-username", "rotated").await;
    fixture.force("edp1secrets").await;
    fixture.until_edge("edp1secrets", "opc-username", "rotated").await;
    assert_eq!(fixture.syncs.get("edp1secrets").await.unwrap().metadata.uid, before);
    witness.testify().await;
}

impl Fixture {
    async fn apply_as_us(&self, name: &str, secret: &Value) {
        let parameters = PatchParams::apply(US).force();
        self.site.secrets().patch(name, &parameters, &Patch::Apply(secret)).await.unwrap();
    }

    /// Takes the owners off a Secret, and those managers that are not to stay.
    async fn disown(&self, name: &str, stays: impl Fn(&str) -> bool) {
        loop {
            let found = self.site.secrets().get_metadata(name).await.unwrap().metadata;
            let all_go = found
                .managed_fields
                .iter()
                .flatten()
                .all(|entry| !stays(entry.manager.as_deref().unwrap_or("")));
            let mut left: Vec<Value> = found
                .managed_fields
                .iter()
                .flatten()
                .filter(|entry| stays(entry.manager.as_deref().unwrap_or("")))
                .map(|entry| serde_json::to_value(entry).unwrap())
                .collect();
            let mut metadata = json!({"resourceVersion": found.resource_version});
            if all_go {
                // An empty list would be taken for one that was left out; one empty entry empties it.
                left = vec![json!({})];
                metadata["ownerReferences"] = Value::Null;
            }
            metadata["managedFields"] = json!(left);
            let patch = Patch::Merge(json!({"metadata": metadata}));
            match self.site.secrets().patch_metadata(name, &PatchParams::default(), &patch).await {
                Ok(_) => return,
                Err(kube::Error::Api(refusal)) if refusal.code == 409 => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}
