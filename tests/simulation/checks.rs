//! What must hold of a run: the invariants of the design, by their numbers, held against the ledger.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use secret_service::proto::{SyncedSecret, synced_secret::State, watch_synced_secrets_response::Type};
use tonic::Code;

use crate::{
    model::{Answer, Attempt, Call, EdgeSecret, Inner, Moment, Outcome, VaultChange, What, synced_reason},
    watchers::Told,
};

/// What the values of others begin with.
pub const FOREIGN: &str = "foreign-";

/// An answer that comes so long before its time is over has not come because of the time.
const MARGIN: Duration = Duration::from_millis(1_500);

/// How old values may be that a change is carried out with.
const FRESH: Duration = Duration::from_secs(30);

/// Everything that is there at the end, when nothing was left to do for long.
pub struct End {
    pub listed: Vec<SyncedSecret>,
    /// One from the start, one that came late.
    pub watchers: Vec<Told>,
    /// Requests to the vault and to the cluster within the last quiet time.
    pub requests: (u64, u64),
    /// How many intervals of the rotation check that time had.
    pub intervals: u64,
    /// Whether the service itself writes the Secrets.
    pub is_direct: bool,
    /// Whether a write may arrive after its client has given it up.
    pub writes_come_late: bool,
}

/// A value that is in force from a moment on.
type Timeline<T> = Vec<(Moment, T)>;

/// The history, arranged to be asked.
struct History<'a> {
    inner: &'a Inner,
    end: &'a End,
    /// The latest version of each vault secret: value and whether it may be read; absent while deleted.
    latest: BTreeMap<String, Timeline<Option<(String, bool)>>>,
    /// The values of all versions, by name and id.
    versions: BTreeMap<(String, String), String>,
    edge: BTreeMap<String, Timeline<&'a EdgeSecret>>,
}

/// All that does not hold.
pub fn check(inner: &Inner, end: &End) -> Vec<String> {
    let history = History::new(inner, end);
    let mut found = Vec::new();
    found.extend(
        inner
            .trace
            .iter()
            .filter(|(_, text)| text.starts_with("PANIC"))
            .map(|(at, text)| format!("nothing dies: {} at {:?}", text, at.time)),
    );
    history.intent_is_kept(&mut found);
    history.refusals_have_no_effect(&mut found);
    history.refusals_take_nothing_back(&mut found);
    history.one_request_is_one_call(&mut found);
    history.vault_secrets_are_created_once(&mut found);
    history.keys_come_from_one_set(&mut found);
    history.foreign_secrets_lose_nothing(&mut found);
    history.nothing_is_orphaned(&mut found);
    history.nothing_is_written_after_its_end(&mut found);
    found.extend(inner.wrong.iter().cloned());
    history.everything_settles(&mut found);
    history.synced_means_looked_at(&mut found);
    history.waiting_calls_are_told_how_it_ended(&mut found);
    history.what_is_being_stored_is_not_missing(&mut found);
    history.watchers_saw_everything(&mut found);
    history.quiet_is_quiet(&mut found);
    found
}

impl<'a> History<'a> {
    fn new(inner: &'a Inner, end: &'a End) -> Self {
        let mut edge: BTreeMap<String, Timeline<&EdgeSecret>> = BTreeMap::new();
        for (moment, secret) in &inner.edge {
            edge.entry(secret.name.clone()).or_default().push((*moment, secret));
        }
        let (latest, versions) = vault(inner);
        Self { inner, end, latest, versions, edge }
    }

