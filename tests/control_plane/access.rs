//! What the product's account may do, and what its tokens are good for.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec},
    core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
};
use secret_service::{
    edge::{
        self, ACCOUNT_RIGHTS, DECISION_RIGHTS, Edge, LEASE_VERBS, Rights, SECRET_RIGHTS, STORE_RIGHTS,
        STORE_SECRET_RIGHTS, TOKEN_RIGHTS, USAGE_VERBS, UsageOptions, Usages,
    },
    model::UsageRules,
};

use crate::{control_plane, refusal, rights::singles, until};

const AUDIENCE: &str = "api://AzureADTokenExchange";

/// What stands in a manifest of the chart: who is granted which verb on what.
fn granted(manifest: &str) -> BTreeSet<(String, String, String)> {
    let singles = control_plane::account(manifest).into_iter().flat_map(|object| singles(&object));
    singles.map(|single| (single.group, single.resource, single.verb)).collect()
}

#[test]
fn the_chart_grants_exactly_the_rights_that_the_code_declares() {
    for (engine, rights) in [
        ("direct", vec![SECRET_RIGHTS]),
        ("secret-store", vec![STORE_SECRET_RIGHTS, STORE_RIGHTS[0], STORE_RIGHTS[1], ACCOUNT_RIGHTS]),
        ("auto", vec![SECRET_RIGHTS, STORE_RIGHTS[0], STORE_RIGHTS[1], ACCOUNT_RIGHTS]),
    ] {
        let of = |rights: Rights| {
            let verbs = rights.verbs.iter().copied();
            verbs.map(move |verb| (rights.group.to_owned(), rights.resource.to_owned(), verb.to_owned()))
        };
        let uses = UsageRules::default();
        let uses = uses
            .groups()
            .into_iter()
            .flat_map(|group| USAGE_VERBS.map(|verb| (group.to_owned(), "*".to_owned(), verb.to_owned())));
        let of_callers = [TOKEN_RIGHTS, DECISION_RIGHTS].into_iter();
        let lease =
            LEASE_VERBS.map(|verb| ("coordination.k8s.io".to_owned(), "leases".to_owned(), verb.to_owned()));
        let needed: BTreeSet<_> =
            rights.into_iter().chain(of_callers).flat_map(of).chain(uses).chain(lease).collect();
        assert_eq!(granted(&control_plane::manifest(engine)), needed, "{engine}");
    }
}

#[tokio::test]
async fn the_account_of_an_instance_reaches_the_secrets_of_its_namespace_and_nothing_else() {
    needs!(the_control_plane);
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
async fn the_groups_that_the_role_does_not_grant_are_reported_as_forbidden() {
    needs!(the_control_plane);
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
async fn a_token_is_valid_for_its_audience_only() {
    needs!(the_control_plane);
    let plane = control_plane::shared().await;
    plane.instance("audiences").await;
    let token = plane.token("audiences", control_plane::ACCOUNT, &[AUDIENCE], Duration::from_secs(600)).await;
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
async fn the_issuer_serves_the_keys_that_verify_its_tokens() {
    needs!(the_control_plane);
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
