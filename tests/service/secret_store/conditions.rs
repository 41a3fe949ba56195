//! What the extension reports becomes conditions with a remedy.

use super::*;

#[tokio::test]
async fn a_version_that_becomes_unusable_keeps_the_last_complete_set_and_is_named() {
    let mut world = with_one(often()).await;
    world.somebody.enables("pump-user", false).await;
    let degraded = world.until_state("edp1", State::Degraded).await;
    assert_eq!(degraded.references[0].problem.as_ref().unwrap().reason, "VaultSecretDisabled");
    assert_eq!(world.edge("edp1").await.unwrap()["username"], "operator");
    world.somebody.sets("pump-user", "new").await;
    world.until_state("edp1", State::Synced).await;
    assert_eq!(world.edge("edp1").await.unwrap()["username"], "new");
}

#[tokio::test]
async fn an_inactive_extension_is_reported_with_a_remedy_and_recovery_is_automatic() {
    let mut world = World::start_with(Options { patience: Duration::from_millis(500), ..often() }).await;
    world.stop_extension().await;
    world.seed("pump-user", "operator").await;
    let request = create("edp1", vec![existing("username", "pump-user")]);
    let told = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(told.state(), State::Failed);
    assert_eq!(told.conditions[0].reason, "EngineNotResponding");
    assert!(told.conditions[0].message.contains("azure-secret-store"), "{told:?}");

    let options = world.extension_options();
    let _extension = Extension::start(options).await.unwrap();
    world.until_state("edp1", State::Synced).await;
}

#[tokio::test]
async fn a_secret_that_the_cluster_refuses_is_reported_despite_frequent_checks_and_created_once_allowed() {
    needs!(the_double);
    let mut world = World::start_with(often()).await;
    world.seed("pump-user", "operator").await;
    let forbidden = Fault::status(403, "Forbidden");
    world.cluster().faults().add(FaultRule::new(forbidden).verb("patch").resource("secrets"));
    let request = create("edp1", vec![existing("username", "pump-user")]);
    let told = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(told.state(), State::Failed, "{told:?}");
    assert!(told.conditions[0].message.contains("ControllerPatchError"), "{told:?}");

    world.cluster().faults().clear();
    world.until_state("edp1", State::Synced).await;
}

#[tokio::test]
async fn keys_and_labels_that_the_extension_does_not_accept_are_refused_each_by_its_field() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    let mut request = create(
        "edp1",
        vec![
            existing("_user", "pump-user"),
            existing("good.key", "pump-user"),
            existing("a__b", "pump-user"),
        ],
    );
    let long = "x".repeat(63);
    request.synced_secret.as_mut().unwrap().labels.insert("line".to_owned(), long);
    let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
    assert_eq!(refused.code, Code::InvalidArgument);
    assert_eq!(
        refused.fields,
        ["synced_secret.references[0].key", "synced_secret.references[2].key", "synced_secret.labels"]
    );
}

#[tokio::test]
async fn an_immutable_secret_is_reported_with_a_remedy() {
    let mut world = with_one(engine()).await;
    let frozen = json!({ "immutable": true });
    world.secrets().patch("edp1", &kubectl(), &Patch::Merge(frozen)).await.unwrap();
    world.somebody.sets("pump-user", "new").await;
    let told = world.client.sync_synced_secret(sync("edp1")).await.unwrap().into_inner();
    assert_eq!(
        (told.state(), told.conditions[0].reason.as_str()),
        (State::Degraded, "EdgeRejected"),
        "{told:?}"
    );
    assert!(told.conditions[0].message.contains("immutable"), "{told:?}");
    assert!(told.conditions[0].message.contains("delete the Secret"), "{told:?}");
    world.secrets().delete("edp1", &DeleteParams::default()).await.unwrap();
    until_edge(&world, "edp1", "username", "new").await;
}

#[tokio::test]
async fn a_bad_encoding_has_its_own_error() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "no base64!").await;
    let mut encoded = existing("username", "pump-user");
    encoded.set_encoding(secret_service::proto::secret_reference::Encoding::Base64);
    let request = create("edp2", vec![encoded]);
    let told = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(
        (told.state(), told.conditions[0].reason.as_str()),
        (State::Failed, "InvalidEncoding"),
        "{told:?}"
    );
    let problem = told.references[0].problem.as_ref().unwrap();
    assert!(problem.message.contains("illegal base64 data at input byte 2"), "{problem:?}");
}

