//! Create, read, update and delete, as plain requests.

use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::{Fixture, NAMESPACE, eventually, path, secret};

#[tokio::test]
async fn a_secret_is_created_read_listed_and_deleted() {
    let fixture = Fixture::start().await;
    let (code, created) = fixture.post(&path(""), &secret("a", "one")).await;
    assert_eq!(code, 201, "{created}");
    assert_eq!(created["type"], "Opaque");
    assert_eq!(created["metadata"]["namespace"], NAMESPACE);
    assert_eq!(created["metadata"]["managedFields"][0]["operation"], "Update");
    assert!(created["metadata"]["uid"].as_str().unwrap().len() == 36);
    let (code, read) = fixture.get(&path("a")).await;
    assert_eq!((code, &read), (200, &created));
    let (_, list) = fixture.get(&path("")).await;
    assert_eq!(list["kind"], "SecretList");
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["kind"], Value::Null);
    let (code, status) = fixture.delete(&path("a"), "").await;
    assert_eq!(
        (code, &status["status"], &status["details"]["kind"]),
        (200, &json!("Success"), &json!("secrets"))
    );
    let (code, status) = fixture.get(&path("a")).await;
    assert_eq!(code, 404);
    assert_eq!(status["message"], "secrets \"a\" not found");
    assert_eq!(status["details"], json!({ "name": "a", "kind": "secrets" }));
}

#[tokio::test]
async fn bad_objects_are_refused_as_the_real_server_refuses_them() {
    let fixture = Fixture::start().await;
    fixture.post(&path(""), &secret("taken", "one")).await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut object = secret("new", "one");
        change(&mut object);
        object
    };
    let cases = [
        (
            with(&|o| o["metadata"]["name"] = json!("Not_valid")),
            422,
            "Invalid",
            "metadata.name: Invalid value",
        ),
        (
            with(&|o| o["metadata"]["name"] = json!("taken")),
            409,
            "AlreadyExists",
            "secrets \"taken\" already exists",
        ),
        (with(&|o| o["metadata"]["name"] = json!("")), 422, "Invalid", "name or generateName is required"),
        (
            with(&|o| o["metadata"]["namespace"] = json!("other")),
            400,
            "BadRequest",
            "does not match the namespace",
        ),
        (
            with(&|o| o["metadata"]["labels"] = json!({ "a": "b c" })),
            422,
            "Invalid",
            "metadata.labels: Invalid value: \"b c\"",
        ),
        (with(&|o| o["data"] = json!({ "bad key": "YQ==" })), 422, "Invalid", "data[bad key]: Invalid value"),
        (
            with(&|o| o["data"] = json!({ "a": "?" })),
            400,
            "BadRequest",
            "illegal base64 data at input byte 0",
        ),
        (with(&|o| o["data"] = json!({ "a": "A".repeat(1_400_000) })), 422, "Invalid", "data: Too long"),
        (with(&|o| o["kind"] = json!("ConfigMap")), 400, "BadRequest", "cannot be handled as a Secret"),
        (
            with(&|o| o["apiVersion"] = json!("v2")),
            400,
            "BadRequest",
            "does not match the expected API version",
        ),
        (with(&|o| o["type"] = json!("kubernetes.io/tls")), 422, "Invalid", "data[tls.crt]: Required value"),
    ];
    for (object, code, reason, message) in cases {
        let (found, status) = fixture.post(&path(""), &object).await;
        assert_eq!((found, &status["reason"]), (code, &json!(reason)), "{status}");
        assert!(status["message"].as_str().unwrap().contains(message), "{status}");
    }
    let (code, status) = fixture.post("/api/v1/namespaces/nowhere/secrets", &secret("a", "one")).await;
    assert_eq!((code, &status["message"]), (404, &json!("namespaces \"nowhere\" not found")));
    assert_eq!(status["details"]["kind"], "namespaces");
}

#[tokio::test]
async fn string_data_is_folded_and_generated_names_are_unique() {
    let fixture = Fixture::start().await;
    let object = json!({ "metadata": { "generateName": "g-" }, "stringData": { "key": "one" } });
    let (_, first) = fixture.post(&path(""), &object).await;
    let (_, second) = fixture.post(&path(""), &object).await;
    assert_eq!(first["data"], json!({ "key": "b25l" }));
    assert_eq!(first["stringData"], Value::Null);
    assert_ne!(first["metadata"]["name"], second["metadata"]["name"]);
}

