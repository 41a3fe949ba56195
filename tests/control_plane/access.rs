//! What the product's account may do, and what its tokens are good for.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec},
    core::v1::{ConfigMap, Secret},
    rbac::v1::Role,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
};
use secret_service::{
    edge::{
        self, ACCOUNT_RIGHTS, Edge, Rights, SECRET_RIGHTS, STORE_RIGHTS, USAGE_VERBS, UsageOptions, Usages,
    },
    model::UsageRules,
};
use serde::Deserialize;

use crate::{control_plane, refusal, until};

const AUDIENCE: &str = "api://AzureADTokenExchange";

#[test]
fn the_documented_role_grants_what_the_edge_needs_and_no_more() {
    let manifest = include_str!("../../deploy/role.yaml");
    let documents = serde_yaml_ng::Deserializer::from_str(manifest);
    let documents = documents.map(|document| serde_yaml_ng::Value::deserialize(document).unwrap());
    let roles: Vec<Role> = documents
        .filter(|document| document["kind"] == "Role")
        .map(|document| serde_yaml_ng::from_value(document).unwrap())
        .collect();
    let [role] = roles.as_slice() else { panic!("one role, not {}", roles.len()) };
    let [secrets, store, accounts, uses] = role.rules.as_deref().unwrap() else {
        panic!("four rules: {role:?}")
    };
    fn set(words: &[String]) -> BTreeSet<&str> {
        words.iter().map(String::as_str).collect()
    }
    for (rule, rights) in
        [(secrets, [SECRET_RIGHTS].as_slice()), (store, &STORE_RIGHTS), (accounts, &[ACCOUNT_RIGHTS])]
    {
        let all = |part: fn(&Rights) -> &'static str| rights.iter().map(part).collect::<BTreeSet<_>>();
        assert_eq!(set(rule.api_groups.as_deref().unwrap()), all(|rights| rights.group));
        assert_eq!(set(rule.resources.as_deref().unwrap()), all(|rights| rights.resource));
        assert!(rights.iter().all(|rights| set(&rule.verbs) == rights.verbs.iter().copied().collect()));
    }
    assert_eq!(set(&uses.verbs), BTreeSet::from(USAGE_VERBS));
    assert_eq!(uses.resources.as_deref().unwrap(), ["*"]);
    assert_eq!(set(uses.api_groups.as_deref().unwrap()), UsageRules::default().groups());
}

#[tokio::test]
async fn the_account_of_an_instance_reaches_the_secrets_of_its_namespace_and_nothing_else() {
    if !control_plane::is_asked_for("rights of an instance") {
        return;
    }
    let plane = control_plane::shared().await;
    let (ours, _) = tokio::join!(plane.instance("rights"), plane.instance("rights-of-others"));
    let kube = control_plane::client(&ours).await;
    let secrets: Api<Secret> = Api::namespaced(kube.clone(), "rights");
    secrets.create(&PostParams::default(), &secret("mine")).await.unwrap();
    assert_eq!(secrets.list(&ListParams::default()).await.unwrap().items.len(), 1);
    secrets.delete("mine", &DeleteParams::default()).await.unwrap();

    let others: Api<Secret> = Api::namespaced(kube.clone(), "rights-of-others");
    assert_eq!(refusal(others.create(&PostParams::default(), &secret("theirs")).await), 403);
    assert_eq!(refusal(others.get("theirs").await), 403);
    assert_eq!(refusal(Api::<Secret>::all(kube.clone()).list(&ListParams::default()).await), 403);
    let maps: Api<ConfigMap> = Api::namespaced(kube, "rights");
    assert_eq!(refusal(maps.list(&ListParams::default()).await), 403);
}

#[tokio::test]
async fn the_account_of_an_instance_may_look_for_uses_where_the_role_says_and_is_told_where_not() {
    if !control_plane::is_asked_for("rights to look for uses") {
        return;
    }
    let plane = control_plane::shared().await;
    let options = edge::Options {
        kubeconfig: Some(plane.instance("rights-of-uses").await),
        context: None,
        namespace: "rights-of-uses".to_owned(),
        timeout: Duration::from_secs(10),
    };
    let edge = Edge::connect(&options).await.unwrap();
    let forbidden = async |rules: UsageRules| {
        let options = UsageOptions { rules, ..UsageOptions::default() };
        Usages::new(edge.clone(), options).forbidden_groups().await.unwrap()
    };
    assert!(forbidden(UsageRules::default()).await.is_empty());
    let more = UsageRules::with(["Camera.example.com".parse().unwrap()]);
    assert_eq!(forbidden(more.clone()).await, ["example.com"]);
    plane.allow("rights-of-uses", "example.com").await;
    until("the right is there", async || forbidden(more.clone()).await.is_empty()).await;
}

#[tokio::test]
async fn a_token_is_good_for_its_audience_only() {
    if !control_plane::is_asked_for("audiences") {
        return;
    }
    let plane = control_plane::shared().await;
    plane.instance("audiences").await;
    let token = plane.token("audiences", &[AUDIENCE], Duration::from_secs(600)).await;
    let reviewed = async |audience: &str| {
        let spec = TokenReviewSpec { token: token.clone(), audiences: Some(vec![audience.to_owned()]) };
        let review = TokenReview { spec, ..TokenReview::default() };
        let reviews: Api<TokenReview> = Api::all(plane.admin().await);
        let answer = reviews.create(&PostParams::default(), &review).await.unwrap();
        answer.status.and_then(|status| status.authenticated).unwrap_or_default()
    };
    assert!(reviewed(AUDIENCE).await);
    assert!(!reviewed("secret-service").await);

    // As a caller of the API server it is nobody.
    let mut config = kube::Config::new(plane.url().parse().unwrap());
    config.root_cert = Some(vec![authority(plane)]);
    config.auth_info.token = Some(token.into());
    let secrets: Api<Secret> = Api::namespaced(Client::try_from(config).unwrap(), "audiences");
    assert_eq!(refusal(secrets.list(&ListParams::default()).await), 401);
}

#[tokio::test]
async fn whoever_verifies_tokens_finds_the_keys_below_the_issuer() {
    if !control_plane::is_asked_for("discovery of keys") {
        return;
    }
    let plane = control_plane::shared().await;
    let admin = plane.admin().await;
    let ask = http::Request::get("/.well-known/openid-configuration").body(Vec::new()).unwrap();
    let discovery: serde_json::Value = admin.request(ask).await.unwrap();
    assert_eq!(discovery["issuer"], plane.issuer());
    assert_eq!(discovery["jwks_uri"], format!("{}/openid/v1/jwks", plane.issuer()));
    let ask = http::Request::get("/openid/v1/jwks").body(Vec::new()).unwrap();
    let keys: serde_json::Value = admin.request(ask).await.unwrap();
    assert_eq!(keys["keys"][0]["alg"], "RS256");
}

fn authority(plane: &control_plane::ControlPlane) -> Vec<u8> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    CertificateDer::from_pem_file(plane.ca()).unwrap().to_vec()
}

fn secret(name: &str) -> Secret {
    Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..Secret::default()
    }
}
