//! "Manage secrets": get, list, update, delete, sync.

use secret_service::proto::{
    DeleteSyncedSecretRequest, GetVaultSecretRequest, ListAuditEventsRequest, ListSyncedSecretsRequest,
    SyncedSecret, SyncedSecretFilter, synced_secret::State,
};
use tonic::Code;

use crate::support::{World, requests::*};

async fn ids(world: &mut World, filter: SyncedSecretFilter) -> Vec<String> {
    let request = ListSyncedSecretsRequest { filter: Some(filter), ..Default::default() };
    let page = world.client.list_synced_secrets(request).await.unwrap().into_inner();
    assert_eq!(page.total_size as usize, page.synced_secrets.len());
    page.synced_secrets
        .into_iter()
        .map(|secret| secret.name.trim_start_matches("syncedSecrets/").to_owned())
        .collect()
}

#[tokio::test]
async fn pages_neither_skip_nor_repeat_during_concurrent_changes() {
    let mut world = World::start().await.with_synced(&["b", "d", "f", "h"], "value").await;
    let first = ListSyncedSecretsRequest { page_size: 2, ..Default::default() };
    let page = world.client.list_synced_secrets(first.clone()).await.unwrap().into_inner();
    assert_eq!((page.synced_secrets.len(), page.total_size), (2, 4));

    world.client.delete_synced_secret(delete("b")).await.unwrap();
    world.create("a", vec![existing("k", "v")]).await;
    world.create("e", vec![existing("k", "v")]).await;

    let next = ListSyncedSecretsRequest { page_token: page.next_page_token, page_size: 10, ..first };
    let page = world.client.list_synced_secrets(next).await.unwrap().into_inner();
    let names: Vec<_> = page.synced_secrets.iter().map(|secret| secret.name.as_str()).collect();
    assert_eq!(names, [name("e"), name("f"), name("h")]);
    assert!(page.next_page_token.is_empty());
}

#[tokio::test]
async fn every_set_field_of_a_filter_must_match() {
    let mut world = World::start().await.with_synced(&["pump-1", "pump-2", "valve-1"], "value").await;
    world.seed("other", "v").await;
    let mut labelled = create("pump-3", vec![existing("k", "other")]);
    labelled.synced_secret.as_mut().unwrap().labels.insert("line".to_owned(), "1".to_owned());
    world.client.create_synced_secret(labelled).await.unwrap();

    let named = SyncedSecretFilter { name_contains: "PUMP".to_owned(), ..Default::default() };
    assert_eq!(ids(&mut world, named.clone()).await, ["pump-1", "pump-2", "pump-3"]);
    let held = SyncedSecretFilter { vault_secret: vault_name("OTHER"), ..named.clone() };
    assert_eq!(ids(&mut world, held).await, ["pump-3"]);
    let labels =
        SyncedSecretFilter { labels: [("line".to_owned(), "1".to_owned())].into(), ..Default::default() };
    assert_eq!(ids(&mut world, labels).await, ["pump-3"]);
    let failed = SyncedSecretFilter { states: vec![State::Failed.into()], ..named };
    assert!(ids(&mut world, failed).await.is_empty());
}

