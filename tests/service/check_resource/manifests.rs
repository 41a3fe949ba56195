//! Which manifests are read, and what is said of each resource in them.

use tonic::Code;

use super::*;
use crate::support::search::files_with;

#[tokio::test]
async fn every_document_and_item_is_checked_in_order() {
    let mut world = made().await;
    let json = r#"{"apiVersion": "connectivity.iotoperations.azure.com/v1", "kind": "DataflowEndpoint"}"#;
    let list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: s}}";
    let manifest = format!("{DEVICE}---\n---\n{json}\n---\n{list}\n---\n{}", kafka("b"));
    let resources = check(&mut world.client, manifest).await;
    let kinds: Vec<_> =
        resources.iter().map(|one| (one.kind.as_str(), one.kind_unknown, one.usages.len())).collect();
    let wanted = [
        ("Device", false, 2),
        ("DataflowEndpoint", false, 0),
        ("Secret", true, 0),
        ("DataflowEndpoint", false, 1),
    ];
    assert_eq!(kinds, wanted);
}

#[tokio::test]
async fn a_kind_that_no_rule_knows_is_told_and_its_guesses_too() {
    let mut world = made().await;
    let manifest = "apiVersion: connectivity.iotoperations.azure.com/v1\nkind: DataflowEndpiont\nmetadata: {name: d}\n\
        spec: {kafkaSettings: {authentication: {saslSettings: {secretRef: a}}}}";
    let resources = check(&mut world.client, manifest).await;
    assert!(resources[0].kind_unknown);
    assert!(resources[0].usages[0].usage.as_ref().unwrap().guessed, "{resources:?}");
}

#[tokio::test]
async fn a_resource_of_another_namespace_is_told_and_its_secrets_are_not_looked_up() {
    let mut world = made().await;
    let elsewhere = DEVICE.replace("{name: press-1}", "{name: press-1, namespace: elsewhere}");
    let resources = check(&mut world.client, elsewhere).await;
    assert_eq!(resources[0].namespace, "elsewhere");
    assert_eq!(said(resources[0].problems.first()), ("OtherNamespace".to_owned(), Status::False));
    let usages: Vec<_> = resources[0].usages.iter().map(of_usage).collect();
    assert_eq!(usages, ["password", "username"].map(|key| row(key, "OtherNamespace", Status::False)));
    assert!(resources[0].usages.iter().all(|checked| !checked.usage.as_ref().unwrap().secret_missing));

    let here = format!("{{name: press-1, namespace: {}}}", world.namespace);
    let resources = check(&mut world.client, DEVICE.replace("{name: press-1}", &here)).await;
    assert!(resources[0].problems.is_empty() && resources[0].usages.iter().all(|one| one.problem.is_none()));
    // What names no secret may be anywhere.
    let other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: elsewhere}";
    assert!(check(&mut world.client, other).await[0].problems.is_empty());
}

#[tokio::test]
async fn a_resource_by_which_another_program_would_write_a_synced_secret_is_told() {
    let mut world = made().await;
    let listener = |secret: &str| {
        format!(
            "apiVersion: mqttbroker.iotoperations.azure.com/v1\nkind: BrokerListener\nmetadata: {{name: l}}\n\
             spec: {{ports: [{{tls: {{certManagerCertificateSpec: {{secretName: {secret}}}}}}}]}}"
        )
    };
    let resources = check(&mut world.client, listener("a")).await;
    assert_eq!(said(resources[0].problems.first()), ("WrittenByAnother".to_owned(), Status::False));
    let free = check(&mut world.client, listener("free")).await;
    assert!(free[0].problems.is_empty() && free[0].usages.is_empty(), "{free:?}");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_its_place() {
    let mut world = made().await;
    for (manifest, wanted) in [
        ("", "must hold at least one resource"),
        ("kind: Device\nspec: [", "line 3, column 1: is not YAML"),
        ("- a", "document 1: is not an object"),
    ] {
        let refused = told(&world.client.check_resource(asking(manifest)).await.unwrap_err());
        assert_eq!(
            (refused.code, refused.fields.as_slice()),
            (Code::InvalidArgument, ["manifest".to_owned()].as_slice())
        );
        assert!(
            refused.message.to_lowercase().contains(&wanted.to_lowercase()),
            "{manifest}: {}",
            refused.message
        );
    }
    let large = format!("{DEVICE}# {}", "x".repeat(262_144));
    let refused = told(&world.client.check_resource(asking(large)).await.unwrap_err());
    assert_eq!((refused.code, refused.fields), (Code::InvalidArgument, vec!["manifest".to_owned()]));
}

#[tokio::test]
async fn a_value_in_a_manifest_is_found_in_no_file_and_no_answer() {
    let mut world = made().await;
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: canary-data}\n\
        data: {password: Y2FuYXJ5}\n";
    let misplaced = device("Canary!pass", "a/Canary pass?");
    let answer = check(&mut world.client, format!("{secret}---\n{}", misplaced)).await;
    let text = format!("{answer:?}");
    assert!(!text.to_lowercase().contains("canary") && !text.contains("Y2FuYXJ5"), "{text}");
    let usages: Vec<_> = answer[1].usages.iter().map(of_usage).collect();
    assert_eq!(usages, vec![row("", "NameInvalid", Status::False); 2]);
    let key = check(&mut world.client, device("a/canary+pass", "a/password")).await;
    assert_eq!(of_usage(&key[0].usages[1]), row("", "NameInvalid", Status::False));
    assert!(!format!("{key:?}").contains("canary"));

    for broken in
        ["stringData: {a: canary-broken", "kind: canary-broken", "apiVersion: canary_broken/v1\nkind: K"]
    {
        let request = asking(format!("{broken}\n"));
        assert!(!format!("{request:?}").contains("canary"), "the request does not print its manifest");
        let refused = world.client.check_resource(request).await.unwrap_err();
        assert!(!format!("{refused:?}").contains("canary"), "{refused:?}");
    }
    let before = world.actions("a").await;
    assert!(!before.iter().any(|action| action == "CheckResource"), "nothing is recorded: {before:?}");
    let (files, found) = files_with(b"canary", world.directory());
    assert!(files > 0 && found.is_empty(), "a value stands in {found:?}");
}
