//! The references of an update: all of them, or changes to single ones, whatever the others are by then.

use super::{Cause, Error, NewReference, Problem};
use crate::{
    model::{Reference, SecretKey, SyncedSecret, limits},
    store::Record,
};

/// What an update says of the references.
pub(super) struct Given {
    /// Those that the request carries, with their values.
    pub(super) new: Vec<NewReference>,
    extent: Extent,
}

enum Extent {
    /// They stay as they are.
    Nothing,
    /// The request carries all of them.
    All,
    /// The request sets some, removes those with these keys, and the others stay.
    Edit { remove: Vec<SecretKey> },
}

/// All references as an update would leave them.
pub(super) struct Merged {
    pub(super) references: Vec<NewReference>,
    /// Where each one stands in the request; `None` for one that stays.
    places: Vec<Option<usize>>,
}

// === impl Given ===

impl Given {
    /// Changes to single references; all of them if the request carries all; else nothing.
    pub(super) fn of(
        references: Option<Vec<NewReference>>,
        set: Vec<NewReference>,
        remove: Vec<SecretKey>,
    ) -> Self {
        match references {
            Some(new) => Self { new, extent: Extent::All },
            None if set.is_empty() && remove.is_empty() => Self { new: set, extent: Extent::Nothing },
            None => Self { new: set, extent: Extent::Edit { remove } },
        }
    }

    /// Whether the references may change.
    pub(super) fn changes_references(&self) -> bool {
        !matches!(self.extent, Extent::Nothing)
    }

    /// Whether it changes single references.
    pub(super) fn is_edit(&self) -> bool {
        matches!(self.extent, Extent::Edit { .. })
    }

    /// The references as they would be if these are the current ones. Moves the new ones, because they hold
    /// values: [`Given::take_back`] returns them for the next attempt.
    pub(super) fn merge(&mut self, record: &Record) -> Result<Merged, Error> {
        let held = &record.secret.references;
        let no_keys = Vec::new();
        let remove = match &self.extent {
            Extent::All => {
                let new = std::mem::take(&mut self.new);
                let places = (0..new.len()).map(Some).collect();
                return Ok(Merged { references: new, places });
            }
            Extent::Nothing => &no_keys,
            Extent::Edit { remove } => remove,
        };
        check_edit(record, &self.new, remove)?;
        let mut new: Vec<_> = std::mem::take(&mut self.new).into_iter().map(Some).collect();
        let place_of = |key: &SecretKey| {
            new.iter().position(|new| new.as_ref().is_some_and(|new| new.reference.key == *key))
        };
        let kept = held.iter().filter(|held| !remove.contains(&held.key));
        let kept: Vec<_> = kept.map(|held| (held, place_of(&held.key))).collect();
        let (mut references, mut places) = (Vec::new(), Vec::new());
        for (held, place) in kept {
            let replaced = place.and_then(|place| new[place].take());
            references.push(replaced.unwrap_or_else(|| NewReference::of(held.clone())));
            places.push(place);
        }
        for (place, added) in new.into_iter().enumerate() {
            if let Some(added) = added {
                references.push(added);
                places.push(Some(place));
            }
        }
        Ok(Merged { references, places })
    }

    /// Gets back the new references, in the order of the request.
    pub(super) fn take_back(&mut self, merged: Merged) {
        let all = merged.references.into_iter().zip(merged.places);
        let mut new: Vec<_> = all.filter_map(|(new, place)| Some((place?, new))).collect();
        new.sort_by_key(|(place, _)| *place);
        self.new = new.into_iter().map(|(_, new)| new).collect();
    }

    /// The same error, with places in the request: so far, they are places in all references.
    pub(super) fn in_request(&self, error: Error, merged: &Merged) -> Error {
        let Error::Refused(mut problems) = error else { return error };
        for problem in problems.iter_mut().filter(|_| self.is_edit()) {
            let rest = problem.field.strip_prefix("references[").and_then(|rest| rest.split_once(']'));
            let Some((place, rest)) = rest else { continue };
            let place =
                place.parse().ok().and_then(|place: usize| merged.places.get(place).copied().flatten());
            problem.field = match place {
                Some(place) => format!("references[{place}]{rest}"),
                // One that the request does not carry.
                None => "references".to_owned(),
            };
        }
        Error::Refused(problems)
    }
}

