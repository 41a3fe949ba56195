//! That the chart's rights are enough for every feature, and that none of them is one too many: without any single one, something
//! does not work.

use std::{collections::BTreeMap, path::Path, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::{
    ByteString,
    api::{
        authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
        core::v1::{ConfigMap, Secret},
    },
};
use kube::{
    Api, Resource,
    api::{Patch, PatchParams, PostParams},
};
use secret_service::{
    access,
    edge::secret_store::SecretProviderClass,
    model::SyncEngine,
    proto::{GetVaultRequest, condition::Status, synced_secret::State},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    control_plane::{self, ControlPlane},
    support::{
        Options, Site, World,
        callers::{AUDIENCE, BOTH, Caller, EVERYTHING},
        requests::*,
        script::say,
        users,
    },
};

/// How long any step of the walk may take. It takes milliseconds where it works, and all of this where it doesn't.
const STEP: Duration = Duration::from_secs(8);
/// Longer than the pause after a watch that failed.
const WATCHED: Duration = Duration::from_secs(4);
/// How long the garbage collector of the cluster may take.
const COLLECTED: Duration = Duration::from_secs(45);
/// Walks at a time: they wait, most of the time.
const AT_A_TIME: usize = 12;

/// One verb on one resource, out of a rule.
#[derive(Clone, Debug)]
pub struct Single {
    pub group: String,
    pub resource: String,
    pub verb: String,
    /// Of objects of this name alone, where there is one.
    name: Option<String>,
    is_of_cluster: bool,
}

/// What a Role or ClusterRole grants, one by one; nothing where the object is neither.
pub fn singles(object: &Value) -> Vec<Single> {
    let is_of_cluster = object["kind"] == "ClusterRole";
    // The Roles of callers are about what no API server serves.
    let is_own =
        is_of_cluster || (object["kind"] == "Role" && object["metadata"]["name"] == "secret-service");
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut singles = Vec::new();
    for rule in object["rules"].as_array().into_iter().flatten().filter(|_| is_own) {
        let name = texts(&rule["resourceNames"]).pop();
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    let (group, resource, name) = (group.clone(), resource.clone(), name.clone());
                    singles.push(Single { group, resource, verb, name, is_of_cluster });
                }
            }
        }
    }
    singles
}

impl Single {
    pub fn rule(&self) -> Value {
        let mut rule =
            json!({ "apiGroups": [self.group], "resources": [self.resource], "verbs": [self.verb] });
        if let Some(name) = &self.name {
            rule["resourceNames"] = json!([name]);
        }
        rule
    }

    fn is_same(&self, other: &Self) -> bool {
        self.group == other.group && self.resource == other.resource && self.verb == other.verb
    }
}

/// The account with all rights of its manifest, but one.
fn without(account: &[Value], missing: Option<&Single>) -> (Vec<Value>, Vec<Single>) {
    let (mut changed, mut left) = (account.to_vec(), Vec::new());
    for object in &mut changed {
        let kept =
            singles(object).into_iter().filter(|single| missing.is_none_or(|one| !one.is_same(single)));
        let kept: Vec<Single> = kept.collect();
        if !kept.is_empty() {
            object["rules"] = kept.iter().map(Single::rule).collect();
        }
        left.extend(kept);
    }
    (changed, left)
}

