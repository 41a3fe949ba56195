//! Tokens, rules and reviews.

use k8s_openapi::api::{
    authentication::v1::TokenReview, authorization::v1::SubjectAccessReview, core::v1::Secret,
};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use serde_json::{from_value, json};

use super::{Fixture, NAMESPACE};
use crate::{Rule, User};

fn read_secrets() -> Rule {
    let one = |text: &str| vec![text.to_owned()];
    Rule {
        verbs: vec!["get".to_owned(), "list".to_owned()],
        groups: one(""),
        resources: one("secrets"),
        namespaces: one(NAMESPACE),
        names: Vec::new(),
    }
}

async fn with_user(fixture: &Fixture) -> Client {
    let user = User { username: "reader".to_owned(), ..User::default() };
    fixture.cluster.policy().add_token("reader-token", user);
    fixture.cluster.policy().allow("reader", read_secrets());
    fixture.client_with("reader-token").await
}

#[tokio::test]
async fn a_request_without_rights_gets_the_real_servers_refusal() {
    let fixture = Fixture::start().await;
    let client = with_user(&fixture).await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    secrets.list(&ListParams::default()).await.unwrap();
    let kube::Error::Api(refused) =
        secrets.create(&PostParams::default(), &Secret::default()).await.unwrap_err()
    else {
        panic!("not an answer of the API");
    };
    assert_eq!((refused.code, refused.reason.as_str()), (403, "Forbidden"));
    assert_eq!(
        refused.message,
        "secrets is forbidden: User \"reader\" cannot create resource \"secrets\" in API group \"\" in the namespace \"azure-iot-operations\""
    );
    let all: Api<Secret> = Api::all(client);
    let refused = all.list(&ListParams::default()).await.unwrap_err().to_string();
    assert!(refused.contains("at the cluster scope"), "{refused}");
}

#[tokio::test]
async fn a_wrong_token_is_unauthorized() {
    let fixture = Fixture::start().await;
    let secrets: Api<Secret> = Api::namespaced(fixture.client_with("wrong").await, NAMESPACE);
    let kube::Error::Api(status) = secrets.get("a").await.unwrap_err() else { panic!("not an answer") };
    assert_eq!((status.code, status.reason.as_str()), (401, "Unauthorized"));
}

#[tokio::test]
async fn users_are_set_over_the_wire() {
    let fixture = Fixture::start().await;
    let grants = json!([{ "token": "t", "user": { "username": "u" }, "allow": [read_secrets()] }]);
    assert_eq!(fixture.put("/.double/users", &grants).await.0, 200);
    let client = fixture.client_with("t").await;
    let secrets: Api<Secret> = Api::namespaced(client, NAMESPACE);
    secrets.list(&ListParams::default()).await.unwrap();
    assert!(secrets.delete("a", &Default::default()).await.is_err());
}

#[tokio::test]
async fn reviews_answer_from_the_same_rules() {
    let fixture = Fixture::start().await;
    with_user(&fixture).await;
    let client = fixture.client().await;
    let reviews: Api<SubjectAccessReview> = Api::all(client.clone());
    for (verb, allowed) in [("get", true), ("delete", false)] {
        let review = json!({ "metadata": {}, "spec": { "user": "reader", "resourceAttributes":
            { "namespace": NAMESPACE, "verb": verb, "resource": "secrets" } } });
        let answer = reviews.create(&PostParams::default(), &from_value(review).unwrap()).await.unwrap();
        assert_eq!(answer.status.unwrap().allowed, allowed, "{verb}");
    }
    let reviews: Api<TokenReview> = Api::all(client);
    for (token, user) in [("reader-token", Some("reader")), ("wrong", None)] {
        let review = from_value(json!({ "metadata": {}, "spec": { "token": token } })).unwrap();
        let status = reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap();
        assert_eq!(status.authenticated.unwrap_or(false), user.is_some());
        assert_eq!(status.user.and_then(|info| info.username).as_deref(), user);
    }
}

#[tokio::test]
async fn a_token_is_valid_only_for_its_audiences() {
    let fixture = Fixture::start().await;
    let user = User { username: "console".to_owned(), ..User::default() };
    fixture.cluster.policy().add_token_for("console-token", user, &["secret-service"]);
    let secrets: Api<Secret> = Api::namespaced(fixture.client_with("console-token").await, NAMESPACE);
    let kube::Error::Api(status) = secrets.get("a").await.unwrap_err() else { panic!("not an answer") };
    assert_eq!(status.code, 401, "it is not for the API server");

    let reviews: Api<TokenReview> = Api::all(fixture.client().await);
    for (audiences, fitting) in
        [(json!(["other", "secret-service"]), true), (json!(["other"]), false), (json!([]), false)]
    {
        let spec = json!({ "token": "console-token", "audiences": audiences });
        let review = from_value(json!({ "metadata": {}, "spec": spec })).unwrap();
        let status = reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap();
        assert_eq!(status.authenticated.unwrap_or(false), fitting, "{audiences}");
        let named = fitting.then(|| vec!["secret-service".to_owned()]);
        assert_eq!(status.audiences.filter(|_| fitting), named);
    }
}