/// The same error, for a request that carries the references in `set_references`.
pub(super) fn within_request(error: Error) -> Error {
    let Error::Refused(mut problems) = error else { return error };
    for problem in problems.iter_mut().filter(|problem| problem.field.starts_with("references")) {
        problem.field = format!("set_{}", problem.field);
    }
    Error::Refused(problems).within("synced_secret")
}

/// Whether the changes fit the references that are there.
fn check_edit(record: &Record, set: &[NewReference], remove: &[SecretKey]) -> Result<(), Error> {
    let (id, held) = (&record.secret.id, &record.secret.references);
    let is_held = |key: &SecretKey| held.iter().any(|held| held.key == *key);
    let missing = remove.iter().enumerate().filter(|(_, key)| !is_held(key));
    let problem = |(place, key): (usize, &SecretKey)| {
        Problem::new(format!("remove_keys[{place}]"), Cause::NoReference { id: id.clone(), key: key.clone() })
    };
    Error::refuse(missing.map(problem).collect())?;
    let added = set.iter().filter(|new| !is_held(&new.reference.key)).count();
    match held.len() + added - remove.len() {
        0 => Err(Error::invalid(
            "remove_keys",
            "must leave at least one reference; delete the synced secret to remove the last one",
        )),
        1..=limits::REFERENCES => Ok(()),
        _ if remove.len() > added => Ok(()),
        many => Err(Error::invalid(
            "set_references",
            format!(
                "would make {many} references; a synced secret has at most {}, so use several",
                limits::REFERENCES
            ),
        )),
    }
}

