//! ListAuditEvents.

use prost::Message;
use tonic::{Request, Response};

use super::{
    Answer, Service,
    convert::{self, Violations},
    pages::page_size,
    request::RpcRequest,
    token::TokenScope,
};
use crate::{
    api::error::plain,
    model::{
        AuditEvent, Permission,
        Resource::{SyncedSecrets, VaultSecrets},
        Verb::List,
    },
    proto::{self, ListAuditEventsRequest, ListAuditEventsResponse},
    secrets::{AuditFilter, Error},
};

impl RpcRequest for ListAuditEventsRequest {
    const METHOD: &'static str = "ListAuditEvents";

    fn required_permissions(&self) -> Vec<Permission> {
        // The audit holds events of both.
        vec![Permission::all(List, SyncedSecrets), Permission::all(List, VaultSecrets)]
    }
}

pub(super) async fn call(
    service: &Service,
    request: Request<ListAuditEventsRequest>,
) -> Answer<ListAuditEventsResponse> {
    let message = service.authorized(request).await?;
    page(service, message).await.map(Response::new).map_err(plain)
}

async fn page(
    service: &Service,
    mut message: ListAuditEventsRequest,
) -> Result<ListAuditEventsResponse, Error> {
    let limit = page_size(std::mem::take(&mut message.page_size))?;
    let token = std::mem::take(&mut message.page_token);
    let scope = TokenScope::pages::<ListAuditEventsRequest>(&service.secrets, message.encode_to_vec());
    let filter = filter(&message)?;
    let before = scope.open::<i64>(&token)?;

    let (events, more) = service.secrets.list_audit_events(&AuditFilter { before, ..filter }, limit).await?;
    let sequences: Vec<i64> = events.iter().map(|event| event.sequence).collect();
    let position_of = |last: usize| sequences[last];
    let events = events.into_iter().map(audit_event);
    let (audit_events, next_page_token) = service.pages.fill(&scope, events, more, position_of);
    Ok(ListAuditEventsResponse { audit_events, next_page_token })
}

/// Which events. Where they begin comes with the page token.
pub(super) fn filter(wire: &ListAuditEventsRequest) -> Result<AuditFilter, Error> {
    let mut violations = Violations::default();
    let resource = violations.take("resource", resource_name(&wire.resource)).unwrap_or_default();
    let since = wire.since_time.and_then(|since| violations.take("since_time", convert::time(since)));
    let until = wire.until_time.and_then(|until| violations.take("until_time", convert::time(until)));
    violations.finish(Some(AuditFilter {
        before: None,
        resource,
        actor: wire.actor.clone(),
        action: wire.action.clone(),
        outcome: wire.outcome.clone(),
        is_failed: wire.failed_only,
        since,
        until,
    }))
}

fn resource_name(name: &str) -> Result<String, String> {
    match name {
        "" | "vault" => Ok(name.to_owned()),
        _ if name.starts_with("syncedSecrets/") || name.starts_with("vaultSecrets/") => Ok(name.to_owned()),
        _ => {
            let shown = convert::quoted(name);
            let bare = shown.trim_matches('"');
            Err(format!("{shown} is not a resource name; use syncedSecrets/{bare} or vaultSecrets/{bare}"))
        }
    }
}

fn audit_event(event: AuditEvent) -> proto::AuditEvent {
    proto::AuditEvent {
        name: format!("auditEvents/{}", event.sequence),
        event_time: Some(convert::timestamp(event.event_time)),
        actor: event.actor,
        action: event.action.to_string(),
        resource: event.resource,
        outcome: event.outcome.0,
        detail: event.detail,
        request_id: event.request_id,
    }
}
