//! Plans the next step of the Secret Store engine, from the record and the observed objects. Pure functions,
//! so that every case is one line of a test.

use super::{CachedSync, SecretProviderClass, SyncOutcome, sync_outcome};
use crate::{
    edge::{
        CachedSecret,
        engine::{Aspect, Step, Target, Trigger},
    },
    model::{Delegation, ReferenceStatus, State},
};

/// Decides the next step.
pub(super) fn plan(
    target: &Target<'_>,
    sync: &CachedSync,
    class: Option<&SecretProviderClass>,
    trigger: Trigger,
) -> Step {
    if let Some(step) = target.first_step(trigger) {
        return step;
    }
    let Some(delegation) = current_delegation(target).filter(|_| !trigger.refetch) else {
        return Step::Apply;
    };
    match sync {
        CachedSync::Unknown => Step::Nothing,
        CachedSync::Absent => Step::Repair,
        // Changes before our write are not drift, and a status before it is no answer.
        CachedSync::Stale(behind) => Step::Observe(Aspect::OwnWrite(*behind)),
        CachedSync::Present(sync) => {
            let sync_generation = sync.metadata.generation.unwrap_or_default();
            let class_generation = class.map(|class| class.metadata.generation.unwrap_or_default());
            let is_changed = sync_generation > delegation.sync_generation
                || class_generation.is_none_or(|generation| generation > delegation.class_generation);
            // The extension also polls, and may then fail although it had succeeded before.
            let has_failed = matches!(sync_outcome(sync.status.as_ref(), ""), SyncOutcome::Failed(_));
            match is_changed {
                true => Step::Repair,
                false if is_settled(target, delegation) && !has_failed => Step::Nothing,
                // The extension has answered the delegation; a failure since then is in the vault, and may be
                // fixed by now.
                false if !delegation.open && target.secret.state != State::Synced => Step::Apply,
                false => Step::Observe(Aspect::Answer),
            }
        }
    }
}

/// The last delegation, if it is for the current generation and sync request.
fn current_delegation<'a>(target: &Target<'a>) -> Option<&'a Delegation> {
    target.delegation.filter(|delegation| {
        delegation.generation == target.secret.generation && delegation.requests == target.sync_requests
    })
}

fn is_settled(target: &Target<'_>, delegation: &Delegation) -> bool {
    let is_same = match &target.cached {
        CachedSecret::Present(_) => target.is_cached_as_written(),
        CachedSecret::Absent => false,
        CachedSecret::Unknown => true,
    };
    target.secret.state == State::Synced && !delegation.open && is_same
}

/// Whether the edge holds these versions, and no newer sync was requested.
pub(super) fn is_held(target: &Target<'_>, statuses: &[ReferenceStatus]) -> bool {
    let held = target.secret.references.iter().map(|reference| &reference.status.synced_version);
    current_delegation(target).is_some_and(|delegation| !delegation.open)
        && target.secret.state == State::Synced
        && held.eq(statuses.iter().map(|status| &status.synced_version))
}

