//! Get and the lists.

use tonic::Code;

use super::*;
use crate::{model, proto::*, store::NewAuditEvent};

#[tokio::test]
async fn a_synced_secret_is_returned_as_recorded() {
    let running = serve(|_| ()).await;
    let recorded = secret("edp1secrets");
    running.house.insert(recorded.clone()).await;
    let name = "syncedSecrets/edp1secrets".to_owned();
    let request = GetSyncedSecretRequest { name: name.clone(), view: 0 };
    let shown = running.client().await.get_synced_secret(request).await.unwrap().into_inner();
    assert_eq!((shown.name, shown.uid, shown.etag), (name, recorded.uid.to_string(), recorded.etag()));
    assert_eq!(shown.secret_type, "Opaque");
    assert_eq!(shown.state, synced_secret::State::Pending as i32);
    assert_eq!(shown.origin, synced_secret::Origin::Managed as i32);
    assert_eq!(shown.references[0].key, "username");
    assert_eq!(shown.references[0].vault_secret, "vaultSecrets/Edp1-User");
    assert!(shown.references[0].create.is_none());
    let created = shown.create_time.unwrap();
    assert_eq!(
        created.seconds * 1_000_000 + i64::from(created.nanos / 1_000),
        recorded.create_time.as_microsecond()
    );
}

#[tokio::test]
async fn pages_neither_skip_nor_repeat_during_concurrent_changes() {
    let running = serve(|_| ()).await;
    let rows: Vec<_> = ["a", "c", "e", "g", "i"].map(secret).into();
    for row in &rows {
        running.house.insert(row.clone()).await;
    }
    let mut client = running.client().await;
    let mut page = async |page_token: String| {
        let request = ListSyncedSecretsRequest { page_size: 2, page_token, ..Default::default() };
        let page = client.list_synced_secrets(request).await.unwrap().into_inner();
        let names: Vec<_> = page.synced_secrets.into_iter().map(|secret| secret.name).collect();
        (names.join(" ").replace("syncedSecrets/", ""), page.next_page_token, page.total_size)
    };
    let (names, token, total) = page(String::new()).await;
    assert_eq!((names.as_str(), total), ("a c", 5));
    running.house.remove(&rows[1]).await;
    running.house.insert(secret("b")).await;
    running.house.insert(secret("f")).await;
    let (names, token, total) = page(token).await;
    assert_eq!((names.as_str(), total), ("e f", 6));
    let (names, token, _) = page(token).await;
    assert_eq!((names.as_str(), token.as_str()), ("g i", ""));
}

#[tokio::test]
async fn a_filter_matches_every_set_field() {
    let running = serve(|_| ()).await;
    running.house.insert(secret("pump-1")).await;
    let synced = secret("pump-2");
    running.house.insert(synced.clone()).await;
    running.house.update(&synced, State::Synced).await;
    let mut client = running.client().await;
    let mut count = async |filter: SyncedSecretFilter| {
        let request = ListSyncedSecretsRequest { filter: Some(filter), ..Default::default() };
        client.list_synced_secrets(request).await.unwrap().into_inner().total_size
    };
    let state = vec![synced_secret::State::Synced as i32];
    assert_eq!(count(SyncedSecretFilter { states: state.clone(), ..Default::default() }).await, 1);
    let vault_secret = "vaultSecrets/edp1-USER".to_owned();
    assert_eq!(count(SyncedSecretFilter { vault_secret, ..Default::default() }).await, 2);
    let name_contains = "PUMP-1".to_owned();
    assert_eq!(count(SyncedSecretFilter { name_contains, states: state, ..Default::default() }).await, 0);
    let labels = BTreeMap::from([("line".to_owned(), "2".to_owned())]);
    assert_eq!(count(SyncedSecretFilter { labels, ..Default::default() }).await, 0);
}

#[tokio::test]
async fn a_page_ends_before_it_exceeds_the_maximum_message_size() {
    let running = serve(|options| options.limits.answer_bytes = 20_000).await;
    for place in 0..40 {
        let description = "x".repeat(1_000);
        running.house.insert(model::SyncedSecret { description, ..secret(&format!("s{place:02}")) }).await;
    }
    let mut client = running.client().await;
    let (mut names, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let request = ListSyncedSecretsRequest { page_size: 1_000, page_token, ..Default::default() };
        let page = client.list_synced_secrets(request).await.unwrap().into_inner();
        names.extend(page.synced_secrets.into_iter().map(|secret| secret.name));
        (page_token, pages) = (page.next_page_token, pages + 1);
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, (0..40).map(|place| format!("syncedSecrets/s{place:02}")).collect::<Vec<_>>());
    assert!(pages > 2, "{pages}");
}