#[tokio::test]
async fn an_update_changes_what_its_mask_names_and_the_edge_follows() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    world.seed("w", "other value").await;
    let before = world.get("a").await;
    let wanted = SyncedSecret {
        description: "new words".to_owned(),
        references: vec![existing("k2", "w"), existing("k", "v")],
        ..before.clone()
    };

    let words = world
        .client
        .update_synced_secret(update(wanted.clone(), &["description"]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((words.description.as_str(), words.references.len()), ("new words", 1));
    assert_ne!(words.etag, before.etag);
    assert_eq!((words.generation, words.state()), (2, State::Synced));

    let stale = world.client.update_synced_secret(update(wanted.clone(), &["references"])).await.unwrap_err();
    assert_eq!(told(&stale).code, Code::Aborted);

    let wanted = SyncedSecret { etag: words.etag, ..wanted };
    let changed =
        world.client.update_synced_secret(update(wanted, &["references"])).await.unwrap().into_inner();
    assert_eq!(changed.state(), State::Synced);
    let edge = world.edge("a").await.unwrap();
    assert_eq!((edge["k"].as_str(), edge["k2"].as_str()), ("value", "other value"));

    let fewer = SyncedSecret { references: vec![existing("k2", "w")], etag: String::new(), ..changed };
    world.client.update_synced_secret(update(fewer, &["references"])).await.unwrap();
    let edge = world.edge("a").await.unwrap();
    assert_eq!(edge.keys().collect::<Vec<_>>(), ["k2"]);
}

#[tokio::test]
async fn an_update_that_changes_nothing_records_nothing() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    let before = world.get("a").await;
    let same = SyncedSecret { etag: String::new(), ..before.clone() };
    let same = update(same, &["description", "labels", "references"]);
    let told = world.client.update_synced_secret(same).await.unwrap().into_inner();
    assert_eq!((told.generation, told.state()), (before.generation, State::Synced));
    assert_eq!(world.get("a").await, before);
    let request = ListAuditEventsRequest { resource: name("a"), page_size: 100, ..Default::default() };
    let events = world.client.list_audit_events(request).await.unwrap().into_inner().audit_events;
    assert!(events.iter().all(|event| event.action != "UpdateSyncedSecret"), "{events:?}");
}

#[tokio::test]
async fn an_update_can_create_vault_secrets() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    let before = world.get("a").await;
    let wanted =
        SyncedSecret { references: vec![existing("k", "v"), created("n", "brand-new", "fresh")], ..before };
    let changed =
        world.client.update_synced_secret(update(wanted, &["references"])).await.unwrap().into_inner();
    assert_eq!(changed.state(), State::Synced);
    assert_eq!(world.edge("a").await.unwrap()["n"], "fresh");
}

#[tokio::test]
async fn a_delete_removes_from_the_edge_and_never_from_the_vault() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    world.client.delete_synced_secret(delete("a")).await.unwrap();

    assert!(world.edge("a").await.is_none());
    assert_eq!(world.client.get_synced_secret(get("a")).await.unwrap_err().code(), Code::NotFound);
    let held = world
        .client
        .get_vault_secret(GetVaultSecretRequest { name: vault_name("v") })
        .await
        .unwrap()
        .into_inner();
    assert!(held.enabled && held.synced_secrets.is_empty());

    let again = world.client.delete_synced_secret(delete("a")).await.unwrap_err();
    assert_eq!(told(&again).code, Code::NotFound);
    assert!(told(&again).details.resource_info().is_some());
    let missing = DeleteSyncedSecretRequest { allow_missing: true, ..delete("a") };
    world.client.delete_synced_secret(missing).await.unwrap();
    world.create("a", vec![existing("k", "v")]).await;
}

#[tokio::test]
async fn a_delete_with_a_stale_etag_is_refused() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    let before = world.get("a").await;
    let wanted = SyncedSecret { description: "x".to_owned(), ..before.clone() };
    world.client.update_synced_secret(update(wanted, &["description"])).await.unwrap();
    let request = DeleteSyncedSecretRequest { etag: before.etag, ..delete("a") };
    assert_eq!(world.client.delete_synced_secret(request).await.unwrap_err().code(), Code::Aborted);
    assert!(world.edge("a").await.is_some());
}

