//! Plans the next step of the Secret Store engine, from the record and the observed objects. Pure functions,
//! so that every case is one line of a test.

use super::{SecretProviderClass, SyncOutcome, SyncSeen, sync_outcome};
use crate::{
    edge::{
        Seen,
        engine::{Aspect, Step, Target, Trigger},
    },
    model::{Delegation, ReferenceStatus, State},
};

/// Decides the next step.
pub(super) fn plan(
    target: &Target<'_>,
    sync: &SyncSeen,
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
        SyncSeen::Unknown => Step::Nothing,
        SyncSeen::Gone => Step::Repair,
        // Changes before our write are not drift, and a status before it is no answer.
        SyncSeen::Behind(behind) => Step::Observe(Aspect::OwnWrite(*behind)),
        SyncSeen::There(sync) => {
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
    let is_same = match &target.seen {
        Seen::There(_) => target.is_seen_as_written(),
        Seen::Gone => false,
        Seen::Unknown => true,
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
        super::{super::types::tests::Remembered, SecretSync, SecretSyncStatus, SyncCondition},
        *,
    };
    use crate::{edge::Written, model::EdgeRecord};

    fn synced() -> Remembered {
        let mut record = Remembered::example();
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

    fn there(version: &str) -> Seen {
        Seen::There(Written { uid: "uid".into(), resource_version: version.into() })
    }

    fn sync(generation: i64) -> SyncSeen {
        let mut sync = SecretSync::new("edp1secrets", Default::default());
        sync.metadata.generation = Some(generation);
        SyncSeen::There(Arc::new(sync))
    }

    fn class(generation: i64) -> SecretProviderClass {
        let mut class = SecretProviderClass::new("edp1secrets", Default::default());
        class.metadata.generation = Some(generation);
        class
    }

    fn step(
        record: &Remembered,
        sync: &SyncSeen,
        class: Option<&SecretProviderClass>,
        secret: &Seen,
        creating: bool,
        refetch: bool,
    ) -> Step {
        plan(&record.target(secret.clone()), sync, class, Trigger { creating, refetch })
    }

    fn is_held(record: &Remembered, statuses: &[ReferenceStatus]) -> bool {
        super::is_held(&record.target(Seen::Unknown), statuses)
    }

    fn is_awaited(record: &Remembered, statuses: &[ReferenceStatus]) -> bool {
        super::is_awaited(&record.target(Seen::Unknown), statuses)
    }

    /// The step if all objects are as they were written.
    fn step_of(record: &Remembered) -> Step {
        step(record, &sync(3), Some(&class(2)), &there("7"), false, false)
    }

    #[test]
    fn an_unchanged_pair_needs_no_action() {
        assert_eq!(step_of(&synced()), Step::Nothing);
        let older = step(&synced(), &sync(2), Some(&class(1)), &there("7"), false, false);
        assert_eq!(older, Step::Nothing, "a watch that is behind is not a change");
        let unknown = step(&synced(), &SyncSeen::Unknown, None, &Seen::Unknown, false, false);
        assert_eq!(unknown, Step::Nothing);
    }

    #[test]
    fn a_new_or_changed_specification_is_applied() {
        let mut changed = synced();
        changed.secret.generation = 2;
        let mut asked = synced();
        asked.sync_requests = 1;
        let mut never = synced();
        never.delegation = None;
        let mut mended = synced();
        mended.secret.state = State::Degraded;
        for record in [changed, asked, never, mended] {
            assert_eq!(step_of(&record), Step::Apply);
        }
        assert_eq!(step(&synced(), &sync(3), Some(&class(2)), &there("7"), false, true), Step::Apply);
    }

    #[test]
    fn a_pair_that_somebody_changed_or_removed_is_repaired() {
        for (sync, class) in [
            (sync(4), Some(class(2))),
            (sync(3), Some(class(3))),
            (sync(3), None),
            (SyncSeen::Gone, Some(class(2))),
        ] {
            assert_eq!(step(&synced(), &sync, class.as_ref(), &there("7"), false, false), Step::Repair);
        }
    }

    #[test]
    fn an_object_older_than_our_write_is_neither_repaired_nor_evaluated() {
        let behind = SyncSeen::Behind(Duration::from_secs(1));
        let mut open = synced();
        open.delegation.as_mut().unwrap().open = true;
        for record in [synced(), open] {
            let step = step(&record, &behind, Some(&class(2)), &there("8"), false, false);
            assert_eq!(step, Step::Observe(Aspect::OwnWrite(Duration::from_secs(1))));
        }
        let mut changed = synced();
        changed.secret.generation = 2;
        assert_eq!(step(&changed, &behind, None, &Seen::Gone, false, false), Step::Apply);
    }

    #[test]
    fn an_awaited_status_and_a_changed_secret_are_observed() {
        let mut open = synced();
        open.delegation.as_mut().unwrap().open = true;
        assert_eq!(step_of(&open), Step::Observe(Aspect::Answer));
        let another = Seen::There(Written { uid: "another".into(), resource_version: "7".into() });
        for secret in [there("8"), another, Seen::Gone] {
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
        let failed = SyncSeen::There(Arc::new(failed));
        assert_eq!(
            step(&synced(), &failed, Some(&class(2)), &there("7"), false, false),
            Step::Observe(Aspect::Answer)
        );
    }

    #[test]
    fn a_deletion_removes_the_pair_and_a_running_create_belongs_to_its_call() {
        let mut deleting = synced();
        deleting.secret.state = State::Deleting;
        assert_eq!(step(&deleting, &SyncSeen::Gone, None, &Seen::Gone, true, true), Step::Remove);
        let mut pending = synced();
        pending.secret.references[0].create_pending = true;
        assert_eq!(step_of(&pending), Step::ResumeCreate);
        assert_eq!(step(&pending, &sync(3), Some(&class(2)), &there("7"), true, false), Step::Nothing);
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
        let changes: [fn(&mut Remembered); 4] = [
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
