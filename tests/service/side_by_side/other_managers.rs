//! Other controllers and people write beside us.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_reverts_our_writes_is_named_and_repairs_back_off() {
    needs!(the_double, the_direct_engine);
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    let secrets = world.secrets();
    let controller = tokio::spawn(async move {
        loop {
            let current = secrets.get("a").await.unwrap();
            let held = current.data.as_ref().and_then(|data| data.get("k").cloned());
            if held.is_some_and(|held| held.0 != b"theirs") {
                let patch = json!({ "stringData": { "k": "theirs" } });
                let as_them =
                    PatchParams { field_manager: Some("argocd-controller".into()), ..Default::default() };
                secrets.patch("a", &as_them, &Patch::Merge(patch)).await.unwrap();
            }
            sleep(Duration::from_millis(20)).await;
        }
    });

    let told = world.until("a", |secret| synced_reason(secret) == "EdgeContested").await;
    assert_eq!(told.state(), State::Degraded);
    assert!(format!("{told:?}").contains("argocd-controller"), "{told:?}");
    // A person who asks is not made to wait for the pause.
    let begun = Instant::now();
    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert_eq!(told.state(), State::Synced, "{told:?}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    world.until("a", |secret| synced_reason(secret) == "EdgeContested").await;
    let before =
        (world.cluster().requests().of("patch", "secrets"), world.vault.requests().of(Operation::SecretGet));
    sleep(Duration::from_secs(5)).await;
    let after =
        (world.cluster().requests().of("patch", "secrets"), world.vault.requests().of(Operation::SecretGet));
    assert!(after.0 - before.0 <= 3 && after.1 - before.1 <= 1, "{before:?} {after:?}");
    let actions = world.actions("a").await;
    assert!(actions.len() <= 8, "{actions:?}");
    // The service goes on, more rarely.
    world.until("a", |secret| format!("{:?}", secret.conditions).contains("4 repairs so far")).await;
    controller.abort();

    // Nor does a deletion wait for the pause.
    let begun = Instant::now();
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_edit_that_keeps_the_content_of_a_secret_is_no_drift() {
    needs!(the_double, the_direct_engine);
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    let (writes, looks) =
        (world.cluster().requests().of("patch", "secrets"), world.cluster().requests().of("get", "secrets"));
    let touch = json!({ "metadata": { "annotations": { "touched": "yes" } } });
    merge(&world, "a", touch).await;
    let begun = Instant::now();
    while world.cluster().requests().of("get", "secrets") == looks {
        assert!(begun.elapsed() < PATIENCE, "nobody looks");
        sleep(Duration::from_millis(20)).await;
    }
    sleep(Duration::from_secs(1)).await;
    let written = world.cluster().requests().of("patch", "secrets") - writes;
    assert_eq!(written, 1, "the touch alone");
    assert_eq!(world.get("a").await.state(), State::Synced);
    assert!(!world.actions("a").await.contains(&"DriftRepaired".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_created_during_our_first_write_stays_its_creators_although_the_cluster_fails() {
    needs!(the_double, the_direct_engine);
    let mut world = World::start().await;
    world.seed("v", "value").await;
    let patches = || world.cluster().requests().of("patch", "secrets");
    let before = patches();
    let patch = |fault: Fault| FaultRule::new(fault).verb("patch").resource("secrets");
    world.cluster().faults().add(patch(Fault::latency(Duration::from_millis(1_500))).times(1));
    world.cluster().faults().add(patch(unavailable()).times(1));
    let mut client = world.client.clone();
    let call =
        tokio::spawn(async move { client.create_synced_secret(create("a", vec![existing("k", "v")])).await });
    let begun = Instant::now();
    while patches() == before {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(5)).await;
    }
    let theirs = Secret {
        metadata: ObjectMeta { name: Some("a".to_owned()), ..ObjectMeta::default() },
        string_data: Some(BTreeMap::from([("theirs".to_owned(), "x".to_owned())])),
        ..Secret::default()
    };
    world.secrets().create(&PostParams::default(), &theirs).await.unwrap();
    call.await.unwrap().unwrap();

    let told = world.until("a", |secret| synced_reason(secret) == "EdgeConflict").await;
    assert_eq!(told.state(), State::Failed);
    let only_theirs = BTreeMap::from([("theirs".to_owned(), "x".to_owned())]);
    assert_eq!(world.edge("a").await.unwrap(), only_theirs);
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    assert_eq!(world.edge("a").await.unwrap(), only_theirs);
    assert!(!world.secrets().get("a").await.unwrap().labels().contains_key(UID_LABEL));
}

#[tokio::test]
async fn an_adopted_secret_has_each_condition_once() {
    needs!(the_direct_engine);
    let mut world = World::start().await;
    world.seed("v", "value").await;
    let secret = Secret {
        metadata: ObjectMeta { name: Some("a".to_owned()), ..ObjectMeta::default() },
        string_data: Some(BTreeMap::from([("k".to_owned(), "value".to_owned())])),
        ..Secret::default()
    };
    world.secrets().create(&PostParams::default(), &secret).await.unwrap();
    let adopt = AdoptSyncedSecretRequest {
        name: name("a"),
        references: vec![existing("k", "v")],
        ..Default::default()
    };
    world.client.adopt_synced_secret(adopt).await.unwrap();
    world.until_state("a", State::Synced).await;
    world.client.update_synced_secret(with_description("a", "pump")).await.unwrap();
    let told = world.until_state("a", State::Synced).await;
    let mut kinds: Vec<_> = told.conditions.iter().map(|condition| condition.r#type.as_str()).collect();
    let all = kinds.len();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), all, "{:?}", told.conditions);
    assert_eq!(synced_reason(&told), "Synced");
    assert!(world.secrets().get("a").await.unwrap().labels().contains_key(UID_LABEL));
}