    fn calls(&self, id: &str) -> impl Iterator<Item = &'a Call> {
        self.inner
            .calls
            .iter()
            .filter(move |call| call.synced_secret() == Some(id) && !call.attempts.is_empty())
    }

    fn ids(&self) -> BTreeSet<&'a str> {
        self.inner.calls.iter().filter_map(Call::synced_secret).collect()
    }

    fn listed(&self, id: &str) -> Option<&'a SyncedSecret> {
        self.end.listed.iter().find(|secret| secret.name == format!("syncedSecrets/{id}"))
    }

    /// 1 and 10: what was answered OK stands until another call that may have worked changes it.
    fn intent_is_kept(&self, found: &mut Vec<String>) {
        for id in self.ids() {
            let writes: Vec<_> =
                self.calls(id).filter(|call| !matches!(call.what, What::Sync { .. })).collect();
            let deletes: Vec<_> =
                writes.iter().filter(|call| is_delete(call) && call.may_have_worked()).collect();
            // A call that only changes something is answered OK only where there is something.
            let done: Vec<_> =
                writes.iter().filter(|call| !is_delete(call) && is_there_after(call)).collect();
            match self.listed(id) {
                None => {
                    // Gone rightly where some deletion may have come after everything that was answered.
                    let gone = deletes.iter().any(|delete| {
                        done.iter().all(|call| delete.end().is_none_or(|end| call.begin() < end))
                    });
                    if let (Some(call), false) = (done.last(), gone) {
                        found.push(format!(
                            "1/10: acknowledged intent is lost: {id} is gone although nobody deleted it after call {} was answered OK",
                            call.number
                        ));
                    }
                }
                Some(secret) if secret.state() != State::Deleting => {
                    let makers: Vec<_> =
                        writes.iter().filter(|call| is_maker(call) && call.may_have_worked()).collect();
                    let deleted = deletes.iter().find(|delete| {
                        delete.ok().is_some()
                            && makers.iter().all(|maker| maker.end().is_some_and(|end| end < delete.begin()))
                    });
                    if let Some(delete) = deleted {
                        found.push(format!(
                            "9: a deleted one came back: {id} is there although call {} deleted it last",
                            delete.number
                        ));
                    }
                    self.fields_are_kept(id, secret, &writes, found);
                }
                Some(_) => {}
            }
        }
    }

    fn fields_are_kept(&self, id: &str, secret: &SyncedSecret, writes: &[&Call], found: &mut Vec<String>) {
        let fields = [
            ("description", Some(secret.description.clone())),
            ("labels", secret.labels.get("mark").cloned()),
            ("references", Some(references_of(secret))),
        ];
        for (field, held) in fields {
            let written = |call: &&&Call| written(call, field).is_some();
            let all: Vec<_> = writes.iter().filter(written).collect();
            let held = held.unwrap_or_default();
            let writers: Vec<_> = all
                .iter()
                .filter(|call| self::written(call, field).is_some_and(|value| value == held))
                .collect();
            // Any writer that no acknowledged call, begun after its end, has overwritten.
            let stands = writers.iter().any(|writer| {
                let overwritten = |other: &&&&Call| {
                    other.number != writer.number
                        && other.ok().is_some()
                        && !is_adoption(other)
                        && writer.end().is_some_and(|end| end < other.begin())
                };
                !all.iter().any(|other| overwritten(&other))
            });
            if !stands {
                let last = all
                    .iter()
                    .filter(|call| call.ok().is_some() && !is_adoption(call))
                    .max_by_key(|call| call.begin());
                if let Some(last) = last {
                    found.push(format!(
                        "1/10: acknowledged intent is lost: {field} of {id} is {held:?}, although call {} was answered OK after that",
                        last.number
                    ));
                }
            }
        }
    }

    /// 10: a call that was refused, and brought no value, had no effect.
    fn refusals_have_no_effect(&self, found: &mut Vec<String>) {
        for secret in &self.end.listed {
            let refused = |call: &&Call| {
                !call.creates()
                    && !call.attempts.is_empty()
                    && call
                        .attempts
                        .iter()
                        .all(|attempt| matches!(attempt.outcome, Some(Outcome::Refused { .. })))
            };
            for call in self.inner.calls.iter().filter(refused) {
                if written(call, "description")
                    .is_some_and(|mark| !mark.is_empty() && mark == secret.description)
                {
                    found.push(format!(
                        "10: a refusal has no effect: {} is as call {} wanted it, which was refused",
                        secret.name, call.number
                    ));
                }
            }
        }
    }

    /// 1/10: what was answered OK goes by a call that deletes it, and its description by a call that began before the end of that one: never
    /// by the refusal of a third. Watchers saw every state, also those that later calls have covered up.
    fn refusals_take_nothing_back(&self, found: &mut Vec<String>) {
        let Some(watcher) = self.end.watchers.first() else { return };
        for call in &self.inner.calls {
            let (What::Create { .. } | What::Update { .. }, Some((_, Answer::Synced(answer)))) =
                (&call.what, call.ok())
            else {
                continue;
            };
            let (Some(id), Some(end)) = (call.synced_secret(), call.end()) else { continue };
            let after = watcher.changes.iter().filter(|(_, _, told)| {
                told.uid == answer.uid && !answer.uid.is_empty() && told.generation > answer.generation
            });
            let made = self.first_answer(&answer.uid).unwrap_or(call.begin());
            let is_deleted = self.calls(id).any(|other| {
                is_delete(other) && other.may_have_worked() && other.end().is_none_or(|end| end > made)
            });
            let is_gone = watcher.changes.iter().any(|(moment, kind, told)| {
                *kind == Type::Deleted && told.uid == answer.uid && *moment > end
            });
            if is_gone && !is_deleted {
                found.push(format!(
                    "1/10: acknowledged intent is lost: {id} uid {} went, although call {} was answered OK and nobody deleted it",
                    answer.uid, call.number
                ));
            }
            let Some(mark) = written(call, "description").filter(|mark| *mark == answer.description) else {
                continue;
            };
            let taken_back = after.filter(|(_, _, told)| told.description != mark).find(|(_, _, told)| {
                let mut writers = self
                    .calls(id)
                    .filter(|other| {
                        written(other, "description").is_some_and(|text| text == told.description)
                    })
                    .peekable();
                writers.peek().is_some()
                    && writers.all(|writer| writer.end().is_some_and(|end| end < call.begin()))
            });
            if let Some((moment, _, told)) = taken_back {
                found.push(format!(
                    "1/10: acknowledged intent is lost: {id} is {:?} again at {:?}, although call {} was answered OK with {mark:?} meanwhile",
                    told.description, moment.time, call.number
                ));
            }
        }
    }

    /// When the first call began that was told of this uid: it was not there before.
    fn first_answer(&self, uid: &str) -> Option<Moment> {
        let told = |call: &&Call| matches!(call.ok(), Some((_, Answer::Synced(answer))) if answer.uid == uid);
        self.inner.calls.iter().filter(|call| !call.attempts.is_empty()).filter(told).map(Call::begin).min()
    }

    /// 11: the same `request_id` and content is one call, with one answer, also while the first is under way.
    fn one_request_is_one_call(&self, found: &mut Vec<String>) {
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
    fn vault_secrets_are_created_once(&self, found: &mut Vec<String>) {
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

    /// 3: at the edge, the keys come from one complete set.
    fn keys_come_from_one_set(&self, found: &mut Vec<String>) {
        for (_, secret) in &self.inner.edge {
            let Some(text) = secret.annotations.get("secret-service.iotoperations/references") else {
                continue;
            };
            if secret.by_others || secret.removed || secret.ours.is_none() {
                continue;
            }
            let references: Vec<serde_json::Value> = serde_json::from_str(text).unwrap_or_default();
            for reference in references {
                let word = |field: &str| reference[field].as_str().unwrap_or_default().to_owned();
                let version = (word("vaultSecret").to_ascii_lowercase(), word("syncedVersion"));
                let (Some(value), Some(held)) = (self.versions.get(&version), secret.data.get(&word("key")))
                else {
                    continue;
                };
                let held = String::from_utf8_lossy(held);
                if held != *value && !held.starts_with(FOREIGN) {
                    found.push(format!(
                        "3: keys come from one complete set: {} holds {held:?} under {}, where it says to hold {version:?}",
                        secret.name,
                        word("key")
                    ));
                }
            }
        }
    }

    /// 4 and 13: what isn't ours by uid loses nothing, and is not deleted.
    fn foreign_secrets_lose_nothing(&self, found: &mut Vec<String>) {
        for (name, states) in &self.edge {
            let adopted: Vec<_> = self
                .calls(name)
                .filter(|call| matches!(call.what, What::Adopt { .. }) && call.may_have_worked())
                .map(Call::begin)
                .collect();
            let mut before: Option<&EdgeSecret> = None;
            for (moment, secret) in states {
                let foreign =
                    before.filter(|before| before.uid == secret.uid && before.labels.contains_key("theirs"));
                before = (!secret.removed).then_some(*secret);
                let Some(was) = foreign.filter(|_| !secret.by_others) else { continue };
                // An adoption of it may be under way, or done: it was there when the call came.
                let there =
                    states.iter().find(|(_, state)| state.uid == secret.uid).map(|(moment, _)| *moment);
                if adopted
                    .iter()
                    .any(|adoption| adoption < moment && there.is_some_and(|there| there < *moment))
                {
                    continue;
                }
                if secret.removed {
                    // The extension was still at it when its SecretSync was deleted, and its write gave the Secret that somebody had made
                    // meanwhile an owner that was gone. No order of ours keeps it from that.
                    if secret.owners_are_gone {
                        continue;
                    }
                    found.push(format!(
                        "4: what isn't ours is not deleted: {name} uid {} was, at {:?}",
                        secret.uid, moment.time
                    ));
                } else if was.data.get("theirs") != secret.data.get("theirs")
                    || !secret.labels.contains_key("theirs")
                {
                    found.push(format!(
                        "13: what isn't ours loses nothing: {name} uid {} did, at {:?}",
                        secret.uid, moment.time
                    ));
                }
            }
        }
    }

    /// 9: what says that it is of a synced secret is of one that is recorded.
    fn nothing_is_orphaned(&self, found: &mut Vec<String>) {
        for (name, states) in &self.edge {
            let Some((moment, last)) = states.last() else { continue };
            let Some(uid) = last.ours.as_ref().filter(|_| !last.removed) else { continue };
            if !self.end.listed.iter().any(|secret| secret.uid == *uid) {
                found.push(format!(
                    "9: nothing comes back: the Secret {name} of synced secret {uid}, which is recorded nowhere, stands at the edge since {:?}",
                    moment.time
                ));
            }
        }
    }

    /// 9: once the Secret of a synced secret was removed, or its watchers were told that it is deleted, nobody writes it again: one worker has
    /// done with it before another one removes it.
    fn nothing_is_written_after_its_end(&self, found: &mut Vec<String>) {
        if !self.end.is_direct || self.end.writes_come_late {
            return;
        }
        let mut ends: BTreeMap<&str, Moment> = BTreeMap::new();
        let told = self.end.watchers.iter().flat_map(|told| &told.changes);
        for (moment, _, secret) in told.filter(|(_, kind, _)| *kind == Type::Deleted) {
            ends.entry(&secret.uid).and_modify(|end| *end = (*end).min(*moment)).or_insert(*moment);
        }
        for states in self.edge.values() {
            let mut before: Option<&EdgeSecret> = None;
            for (moment, secret) in states {
                // Somebody's finalizer goes after somebody's deletion.
                let is_held = before.is_some_and(|before| !before.finalizers.is_empty());
                before = Some(secret);
                let Some(uid) = secret.ours.as_deref().filter(|_| !secret.by_others) else { continue };
                match ends.get(uid) {
                    Some(end) if end < moment && !secret.removed => found.push(format!(
                        "9: nothing comes back: the Secret {} of synced secret {uid} is written at {:?}, after its end at {:?}",
                        secret.name, moment.time, end.time
                    )),
                    None if secret.removed && !is_held => drop(ends.insert(uid, *moment)),
                    _ => {}
                }
            }
        }
    }

    /// 5, 12 and 14: after the faults have ended, everything is SYNCED with what the vault holds, or says what a person must do.
    fn everything_settles(&self, found: &mut Vec<String>) {
        for secret in &self.end.listed {
            let id = secret.name.trim_start_matches("syncedSecrets/");
            let edge = self
                .edge
                .get(id)
                .and_then(|states| states.last())
                .map(|(_, state)| *state)
                .filter(|state| !state.removed);
            let reason = synced_reason(secret);
            let wrong = match (secret.state(), reason) {
                (State::Synced, _) => self.differs(secret, edge),
                (State::Deleting, "Used") => None,
                (State::Deleting, _) => Some("its deletion never ends".to_owned()),
                (State::Degraded | State::Failed, _) => self.no_longer_true(secret, reason, edge),
                (state, _) => Some(format!("it stays {state:?}")),
            };
            if let Some(wrong) = wrong {
                found.push(format!(
                    "5/14: everything settles: {wrong}: {id} is {:?} ({reason})",
                    secret.state()
                ));
            }
            let conditions: BTreeSet<_> =
                secret.conditions.iter().map(|condition| &condition.r#type).collect();
            if conditions.len() < secret.conditions.len() {
                found.push(format!("5: a condition stands twice: {id} {:?}", secret.conditions));
            }
        }
    }

    /// How the edge differs from what the vault holds, where it does.
    fn differs(&self, secret: &SyncedSecret, edge: Option<&EdgeSecret>) -> Option<String> {
        let Some(edge) = edge else { return Some("the edge has no such Secret".to_owned()) };
        if edge.ours.as_ref() != Some(&secret.uid) {
            return Some(format!("the Secret at the edge is of {:?}", edge.ours));
        }
        let keys: BTreeSet<&String> = secret.references.iter().map(|reference| &reference.key).collect();
        let held: BTreeSet<&String> = edge.data.keys().collect();
        if !keys.is_subset(&held) {
            return Some(format!("the edge lacks {:?}", &keys - &held));
        }
        if keys != held {
            return Some(format!("the edge has {:?}, which nobody asked for", &held - &keys));
        }
        for reference in &secret.references {
            let name = reference.vault_secret.trim_start_matches("vaultSecrets/").to_ascii_lowercase();
            let latest =
                self.latest.get(&name).and_then(|latest| latest.last()).and_then(|(_, held)| held.as_ref());
            let held = edge.data.get(&reference.key).map(|held| String::from_utf8_lossy(held).into_owned());
            match latest {
                Some((value, true)) if held.as_ref() == Some(value) => {}
                Some((value, true)) => {
                    return Some(format!(
                        "{} is {held:?} at the edge, {value:?} in the vault",
                        reference.key
                    ));
                }
                _ => return Some(format!("{} can't be read in the vault", reference.vault_secret)),
            }
        }
        None
    }

    /// Why what a failure says is not true, where it isn't.
    fn no_longer_true(
        &self,
        secret: &SyncedSecret,
        reason: &str,
        edge: Option<&EdgeSecret>,
    ) -> Option<String> {
        let latest = |reference: &secret_service::proto::SecretReference| {
            let name = reference.vault_secret.trim_start_matches("vaultSecrets/").to_ascii_lowercase();
            self.latest.get(&name).and_then(|latest| latest.last()).and_then(|(_, held)| held.clone())
        };
        let is_true = match reason {
            "VaultSecretNotFound" => secret.references.iter().any(|reference| latest(reference).is_none()),
            "VaultSecretDisabled" => secret
                .references
                .iter()
                .any(|reference| latest(reference).is_some_and(|(_, enabled)| !enabled)),
            "ValueNotStored" => !self.is_stored(secret),
            "EdgeConflict" => edge.is_some_and(|edge| edge.ours.as_ref() != Some(&secret.uid)),
            "ExtensionFailed" | "PartiallySynced" => secret
                .references
                .iter()
                .any(|reference| latest(reference).is_none_or(|(_, enabled)| !enabled)),
            _ => false,
        };
        (!is_true).then(|| {
            format!("that is not so any more; {:?}", secret.conditions.iter().map(|one| &one.message).next())
        })
    }

    /// Whether everything that a problem of a reference says was not stored is in the vault under this synced secret's tag.
    fn is_stored(&self, secret: &SyncedSecret) -> bool {
        let missing = secret.references.iter().filter(|reference| {
            reference.problem.as_ref().is_some_and(|problem| problem.reason == "ValueNotStored")
        });
        let mut stored = missing.map(|reference| {
            let name = reference.vault_secret.trim_start_matches("vaultSecrets/").to_ascii_lowercase();
            self.inner.vault.iter().any(|(_, change)| {
                matches!(change, VaultChange::Version(version) if version.name == name && version.enabled && version.tag.as_ref() == Some(&secret.uid))
            })
        });
        stored.next().is_some_and(|first| first && stored.all(|one| one))
    }

    /// 12: who waits and is told SYNCED is told what was looked at meanwhile.
    fn synced_means_looked_at(&self, found: &mut Vec<String>) {
        for call in &self.inner.calls {
            if !matches!(call.what, What::Sync { .. } | What::Create { .. } | What::Update { .. }) {
                continue;
            }
            for attempt in &call.attempts {
                let (Some(Outcome::Ok(Answer::Synced(secret))), Some(end)) = (&attempt.outcome, attempt.end)
                else {
                    continue;
                };
                let is_told =
                    secret.state() == State::Synced && secret.generation == secret.synced_generation;
                if !is_told || !waited_enough(attempt, end) || self.is_replay(call, attempt) {
                    continue;
                }
                let is_sync = matches!(call.what, What::Sync { .. });
                let dark =
                    self.inner.blackouts.iter().any(|(begun, ended)| *begun < attempt.begin && end < *ended);
                if is_sync && dark && self.end.is_direct {
                    found.push(format!(
                        "12: SYNCED means looked at: call {} was told SYNCED at {:?}, but the cluster answered nothing meanwhile",
                        call.number, end.time
                    ));
                }
                // A change may be carried out with values that were read a little before it: only "Sync now" reads anew.
                let age = if is_sync { Duration::ZERO } else { FRESH };
                let read = Moment { time: attempt.begin.time.saturating_sub(age), ..attempt.begin };
                if let Some(why) = self.was_never_so(secret, attempt.begin, read, end) {
                    found.push(format!(
                        "12: SYNCED means looked at: call {} was told SYNCED at {:?}, but {why}",
                        call.number, end.time
                    ));
                }
            }
        }
    }

    /// Whether another attempt of the call may have done its work before this one began.
    fn is_replay(&self, call: &Call, attempt: &Attempt) -> bool {
        !matches!(call.what, What::Sync { .. })
            && call.attempts.iter().any(|other| other.begin < attempt.begin)
    }

    fn was_never_so(
        &self,
        secret: &SyncedSecret,
        begin: Moment,
        read: Moment,
        end: Moment,
    ) -> Option<String> {
        let id = secret.name.trim_start_matches("syncedSecrets/");
        let states = self.edge.get(id).map(|states| within(states, begin, end)).unwrap_or_default();
        let mut why = "the edge had no such Secret".to_owned();
        for state in states.iter().filter(|state| !state.removed) {
            let wrong = secret.references.iter().find_map(|reference| {
                let name = reference.vault_secret.trim_start_matches("vaultSecrets/").to_ascii_lowercase();
                let held =
                    state.data.get(&reference.key).map(|held| String::from_utf8_lossy(held).into_owned());
                let values: Vec<_> = self
                    .latest
                    .get(&name)
                    .map(|latest| within(latest, read, end))
                    .unwrap_or_default()
                    .into_iter()
                    .flatten()
                    .map(|(value, _)| value.clone())
                    .collect();
                let is_held = held.as_ref().is_some_and(|held| values.contains(held));
                (!is_held).then(|| {
                    format!("the edge held {held:?} under {} and the vault {values:?}", reference.key)
                })
            });
            match wrong {
                None => return None,
                Some(wrong) => why = wrong,
            }
        }
        Some(why)
    }

    /// 12: who waits is not told before its time that it is on its way, nor that it failed while it was under way.
    fn waiting_calls_are_told_how_it_ended(&self, found: &mut Vec<String>) {
        for call in &self.inner.calls {
            let Some(mark) = written(call, "description").filter(|mark| !mark.is_empty()) else { continue };
            for attempt in &call.attempts {
                let (Some(Outcome::Ok(Answer::Synced(secret))), Some(end)) = (&attempt.outcome, attempt.end)
                else {
                    continue;
                };
                let is_own = self.first_generation(&secret.uid, &mark) == Some(secret.generation);
                let is_replay =
                    self.is_replay(call, attempt) || self.is_deleted_meanwhile(secret, attempt, end);
                if !is_own || !waited_enough(attempt, end) || is_replay {
                    continue;
                }
                if secret.state() == State::Pending {
                    found.push(format!(
                        "12: who waits is told how it ended: call {} was told PENDING after {:?} of {:?}",
                        call.number,
                        end.time - attempt.begin.time,
                        attempt.wait
                    ));
                }
            }
        }
    }

    /// Whether a call to delete it may have worked while an attempt was under way.
    fn is_deleted_meanwhile(&self, secret: &SyncedSecret, attempt: &Attempt, end: Moment) -> bool {
        let id = secret.name.trim_start_matches("syncedSecrets/");
        self.calls(id)
            .filter(|call| is_delete(call) && call.may_have_worked())
            .any(|delete| delete.begin() < end && delete.end().is_none_or(|deleted| deleted > attempt.begin))
    }

    /// The generation in which a synced secret first had a description, as a watcher saw it.
    fn first_generation(&self, uid: &str, description: &str) -> Option<i64> {
        let seen = self.end.watchers.first()?.changes.iter().map(|(_, _, secret)| secret);
        let own = seen.filter(|secret| secret.uid == uid && secret.description == description);
        own.map(|secret| secret.generation).min()
    }

    /// 12: nobody is told that a value was not stored while a call is storing it.
    fn what_is_being_stored_is_not_missing(&self, found: &mut Vec<String>) {
        for call in &self.inner.calls {
            for attempt in &call.attempts {
                let (Some(Outcome::Ok(Answer::Synced(secret))), Some(end)) = (&attempt.outcome, attempt.end)
                else {
                    continue;
                };
                let is_told = synced_reason(secret) == "ValueNotStored" && secret.state() == State::Failed;
                let asked = (attempt.begin, end);
                if is_told && let Some(other) = self.who_is_storing(call, secret, asked) {
                    found.push(format!(
                        "12: what is being stored is not missing: call {} was told ValueNotStored while call {} was storing the value",
                        call.number, other.number
                    ));
                }
            }
        }
    }

    /// The call that was at the service for sure when another one asked, and stored a value after that was answered, for which a synced secret waited.
    fn who_is_storing(
        &self,
        call: &Call,
        secret: &SyncedSecret,
        (asked, at): (Moment, Moment),
    ) -> Option<&'a Call> {
        let id = secret.name.trim_start_matches("syncedSecrets/");
        // A change that is not recorded yet may bring another vault secret under the same uid.
        let refers = |name: &str| {
            let mut names = secret.references.iter().map(|reference| reference.vault_secret.as_str());
            names.any(|held| held.trim_start_matches("vaultSecrets/") == name)
        };
        let later = self.inner.vault.iter().filter(|(moment, _)| *moment > at);
        let stored: Vec<_> = later
            .filter_map(|(moment, change)| match change {
                VaultChange::Version(version)
                    if version.tag.as_ref() == Some(&secret.uid) && refers(&version.name) =>
                {
                    Some((*moment, version))
                }
                _ => None,
            })
            .collect();
        let stores = |other: &&Call| {
            let spans = |stored: Moment| {
                other.attempts.iter().any(|attempt| {
                    attempt.begin.time + self.inner.travel < asked.time
                        && attempt.end.is_none_or(|end| end > stored)
                })
            };
            stored
                .iter()
                .any(|(moment, version)| creates(other, &version.name, &version.value) && spans(*moment))
        };
        self.calls(id).filter(|other| other.number != call.number).find(stores)
    }

    /// 7: a watcher sees every change once and in order.
    fn watchers_saw_everything(&self, found: &mut Vec<String>) {
        for (number, told) in self.end.watchers.iter().enumerate() {
            found.extend(told.wrong.iter().map(|wrong| {
                format!("7: every change once and in order: watcher {number} was told {wrong}")
            }));
            let listed: BTreeMap<_, _> =
                self.end.listed.iter().map(|secret| (&secret.name, brief(secret))).collect();
            let current: BTreeMap<_, _> =
                told.current.iter().map(|(name, secret)| (name, brief(secret))).collect();
            if listed != current {
                found.push(format!("7: a watcher ends with what is listed: watcher {number} knows {current:?}, listed are {listed:?}"));
            }
        }
        let changes = |told: &Told| -> Vec<(Type, String)> {
            told.changes.iter().map(|(_, kind, secret)| (*kind, brief(secret))).collect()
        };
        if let [first, late] = self.end.watchers.as_slice() {
            let (first, late) = (changes(first), changes(late));
            let (short, long) = if first.len() < late.len() { (first, late) } else { (late, first) };
            if !long.ends_with(&short) {
                found.push(format!("7: every change once and in order: two watchers were told different changes:\n{short:#?}\n{long:#?}"));
            }
        }
    }

    /// 15: attempts do not grow with time.
    fn quiet_is_quiet(&self, found: &mut Vec<String>) {
        let references: usize = self.end.listed.iter().map(|secret| secret.references.len()).sum();
        let all = references as u64 + self.end.listed.len() as u64;
        let (vault, cluster) = self.end.requests;
        let most = self.end.intervals * (3 + 4 * all) + 20;
        // What can't be synced is looked at again after half a minute on average, for ever: some three times in an interval.
        let failing = self.end.listed.iter().filter(|secret| secret.state() != State::Synced).count() as u64;
        let looks = 3 * self.end.intervals * failing;
        if vault > most + 4 * looks || cluster > most + 40 + 12 * looks {
            found.push(format!(
                "15: nothing grows with time: {vault} requests to the vault and {cluster} to the cluster in {} quiet intervals, with {all} synced secrets and references",
                self.end.intervals
            ));
        }
    }
}

/// The latest version of each vault secret over time, and the values of all.
#[expect(clippy::type_complexity, reason = "two maps")]
fn vault(
    inner: &Inner,
) -> (BTreeMap<String, Timeline<Option<(String, bool)>>>, BTreeMap<(String, String), String>) {
    let mut held: BTreeMap<String, BTreeMap<u64, (String, bool)>> = BTreeMap::new();
    let (mut latest, mut values): (BTreeMap<String, Timeline<_>>, _) = (BTreeMap::new(), BTreeMap::new());
    for (moment, change) in &inner.vault {
        let (name, is_there) = match change {
            VaultChange::Version(version) => {
                values.insert((version.name.clone(), version.id.clone()), version.value.clone());
                let versions = held.entry(version.name.clone()).or_default();
                versions.insert(version.sequence, (version.value.clone(), version.enabled));
                (version.name.clone(), true)
            }
            VaultChange::Recovered(name) => (name.clone(), true),
            VaultChange::Deleted(name) | VaultChange::Purged(name) => (name.clone(), false),
        };
        let now = held.get(&name).and_then(|versions| versions.values().last()).filter(|_| is_there).cloned();
        latest.entry(name).or_default().push((*moment, now));
    }
    (latest, values)
}

/// What was in force at some time between two moments.
fn within<T: Clone>(timeline: &Timeline<T>, begin: Moment, end: Moment) -> Vec<T> {
    let first = timeline
        .partition_point(|(moment, _)| (moment.time, moment.place) <= (begin.time, begin.place))
        .saturating_sub(1);
    timeline[first..]
        .iter()
        .take_while(|(moment, _)| *moment <= end)
        .map(|(_, value)| value.clone())
        .collect()
}

/// Whether an answer came because there was something to tell, and not because the time to wait was over.
fn waited_enough(attempt: &Attempt, end: Moment) -> bool {
    waited(attempt, end) < attempt.wait.min(attempt.deadline).saturating_sub(MARGIN)
}

fn waited(attempt: &Attempt, end: Moment) -> Duration {
    end.time - attempt.begin.time
}

fn is_delete(call: &Call) -> bool {
    matches!(call.what, What::Delete { .. })
}

/// Whether a call was answered that there is a synced secret.
fn is_there_after(call: &Call) -> bool {
    matches!(call.ok(), Some((_, Answer::Synced(secret))) if secret.state() != State::Deleting)
}

/// Of what is ours already it changes nothing.
fn is_adoption(call: &Call) -> bool {
    matches!(call.what, What::Adopt { .. })
}

fn is_maker(call: &Call) -> bool {
    matches!(call.what, What::Create { .. } | What::Adopt { .. })
}

/// What a call writes to a field, where it does.
fn written(call: &Call, field: &str) -> Option<String> {
    let told = |references: &[crate::model::Reference]| {
        let all: Vec<_> = references.iter().map(|one| format!("{}={}", one.key, one.vault_secret)).collect();
        all.join(",")
    };
    match (&call.what, field) {
        (What::Create { mark, .. }, "description" | "labels") => Some(mark.clone()),
        (What::Create { references, .. }, _) => Some(told(references)),
        (What::Adopt { .. }, "description" | "labels") => Some(String::new()),
        (What::Adopt { .. }, _) => Some("theirs=vault-0".to_owned()),
        (What::Update { description, .. }, "description") => description.clone(),
        (What::Update { label, .. }, "labels") => label.clone(),
        (What::Update { references, .. }, _) => references.as_deref().map(told),
        _ => None,
    }
}

fn references_of(secret: &SyncedSecret) -> String {
    let one = |reference: &secret_service::proto::SecretReference| {
        format!("{}={}", reference.key, reference.vault_secret.trim_start_matches("vaultSecrets/"))
    };
    secret.references.iter().map(one).collect::<Vec<_>>().join(",")
}

/// Whether a call brings this value for a new vault secret of this name.
fn creates(call: &Call, name: &str, value: &str) -> bool {
    let among = |references: &[crate::model::Reference]| {
        references.iter().any(|one| one.vault_secret == name && one.create.as_deref() == Some(value))
    };
    match &call.what {
        What::Create { references, .. } => among(references),
        What::Update { references, .. } => references.as_deref().is_some_and(among),
        What::CreateVaultSecret { name: own, value: brought } => own == name && brought == value,
        _ => false,
    }
}

/// What an answer names: the same for every attempt of a call.
fn effect(attempt: &Attempt) -> Option<String> {
    match &attempt.outcome {
        Some(Outcome::Ok(Answer::Synced(secret))) if !secret.uid.is_empty() => Some(secret.uid.clone()),
        Some(Outcome::Ok(Answer::Version(version))) => Some(version.name.clone()),
        _ => None,
    }
}

fn brief(secret: &SyncedSecret) -> String {
    format!(
        "{} uid {} generation {} (synced {}) {:?} {} {:?} {}",
        secret.name,
        secret.uid,
        secret.generation,
        secret.synced_generation,
        secret.state(),
        synced_reason(secret),
        secret.description,
        references_of(secret)
    )
}