#[tokio::test]
async fn the_audit_lists_who_did_what_newest_first() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    world.client.delete_synced_secret(delete("a")).await.unwrap();

    let request = ListAuditEventsRequest { resource: name("a"), page_size: 100, ..Default::default() };
    let events = world.client.list_audit_events(request.clone()).await.unwrap().into_inner().audit_events;
    let actions: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(
        actions,
        ["Removed", "DeleteSyncedSecret", "SyncSyncedSecret", "Synced", "CreateSyncedSecret"]
    );
    assert!(events.iter().all(|event| event.outcome == "OK" && !event.actor.is_empty()));
    assert_eq!(events[4].detail, "References: k=v.", "what was asked for");

    let first = ListAuditEventsRequest { page_size: 2, ..request };
    let page = world.client.list_audit_events(first.clone()).await.unwrap().into_inner();
    let rest = ListAuditEventsRequest { page_size: 100, page_token: page.next_page_token, ..first };
    let rest = world.client.list_audit_events(rest).await.unwrap().into_inner();
    assert_eq!(page.audit_events.len() + rest.audit_events.len(), events.len());
}

#[tokio::test]
async fn the_audit_is_filtered_in_pages_and_a_token_is_for_one_filter() {
    let mut world = World::start().await.with_synced(&["a", "b"], "value").await;
    for _ in 0..3 {
        world.client.sync_synced_secret(sync("a")).await.unwrap();
    }
    let mut list = async |request: ListAuditEventsRequest| {
        world.client.list_audit_events(request).await.map(tonic::Response::into_inner)
    };
    let syncs =
        ListAuditEventsRequest { action: "SyncSyncedSecret".into(), page_size: 2, ..Default::default() };
    let page = list(syncs.clone()).await.unwrap();
    assert_eq!(page.audit_events.len(), 2);
    let token = page.next_page_token;
    let rest = ListAuditEventsRequest { page_token: token.clone(), page_size: 50, ..syncs.clone() };
    let rest = list(rest).await.unwrap();
    assert_eq!((rest.audit_events.len(), rest.next_page_token.as_str()), (1, ""));
    let mut events = page.audit_events;
    events.extend(rest.audit_events);
    assert!(events.iter().all(|event| event.action == "SyncSyncedSecret" && event.resource == name("a")));

    let (first, last) = (events[2].clone(), events[0].clone());
    for other in [
        ListAuditEventsRequest { action: "Synced".into(), ..syncs.clone() },
        ListAuditEventsRequest { actor: first.actor.clone(), ..syncs.clone() },
        ListAuditEventsRequest { outcome: "OK".into(), ..syncs.clone() },
        ListAuditEventsRequest { failed_only: true, ..syncs.clone() },
        ListAuditEventsRequest { until_time: last.event_time, ..syncs.clone() },
    ] {
        let refused = list(ListAuditEventsRequest { page_token: token.clone(), ..other }).await.unwrap_err();
        assert_eq!(told(&refused).fields, ["page_token"]);
    }

    let between =
        ListAuditEventsRequest { since_time: first.event_time, until_time: last.event_time, ..syncs };
    let between = list(between).await.unwrap().audit_events;
    assert_eq!(between.iter().map(|event| &event.name).collect::<Vec<_>>(), [&events[1].name, &first.name]);
    let by_service = ListAuditEventsRequest { actor: "sync".into(), ..Default::default() };
    let by_service = list(by_service).await.unwrap().audit_events;
    assert!(!by_service.is_empty() && by_service.iter().all(|event| event.actor == "sync"));
    let failed = ListAuditEventsRequest { failed_only: true, ..Default::default() };
    assert_eq!(list(failed).await.unwrap().audit_events, []);
    for (actor, outcome) in [("' OR 1=1 --", ""), ("syn%", ""), ("\0", ""), ("", "ok")] {
        let none =
            ListAuditEventsRequest { actor: actor.into(), outcome: outcome.into(), ..Default::default() };
        assert_eq!(list(none).await.unwrap().audit_events, [], "{actor:?} {outcome:?}");
    }
    let wrong = Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 });
    let wrong = ListAuditEventsRequest { until_time: wrong, ..Default::default() };
    assert_eq!(told(&list(wrong).await.unwrap_err()).fields, ["until_time"]);
}
