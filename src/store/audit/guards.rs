//! The triggers that protect audit events from changes. The chain reveals changes made without them. A
//! missing trigger is restored against accidents, and reported so that someone investigates.

use sqlx::SqlitePool;

use super::{NewAuditEvent, Store, StoreError, statements};
use crate::model::AuditAction;

statements! {
    HELD = "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?1";
}

/// Each trigger with its name and the SQL of its migration.
const GUARDS: [(&str, &str, &str); 4] = [
    (
        "audit_events_are_not_changed",
        "DROP TRIGGER IF EXISTS audit_events_are_not_changed",
        "CREATE TRIGGER audit_events_are_not_changed BEFORE UPDATE ON audit_events WHEN OLD.hash IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'an event of the audit can not be changed');
END",
    ),
    (
        "audit_events_are_not_removed",
        "DROP TRIGGER IF EXISTS audit_events_are_not_removed",
        "CREATE TRIGGER audit_events_are_not_removed BEFORE DELETE ON audit_events
WHEN OLD.sequence > (SELECT base_sequence FROM audit_chain)
BEGIN
    SELECT RAISE(ABORT, 'an event of the audit can only be removed after it is the base of the chain');
END",
    ),
    (
        "audit_denials_are_not_changed",
        "DROP TRIGGER IF EXISTS audit_denials_are_not_changed",
        "CREATE TRIGGER audit_denials_are_not_changed BEFORE UPDATE ON audit_denials
BEGIN
    SELECT RAISE(ABORT, 'an event of the audit can not be changed');
END",
    ),
    (
        "audit_denials_are_not_removed",
        "DROP TRIGGER IF EXISTS audit_denials_are_not_removed",
        "CREATE TRIGGER audit_denials_are_not_removed BEFORE DELETE ON audit_denials
WHEN OLD.sequence > (SELECT denials_base_sequence FROM audit_chain)
BEGIN
    SELECT RAISE(ABORT, 'an event of the audit can only be removed after it is the base of the chain');
END",
    ),
];

/// Restores triggers that are missing or different; returns their names.
pub(in crate::store) async fn restore_guards(writer: &SqlitePool) -> Result<Vec<&'static str>, StoreError> {
    let mut sql = writer.begin_with("BEGIN IMMEDIATE").await?;
    let mut restored = Vec::new();
    for (name, drop, create) in GUARDS {
        let held: Option<String> = sqlx::query_scalar(HELD).bind(name).fetch_optional(&mut *sql).await?;
        if held.as_deref() != Some(create) {
            sqlx::query(drop).execute(&mut *sql).await?;
            sqlx::query(create).execute(&mut *sql).await?;
            restored.push(name);
        }
    }
    sql.commit().await?;
    Ok(restored)
}

impl Store {
    /// Records in the log and in the audit that a trigger was restored.
    pub(in crate::store) async fn report_restored_guard(
        &self,
        guard: &'static str,
    ) -> Result<(), StoreError> {
        tracing::error!(
            trigger = guard,
            "a trigger that protects the audit was removed from the database file and is restored now. Run \
             `secret-service audit verify` with an anchor from the log to find out whether events were changed"
        );
        let detail = format!("The trigger {guard} was missing or changed when the service started.");
        self.audit(NewAuditEvent::by_service(AuditAction::AuditGuardRestored, "", detail)).await
    }
}
