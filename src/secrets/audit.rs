//! ListAuditEvents: who did what, when, with which result.

use super::{Error, Secrets};
use crate::{model::AuditEvent, store::AuditFilter};

impl Secrets {
    /// A page of audit events, newest first, and whether there are more.
    pub async fn list_audit_events(
        &self,
        filter: &AuditFilter,
        limit: usize,
    ) -> Result<(Vec<AuditEvent>, bool), Error> {
        if filter.before.is_none() {
            self.flush_denials().await;
        }
        let wanted = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let mut events = self.0.store.audit_events(filter, wanted).await?;
        let more = events.len() > limit;
        events.truncate(limit);
        Ok((events, more))
    }
}
