//! Workload identity: the token of the product's service account, from the real API server, opens the vault, and nothing else does.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleRef, Subject};
use key_vault_double::{FEDERATED_AUDIENCE, FederatedIdentity, FederatedVerifier, Operation};
use kube::{
    Api,
    api::{ObjectMeta, Patch, PatchParams},
};
use secret_service::{
    explain::Explain,
    model::VaultSecretName,
    proto::{SyncedSecret, synced_secret::State},
    vault::{Cloud, Credential, Priority, Vault, VaultError},
};
use tonic::{Code, Status};

use crate::{
    control_plane::{self, ControlPlane},
    support::{Options, Site, World, requests::*},
    until,
};

/// The shortest life that Kubernetes gives a token.
const SHORT: Duration = Duration::from_secs(600);
/// Longer than the vault's tokens live.
const LONG: Duration = Duration::from_secs(7_200);
/// When a token that the vault's authority gave for an hour is over, and a [`SHORT`] one of the cluster too.
const AFTER_AN_HOUR: Duration = Duration::from_secs(3_601);

/// A site whose vault accepts the instance's service account, and the file where the account's token is projected.
struct Federated {
    plane: &'static ControlPlane,
    site: Site,
    projected: Projected,
}

/// The file where a pod finds the token of its service account.
#[derive(Clone)]
struct Projected {
    plane: &'static ControlPlane,
    namespace: String,
    file: PathBuf,
}

#[tokio::test]
async fn the_service_accesses_the_vault_with_only_its_account_token() {
    needs!(the_control_plane);
    let federated = Federated::start().await;
    let token = federated.projected.renew(LONG).await;
    let mut world = federated.world().await;

    assert_eq!(store(&mut world, "edp1").await.unwrap().state(), State::Synced);

    assert_eq!(world.edge("edp1").await.unwrap()["k"], "v");
    assert_eq!(tokens_given(&world), 1, "one exchange serves all calls");
    // The cluster's token is good for the exchange only.
    assert_eq!(read_with(&world, &token).await, 401);
}

#[tokio::test]
async fn a_token_of_another_audience_or_account_is_refused_with_a_remedy() {
    needs!(the_control_plane);
    let federated = Federated::start().await;
    let (plane, own) = (federated.plane, federated.site.namespace.clone());
    let others = format!("{own}-others");
    plane.instance(&others).await;
    let good = plane.token(&own, control_plane::ACCOUNT, &[FEDERATED_AUDIENCE], SHORT).await;
    let forged = format!("{}.{}", good.rsplit_once('.').unwrap().0, "AAAA");
    for (what, token, code) in [
        (
            "another audience",
            plane.token(&own, control_plane::ACCOUNT, &["vault"], SHORT).await,
            "AADSTS700212",
        ),
        (
            "the API server's audience",
            plane.token(&own, control_plane::ACCOUNT, &[], SHORT).await,
            "AADSTS700212",
        ),
        (
            "another account",
            plane.token(&others, control_plane::ACCOUNT, &[FEDERATED_AUDIENCE], SHORT).await,
            "AADSTS700213",
        ),
        ("no signature of the cluster", forged, "AADSTS700027"),
    ] {
        std::fs::write(&federated.projected.file, &token).unwrap();
        let error = read(&federated.vault()).await.unwrap_err();
        let VaultError::Unauthenticated(why) = &error else { panic!("{what}: {error:?}") };
        assert!(why.contains(code), "{what}: {why}");
        assert!(error.remedy().contains("credential"), "{what}: {}", error.remedy());
        assert!(!format!("{error} {error:?}").contains(&token), "{what}");
    }

    std::fs::write(&federated.projected.file, &good).unwrap();
    let vault = federated.vault();
    assert!(matches!(read(&vault).await, Err(VaultError::NotFound { .. })), "the good one comes in");
    federated.site.vault.clock().advance(SHORT);
    let error = read(&federated.vault()).await.unwrap_err();
    assert!(matches!(&error, VaultError::Unauthenticated(why) if why.contains("AADSTS700024")), "{error:?}");
}

