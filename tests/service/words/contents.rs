//! Contents that the API server refuses for the type of a Secret.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::api::{ObjectMeta, PostParams};
use secret_service::{
    model::SyncEngine,
    proto::{CreateSyncedSecretRequest, SecretReference, synced_secret::State},
};
use tonic::Code;

use crate::support::{World, engine, requests::*};

const DOCKER: &str = "kubernetes.io/dockerconfigjson";
const AUTHS: &str = r#"{"auths":{"contoso.azurecr.io":{"auth":"dTpw"}}}"#;

fn typed(id: &str, secret_type: &str, references: Vec<SecretReference>) -> CreateSyncedSecretRequest {
    let mut request = create(id, references);
    request.synced_secret.as_mut().unwrap().secret_type = secret_type.to_owned();
    request
}

/// What the API server says to a Secret: nothing, or its refusal.
async fn said(world: &World, number: usize, secret_type: &str, data: &[(&str, &[u8])]) -> Option<String> {
    let data: BTreeMap<_, _> =
        data.iter().map(|(key, bytes)| ((*key).to_owned(), ByteString(bytes.to_vec()))).collect();
    let secret = Secret {
        metadata: ObjectMeta { name: Some(format!("typed-{number}")), ..ObjectMeta::default() },
        type_: Some(secret_type.to_owned()),
        data: Some(data),
        ..Secret::default()
    };
    match world.secrets().create(&PostParams::default(), &secret).await {
        Ok(_) => None,
        Err(kube::Error::Api(status)) => Some(status.message.clone()),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn the_api_server_checks_the_contents_of_typed_secrets_as_the_double_does() {
    let world = World::start().await;
    let invalid =
        |key: &str, why: &str| format!("data[{key}]: Invalid value: \"<secret contents redacted>\": {why}");
    let missing = |key: &str| format!("data[{key}]: Required value");
    let json = |why: &str| invalid(".dockerconfigjson", why);
    let of =
        |kind: &str| format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}");
    type Case<'a> = (&'a str, Vec<(&'a str, &'a [u8])>, Vec<String>);
    let config = |text: &'static [u8]| vec![(".dockerconfigjson", text)];
    let cases: Vec<Case<'_>> = vec![
        (DOCKER, config(AUTHS.as_bytes()), vec![]),
        (DOCKER, config(b"{}"), vec![]),
        (DOCKER, config(b" null "), vec![]),
        (DOCKER, config(b"{\"a\":\"\\ud800\xff\"}"), vec![]),
        (DOCKER, config(b""), vec![json("unexpected end of JSON input")]),
        (DOCKER, config(b"{\"auths\":"), vec![json("unexpected end of JSON input")]),
        (DOCKER, config(b"[]"), vec![json(&of("array"))]),
        (DOCKER, config(b"7"), vec![json(&of("number"))]),
        (DOCKER, config(b"\"x\""), vec![json(&of("string"))]),
        (DOCKER, config(b"true"), vec![json(&of("bool"))]),
        (
            DOCKER,
            config(b"user:password"),
            vec![json("invalid character 'u' looking for beginning of value")],
        ),
        (DOCKER, config(b"{} x"), vec![json("invalid character 'x' after top-level value")]),
        (DOCKER, vec![("other", b"{}")], vec![missing(".dockerconfigjson")]),
        (
            "kubernetes.io/dockercfg",
            vec![(".dockercfg", b"x")],
            vec![invalid(".dockercfg", "invalid character 'x' looking for beginning of value")],
        ),
        ("kubernetes.io/dockercfg", vec![(".dockercfg", b"{}")], vec![]),
        ("kubernetes.io/tls", vec![("tls.crt", b"")], vec![missing("tls.key")]),
        ("kubernetes.io/tls", vec![("x", b"")], vec![missing("tls.crt"), missing("tls.key")]),
        ("kubernetes.io/tls", vec![("tls.crt", b""), ("tls.key", b"")], vec![]),
        ("kubernetes.io/basic-auth", vec![("x", b"")], vec![missing("username"), missing("password")]),
        ("kubernetes.io/basic-auth", vec![("username", b"")], vec![]),
        ("kubernetes.io/ssh-auth", vec![("ssh-privatekey", b"")], vec![missing("ssh-privatekey")]),
        ("kubernetes.io/ssh-auth", vec![("ssh-privatekey", b"x")], vec![]),
        ("example.com/own", vec![("x", b"")], vec![]),
    ];
    for (number, (secret_type, data, parts)) in cases.into_iter().enumerate() {
        let message = said(&world, number, secret_type, &data).await;
        match (&message, parts.is_empty()) {
            (None, true) => {}
            (Some(message), false) => {
                for part in parts {
                    assert!(message.contains(&part), "{number} {secret_type}: {part}: {message}");
                }
            }
            _ => panic!("{number} {secret_type}: {message:?}, and not {parts:?}"),
        }
    }
}

