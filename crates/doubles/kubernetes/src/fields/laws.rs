//! Properties that hold after any history of writes.

use proptest::{
    collection::vec,
    prelude::*,
    sample::{select, subsequence},
};
use serde_json::{Value, json};

use super::{
    tests::{at, by, entry, schema, secret},
    *,
};

proptest! {
    #[test]
    fn applying_twice_changes_nothing_the_second_time(live in history(), object in configuration()) {
        let once = apply(live.as_ref(), &object, &by("ann"), true, &schema()).unwrap();
        let later = at("ann", "2027-01-01T00:00:00Z");
        prop_assert_eq!(apply(Some(&once), &object, &later, false, &schema()).unwrap(), once);
    }

    #[test]
    fn an_apply_stores_its_fields_and_owns_exactly_those(live in history(), object in configuration()) {
        let result = apply(live.as_ref(), &object, &by("ann"), true, &schema()).unwrap();
        let lost = merge::compare(&object, &merge::merge(&result, &object, &schema()), &schema()).removed;
        prop_assert!(lost.is_empty());
        let mine = entry(&result, "ann", Operation::Apply).map(|entry| entry.fields).unwrap_or_default();
        prop_assert_eq!(mine, strip(merge::fields_of(&object, &schema())));
    }

    #[test]
    fn force_leaves_the_applier_as_the_only_owner_of_what_it_changed(live in history(), object in configuration()) {
        let result = apply(live.as_ref(), &object, &by("ann"), true, &schema()).unwrap();
        let nothing = nothing();
        let changed = merge::compare(live.as_ref().unwrap_or(&nothing), &result, &schema()).written;
        let others = Managers::of(&result).unwrap().0.into_iter();
        let mut others = others.filter(|entry| (entry.manager.as_str(), entry.operation) != ("ann", Operation::Apply));
        prop_assert!(others.all(|entry| entry.fields.intersection(&changed).is_empty()));
    }

    #[test]
    fn an_apply_is_refused_exactly_where_force_takes_a_field(live in history(), object in configuration()) {
        let peaceful = apply(live.as_ref(), &object, &by("ann"), false, &schema());
        let forced = apply(live.as_ref(), &object, &by("ann"), true, &schema()).unwrap();
        let live_managers = live.as_ref().and_then(Managers::of).unwrap_or_default();
        match peaceful {
            Ok(peaceful) => prop_assert_eq!(peaceful, forced),
            Err(Conflicts(conflicts)) => {
                let of = |managers: Managers, conflict: &Conflict| managers.0.into_iter().any(|entry| {
                    (&entry.manager, entry.operation) == (&conflict.manager, conflict.operation)
                        && entry.fields.paths().contains(&conflict.field)
                });
                for conflict in &conflicts {
                    let before = conflict.manager == "before-first-apply";
                    prop_assert!(before || of(live_managers.clone(), conflict));
                    prop_assert!(!of(Managers::of(&forced).unwrap(), conflict));
                }
                prop_assert!(!conflicts.is_empty());
            }
        }
    }

    #[test]
    fn only_emptied_maps_and_lists_are_owned_without_existing(live in history(), write in write()) {
        if let Ok(result) = written(live.as_ref(), &write) {
            let there = merge::compare(&json!({}), &result, &schema()).written;
            let all = Managers::of(&result).unwrap().union().difference(&there).paths();
            let emptied = [".data", ".metadata.labels", ".metadata.finalizers", ".metadata.ownerReferences"];
            prop_assert!(all.iter().all(|path| emptied.contains(&path.as_str())), "{all:?} of {result}");
        }
    }

    #[test]
    fn an_update_that_changes_nothing_leaves_the_object_as_it_is(live in history()) {
        if let Some(live) = live {
            let later = at("dan", "2027-01-01T00:00:00Z");
            prop_assert_eq!(update(Some(&live), live.clone(), &later, &schema()), live);
        }
    }
}

// === generators ===

/// One write of a history.
#[derive(Clone, Debug)]
struct Write {
    by: &'static str,
    operation: Operation,
    force: bool,
    object: Value,
}

/// Never empty: the apiserver drops empty maps and lists when it decodes a built-in type.
fn subset<T: Clone + std::fmt::Debug + 'static>(of: Vec<T>) -> impl Strategy<Value = Vec<T>> {
    let most = of.len();
    subsequence(of, 1..=most)
}

fn pairs() -> impl Strategy<Value = Value> {
    (subset(vec!["a", "b", "c"]), vec(select(vec!["eA==", "eQ=="]), 3))
        .prop_map(|(keys, values)| keys.into_iter().zip(values).collect())
}

fn configuration() -> impl Strategy<Value = Value> {
    let owners = subset(vec!["u-1", "u-2"]);
    let finalizers = subset(vec!["x/1", "x/2", "x/3"]).prop_shuffle();
    let parts = (pairs(), pairs(), owners, finalizers, any::<[bool; 5]>());
    parts.prop_map(|(data, labels, owners, finalizers, has)| {
        let owner = |uid| json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": uid});
        let owners: Vec<_> = owners.into_iter().map(owner).collect();
        let mut object = secret();
        let metadata =
            [("labels", labels), ("ownerReferences", json!(owners)), ("finalizers", json!(finalizers))];
        for ((name, value), _) in metadata.into_iter().zip(has).filter(|(_, has)| *has) {
            object["metadata"][name] = value;
        }
        if has[3] {
            object["data"] = data;
        }
        if has[4] {
            object["type"] = "Opaque".into();
        }
        object
    })
}

fn write() -> impl Strategy<Value = Write> {
    let operation = select(vec![Operation::Apply, Operation::Update]);
    (select(vec!["ann", "bob", "cy"]), operation, any::<bool>(), configuration())
        .prop_map(|(by, operation, force, object)| Write { by, operation, force, object })
}

fn history() -> impl Strategy<Value = Option<Value>> {
    vec(write(), 0..6).prop_map(|writes| {
        writes.into_iter().fold(None, |live, write| written(live.as_ref(), &write).ok().or(live))
    })
}

fn written(live: Option<&Value>, write: &Write) -> Result<Value, Conflicts> {
    match write.operation {
        Operation::Apply => apply(live, &write.object, &by(write.by), write.force, &schema()),
        Operation::Update => Ok(update(live, write.object.clone(), &by(write.by), &schema())),
    }
}
