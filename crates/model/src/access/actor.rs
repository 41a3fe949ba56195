//! The rule for names of actors, which appear in the audit, in the log and as owners of request ids. It
//! applies to every authenticated name.

use super::Identity;
use crate::is_unprintable;

/// The actor of what the service does by itself.
pub const SERVICE: &str = "sync";
/// The actor under which earlier releases summed up denied callers; old audit events still contain it.
const OTHERS: &str = "others";
/// Reserved names: the service itself, the summed-up callers, and callers that are known only by their
/// origin.
const RESERVED: [&str; 4] = [SERVICE, OTHERS, "anonymous", "unix"];
/// What follows such a name: `anonymous@127.0.0.1`, `unix:uid=1000`.
const GO_ON: [char; 2] = ['@', ':'];
/// Maximum characters of a name. Names of Kubernetes have at most 325.
const MAX_CHARS: usize = 512;

/// Why a name is not accepted as an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActorError {
    /// The name is empty.
    #[error("the name is empty")]
    Empty,
    /// It would fill the log and the audit.
    #[error("the name is longer than {MAX_CHARS} characters")]
    TooLong,
    /// It could control a terminal, or look like another name.
    #[error("the name has control characters")]
    Control,
    /// It could be mistaken for the service, or for an anonymous caller.
    #[error(
        "names such as \"sync\", \"others\", \"anonymous@…\" and \"unix:…\" are reserved for the \
        service"
    )]
    Reserved,
}

impl Identity {
    /// The identity, if its name is accepted as an actor. Drops groups with control characters.
    pub fn checked(mut self) -> Result<Self, ActorError> {
        check(&self.name)?;
        self.groups.retain(|group| !group.contains(is_unprintable));
        Ok(self)
    }
}

fn check(name: &str) -> Result<(), ActorError> {
    if name.is_empty() {
        return Err(ActorError::Empty);
    }
    if name.chars().count() > MAX_CHARS {
        return Err(ActorError::TooLong);
    }
    if name.contains(is_unprintable) {
        return Err(ActorError::Control);
    }
    // For a reader, a name that differs only in case or blanks is the same name.
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
    fn no_caller_name_is_that_of_the_service_or_contains_control_characters() {
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
    fn names_of_people_and_accounts_are_accepted() {
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
    fn groups_with_control_characters_are_ignored() {
        let groups = vec!["operators".to_owned(), "a\nb".to_owned()];
        let identity = Identity { name: "pump".to_owned(), groups, ..Identity::default() };
        assert_eq!(identity.checked().unwrap().groups, ["operators"]);
    }
}
