//! What a synced secret may be, whoever asks: names, types and labels by which others act are not for callers to give.

use kube::{
    Resource,
    api::{Patch, PatchParams},
};
use secret_service::{
    model::{Admission, SyncEngine},
    proto::{
        AdoptSyncedSecretRequest, CreateSyncedSecretRequest, SyncedSecret, UpdateSyncedSecretRequest,
        synced_secret::State,
    },
};
use serde_json::json;
use tonic::{Code, Status};

use crate::{
    adoption::{adopt, both, listed, made_by_the_portal, make_by_hand},
    support::{Options, World, requests::*},
};

/// A world whose operator has said this of what synced secrets may be.
async fn world(admission: Admission) -> World {
    World::start_with(Options { admission, ..Options::default() }).await
}

fn patterns<T: std::str::FromStr<Err: std::fmt::Debug>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Create of a type and with labels.
fn create_of(id: &str, secret_type: &str, labels: &[(&str, &str)]) -> CreateSyncedSecretRequest {
    let mut request = create(id, vec![existing("username", "pump-user"), existing("password", "pump-pass")]);
    let secret = request.synced_secret.as_mut().unwrap();
    secret.secret_type = secret_type.to_owned();
    secret.labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    request
}

async fn seed(world: &World) {
    world.seed("pump-user", "operator").await;
    world.seed("pump-pass", "7").await;
}

/// That a call was refused for these fields, by a message with these words.
#[track_caller]
fn is_refused<T: std::fmt::Debug>(answer: Result<T, Status>, reason: &str, fields: &[&str], words: &[&str]) {
    let told = told(&answer.unwrap_err());
    assert_eq!((told.code, told.reason.as_str()), (Code::InvalidArgument, reason), "{}", told.message);
    assert_eq!(told.fields, fields, "{}", told.message);
    let violations = told.details.bad_request().unwrap().field_violations.iter();
    let said = violations.map(|violation| violation.description.as_str()).collect::<String>() + &told.message;
    for word in words {
        assert!(said.contains(word), "{word} in {said}");
    }
}

#[tokio::test]
async fn reserved_names_can_neither_be_created_nor_adopted_and_the_error_names_the_owner() {
    let reserved = patterns(&["secret-service-tls this service, which is run with it"]);
    let mut world = world(Admission { reserved, ..Admission::default() }).await;
    seed(&world).await;
    for (id, owner) in [
        ("sh.helm.release.v1.aio.v7", "Helm"),
        ("spc-ops-0000000", "default SecretProviderClass"),
        ("aio-broker-tls", "Azure IoT Operations"),
        ("secret-service-tls", "this service"),
    ] {
        let asked = world.vault.requests();
        for validate_only in [true, false] {
            let request = CreateSyncedSecretRequest { validate_only, ..create(id, both()) };
            let answer = world.client.create_synced_secret(request).await;
            is_refused(
                answer,
                "NAME_RESERVED",
                &["synced_secret_id"],
                &[id, owner, "synced_secrets.reserved_names"],
            );
        }
        assert!(world.edge(id).await.is_none());

        let theirs = make_by_hand(&world, id, "Opaque", None).await;
        for validate_only in [true, false] {
            let request = AdoptSyncedSecretRequest { validate_only, ..adopt(id, both()) };
            let answer = world.client.adopt_synced_secret(request).await;
            is_refused(answer, "NAME_RESERVED", &["name"], &[id, owner]);
        }
        assert_eq!(world.vault.requests(), asked, "nobody looked into the vault for it");
        assert_eq!(world.secrets().get(id).await.unwrap(), theirs, "{id} stays as it is");
    }
    // What the platform leaves to others to fill is theirs.
    world.create("aio-opc-ua-broker-trust-list", both()).await;
}

#[tokio::test]
async fn a_secret_that_would_control_other_controllers_is_refused_unless_the_operator_allows_it() {
    let mut world = world(Admission::default()).await;
    seed(&world).await;
    let release = create_of("forged", "helm.sh/release.v1", &[("owner", "helm"), ("name", "aio")]);
    let asked = world.vault.requests();
    let answer = world.client.create_synced_secret(release.clone()).await;
    let fields = ["synced_secret.secret_type", "synced_secret.labels"];
    is_refused(
        answer,
        "INVALID_FIELD",
        &fields,
        &["synced_secrets.types", "synced_secrets.labels", "owner=helm"],
    );
    for label in [
        ("argocd.argoproj.io/secret-type", "cluster"),
        ("cluster.x-k8s.io/cluster-name", "edge"),
        ("helm.sh/chart", "aio-1"),
    ] {
        for validate_only in [true, false] {
            let request = create_of("forged", "", &[("line", "1"), label]);
            let request = CreateSyncedSecretRequest { validate_only, ..request };
            let answer = world.client.create_synced_secret(request).await;
            is_refused(answer, "INVALID_FIELD", &fields[1..], &[label.0, "synced_secrets.labels"]);
        }
    }
    assert_eq!(world.vault.requests(), asked, "nobody looked into the vault for it");

    world.options.admission = Admission {
        types: patterns(&["helm.sh/release.v1"]),
        labels: patterns(&["owner", "line.example.com/*"]),
        ..Admission::default()
    };
    world.restart().await;
    let mut request = release;
    request.synced_secret.as_mut().unwrap().labels.insert("line.example.com/a".to_owned(), "1".to_owned());
    let made = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(made.state(), State::Synced, "{made:?}");
    let secret = world.secrets().get("forged").await.unwrap();
    assert_eq!(secret.type_.as_deref(), Some("helm.sh/release.v1"));
    let labels = secret.metadata.labels.unwrap();
    assert_eq!((labels["owner"].as_str(), labels["line.example.com/a"].as_str()), ("helm", "1"));
}

