//! Invariants 7 and 15: what watchers were told, and how much was asked of others.

use super::*;

impl<'a> History<'a> {
    /// 7: a watcher sees every change once and in order.
    pub(super) fn watchers_saw_everything(&self, found: &mut Vec<String>) {
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
    pub(super) fn quiet_is_quiet(&self, found: &mut Vec<String>) {
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
