//! What to do with a synced secret of the direct engine, from what is recorded and what is cached: pure, so
//! that every case is a line of a test.

use crate::edge::{
    CachedSecret,
    engine::{Aspect, Step, Target, Trigger},
};

/// Decides the next step.
pub(in crate::edge::engine) fn plan(target: &Target<'_>, trigger: Trigger) -> Step {
    if let Some(step) = target.first_step(trigger) {
        return step;
    }
    if trigger.refetch || target.is_unsettled() {
        return Step::Apply;
    }
    match target.cached {
        CachedSecret::Unknown => Step::Nothing,
        CachedSecret::Present(_) if target.is_cached_as_written() => Step::Nothing,
        CachedSecret::Present(_) | CachedSecret::Absent => Step::Observe(Aspect::Secret),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::types::tests::TestRecord, *};
    use crate::{
        edge::Written,
        model::{EdgeRecord, State},
    };

    fn synced() -> TestRecord {
        let mut record = TestRecord::example();
        record.secret.state = State::Synced;
        record.secret.generation = 2;
        record.secret.synced_generation = 2;
        record.edge =
            EdgeRecord { uid: Some("uid".into()), resource_version: Some("7".into()), digest: Some(vec![1]) };
        record
    }

    fn present(uid: &str, version: &str) -> CachedSecret {
        CachedSecret::Present(Written { uid: uid.into(), resource_version: version.into() })
    }

    fn plan(record: &TestRecord, cached: &CachedSecret, creating: bool, refetch: bool) -> Step {
        super::plan(&record.target(cached.clone()), Trigger { creating, refetch })
    }

    #[test]
    fn a_synced_secret_unchanged_at_the_edge_needs_no_action() {
        assert_eq!(plan(&synced(), &present("uid", "7"), false, false), Step::Nothing);
        assert_eq!(plan(&synced(), &CachedSecret::Unknown, false, false), Step::Nothing);
    }

    #[test]
    fn an_edited_deleted_or_replaced_secret_is_observed() {
        for cached in [present("uid", "8"), present("other", "7"), CachedSecret::Absent] {
            assert_eq!(plan(&synced(), &cached, false, false), Step::Observe(Aspect::Secret));
        }
    }

    #[test]
    fn a_changed_requested_or_failed_synced_secret_is_written() {
        let cached = present("uid", "7");
        assert_eq!(plan(&synced(), &cached, false, true), Step::Apply);
        let mut changed = synced();
        changed.secret.generation = 3;
        assert_eq!(plan(&changed, &cached, false, false), Step::Apply);
        let mut requested = synced();
        requested.sync_requests = 1;
        assert_eq!(plan(&requested, &cached, false, false), Step::Apply);
        for state in [State::Pending, State::Degraded, State::Failed] {
            let mut failed = synced();
            failed.secret.state = state;
            assert_eq!(plan(&failed, &cached, false, false), Step::Apply);
        }
    }

    #[test]
    fn a_deletion_removes_regardless_of_other_conditions() {
        let mut record = synced();
        record.secret.state = State::Deleting;
        record.secret.references[0].create_pending = true;
        assert_eq!(plan(&record, &CachedSecret::Absent, true, true), Step::Remove);
    }

    #[test]
    fn a_pending_create_is_resumed_unless_its_call_is_running() {
        let mut record = synced();
        record.secret.references[0].create_pending = true;
        assert_eq!(plan(&record, &CachedSecret::Absent, false, false), Step::ResumeCreate);
        assert_eq!(plan(&record, &CachedSecret::Absent, true, false), Step::Nothing);
    }
}
