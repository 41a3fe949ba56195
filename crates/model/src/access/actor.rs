//! Who may stand as an actor in the audit, in the log and as the owner of request ids: the one rule for names from elsewhere, however
//! they were shown.

use super::Identity;
use crate::steers;

/// The service itself, where nobody has asked for what it does.
pub const SERVICE: &str = "sync";
/// Under whom earlier releases recorded those who were refused too often to be told apart: it stands in audits that are kept.
const OTHERS: &str = "others";
/// Names of the service's own: itself, those whom it once counted together, and callers whom it knows only by where they come from.
const RESERVED: [&str; 4] = [SERVICE, OTHERS, "anonymous", "unix"];
/// How names of such callers go on: `anonymous@127.0.0.1`, `unix:uid=1000`.
const GO_ON: [char; 2] = ['@', ':'];
/// The longest name, in characters: Kubernetes' own have 325 at most.
const LONGEST: usize = 512;

/// Why a name is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActorError {
    /// There is none.
    #[error("the name is empty")]
    Empty,
    /// It would fill messages.
    #[error("the name is longer than {LONGEST} characters")]
    TooLong,
    /// It would steer a terminal, or look like another one.
    #[error("the name has control characters")]
    Control,
    /// It would be taken for the service, or for a caller without a name.
    #[error("names such as \"sync\", \"others\", \"anonymous@…\" and \"unix:…\" belong to the service")]
    Reserved,
}

impl Identity {
    /// The identity, where its name may be an actor's; its groups are those that have no control characters.
    pub fn checked(mut self) -> Result<Self, ActorError> {
        check(&self.name)?;
        self.groups.retain(|group| !group.contains(steers));
        Ok(self)
    }
}

fn check(name: &str) -> Result<(), ActorError> {
    if name.is_empty() {
        return Err(ActorError::Empty);
    }
    if name.chars().count() > LONGEST {
        return Err(ActorError::TooLong);
    }
    if name.contains(steers) {
        return Err(ActorError::Control);
    }
    // Neither case nor blanks make another one of it, for who reads it.
    let first = name.trim().split(GO_ON).next().unwrap_or_default();
    match RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(first)) {
        true => Err(ActorError::Reserved),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str) -> Result<(), ActorError> {
        Identity { name: name.to_owned(), ..Identity::default() }.checked().map(drop)
    }

    #[test]
    fn no_name_from_elsewhere_is_that_of_the_service_or_steers_a_terminal() {
        for name in
            ["sync", "SYNC", " sync ", "others", "anonymous", "anonymous@127.0.0.1", "unix", "unix:uid=0"]
        {
            assert_eq!(checked(name), Err(ActorError::Reserved), "{name:?}");
        }
        for name in ["a\nb", "a\u{1b}[2Jb", "a\0", "a\u{202e}b", "\u{200b}sync", "a\u{7f}", "a\u{9b}b"] {
            assert_eq!(checked(name), Err(ActorError::Control), "{name:?}");
        }
        assert_eq!(checked(""), Err(ActorError::Empty));
        assert_eq!(checked(&"ä".repeat(513)), Err(ActorError::TooLong));
    }

    #[test]
    fn names_of_people_and_accounts_are_theirs() {
        let account = "system:serviceaccount:azure-iot-operations:sync";
        for name in [
            account,
            "spiffe://contoso.example/sync",
            "synchronizer",
            "Zoë",
            "others-than-us",
            &"ä".repeat(512),
        ] {
            assert_eq!(checked(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn groups_with_control_characters_are_passed_over() {
        let groups = vec!["operators".to_owned(), "a\nb".to_owned()];
        let identity = Identity { name: "pump".to_owned(), groups, ..Identity::default() };
        assert_eq!(identity.checked().unwrap().groups, ["operators"]);
    }
}