#[tokio::test]
async fn a_partial_sync_has_its_own_reason() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    world.seed("pump-pass", "7").await;
    let references = vec![existing("username", "pump-user"), existing("password", "pump-pass")];
    world.create("edp1", references).await;
    world.somebody.sets("pump-user", "new").await;
    world.somebody.enables("pump-pass", false).await;
    world.extension.as_ref().unwrap().poll().await;
    let told = world.until_state("edp1", State::Degraded).await;
    // A look at the vault right after it finds the same.
    let reasons = ["PartiallySynced", "VaultSecretDisabled"];
    assert!(reasons.contains(&told.conditions[0].reason.as_str()), "{told:?}");
    assert!(told.references[0].problem.is_none(), "{told:?}");
    let problem = told.references[1].problem.as_ref().unwrap();
    assert_eq!(problem.reason, "VaultSecretDisabled");
    assert!(
        problem.message.contains("Enable the vault secret") && problem.message.len() < 400,
        "{problem:?}"
    );
}

#[tokio::test]
async fn a_missing_extension_is_reported() {
    needs!(the_double);
    let mut world = with_one(engine()).await;
    let definitions: kube::Api<CustomResourceDefinition> = kube::Api::all(world.kube.clone());
    for name in ["secretsyncs.secret-sync.x-k8s.io", "secretproviderclasses.secrets-store.csi.x-k8s.io"] {
        definitions.delete(name, &DeleteParams::default()).await.unwrap();
    }
    let request = create("edp2", vec![existing("username", "pump-user")]);
    let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "EDGE_RESOURCE_MISSING"));
    let message = refused.message;
    assert!(message.contains("does not serve") && message.contains("Install"), "{message}");
    let synced = world.client.sync_synced_secret(sync("edp1")).await.unwrap().into_inner();
    let (state, reason) = (synced.state(), synced.conditions[0].reason.as_str());
    assert_eq!((state, reason), (State::Degraded, "ExtensionFailed"), "{synced:?}");
    assert!(synced.conditions[0].message.contains("Install"), "{synced:?}");
}

#[tokio::test]
async fn a_busy_extension_is_awaited_and_reported_with_the_number_of_waiting_secretsyncs() {
    needs!(the_double);
    let mut world = World::start_with(Options { patience: Duration::from_secs(5), ..engine() }).await;
    world.seed("pump-user", "operator").await;
    // One after the other: the last one has to wait for many times the patience.
    let slow = FaultRule::new(Fault::latency(Duration::from_millis(350))).verb("patch").resource("secrets");
    world.cluster().faults().add(slow);
    let ids: Vec<String> = (0..40).map(|number| format!("edp{number}")).collect();
    for id in &ids {
        ask_for(&mut world, id).await;
    }
    let mut messages = std::collections::BTreeSet::new();
    let mut synced = 0;
    for _ in 0..2_000 {
        synced = 0;
        for id in &ids {
            let told = world.get(id).await;
            assert!([State::Pending, State::Synced].contains(&told.state()), "{told:?}");
            synced += usize::from(told.state() == State::Synced);
            messages.insert(told.conditions[0].message.clone());
        }
        if synced == ids.len() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(synced, ids.len());
    assert!(messages.iter().any(|said| said.contains("synced secrets wait for it")), "{messages:?}");
}

#[tokio::test]
async fn a_secretsync_without_an_answer_is_triggered_again_at_a_growing_pause() {
    let mut world =
        asked_for_without_extension(Options { patience: Duration::from_millis(300), ..engine() }).await;
    let mut told = Vec::new();
    let begun = std::time::Instant::now();
    while told.len() < 4 {
        let force = world.syncs().get("edp1").await.unwrap().spec.force_synchronization;
        if told.last().is_none_or(|(last, _)| *last != force) {
            told.push((force, begun.elapsed()));
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{told:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pauses: Vec<_> = told.windows(2).map(|two| two[1].1 - two[0].1).collect();
    // A machine under load shows a nudge late, and the pause after it as shorter than it was.
    assert!(
        pauses[1] >= Duration::from_millis(900) && pauses[2] >= Duration::from_millis(1_900),
        "{pauses:?}"
    );
    assert_eq!(world.get("edp1").await.conditions[0].reason, "EngineNotResponding");
}
