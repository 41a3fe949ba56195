//! CustomResourceDefinitions and their resources.

use serde_json::{Value, json};

use super::{Fixture, NAMESPACE, eventually};

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

fn definition() -> Value {
    let spec = json!({
        "type": "object", "required": ["size"],
        "properties": {
            "size": { "type": "integer", "minimum": 1 }, "color": { "type": "string", "default": "red" },
        },
    });
    let version = |name: &str, storage: bool| {
        json!({
            "name": name, "served": true, "storage": storage, "subresources": { "status": {} },
            "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                "spec": spec, "status": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
            } } },
            "additionalPrinterColumns": [{ "name": "Size", "type": "integer", "jsonPath": ".spec.size" }],
        })
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "boxes.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": { "plural": "boxes", "kind": "Box" },
            "versions": [version("v1beta1", false), version("v1", true)],
        },
    })
}

fn path(version: &str, name: &str) -> String {
    format!("/apis/example.com/{version}/namespaces/{NAMESPACE}/boxes/{name}")
        .trim_end_matches('/')
        .to_owned()
}

fn object(spec: Value) -> Value {
    json!({ "apiVersion": "example.com/v1", "kind": "Box", "metadata": { "name": "a" }, "spec": spec })
}

#[tokio::test]
async fn a_definition_is_established_and_discovered_immediately() {
    let fixture = Fixture::start().await;
    let (code, created) = fixture.post(CRDS, &definition()).await;
    assert_eq!(code, 201, "{created}");
    assert_eq!(created["status"]["conditions"][1]["type"], "Established");
    assert_eq!(created["status"]["storedVersions"], json!(["v1"]));
    assert_eq!(created["spec"]["names"]["listKind"], "BoxList");
    let (_, group) = fixture.get("/apis/example.com").await;
    assert_eq!(group["preferredVersion"]["version"], "v1");
    let (_, resources) = fixture.get("/apis/example.com/v1").await;
    let names: Vec<_> = resources["resources"].as_array().unwrap().iter().map(|r| &r["name"]).collect();
    assert_eq!(names, ["boxes", "boxes/status"]);
    let mut wrong = definition();
    wrong["metadata"]["name"] = json!("wrong.example.com");
    assert_eq!(fixture.post(CRDS, &wrong).await.0, 422);
}

#[tokio::test]
async fn custom_resources_are_pruned_defaulted_validated_and_served_at_every_version() {
    let fixture = Fixture::start().await;
    fixture.post(CRDS, &definition()).await;
    let (code, created) = fixture.post(&path("v1", ""), &object(json!({ "size": 1, "other": true }))).await;
    assert_eq!(code, 201, "{created}");
    assert_eq!(created["spec"], json!({ "size": 1, "color": "red" }));
    assert_eq!(created["metadata"]["generation"], 1);
    let (_, beta) = fixture.get(&path("v1beta1", "a")).await;
    assert_eq!((&beta["apiVersion"], &beta["spec"]), (&json!("example.com/v1beta1"), &created["spec"]));
    let strict = format!("{}?fieldValidation=Strict", path("v1", ""));
    let (code, status) = fixture.post(&strict, &object(json!({ "size": 1, "other": true }))).await;
    assert_eq!(code, 400);
    assert!(status["message"].as_str().unwrap().contains("unknown field \"spec.other\""), "{status}");
    for (spec, field) in
        [(json!({}), "spec.size"), (json!({ "size": 0 }), "spec.size"), (json!({ "size": "x" }), "spec.size")]
    {
        let (code, status) = fixture.post(&path("v1", ""), &object(spec)).await;
        assert_eq!((code, &status["details"]["causes"][0]["field"]), (422, &json!(field)), "{status}");
    }
}

#[tokio::test]
async fn spec_and_status_are_written_separately_and_only_the_spec_changes_the_generation() {
    let fixture = Fixture::start().await;
    fixture.post(CRDS, &definition()).await;
    let (_, created) = fixture.post(&path("v1", ""), &object(json!({ "size": 1 }))).await;
    let mut changed = created.clone();
    changed["spec"]["size"] = json!(2);
    changed["status"] = json!({ "ready": true });
    let (code, main) = fixture.put(&path("v1", "a"), &changed).await;
    assert_eq!(code, 200, "{main}");
    assert_eq!((&main["metadata"]["generation"], main.get("status")), (&json!(2), None));
    let mut changed = main.clone();
    changed["spec"]["size"] = json!(3);
    changed["status"] = json!({ "ready": true });
    let (code, status) = fixture.put(&path("v1", "a/status"), &changed).await;
    assert_eq!(code, 200, "{status}");
    assert_eq!((&status["spec"]["size"], &status["status"]["ready"]), (&json!(2), &json!(true)));
    assert_eq!(status["metadata"]["generation"], 2);
    let mut without = status.clone();
    without["metadata"]["resourceVersion"] = json!("");
    assert_eq!(fixture.put(&path("v1", "a"), &without).await.0, 422);
}

#[tokio::test]
async fn deleting_a_definition_deletes_its_resources() {
    let fixture = Fixture::start().await;
    fixture.post(CRDS, &definition()).await;
    fixture.post(&path("v1", ""), &object(json!({ "size": 1 }))).await;
    assert_eq!(fixture.delete(&format!("{CRDS}/boxes.example.com"), "").await.0, 200);
    assert_eq!(fixture.get(&path("v1", "a")).await.0, 404);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    fixture.post(CRDS, &definition()).await;
    eventually("an empty list", || async { fixture.get(&path("v1", "")).await.1["items"] == json!([]) })
        .await;
}