#[tokio::test]
async fn a_secret_that_controls_other_controllers_is_not_adopted() {
    let mut world = world(Admission::default()).await;
    seed(&world).await;
    make_by_hand(&world, "of-a-type", "example.com/license", None).await;
    make_by_hand(&world, "of-argo-cd", "Opaque", None).await;
    let labels =
        json!({ "metadata": { "labels": { "argocd.argoproj.io/secret-type": "cluster", "line": "1" } } });
    let patch = world.secrets().patch("of-argo-cd", &PatchParams::default(), &Patch::Merge(labels)).await;
    let theirs = patch.unwrap();
    for (id, words) in [
        ("of-a-type", ["example.com/license", "synced_secrets.types"]),
        ("of-argo-cd", ["argocd.argoproj.io/secret-type", "synced_secrets.labels"]),
    ] {
        for validate_only in [true, false] {
            let request = AdoptSyncedSecretRequest { validate_only, ..adopt(id, both()) };
            let answer = world.client.adopt_synced_secret(request).await;
            is_refused(answer, "INVALID_FIELD", &["name"], &words);
        }
    }
    assert_eq!(world.secrets().get("of-argo-cd").await.unwrap(), theirs);

    world.options.admission = Admission {
        types: patterns(&["example.com/license"]),
        labels: patterns(&["argocd.argoproj.io/*"]),
        ..Admission::default()
    };
    world.restart().await;
    for id in ["of-a-type", "of-argo-cd"] {
        world.client.adopt_synced_secret(adopt(id, both())).await.unwrap();
        world.until_state(id, State::Synced).await;
    }
}

#[tokio::test]
async fn a_secretsync_that_labels_its_secret_for_other_controllers_is_not_adopted() {
    let mut world = made_by_the_portal(SyncEngine::SecretStore).await;
    listed(&mut world, "edp1secrets").await;
    let labels = json!({ "spec": { "secretObject": { "labels": { "argocd.argoproj.io/secret-type": "repository" } } } });
    world.syncs().patch("edp1secrets", &PatchParams::default(), &Patch::Merge(labels)).await.unwrap();
    let answer = world.client.adopt_synced_secret(adopt("edp1secrets", vec![])).await;
    is_refused(
        answer,
        "INVALID_FIELD",
        &["name"],
        &["argocd.argoproj.io/secret-type", "synced_secrets.labels"],
    );
}

#[tokio::test]
async fn stricter_admission_rules_do_not_affect_recorded_synced_secrets() {
    let mut world = world(Admission {
        types: patterns(&["example.com/license"]),
        labels: patterns(&["line.example.com/*"]),
        ..Admission::default()
    })
    .await;
    seed(&world).await;
    let label = ("line.example.com/a", "1");
    let made = world.client.create_synced_secret(create_of("kept", "example.com/license", &[label])).await;
    let made = made.unwrap().into_inner();
    world.options.admission =
        Admission { reserved: patterns(&["kept somebody else"]), ..Admission::default() };
    world.restart().await;

    // What is adopted already stays so.
    let again = world.client.adopt_synced_secret(adopt("kept", both())).await.unwrap().into_inner();
    assert_eq!((&again.uid, again.generation), (&made.uid, made.generation));
    world.somebody.sets("pump-pass", "8").await;
    let synced = world.client.sync_synced_secret(sync("kept")).await.unwrap().into_inner();
    assert_eq!(synced.state(), State::Synced, "{synced:?}");
    assert_eq!(world.edge("kept").await.unwrap()["password"], "8");
    // A change of something else sends them along.
    let described = SyncedSecret { description: "new".to_owned(), ..made.clone() };
    let described = SyncedSecret { etag: String::new(), ..described };
    world.client.update_synced_secret(update(described.clone(), &["*"])).await.unwrap();
    let mut labelled = described;
    labelled.labels.insert("line.example.com/b".to_owned(), "1".to_owned());
    for validate_only in [true, false] {
        let request = UpdateSyncedSecretRequest { validate_only, ..update(labelled.clone(), &["labels"]) };
        let answer = world.client.update_synced_secret(request).await;
        is_refused(answer, "INVALID_FIELD", &["synced_secret.labels"], &["line.example.com/b"]);
    }
    let after = world.get("kept").await;
    assert_eq!((after.uid, after.secret_type), (made.uid, made.secret_type));
    let secret = world.secrets().get("kept").await.unwrap();
    assert_eq!(secret.meta().labels.as_ref().unwrap()[label.0], label.1);
}