/// The references without the new keys of an edit whose values the vault refused, where they still wait for them. All else
/// stays: others may have built on it since, and were told so. `None` if there is nothing to take back, or if it can't be: at
/// least one reference and all keys of the type must stay.
pub(super) fn without_refused(
    before: &SyncedSecret,
    recorded: &SyncedSecret,
    current: &SyncedSecret,
) -> Option<Vec<Reference>> {
    let is_new = |held: &Reference| before.references.iter().all(|before| before.key != held.key);
    let is_refused = |held: &Reference| {
        let mut ours = recorded.references.iter();
        held.create_pending
            && held.create_generation == recorded.generation
            && is_new(held)
            && ours.any(|ours| ours.creates_the_same(held))
    };
    let kept = current.references.iter().filter(|held| !is_refused(held)).cloned().collect();
    let without = SyncedSecret { references: kept, ..current.clone() };
    let is_valid = !without.references.is_empty() && without.missing_keys().is_none();
    (is_valid && without.references != current.references).then_some(without.references)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SyncEngine;

    fn reference(key: &str, vault_secret: &str) -> Reference {
        let of = SyncedSecret::example("a").references[0].clone();
        Reference {
            key: key.parse().unwrap(),
            vault_secret: vault_secret.parse().unwrap(),
            version: None,
            ..of
        }
    }

    fn secret(references: &[(&str, &str)]) -> SyncedSecret {
        let references = references.iter().map(|(key, vault_secret)| reference(key, vault_secret)).collect();
        SyncedSecret { references, ..SyncedSecret::example("a") }
    }

    fn edit(set: &[(&str, &str)], remove: &[&str]) -> Given {
        let set = set.iter().map(|(key, name)| NewReference::of(reference(key, name))).collect();
        Given::of(None, set, remove.iter().map(|key| key.parse().unwrap()).collect())
    }

    fn merged(held: &[(&str, &str)], mut given: Given) -> Result<Vec<(String, String)>, Error> {
        let merged = given.merge(&Record::new(secret(held), SyncEngine::Direct))?;
        Ok(shown(merged.references.iter().map(|new| &new.reference)))
    }

    fn shown<'a>(references: impl IntoIterator<Item = &'a Reference>) -> Vec<(String, String)> {
        let one = |one: &Reference| (one.key.to_string(), one.vault_secret.to_string());
        references.into_iter().map(one).collect()
    }

    fn fields(error: &Error) -> Vec<&str> {
        let Error::Refused(problems) = error else { panic!("{error:?}") };
        problems.iter().map(|problem| problem.field.as_str()).collect()
    }

    #[test]
    fn an_edit_replaces_in_place_appends_in_order_and_removes() {
        let held = [("a", "1"), ("b", "2"), ("c", "3")];
        let after = merged(&held, edit(&[("e", "5"), ("b", "4"), ("d", "6")], &["a"])).unwrap();
        let wanted = [("b", "4"), ("c", "3"), ("e", "5"), ("d", "6")];
        assert_eq!(after, wanted.map(|(key, name)| (key.to_owned(), name.to_owned())));
    }

    #[test]
    fn every_missing_key_is_told_and_one_reference_must_stay() {
        let refused = merged(&[("a", "1")], edit(&[], &["x", "a", "y"])).unwrap_err();
        assert_eq!(fields(&refused), ["remove_keys[0]", "remove_keys[2]"]);
        let refused = merged(&[("a", "1"), ("b", "2")], edit(&[], &["b", "a"])).unwrap_err();
        assert_eq!(fields(&refused), ["remove_keys"]);
        assert!(refused.to_string().contains("delete the synced secret"), "{refused}");
        assert!(merged(&[("a", "1")], edit(&[("b", "2")], &["a"])).is_ok());
    }

    #[test]
    fn an_edit_has_the_limit_of_a_synced_secret() {
        let keys: Vec<_> = (0..=limits::REFERENCES).map(|number| format!("k{number}")).collect();
        let full: Vec<_> = keys[1..].iter().map(|key| (key.as_str(), "v")).collect();
        let refused = merged(&full, edit(&[("k0", "v")], &[])).unwrap_err();
        assert_eq!(fields(&refused), ["set_references"]);
        assert!(merged(&full, edit(&[("k0", "v")], &["k1"])).is_ok());
        assert!(merged(&full, edit(&[("k1", "w")], &[])).is_ok(), "it replaces");
    }

    #[test]
    fn the_new_references_come_back_in_the_order_of_the_request_and_problems_name_their_places() {
        let mut given = edit(&[("e", "5"), ("b", "4")], &[]);
        let merged =
            given.merge(&Record::new(secret(&[("a", "1"), ("b", "2")]), SyncEngine::Direct)).unwrap();
        let problems =
            ["references[0].key", "references[1].key", "references[2].create", "references", "labels"];
        let problems = problems.map(|field| Problem::invalid(field, "x")).into();
        let error = within_request(given.in_request(Error::Refused(problems), &merged));
        let wanted = [
            "set_references",
            "set_references[1].key",
            "set_references[0].create",
            "set_references",
            "synced_secret.labels",
        ];
        assert_eq!(fields(&error), wanted);
        given.take_back(merged);
        let back = shown(given.new.iter().map(|new| &new.reference));
        assert_eq!(back, [("e", "5"), ("b", "4")].map(|(key, name)| (key.to_owned(), name.to_owned())));
    }

    #[test]
    fn keys_that_were_added_without_their_values_go_and_all_else_stays() {
        let before = secret(&[("a", "1"), ("b", "2"), ("c", "3")]);
        // It replaces a, removes b and adds d and f; then somebody else removes c, adds e, and replaces f.
        let mut recorded = secret(&[("a", "9"), ("c", "3"), ("d", "4"), ("f", "6")]);
        recorded.generation = 2;
        for (place, reference) in recorded.references.iter_mut().enumerate().filter(|(place, _)| *place != 1)
        {
            (reference.create_pending, reference.create_generation) = (place != 1, 2);
        }
        let mut current = secret(&[("e", "5"), ("f", "7")]);
        let ours = [&recorded.references[0], &recorded.references[2]].map(Clone::clone);
        current.references.splice(0..0, ours);
        let left = without_refused(&before, &recorded, &current).map(|after| shown(&after));
        let wanted = [("a", "9"), ("e", "5"), ("f", "7")];
        assert_eq!(left.unwrap(), wanted.map(|(key, name)| (key.to_owned(), name.to_owned())));
        // Its value came after all.
        current.references[1].create_pending = false;
        assert_eq!(without_refused(&before, &recorded, &current), None);
    }

    #[test]
    fn the_last_reference_is_not_taken_back() {
        let before = secret(&[("a", "1")]);
        let mut recorded = secret(&[("a", "1"), ("b", "2")]);
        recorded.references[1].create_pending = true;
        recorded.references[1].create_generation = recorded.generation;
        let only = SyncedSecret { references: vec![recorded.references[1].clone()], ..recorded.clone() };
        assert_eq!(without_refused(&before, &recorded, &only), None);
        assert!(without_refused(&before, &recorded, &recorded).is_some());
    }
}