#[tokio::test]
async fn an_expired_vault_token_is_replaced_within_the_call() {
    needs!(the_control_plane);
    let (mut world, _) = Federated::start().await.used(LONG).await;

    world.vault.clock().advance(AFTER_AN_HOUR);
    assert_eq!(store(&mut world, "after").await.unwrap().state(), State::Synced);
    assert_eq!(tokens_given(&world), 2);
}

#[tokio::test]
async fn a_vault_token_near_its_expiry_is_replaced_before_the_vault_refuses_it() {
    needs!(the_control_plane);
    let federated = Federated::start().await;
    federated.projected.renew(LONG).await;
    // The SDK replaces a token five minutes before its end.
    federated.site.vault.configure(|settings| settings.token_lifetime_seconds = 200);
    let mut world = federated.world().await;
    store(&mut world, "before").await.unwrap();
    let (given, challenges) = (tokens_given(&world), world.vault.requests().challenges);

    store(&mut world, "after").await.unwrap();
    assert!(tokens_given(&world) > given);
    assert_eq!(world.vault.requests().challenges, challenges);
}

#[tokio::test]
async fn callers_do_not_notice_a_timely_renewal_of_the_projected_token() {
    needs!(the_control_plane);
    let (mut world, projected) = Federated::start().await.used(SHORT).await;

    projected.renew(LONG).await;
    world.vault.clock().advance(AFTER_AN_HOUR);
    assert_eq!(store(&mut world, "after").await.unwrap().state(), State::Synced);
}

#[tokio::test]
async fn an_expired_projected_token_fails_calls_until_it_is_renewed() {
    needs!(the_control_plane);
    let (mut world, projected) = Federated::start().await.used(SHORT).await;

    world.vault.clock().advance(AFTER_AN_HOUR);
    let refused = told(&store(&mut world, "while").await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::Unavailable, "VAULT_UNAUTHENTICATED"));
    assert!(refused.message.contains("AADSTS700024"), "{}", refused.message);
    assert!(refused.message.contains("Check the credential"), "{}", refused.message);

    projected.renew(LONG).await;
    // The file is read again some seconds after the vault's refusal.
    until("the renewed token is used", async || store(&mut world, "after").await.is_ok()).await;
    assert_eq!(world.edge("before").await.unwrap()["k"], "v");
}

#[tokio::test]
async fn a_stale_token_found_at_the_start_does_no_harm_once_it_is_renewed() {
    needs!(the_control_plane);
    let federated = Federated::start().await;
    federated.projected.renew(SHORT).await;
    federated.site.vault.clock().advance(SHORT);
    let vault = federated.vault();
    assert!(matches!(read(&vault).await, Err(VaultError::Unauthenticated(_))));

    federated.projected.renew(LONG).await;
    // The SDK by itself would show the old one for ten minutes.
    let after = read(&vault).await;
    assert!(matches!(after, Err(VaultError::NotFound { .. })), "{after:?}");
}

// === impl Federated ===

impl Federated {
    async fn start() -> Self {
        let (site, plane) = (Site::start().await, control_plane::shared().await);
        publish_keys(plane).await;
        let issuer = plane.issuer().parse().unwrap();
        let account = FederatedIdentity::service_account(issuer, &site.namespace, "secret-service");
        let verifier = FederatedVerifier::new(&account, &std::fs::read(plane.ca()).unwrap()).unwrap();
        site.vault.identity().register(Arc::new(verifier));
        let (namespace, file) = (site.namespace.clone(), site.directory().join("azure-identity-token"));
        Self { plane, site, projected: Projected { plane, namespace, file } }
    }

    fn credential(&self) -> Credential {
        let application = self.site.vault.credential();
        Credential::WorkloadIdentity {
            client_id: Some(application.client_id.clone()),
            tenant_id: Some(application.tenant_id.clone()),
            token_file: Some(self.projected.file.clone()),
        }
    }

