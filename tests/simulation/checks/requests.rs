//! Invariants 2 and 11: one request is one call, and a vault secret is created once.

use super::*;

impl<'a> History<'a> {
    /// 11: the same `request_id` and content is one call, with one answer, also while the first is under way.
    pub(super) fn one_request_is_one_call(&self, found: &mut Vec<String>) {
        for call in self.inner.calls.iter().filter(|call| !call.request_id.is_empty()) {
            let names: BTreeSet<String> = call.attempts.iter().filter_map(effect).collect();
            if names.len() > 1 {
                found.push(format!(
                    "11: one request is one call: call {} had {names:?} for answers",
                    call.number
                ));
            }
            let Some((ok, _)) = call.ok() else { continue };
            let (ok_begin, ok_end) = (ok.begin, ok.end.unwrap_or(ok.begin));
            for other in &call.attempts {
                let (Some(Outcome::Refused { code, reason, message }), Some(end)) =
                    (&other.outcome, other.end)
                else {
                    continue;
                };
                let killed = self
                    .inner
                    .kills
                    .iter()
                    .any(|kill| *kill > other.begin.min(ok_begin) && *kill < end.max(ok_end));
                // Who waited for the first one until the own deadline was told in time.
                let in_time = waited(other, end) < other.deadline.saturating_sub(MARGIN);
                let after = other.begin > ok_end;
                let beside = self.came_first(ok, other, end);
                // Of what is looked at when the call comes, anything may have changed for who comes later.
                if (after || beside && in_time)
                    && !killed
                    && !self.is_away(call, other.begin, end)
                    && !matches!(code, Code::PermissionDenied | Code::Unauthenticated)
                {
                    found.push(format!(
                        "11: one request is one call: call {} was answered OK, and {} {code:?} {reason}: {message}",
                        call.number,
                        if after { "then" } else { "beside it" }
                    ));
                }
            }
        }
    }

    /// Whether one attempt had come to the service for sure before the other one was refused there. What was refused before may go well later.
    fn came_first(&self, ok: &Attempt, refused: &Attempt, end: Moment) -> bool {
        let travel = self.inner.travel;
        let refused_from = refused.begin.time.max(end.time.saturating_sub(travel));
        ok.begin.time + travel < refused_from
    }

    /// Whether the vault secret that a call is about, and in which alone stands that it was done, was deleted at some time between two moments.
    fn is_away(&self, call: &Call, begin: Moment, end: Moment) -> bool {
        let (What::CreateVaultSecret { name, .. } | What::AddVersion { name, .. }) = &call.what else {
            return false;
        };
        self.latest.get(name).is_some_and(|latest| within(latest, begin, end).iter().any(Option::is_none))
    }

    /// 2: a vault secret is never created twice by one call, nor overwritten by a create.
    pub(super) fn vault_secrets_are_created_once(&self, found: &mut Vec<String>) {
        let mut by_tag: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        let mut tags: BTreeMap<String, BTreeSet<Option<String>>> = BTreeMap::new();
        for (_, change) in &self.inner.vault {
            let VaultChange::Version(version) = change else { continue };
            tags.entry(version.name.clone()).or_default().insert(version.tag.clone());
            if let Some(tag) = &version.tag {
                by_tag.entry((version.name.clone(), tag.clone())).or_default().insert(version.id.clone());
            }
        }
        for ((name, tag), ids) in by_tag {
            // Where two creators met, the one who came second stores the first one's value once more, under its tag.
            let met = tags.get(&name).is_some_and(|tags| tags.len() > 1);
            let call = self.inner.calls.iter().find(|call| call.request_id == tag);
            let adds = call.is_some_and(|call| matches!(call.what, What::AddVersion { .. }));
            if ids.len() > 1 && (adds || !met) {
                found.push(format!(
                    "2/11: one request is one version: {name} has {} versions of {tag}",
                    ids.len()
                ));
            }
        }
        for (name, latest) in &self.latest {
            let Some((_, Some((value, _)))) = latest.last() else { continue };
            let Some(creator) = self.inner.calls.iter().find(|call| creates(call, name, value)) else {
                continue;
            };
            let first = latest.iter().find(|(_, held)| held.as_ref().is_some_and(|(held, _)| held != value));
            if let Some((moment, _)) = first.filter(|(moment, _)| *moment < creator.begin()) {
                found.push(format!(
                    "2: a create overwrites nothing: {name} holds the value of call {} but was there before it, at {:?}",
                    creator.number, moment.time
                ));
            }
        }
    }
}