/// Whether exactly these versions were delegated, and the extension's answer is outstanding.
pub(super) fn is_awaited(target: &Target<'_>, statuses: &[ReferenceStatus]) -> bool {
    current_delegation(target).filter(|delegation| delegation.open).is_some_and(|delegation| {
        let versions = delegation.statuses.iter().map(|status| &status.synced_version);
        versions.eq(statuses.iter().map(|status| &status.synced_version))
    })
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use jiff::Timestamp;

    use super::{
        super::{super::types::tests::TestRecord, SecretSync, SecretSyncStatus, SyncCondition},
        *,
    };
    use crate::{edge::Written, model::EdgeRecord};

    fn synced() -> TestRecord {
        let mut record = TestRecord::example();
        record.secret.state = State::Synced;
        record.edge =
            EdgeRecord { uid: Some("uid".into()), resource_version: Some("7".into()), digest: Some(vec![1]) };
        record.delegation = Some(Delegation {
            generation: 1,
            requests: 0,
            time: Timestamp::now(),
            delegated_at: None,
            sync_generation: 3,
            class_generation: 2,
            hash_before: "before".to_owned(),
            statuses: Vec::new(),
            open: false,
            sync_uid: None,
            class_uid: None,
            nudges: 0,
            failures: 0,
        });
        record
    }

    fn present(version: &str) -> CachedSecret {
        CachedSecret::Present(Written { uid: "uid".into(), resource_version: version.into() })
    }

    fn sync(generation: i64) -> CachedSync {
        let mut sync = SecretSync::new("edp1secrets", Default::default());
        sync.metadata.generation = Some(generation);
        CachedSync::Present(Arc::new(sync))
    }

    fn class(generation: i64) -> SecretProviderClass {
        let mut class = SecretProviderClass::new("edp1secrets", Default::default());
        class.metadata.generation = Some(generation);
        class
    }

    fn step(
        record: &TestRecord,
        sync: &CachedSync,
        class: Option<&SecretProviderClass>,
        secret: &CachedSecret,
        creating: bool,
        refetch: bool,
    ) -> Step {
        plan(&record.target(secret.clone()), sync, class, Trigger { creating, refetch })
    }

    fn is_held(record: &TestRecord, statuses: &[ReferenceStatus]) -> bool {
        super::is_held(&record.target(CachedSecret::Unknown), statuses)
    }

    fn is_awaited(record: &TestRecord, statuses: &[ReferenceStatus]) -> bool {
        super::is_awaited(&record.target(CachedSecret::Unknown), statuses)
    }

    /// The step if all objects are as they were written.
    fn step_of(record: &TestRecord) -> Step {
        step(record, &sync(3), Some(&class(2)), &present("7"), false, false)
    }

    #[test]
    fn an_unchanged_pair_needs_no_action() {
        assert_eq!(step_of(&synced()), Step::Nothing);
        let older = step(&synced(), &sync(2), Some(&class(1)), &present("7"), false, false);
        assert_eq!(older, Step::Nothing, "a watch that is behind is not a change");
        let unknown = step(&synced(), &CachedSync::Unknown, None, &CachedSecret::Unknown, false, false);
        assert_eq!(unknown, Step::Nothing);
    }

    #[test]
    fn a_new_or_changed_specification_is_applied() {
        let mut changed = synced();
        changed.secret.generation = 2;
        let mut requested = synced();
        requested.sync_requests = 1;
        let mut never = synced();
        never.delegation = None;
        let mut repaired = synced();
        repaired.secret.state = State::Degraded;
        for record in [changed, requested, never, repaired] {
            assert_eq!(step_of(&record), Step::Apply);
        }
        assert_eq!(step(&synced(), &sync(3), Some(&class(2)), &present("7"), false, true), Step::Apply);
    }

    #[test]
    fn a_pair_that_somebody_changed_or_removed_is_repaired() {
        for (sync, class) in [
            (sync(4), Some(class(2))),
            (sync(3), Some(class(3))),
            (sync(3), None),
            (CachedSync::Absent, Some(class(2))),
        ] {
            assert_eq!(step(&synced(), &sync, class.as_ref(), &present("7"), false, false), Step::Repair);
        }
    }

    #[test]
    fn an_object_older_than_our_write_is_neither_repaired_nor_evaluated() {
        let behind = CachedSync::Stale(Duration::from_secs(1));
        let mut open = synced();
        open.delegation.as_mut().unwrap().open = true;
        for record in [synced(), open] {
            let step = step(&record, &behind, Some(&class(2)), &present("8"), false, false);
            assert_eq!(step, Step::Observe(Aspect::OwnWrite(Duration::from_secs(1))));
        }
        let mut changed = synced();
        changed.secret.generation = 2;
        assert_eq!(step(&changed, &behind, None, &CachedSecret::Absent, false, false), Step::Apply);
    }

    #[test]
    fn an_awaited_status_and_a_changed_secret_are_observed() {
        let mut open = synced();
        open.delegation.as_mut().unwrap().open = true;
        assert_eq!(step_of(&open), Step::Observe(Aspect::Answer));
        let another = CachedSecret::Present(Written { uid: "another".into(), resource_version: "7".into() });
        for secret in [present("8"), another, CachedSecret::Absent] {
            assert_eq!(
                step(&synced(), &sync(3), Some(&class(2)), &secret, false, false),
                Step::Observe(Aspect::Answer)
            );
        }
    }

    #[test]
    fn a_later_failure_of_the_extension_is_observed() {
        let mut failed = SecretSync::new("edp1secrets", Default::default());
        failed.metadata.generation = Some(3);
        let condition = SyncCondition {
            r#type: "SecretUpdated".to_owned(),
            status: "False".to_owned(),
            reason: "PartialSync".to_owned(),
            ..SyncCondition::default()
        };
        failed.status = Some(SecretSyncStatus { conditions: vec![condition], ..SecretSyncStatus::default() });
        let failed = CachedSync::Present(Arc::new(failed));
        assert_eq!(
            step(&synced(), &failed, Some(&class(2)), &present("7"), false, false),
            Step::Observe(Aspect::Answer)
        );
    }

    #[test]
    fn a_deletion_removes_the_pair_and_a_running_create_belongs_to_its_call() {
        let mut deleting = synced();
        deleting.secret.state = State::Deleting;
        assert_eq!(
            step(&deleting, &CachedSync::Absent, None, &CachedSecret::Absent, true, true),
            Step::Remove
        );
        let mut pending = synced();
        pending.secret.references[0].create_pending = true;
        assert_eq!(step_of(&pending), Step::ResumeCreate);
        assert_eq!(step(&pending, &sync(3), Some(&class(2)), &present("7"), true, false), Step::Nothing);
    }

    #[test]
    fn a_pair_holds_the_vaults_versions_only_if_they_are_equal_and_nothing_else_is_pending() {
        let record = synced();
        let held: Vec<_> =
            record.secret.references.iter().map(|reference| reference.status.clone()).collect();
        assert!(is_held(&record, &held));
        let mut awaited = synced();
        let delegation = awaited.delegation.as_mut().unwrap();
        (delegation.open, delegation.statuses) = (true, held.clone());
        assert!(is_awaited(&awaited, &held) && !is_awaited(&record, &held));
        let mut newer = held.clone();
        newer[0].synced_version = Some("1".repeat(32).parse().unwrap());
        assert!(!is_held(&record, &newer) && !is_awaited(&awaited, &newer));
        let mut done = awaited.clone();
        done.delegation.as_mut().unwrap().open = false;
        assert!(!is_awaited(&done, &held), "its answer was recorded");
        let changes: [fn(&mut TestRecord); 4] = [
            |record| record.sync_requests = 1,
            |record| record.secret.generation = 2,
            |record| record.delegation = None,
            |record| record.secret.state = State::Degraded,
        ];
        for (place, change) in changes.into_iter().enumerate() {
            let (mut record, mut awaited) = (record.clone(), awaited.clone());
            change(&mut record);
            change(&mut awaited);
            assert!(!is_held(&record, &held), "{place}");
            assert_eq!(is_awaited(&awaited, &held), place == 3, "{place}");
        }
    }
}
