//! Calls that were not let in, in the audit.

use super::Secrets;
use crate::{model::Outcome, store::NewAuditEvent};

/// A call that was not let in.
#[derive(Clone, Debug)]
pub struct Denial {
    /// Who called, as far as anybody knows.
    pub actor: String,
    /// The RPC.
    pub action: &'static str,
    /// Resource name; empty where the call is about none, or nobody has looked.
    pub resource: String,
    /// The code that the caller was told.
    pub outcome: Outcome,
    /// For people.
    pub detail: String,
}

impl Secrets {
    /// Records a denial. Where it can't be, the call is refused all the same.
    pub async fn record_denial(&self, denial: Denial) {
        let Denial { actor, action, resource, outcome, detail } = denial;
        let event = NewAuditEvent { actor, action, resource, outcome, detail, request_id: String::new() };
        if let Err(error) = self.0.store.audit(event).await {
            tracing::error!(%error, "a denial could not be recorded");
        }
    }
}
