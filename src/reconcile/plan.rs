//! What to do with a synced secret, from what is recorded and what was seen: pure, so that every case is a line of a test.

use crate::{edge::Seen, model::State, store::Record};

/// The next step for a synced secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The edge is as it should be.
    Nothing,
    /// Remove it from the edge, then forget it.
    Remove,
    /// Find out whether the vault holds what "Create new" was to store.
    FindCreated,
    /// The Secret at the edge is not the one that was written: look at it.
    Look,
    /// Read the values and write the Secret.
    Write,
}

/// Decides the next step.
pub(super) fn plan(record: &Record, seen: &Seen, creating: bool, refetch: bool) -> Step {
    let secret = &record.secret;
    if secret.state == State::Deleting {
        return Step::Remove;
    }
    if secret.references.iter().any(|reference| reference.create_pending) {
        // Its call is still at it.
        return if creating { Step::Nothing } else { Step::FindCreated };
    }
    if refetch || is_unsettled(record) {
        return Step::Write;
    }
    match seen {
        Seen::Unknown => Step::Nothing,
        Seen::There(there)
            if Some(&there.uid) == record.edge.uid.as_ref()
                && Some(&there.resource_version) == record.edge.resource_version.as_ref() =>
        {
            Step::Nothing
        }
        Seen::There(_) | Seen::Gone => Step::Look,
    }
}

/// Whether the record itself says that something is left to do.
pub(super) fn is_unsettled(record: &Record) -> bool {
    record.secret.state != State::Synced
        || record.secret.synced_generation != record.secret.generation
        || record.synced_requests != record.sync_requests
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        edge::Written,
        model::{SyncEngine, SyncedSecret},
        store::EdgeRecord,
    };

    fn synced() -> Record {
        let mut record = Record::new(SyncedSecret::example("edp1secrets"), SyncEngine::Direct);
        record.secret.state = State::Synced;
        record.secret.generation = 2;
        record.secret.synced_generation = 2;
        record.edge =
            EdgeRecord { uid: Some("uid".into()), resource_version: Some("7".into()), digest: Some(vec![1]) };
        record
    }

    fn there(uid: &str, version: &str) -> Seen {
        Seen::There(Written { uid: uid.into(), resource_version: version.into() })
    }

    #[test]
    fn what_is_synced_and_unchanged_at_the_edge_needs_nothing() {
        assert_eq!(plan(&synced(), &there("uid", "7"), false, false), Step::Nothing);
        assert_eq!(plan(&synced(), &Seen::Unknown, false, false), Step::Nothing);
    }

    #[test]
    fn a_secret_that_was_edited_deleted_or_replaced_at_the_edge_is_looked_at() {
        for seen in [there("uid", "8"), there("other", "7"), Seen::Gone] {
            assert_eq!(plan(&synced(), &seen, false, false), Step::Look);
        }
    }

    #[test]
    fn what_was_changed_asked_for_or_failed_is_written() {
        let seen = there("uid", "7");
        assert_eq!(plan(&synced(), &seen, false, true), Step::Write);
        let mut changed = synced();
        changed.secret.generation = 3;
        assert_eq!(plan(&changed, &seen, false, false), Step::Write);
        let mut asked = synced();
        asked.sync_requests = 1;
        assert_eq!(plan(&asked, &seen, false, false), Step::Write);
        for state in [State::Pending, State::Degraded, State::Failed] {
            let mut failed = synced();
            failed.secret.state = state;
            assert_eq!(plan(&failed, &seen, false, false), Step::Write);
        }
    }

    #[test]
    fn what_is_to_be_deleted_is_removed_whatever_else_is_the_matter() {
        let mut record = synced();
        record.secret.state = State::Deleting;
        record.secret.references[0].create_pending = true;
        assert_eq!(plan(&record, &Seen::Gone, true, true), Step::Remove);
    }

    #[test]
    fn a_value_that_may_not_be_stored_is_looked_for_unless_its_call_is_still_at_it() {
        let mut record = synced();
        record.secret.references[0].create_pending = true;
        assert_eq!(plan(&record, &Seen::Gone, false, false), Step::FindCreated);
        assert_eq!(plan(&record, &Seen::Gone, true, false), Step::Nothing);
    }
}