#[tokio::test]
async fn an_update_keeps_server_fields_and_checks_the_resource_version() {
    let fixture = Fixture::start().await;
    let (_, first) = fixture.post(&path(""), &secret("a", "one")).await;
    let mut second = first.clone();
    second["data"]["key"] = json!("dHdv");
    second["metadata"]["creationTimestamp"] = json!("2001-01-01T00:00:00Z");
    let (code, second) = fixture.put(&path("a"), &second).await;
    assert_eq!(code, 200, "{second}");
    assert_eq!(second["metadata"]["creationTimestamp"], first["metadata"]["creationTimestamp"]);
    let (code, status) = fixture.put(&path("a"), &first).await;
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")));
    assert!(status["message"].as_str().unwrap().contains("the object has been modified"));
    // The same update again changes nothing.
    let (_, third) = fixture.put(&path("a"), &second).await;
    assert_eq!(third["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]);
    let mut other = second.clone();
    other["type"] = json!("example.com/other");
    let (code, status) = fixture.put(&path("a"), &other).await;
    assert_eq!(code, 422);
    assert!(status["message"].as_str().unwrap().ends_with("field is immutable"), "{status}");
    let mut other = second;
    other["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
    assert_eq!(fixture.put(&path("a"), &other).await.0, 409);
}

#[tokio::test]
async fn an_immutable_secret_cannot_be_changed() {
    let fixture = Fixture::start().await;
    let mut object = secret("a", "one");
    object["immutable"] = json!(true);
    fixture.post(&path(""), &object).await;
    let (code, status) =
        fixture.raw("PATCH", &path("a"), "application/merge-patch+json", r#"{"data":{"key":"dHdv"}}"#).await;
    assert_eq!(code, 422);
    assert!(status["message"].as_str().unwrap().contains("field is immutable when `immutable` is set"));
}

#[tokio::test]
async fn every_kind_of_patch_works() {
    let fixture = Fixture::start().await;
    fixture.post(&path(""), &secret("a", "one")).await;
    for (media_type, patch, label) in [
        ("application/merge-patch+json", r#"{"metadata":{"labels":{"l":"1"}}}"#, "1"),
        ("application/strategic-merge-patch+json", r#"{"metadata":{"labels":{"l":"2"}}}"#, "2"),
        ("application/json-patch+json", r#"[{"op":"replace","path":"/metadata/labels/l","value":"3"}]"#, "3"),
    ] {
        let (code, object) = fixture.raw("PATCH", &path("a"), media_type, patch).await;
        assert_eq!((code, &object["metadata"]["labels"]["l"]), (200, &json!(label)), "{object}");
    }
    let (code, _) = fixture.raw("PATCH", &path("a"), "application/vnd.kubernetes.protobuf", "x").await;
    assert_eq!(code, 415);
    let (code, _) = fixture.raw("PATCH", &path("b"), "application/merge-patch+json", "{}").await;
    assert_eq!(code, 404);
}

#[tokio::test]
async fn an_apply_creates_merges_prunes_and_conflicts() {
    let fixture = Fixture::start().await;
    let (code, first) = fixture.apply(&path("a"), "fieldManager=one", &secret("a", "one")).await;
    assert_eq!(code, 201, "{first}");
    assert_eq!(first["metadata"]["managedFields"][0]["operation"], "Apply");
    let (code, again) = fixture.apply(&path("a"), "fieldManager=one", &secret("a", "one")).await;
    assert_eq!((code, &again), (200, &first));
    let (code, status) = fixture.apply(&path("a"), "fieldManager=two", &secret("a", "two")).await;
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")));
    assert_eq!(status["details"]["causes"][0]["reason"], "FieldManagerConflict");
    assert_eq!(status["details"]["causes"][0]["field"], ".data.key");
    let (code, forced) = fixture.apply(&path("a"), "fieldManager=two&force=true", &secret("a", "two")).await;
    assert_eq!((code, &forced["data"]["key"]), (200, &json!("dHdv")));
    let (code, status) = fixture.apply(&path("a"), "", &secret("a", "two")).await;
    assert_eq!(code, 422, "{status}");
    let mut same = secret("a", "two");
    same["metadata"]["uid"] = first["metadata"]["uid"].clone();
    assert_eq!(fixture.apply(&path("a"), "fieldManager=two", &same).await.0, 200);
    let mut other = secret("a", "two");
    other["metadata"]["uid"] = json!("00000000-0000-4000-8000-000000000000");
    assert_eq!(fixture.apply(&path("a"), "fieldManager=two", &other).await.0, 422);
    assert_eq!(
        fixture
            .apply(&path("new"), "fieldManager=two", &{
                let mut other = other.clone();
                other["metadata"]["name"] = json!("new");
                other
            })
            .await
            .0,
        409
    );
}

#[tokio::test]
async fn an_apply_of_an_unknown_field_is_refused() {
    let fixture = Fixture::start().await;
    let mut object = secret("a", "one");
    object["dada"] = json!({});
    let (code, status) = fixture.apply(&path("a"), "fieldManager=one", &object).await;
    assert_eq!(code, 500);
    let place = format!("{NAMESPACE}/a; /v1, Kind=Secret");
    assert_eq!(
        status["message"],
        format!("failed to create typed patch object ({place}): .dada: field not declared in schema")
    );
}

#[tokio::test]
async fn a_dry_run_answers_without_writing() {
    let fixture = Fixture::start().await;
    let (code, _) = fixture.post(&format!("{}?dryRun=All", path("")), &secret("a", "one")).await;
    assert_eq!(code, 201);
    assert_eq!(fixture.get(&path("a")).await.0, 404);
    fixture.post(&path(""), &secret("a", "one")).await;
    let (code, shown) =
        fixture.apply(&path("a"), "fieldManager=x&force=true&dryRun=All", &secret("a", "two")).await;
    assert_eq!((code, &shown["data"]["key"]), (200, &json!("dHdv")));
    assert_eq!(fixture.delete(&path("a"), r#"{"dryRun":["All"]}"#).await.0, 200);
    assert_eq!(fixture.get(&path("a")).await.1["data"]["key"], "b25l");
}

#[tokio::test]
async fn deletion_respects_preconditions_and_finalizers() {
    let fixture = Fixture::start().await;
    let mut object = secret("a", "one");
    object["metadata"]["finalizers"] = json!(["example.com/keep"]);
    fixture.post(&path(""), &object).await;
    let other = r#"{"preconditions":{"uid":"00000000-0000-4000-8000-000000000000"}}"#;
    let (code, status) = fixture.delete(&path("a"), other).await;
    assert_eq!((code, &status["reason"]), (409, &json!("Conflict")));
    let (code, object) = fixture.delete(&path("a"), "").await;
    assert_eq!((code, &object["kind"]), (200, &json!("Secret")));
    assert!(object["metadata"]["deletionTimestamp"].is_string());
    let none = r#"{"metadata":{"finalizers":null}}"#;
    assert_eq!(fixture.raw("PATCH", &path("a"), "application/merge-patch+json", none).await.0, 200);
    assert_eq!(fixture.get(&path("a")).await.0, 404);
}

#[tokio::test]
async fn lists_are_paged_consistently_and_selected() {
    let fixture = Fixture::start().await;
    for index in 0..5 {
        let mut object = secret(&format!("s{index}"), "one");
        object["metadata"]["labels"] = json!({ "parity": (index % 2).to_string() });
        fixture.post(&path(""), &object).await;
    }
    let secrets = fixture.secrets().await;
    let first = secrets.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    // A change between pages doesn't affect them.
    fixture.delete(&path("s3"), "").await;
    let token = first.metadata.continue_.unwrap();
    let rest = secrets.list(&ListParams::default().continue_token(&token)).await.unwrap();
    let names: Vec<_> = rest.items.into_iter().map(|item| item.metadata.name.unwrap()).collect();
    assert_eq!(names, ["s2", "s3", "s4"]);
    let even = secrets.list(&ListParams::default().labels("parity=0")).await.unwrap();
    assert_eq!(even.items.len(), 3);
    let one = secrets.list(&ListParams::default().fields("metadata.name=s1")).await.unwrap();
    assert_eq!(one.items.len(), 1);
    let (code, status) = fixture.get(&format!("{}?fieldSelector=x=y", path(""))).await;
    assert_eq!(code, 400, "{status}");
}

#[tokio::test]
async fn reads_respect_resource_versions() {
    let fixture = Fixture::start().await;
    let (_, list) = fixture.get(&path("")).await;
    let at = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    fixture.post(&path(""), &secret("a", "one")).await;
    let exact = format!("{}?resourceVersion={at}&resourceVersionMatch=Exact", path(""));
    assert_eq!(fixture.get(&exact).await.1["items"], json!([]));
    let newer = format!("{}?resourceVersion={at}&resourceVersionMatch=NotOlderThan", path(""));
    assert_eq!(fixture.get(&newer).await.1["items"].as_array().unwrap().len(), 1);
    let (code, status) =
        fixture.get(&format!("{}?resourceVersion=1&resourceVersionMatch=Exact", path(""))).await;
    assert_eq!((code, &status["reason"]), (410, &json!("Expired")));
    let (code, status) = fixture.get(&format!("{}?resourceVersion=99999999", path(""))).await;
    assert_eq!((code, &status["reason"]), (504, &json!("Timeout")));
}

#[tokio::test]
async fn metadata_alone_is_served_without_values() {
    let fixture = Fixture::start().await;
    fixture.post(&path(""), &secret("a", "one")).await;
    let secrets = fixture.secrets().await;
    assert_eq!(secrets.get_metadata("a").await.unwrap().types.unwrap().kind, "PartialObjectMetadata");
    let list = secrets.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(list.items[0].metadata.name.as_deref(), Some("a"));
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "x": "y" } } }));
    let patched = secrets.patch_metadata("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.metadata.labels.unwrap()["x"], "y");
}

#[tokio::test]
async fn deleting_a_namespace_deletes_its_content() {
    let fixture = Fixture::start().await;
    let (code, namespace) =
        fixture.post("/api/v1/namespaces", &json!({ "metadata": { "name": "short-lived" } })).await;
    assert_eq!((code, &namespace["status"]["phase"]), (201, &json!("Active")));
    let inside = "/api/v1/namespaces/short-lived/secrets";
    assert_eq!(fixture.post(inside, &secret("a", "one")).await.0, 201);
    eventually("the default service account", || async {
        fixture.get("/api/v1/namespaces/short-lived/serviceaccounts/default").await.0 == 200
    })
    .await;
    let (code, namespace) = fixture.delete("/api/v1/namespaces/short-lived", "").await;
    assert_eq!((code, &namespace["status"]["phase"]), (200, &json!("Terminating")));
    eventually("the end of the namespace", || async {
        fixture.get("/api/v1/namespaces/short-lived").await.0 == 404
    })
    .await;
    assert_eq!(fixture.get(inside).await.1["items"], json!([]));
    let (code, _) = fixture.delete("/api/v1/namespaces/default", "").await;
    assert_eq!(code, 403);
}

#[tokio::test]
async fn dependents_without_owners_are_collected() {
    let fixture = Fixture::start().await;
    let (_, owner) = fixture.post(&path(""), &secret("owner", "one")).await;
    let mut object = secret("owned", "one");
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "Secret", "name": "owner", "uid": owner["metadata"]["uid"],
    }]);
    assert_eq!(fixture.post(&path(""), &object).await.0, 201);
    fixture.delete(&path("owner"), "").await;
    eventually("the collection", || async { fixture.get(&path("owned")).await.0 == 404 }).await;
}

#[tokio::test]
async fn all_state_survives_a_restart() {
    let fixture = Fixture::start().await;
    let (_, before) = fixture.post(&path(""), &secret("a", "one")).await;
    fixture.post(&path(""), &secret("b", "one")).await;
    fixture.delete(&path("b"), "").await;
    let fixture = fixture.restart().await;
    assert_eq!(fixture.get(&path("a")).await, (200, before.clone()));
    assert_eq!(fixture.get(&path("b")).await.0, 404);
    let (_, later) = fixture.post(&path(""), &secret("c", "one")).await;
    let revision =
        |object: &Value| -> u64 { object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap() };
    assert!(revision(&later) > revision(&before) + 2);
}

#[tokio::test]
async fn unknown_resources_and_paths_are_not_found() {
    let fixture = Fixture::start().await;
    let (code, status) = fixture.get("/api/v1/namespaces/default/pods").await;
    assert_eq!((code, &status["message"]), (404, &json!("the server could not find the requested resource")));
    assert_eq!(fixture.get("/apis/nobody.io/v1/things").await, (404, json!("404 page not found\n")));
}
