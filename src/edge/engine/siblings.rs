//! All keys of a Secret change together: one reference that can't be synced holds back the others, and each of those
//! says for which one it waits.

use super::Failure;
use crate::model::{Reason, Reference, VaultVersion};

/// Causes that one message names.
const NAMED: usize = 3;

impl Failure {
    /// Adds a problem for each reference whose version in `found` is not at the edge and that has no problem of its own.
    /// `found` names references by index, with the version that the vault has.
    pub fn holding_back<'a>(
        mut self,
        references: &[Reference],
        found: impl IntoIterator<Item = (usize, &'a VaultVersion)>,
    ) -> Self {
        if self.problems.is_empty() {
            return self;
        }
        let causes = causes(references, &self);
        for (place, version) in found {
            let held = references[place].status.synced_version.as_ref();
            if held == Some(version) || self.problems.iter().any(|(other, ..)| *other == place) {
                continue;
            }
            let what = match held {
                Some(held) => format!("The vault has version {version}, and the edge keeps {held}"),
                None => format!("The vault has version {version}, and the edge does not hold it yet"),
            };
            let message =
                format!("{what}: all keys of a Secret change together, and this one waits for {causes}.");
            self.problems.push((place, Reason::HeldBack, message));
        }
        self
    }
}

/// The references that hold back the others, each with its vault secret and its reason.
fn causes(references: &[Reference], failure: &Failure) -> String {
    let cause = |(place, reason): (usize, Reason)| {
        let Reference { key, vault_secret, .. } = &references[place];
        format!("key {:?} (vault secret {:?}, {})", key.as_str(), vault_secret.as_str(), reason.as_str())
    };
    let own = failure.problems.iter().filter(|(_, reason, _)| *reason != Reason::HeldBack);
    let mut causes: Vec<_> = own.map(|(place, reason, _)| cause((*place, *reason))).collect();
    if let Some(more) = causes.len().checked_sub(NAMED).filter(|more| *more > 0) {
        causes.truncate(NAMED);
        causes.push(format!("{more} more"));
    }
    match causes.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => causes.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Retry, *};
    use crate::model::SyncedSecret;

    fn references(count: usize) -> Vec<Reference> {
        let one = &SyncedSecret::example("edp1secrets").references[0];
        let numbered = |number: usize| Reference {
            key: format!("k{number}").parse().unwrap(),
            vault_secret: format!("v{number}").parse().unwrap(),
            ..one.clone()
        };
        (0..count).map(numbered).collect()
    }

    fn failure(places: &[usize]) -> Failure {
        let problems = places.iter().map(|place| (*place, Reason::VaultForbidden, "no".to_owned())).collect();
        Failure { reason: Reason::VaultForbidden, message: "no".to_owned(), problems, retry: Retry::Later }
    }

    #[test]
    fn a_reference_waits_if_its_version_is_not_at_the_edge_and_names_what_it_waits_for() {
        let (old, new): (VaultVersion, VaultVersion) =
            ("0".repeat(32).parse().unwrap(), "1".repeat(32).parse().unwrap());
        let mut references = references(4);
        references[1].status.synced_version = Some(new.clone());
        references[2].status.synced_version = Some(old);
        let found = (0..4).map(|place| (place, &new));
        let told = failure(&[0]).holding_back(&references, found);
        let waiting: Vec<_> = told.problems[1..].iter().map(|(place, reason, _)| (*place, *reason)).collect();
        assert_eq!(waiting, [(2, Reason::HeldBack), (3, Reason::HeldBack)], "the second is at the edge");
        let (kept, missing) = (&told.problems[1].2, &told.problems[2].2);
        assert!(kept.contains("the edge keeps 0000"), "{kept}");
        assert!(missing.contains("does not hold it yet"), "{missing}");
        for message in [kept, missing] {
            assert!(
                message.ends_with("waits for key \"k0\" (vault secret \"v0\", VaultForbidden)."),
                "{message}"
            );
        }
    }

    #[test]
    fn many_causes_are_counted_and_without_a_cause_nothing_waits() {
        let new: VaultVersion = "1".repeat(32).parse().unwrap();
        let told = failure(&[0, 1, 2, 3, 4]).holding_back(&references(6), [(5, &new)]);
        let message = &told.problems[5].2;
        assert!(message.contains("key \"k2\"") && message.ends_with(" and 2 more."), "{message}");
        assert!(!message.contains("k3"), "{message}");
        assert!(failure(&[]).holding_back(&references(1), [(0, &new)]).problems.is_empty());
    }
}