#[tokio::test]
async fn keys_that_the_type_of_the_secret_lacks_are_refused_before_anything_is_recorded_or_written() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    for (secret_type, key, missing) in [
        ("kubernetes.io/tls", "tls.crt", "tls.key"),
        ("kubernetes.io/ssh-auth", "key", "ssh-privatekey"),
        ("kubernetes.io/basic-auth", "user", "username"),
        (DOCKER, "config", ".dockerconfigjson"),
        ("kubernetes.io/dockercfg", "config", ".dockercfg"),
    ] {
        let request = typed("a", secret_type, vec![existing(key, "v")]);
        let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
        assert_eq!(refused.code, Code::InvalidArgument, "{secret_type}: {}", refused.message);
        assert_eq!(refused.fields, ["synced_secret.references"], "{secret_type}");
        assert!(refused.message.contains(&format!("{missing:?}")), "{secret_type}: {}", refused.message);
        assert!(world.client.get_synced_secret(get("a")).await.is_err());
    }
    // Either key is enough.
    let made = typed("basic", "kubernetes.io/basic-auth", vec![existing("password", "v")]);
    assert_eq!(world.client.create_synced_secret(made).await.unwrap().into_inner().state(), State::Synced);

    // Nor does an update take one away.
    let tls = typed("pair", "kubernetes.io/ssh-auth", vec![existing("ssh-privatekey", "v")]);
    world.client.create_synced_secret(tls).await.unwrap();
    let request = with_references("pair", vec![existing("other", "v")]);
    let refused = told(&world.client.update_synced_secret(request).await.unwrap_err());
    assert_eq!(
        (refused.code, refused.fields),
        (Code::InvalidArgument, vec!["synced_secret.references".to_owned()])
    );
    assert_eq!(world.edge("pair").await.unwrap()["ssh-privatekey"], "value");
}

#[tokio::test]
async fn a_docker_configuration_that_is_no_json_is_told_by_its_key_and_leaves_the_good_one() {
    let mut world = World::start().await;
    world.seed("registry", AUTHS).await;
    let request = typed("pull", DOCKER, vec![existing(".dockerconfigjson", "registry")]);
    let made = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(made.state(), State::Synced, "{made:#?}");

    world.somebody.sets("registry", "user:hunter2").await;
    let told = world.client.sync_synced_secret(sync("pull")).await.unwrap().into_inner();

    assert_eq!((told.state(), synced_reason(&told)), (State::Degraded, "EdgeRejected"), "{told:#?}");
    let problem = told.references[0].problem.clone().unwrap_or_else(|| panic!("{told:#?}"));
    assert_eq!(problem.reason, "EdgeRejected");
    for message in [&told.conditions[0].message, &problem.message] {
        for word in [".dockerconfigjson", "JSON", "kubernetes.io/dockerconfigjson"] {
            assert!(message.contains(word), "{word}: {message}");
        }
        assert!(!message.contains("hunter2"), "{message}");
    }
    assert_eq!(world.edge("pull").await.unwrap()[".dockerconfigjson"], AUTHS);

    world.somebody.sets("registry", "{}").await;
    world.client.sync_synced_secret(sync("pull")).await.unwrap();
    world.until_state("pull", State::Synced).await;
    assert_eq!(world.edge("pull").await.unwrap()[".dockerconfigjson"], "{}");
}

#[tokio::test]
async fn a_docker_configuration_that_is_no_json_is_refused_by_the_call_where_the_value_is_known() {
    let mut world = World::start().await;
    world.seed("registry", "user:hunter2").await;
    let mut calls = vec![typed("pull", DOCKER, vec![created(".dockerconfigjson", "fresh", "user:hunter2")])];
    if engine() == SyncEngine::Direct {
        calls.push(typed("pull", DOCKER, vec![existing(".dockerconfigjson", "registry")]));
    }
    for request in calls {
        let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
        assert_eq!(refused.code, Code::InvalidArgument, "{}", refused.message);
        assert_eq!(refused.fields, ["synced_secret.references[0]"], "{}", refused.message);
        assert!(
            refused.message.contains("JSON") && !refused.message.contains("hunter2"),
            "{}",
            refused.message
        );
        assert!(world.client.get_synced_secret(get("pull")).await.is_err());
    }
}
