//! Invariants 1, 9 and 10: what was answered OK stands, what was refused has no effect.

use super::*;

impl<'a> History<'a> {
    /// 1 and 10: what was answered OK stands until another call that may have worked changes it.
    pub(super) fn intent_is_kept(&self, found: &mut Vec<String>) {
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
                .filter(|call| calls::written(call, field).is_some_and(|value| value == held))
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
    pub(super) fn refusals_have_no_effect(&self, found: &mut Vec<String>) {
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
    pub(super) fn refusals_revert_nothing(&self, found: &mut Vec<String>) {
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
}