    /// The whole service on it, once the token is projected.
    async fn world(self) -> World {
        let options = Options { credential: Some(self.credential()), ..Options::default() };
        World::start_on(self.site, options).await
    }

    /// The whole service on it, after it has stored a secret with a projected token of that lifetime.
    async fn used(self, lifetime: Duration) -> (World, Projected) {
        let projected = self.projected.clone();
        projected.renew(lifetime).await;
        let mut world = self.world().await;
        store(&mut world, "before").await.unwrap();
        (world, projected)
    }

    /// The service's client of the vault alone.
    fn vault(&self) -> Vault {
        let options = secret_service::vault::Options {
            uri: self.site.vault.uri(),
            credential: self.credential(),
            cloud: Cloud::Custom { authority_host: self.site.vault.authority_host() },
            api_version: None,
            verify_challenge: false,
            ca_file: Some(self.site.ca.clone()),
            timeout: Duration::from_secs(10),
            concurrency: 4,
            waiting: 2_048,
            requests_per_10s: None,
        };
        Vault::connect(&options).unwrap()
    }
}

// === impl Projected ===

impl Projected {
    /// Projects a new token in the place of the old one, as the kubelet does: in one step.
    async fn renew(&self, lifetime: Duration) -> String {
        let token =
            self.plane.token(&self.namespace, control_plane::ACCOUNT, &[FEDERATED_AUDIENCE], lifetime).await;
        let beside = self.file.with_extension("new");
        std::fs::write(&beside, &token).unwrap();
        std::fs::rename(&beside, &self.file).unwrap();
        token
    }
}

/// Lets everybody read the keys of the cluster's tokens, as Entra must be able to.
async fn publish_keys(plane: &ControlPlane) {
    let name = "tests-issuer-discovery";
    let binding = ClusterRoleBinding {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        role_ref: RoleRef {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "ClusterRole".to_owned(),
            name: "system:service-account-issuer-discovery".to_owned(),
        },
        subjects: Some(vec![Subject {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "Group".to_owned(),
            name: "system:unauthenticated".to_owned(),
            ..Subject::default()
        }]),
    };
    let bindings: Api<ClusterRoleBinding> = Api::all(plane.admin().await);
    bindings.patch(name, &PatchParams::apply("tests"), &Patch::Apply(&binding)).await.unwrap();
    let (http, keys) = (trusting(plane.ca()), format!("{}/openid/v1/jwks", plane.issuer()));
    until("everybody may read the keys", async || {
        http.get(&keys).send().await.is_ok_and(|answer| answer.status().is_success())
    })
    .await;
}

/// Creates a secret in the vault, and at the edge.
async fn store(world: &mut World, id: &str) -> Result<SyncedSecret, Status> {
    let request = create(id, vec![created("k", &format!("{id}-k"), "v")]);
    world.client.create_synced_secret(request).await.map(tonic::Response::into_inner)
}

/// Asks for a secret that isn't there, which only who is let in is told.
async fn read(vault: &Vault) -> Result<(), VaultError> {
    let name: VaultSecretName = "absent".parse().unwrap();
    vault.get(&name, None, Priority::Interactive).await.map(drop)
}

/// What the vault answers to a bearer of that token.
async fn read_with(site: &Site, token: &str) -> u16 {
    let url = site.vault.uri().join("secrets?api-version=7.4").unwrap();
    trusting(&site.ca).get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
}

/// How many tokens the vault's authority was asked for.
fn tokens_given(site: &Site) -> u64 {
    site.vault.requests().of(Operation::Token)
}

/// A client that trusts a certificate authority.
fn trusting(ca: &Path) -> reqwest::Client {
    let ca = reqwest::Certificate::from_pem(&std::fs::read(ca).unwrap()).unwrap();
    reqwest::Client::builder().tls_certs_only([ca]).no_proxy().build().unwrap()
}