#[tokio::test]
async fn tokens_of_another_filter_or_list_and_forged_ones_are_refused_with_their_field() {
    let running = serve(|_| ()).await;
    running.house.insert(secret("a")).await;
    running.house.insert(secret("b")).await;
    let mut client = running.client().await;
    let request = ListSyncedSecretsRequest { page_size: 1, ..Default::default() };
    let token = client.list_synced_secrets(request.clone()).await.unwrap().into_inner().next_page_token;
    let filter = SyncedSecretFilter { name_contains: "a".into(), ..Default::default() };
    for (page_token, filter) in
        [(token.clone(), Some(filter)), ("forged".into(), None), (format!("{token}A"), None)]
    {
        let request = ListSyncedSecretsRequest { page_token, filter, ..Default::default() };
        let refused = client.list_synced_secrets(request).await.unwrap_err();
        assert_eq!(
            (refused.code(), violated_fields(&refused)),
            (Code::InvalidArgument, vec!["page_token".into()])
        );
    }
    let request = ListAuditEventsRequest { page_token: token.clone(), ..Default::default() };
    assert_eq!(client.list_audit_events(request).await.unwrap_err().code(), Code::InvalidArgument);
    // The size may change from page to page.
    let request = ListSyncedSecretsRequest {
        page_size: 7,
        page_token: token,
        filter: Some(Default::default()),
        view: 0,
    };
    assert_eq!(client.list_synced_secrets(request).await.unwrap().into_inner().synced_secrets.len(), 1);
}

#[tokio::test]
async fn audit_events_are_listed_newest_first_in_pages() {
    let running = serve(|_| ()).await;
    for resource in ["syncedSecrets/a", "vaultSecrets/b", "syncedSecrets/a"] {
        let event = NewAuditEvent {
            actor: "tester".into(),
            action: crate::model::AuditAction::SyncSyncedSecret,
            resource: resource.into(),
            outcome: model::Outcome::ok(),
            detail: String::new(),
            request_id: String::new(),
        };
        running.house.store.audit(event).await.unwrap();
    }
    let mut client = running.client().await;
    let mut page = async |resource: &str, page_token: String| {
        let request = ListAuditEventsRequest {
            page_size: 1,
            page_token,
            resource: resource.into(),
            ..Default::default()
        };
        let page = client.list_audit_events(request).await.unwrap().into_inner();
        (
            page.audit_events.into_iter().map(|event| event.name).collect::<Vec<_>>().join(" "),
            page.next_page_token,
        )
    };
    let (names, token) = page("syncedSecrets/a", String::new()).await;
    assert_eq!(names, "auditEvents/3");
    let (names, token) = page("syncedSecrets/a", token).await;
    assert_eq!((names.as_str(), token.as_str()), ("auditEvents/1", ""));
    let (names, _) = page("", String::new()).await;
    assert_eq!(names, "auditEvents/3");
}

#[tokio::test]
async fn the_audit_records_each_action_with_its_caller() {
    let running = serve(|_| ()).await;
    running.house.insert(secret("a")).await;
    let mut client = running.client().await;
    let request = SyncSyncedSecretRequest { name: "syncedSecrets/a".into(), wait: None };
    client.sync_synced_secret(request).await.unwrap();
    let events = client.list_audit_events(ListAuditEventsRequest::default()).await.unwrap().into_inner();
    let event = &events.audit_events[0];
    assert_eq!((event.actor.as_str(), event.action.as_str()), ("anonymous@127.0.0.1", "SyncSyncedSecret"));
    assert_eq!((event.resource.as_str(), event.outcome.as_str()), ("syncedSecrets/a", "OK"));
}

#[tokio::test]
async fn deleting_a_missing_synced_secret_succeeds_with_allow_missing() {
    let running = serve(|_| ()).await;
    let mut client = running.client().await;
    let request = DeleteSyncedSecretRequest {
        name: "syncedSecrets/a".into(),
        allow_missing: true,
        ..Default::default()
    };
    let deleted = client.delete_synced_secret(request).await.unwrap().into_inner();
    assert_eq!((deleted.name.as_str(), deleted.uid.as_str()), ("syncedSecrets/a", ""));
}