/// Waits until the API server knows of all that is granted: else what fails might fail for that.
async fn until_granted(kubeconfig: &Path, namespace: &str, granted: &[Single]) {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(control_plane::client(kubeconfig).await);
    for single in granted {
        let asked = ResourceAttributes {
            namespace: (!single.is_of_cluster).then(|| namespace.to_owned()),
            group: Some(single.group.clone()),
            resource: Some(single.resource.clone()),
            verb: Some(single.verb.clone()),
            name: single.name.clone(),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(asked), ..Default::default() };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let begun = Instant::now();
        while !reviews
            .create(&PostParams::default(), &review)
            .await
            .is_ok_and(|answer| answer.status.is_some_and(|status| status.allowed))
        {
            assert!(begun.elapsed() < Duration::from_secs(60), "{single:?} is never granted");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// All features, as an editor uses them; the first that does not work.
async fn walk(world: &World, caller: &mut Caller) -> Result<(), String> {
    let step = |name: &'static str| move |status: tonic::Status| format!("{name}: {}", status.message());
    let created = create_as(caller).await.map_err(step("create"))?;
    until_serving(world).await?;
    if created != State::Synced {
        return Err(format!("create: it is {created:?}"));
    }
    let vault = caller.get_vault(GetVaultRequest::default()).await.map_err(step("look at the vault"))?;
    let conditions = vault.into_inner().conditions;
    if let Some(settings) = condition_of(&conditions, "SecureSettings")
        && settings.status() != Status::True
    {
        return Err(format!("secure settings: {}", settings.message));
    }
    stays_well(world, caller).await?;
    somebody_writes(world).await;
    until_mended(world).await?;
    if world.options.engine == SyncEngine::SecretStore {
        somebody_owns_the_class(world).await;
    }
    let deletion = secret_service::proto::DeleteSyncedSecretRequest { wait: None, ..delete("s") };
    caller.delete_synced_secret(deletion).await.map_err(step("delete"))?;
    // The cluster's garbage collector takes its time with kinds that are new to it.
    timeout(COLLECTED, gone(world, caller))
        .await
        .unwrap_or_else(|_| Err("delete: it is still there".to_owned()))
}

/// Waits until nothing is left; whatever is refused on the way is told.
async fn gone(world: &World, caller: &mut Caller) -> Result<(), String> {
    while let Ok(secret) = caller.get_synced_secret(get("s")).await {
        let secret = secret.into_inner();
        if synced_reason(&secret) == "EdgeForbidden" {
            return Err(format!("delete: {:?}", secret.conditions));
        }
        sleep(Duration::from_millis(20)).await;
    }
    while world.edge("s").await.is_some() {
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn until_serving(world: &World) -> Result<(), String> {
    let mut health = HealthClient::new(world.channel().await);
    let begun = Instant::now();
    loop {
        let answer =
            health.check(HealthCheckRequest::default()).await.map_err(|status| status.to_string())?;
        match answer.into_inner().status() {
            ServingStatus::Serving => return Ok(()),
            _ if begun.elapsed() > STEP => return Err("health: it is never ready".to_owned()),
            _ => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Without a watch, lists still come, again and again: the service is well, then not, then well.
async fn stays_well(world: &World, caller: &mut Caller) -> Result<(), String> {
    let mut health = HealthClient::new(world.channel().await);
    let begun = Instant::now();
    while begun.elapsed() < WATCHED {
        let answer =
            health.check(HealthCheckRequest::default()).await.map_err(|status| status.to_string())?;
        if answer.into_inner().status() != ServingStatus::Serving {
            return Err("health: it does not see the edge all the time".to_owned());
        }
        let secret = caller.get_synced_secret(get("s")).await.map_err(|status| status.to_string())?;
        let conditions = secret.into_inner().conditions;
        let in_use = condition_of(&conditions, "InUse");
        if in_use.is_none_or(|in_use| in_use.status() == Status::Unknown) {
            return Err("uses: it is not known all the time what uses it".to_owned());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Creates, and says how far it is when the time is over.
async fn create_as(caller: &mut Caller) -> Result<State, tonic::Status> {
    let wait = Some(prost_types::Duration { seconds: STEP.as_secs().cast_signed(), nanos: 0 });
    let request = secret_service::proto::CreateSyncedSecretRequest {
        wait,
        ..create("s", vec![created("a", "of-rights", "what it was")])
    };
    let begun = Instant::now();
    // A service that has just been started may not see the edge yet.
    loop {
        match caller.create_synced_secret(request.clone()).await {
            Ok(answer) => return Ok(answer.into_inner().state()),
            Err(status) if begun.elapsed() > STEP || status.code() != tonic::Code::Unavailable => {
                return Err(status);
            }
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Somebody else writes to the Secret, with force.
async fn somebody_writes(world: &World) {
    let secret = Secret {
        metadata: kube::api::ObjectMeta { name: Some("s".to_owned()), ..Default::default() },
        data: Some(BTreeMap::from([("a".to_owned(), ByteString(b"by hand".to_vec()))])),
        ..Secret::default()
    };
    let force = PatchParams::apply("somebody").force();
    world.secrets().patch("s", &force, &Patch::Apply(&secret)).await.unwrap();
}

/// Makes the class somebody's too. Else the garbage collector removes it with its SecretSync, sometimes faster than the service, which then
/// never finds out that it may not.
async fn somebody_owns_the_class(world: &World) {
    let owners: Api<ConfigMap> = Api::namespaced(world.kube.clone(), &world.namespace);
    let metadata = kube::api::ObjectMeta { name: Some("owner".to_owned()), ..Default::default() };
    let owner = ConfigMap { metadata, ..ConfigMap::default() };
    let owner = owners.create(&PostParams::default(), &owner).await.unwrap();
    let reference =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid });
    let (version, kind) = (SecretProviderClass::api_version(&()), SecretProviderClass::kind(&()));
    let metadata = json!({ "name": "s", "ownerReferences": [reference] });
    let class = json!({ "apiVersion": version, "kind": kind, "metadata": metadata });
    world.classes().patch("s", &PatchParams::apply("somebody"), &Patch::Apply(&class)).await.unwrap();
}

async fn until_mended(world: &World) -> Result<(), String> {
    let mended = async {
        while world.edge("s").await.is_none_or(|edge| edge["a"] != "what it was") {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(STEP, mended).await.map_err(|_| "drift: what somebody wrote stays".to_owned())
}

/// Walks with all rights of an engine's manifest but one.
async fn walked(
    plane: &ControlPlane,
    engine: SyncEngine,
    account: &[Value],
    missing: Option<&Single>,
) -> Result<(), String> {
    let namespace = format!("r-{}", uuid::Uuid::new_v4());
    let (account, left) = without(account, missing);
    let kubeconfig = plane.instance_of(&namespace, account).await;
    until_granted(&kubeconfig, &namespace, &left).await;
    let site = Site::of_account(plane, namespace, kubeconfig).await;
    site.account("editor", &BOTH, &EVERYTHING, &[]).await;
    let token = site.token("editor", AUDIENCE).await;
    let tokens =
        access::TokenOptions { audience: AUDIENCE.to_owned(), life: STEP, ..access::TokenOptions::default() };
    let access = access::Options { tokens: Some(tokens), anonymous: false, ..access::Options::local_only() };
    let options = Options { engine, access, ..Options::default() };
    let mut world = World::start_on(site, options).await;
    let mut caller = world.caller(Some(&token)).await;
    let walked = timeout(STEP * 5 + COLLECTED, walk(&world, &mut caller)).await;
    world.stop_service().await;
    walked.unwrap_or_else(|_| Err("it takes for ever".to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_of_the_chart_are_sufficient_and_each_one_is_necessary() {
    needs!(the_control_plane);
    let plane = control_plane::shared().await;
    users::install(&plane.admin().await).await;
    let mut walks = Vec::new();
    let mut manifests = Vec::new();
    for (engine, name) in [(SyncEngine::Direct, "direct"), (SyncEngine::SecretStore, "secret-store")] {
        manifests.push((engine, control_plane::account(&control_plane::manifest(name))));
    }
    for (engine, account) in &manifests {
        walks.push((*engine, account, None));
        for single in account.iter().flat_map(singles) {
            // Who uses what is found by the same code in both engines.
            if single.resource != "*" || *engine == SyncEngine::Direct {
                walks.push((*engine, account, Some(single)));
            }
        }
    }
    let (all, begun) = (walks.len(), Instant::now());
    let ended: Vec<_> = stream::iter(walks)
        .map(|(engine, account, missing)| async move {
            let walked = walked(plane, engine, account, missing.as_ref()).await;
            (engine, missing, walked)
        })
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    let mut wrong = Vec::new();
    for (engine, missing, walked) in ended {
        match (missing, walked) {
            (None, Err(problem)) => wrong.push(format!("{engine:?} with all rights: {problem}")),
            (Some(single), Ok(())) => wrong.push(format!("{engine:?} needs no {single:?}")),
            (None, Ok(())) | (Some(_), Err(_)) => {}
        }
    }
    say(&format!("{all} walks, each with one right less, took {:?}", begun.elapsed()));
    assert!(wrong.is_empty(), "{wrong:#?}");
}
