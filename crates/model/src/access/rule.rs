//! Access rules restrict the names that callers may use, in addition to their grants. One line each, as in
//! the configuration.

use std::{fmt, str::FromStr};

use wildmatch::WildMatch;

use super::{CLUSTER_PREFIX, Caller, Permission, Resource, UntoldGroups};
use crate::NameError;

/// Everybody.
const ANYBODY: &str = "*";

/// One rule: `allow WHO NAMES` or `deny WHO NAMES`, for example `deny * vaultSecrets/prod-*`.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessRule {
    is_allowing: bool,
    /// A user or a group, or `*`.
    who: String,
    resource: Resource,
    /// In lower case, as the names that are matched.
    pattern: WildMatch,
}

/// All rules. A name that a rule denies is refused. If rules allow some names, all others are refused.
#[derive(Clone, Debug, Default)]
pub struct AccessRules(Vec<AccessRule>);

/// Which names of a resource rules let a caller use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuledNames {
    /// Every name.
    All,
    /// Some names, but not all.
    Some,
    /// None.
    None,
}

// === impl AccessRules ===

impl AccessRules {
    /// Why a caller may not use a name: a rule denies it, or no rule allows it. `None` if it may.
    pub fn refusal(&self, caller: &Caller, ask: &Permission) -> Option<String> {
        let name = ask.name.as_deref()?;
        let of_resource = || self.0.iter().filter(|rule| rule.resource == ask.resource);
        let applying = || of_resource().filter(|rule| rule.applies_to(caller));
        if let Some(denying) = applying().find(|rule| !rule.is_allowing && rule.pattern.matches(name)) {
            return Some(format!("the rule \"{denying}\" denies it"));
        }
        let mut allowing = applying().filter(|rule| rule.is_allowing).peekable();
        let is_narrowed = allowing.peek().is_some();
        let is_allowed = allowing.any(|rule| rule.pattern.matches(name));
        if is_narrowed && !is_allowed {
            return Some(format!("the rules allow other {} only", ask.resource.collection()));
        }
        // Groups that nobody told grant nothing, and what is denied to a group is not granted for want of a list.
        let narrows = |rule: &&AccessRule| match rule.is_allowing {
            true => !is_allowed,
            false => rule.pattern.matches(name),
        };
        let unsure = of_resource().filter(|rule| rule.may_apply_to(caller)).find(narrows)?;
        Some(format!("the rule \"{unsure}\" may apply to a group that the caller's token does not list"))
    }

    /// Which names of a resource a caller may use: what [`refusal`](Self::refusal) says of them all.
    pub fn names(&self, caller: &Caller, resource: Resource) -> RuledNames {
        let of_resource = || self.0.iter().filter(|rule| rule.resource == resource);
        let denying = of_resource().filter(|rule| !rule.is_allowing);
        let denying = denying.filter(|rule| rule.applies_to(caller) || rule.may_apply_to(caller));
        let allowing = || of_resource().filter(|rule| rule.is_allowing);
        let (mut is_narrowed, mut is_closed) = (false, false);
        for rule in denying {
            is_narrowed = true;
            is_closed |= rule.matches_all();
        }
        let mut allowed = allowing().filter(|rule| rule.applies_to(caller)).peekable();
        match allowed.peek() {
            Some(_) => is_narrowed |= !allowed.any(AccessRule::matches_all),
            // An allowance of a group that may be the caller's narrows, and allows nothing.
            None => is_closed |= allowing().any(|rule| rule.may_apply_to(caller)),
        }
        match (is_closed, is_narrowed) {
            (true, _) => RuledNames::None,
            (false, true) => RuledNames::Some,
            (false, false) => RuledNames::All,
        }
    }
}

impl FromIterator<AccessRule> for AccessRules {
    fn from_iter<I: IntoIterator<Item = AccessRule>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}

// === impl AccessRule ===

impl AccessRule {
    fn applies_to(&self, caller: &Caller) -> bool {
        self.who == ANYBODY
            || match caller {
                Caller::Local(_) => false,
                Caller::Known(identity) => identity.name == self.who || identity.groups.contains(&self.who),
            }
    }

    /// Whether its pattern matches every name.
    fn matches_all(&self) -> bool {
        self.pattern.pattern().chars().all(|letter| letter == '*')
    }

    /// Whether the rule may be for a group of the caller that nobody told. Groups of the cluster are not among them.
    fn may_apply_to(&self, caller: &Caller) -> bool {
        let Caller::Known(identity) = caller else { return false };
        let is_untold = |groups: &UntoldGroups| self.who.starts_with(&groups.prefix);
        let may_be_in = identity.untold.as_ref().is_some_and(is_untold);
        may_be_in && !self.applies_to(caller) && !self.who.starts_with(CLUSTER_PREFIX)
    }
}

impl FromStr for AccessRule {
    type Err = NameError;

    fn from_str(line: &str) -> Result<Self, NameError> {
        let wrong = || {
            NameError::new(
                "a rule is allow or deny, a user or a group or *, and syncedSecrets/PATTERN or \
                 vaultSecrets/PATTERN",
            )
        };
        let words: Vec<&str> = line.split_whitespace().collect();
        let [effect, who, names] = words[..] else { return Err(wrong()) };
        let is_allowing = match effect {
            "allow" => true,
            "deny" => false,
            _ => return Err(wrong()),
        };
        let (collection, pattern) = names.split_once('/').ok_or_else(wrong)?;
        let resources = [Resource::SyncedSecrets, Resource::VaultSecrets];
        let resource = resources.into_iter().find(|resource| resource.collection() == collection);
        let resource = resource.filter(|_| !pattern.is_empty()).ok_or_else(wrong)?;
        let pattern = WildMatch::new(&pattern.to_ascii_lowercase());
        Ok(Self { is_allowing, who: who.to_owned(), resource, pattern })
    }
}

impl fmt::Display for AccessRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = if self.is_allowing { "allow" } else { "deny" };
        write!(f, "{effect} {} {}/{}", self.who, self.resource.collection(), self.pattern)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Identity, Verb};

    fn refused(rules: &[&str], groups: &[&str], name: &str) -> Option<String> {
        let rules: AccessRules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let groups = groups.iter().map(ToString::to_string).collect();
        let caller = Caller::Known(Identity { name: "ada".into(), groups, ..Identity::default() }.into());
        rules.refusal(&caller, &Permission::vault_secret(Verb::Get, Some(name.parse().unwrap())))
    }

    #[test]
    fn a_deny_rule_beats_an_allow_rule_in_any_letter_case() {
        let rules = ["allow * vaultSecrets/*", "deny * vaultSecrets/Prod-*"];
        assert_eq!(refused(&rules, &[], "pump"), None);
        for denied in ["prod-pump", "PROD-PUMP"] {
            assert!(refused(&rules, &[], denied).unwrap().contains("deny * vaultSecrets/prod-*"));
        }
    }

    #[test]
    fn a_rule_for_a_group_narrows_a_caller_whose_groups_are_unknown_and_grants_it_nothing() {
        let refused = |prefix: &str, rule: &str, name: &str| {
            let untold = Some(UntoldGroups { prefix: prefix.to_owned(), are_too_many: false });
            let ada = Identity { name: "oidc:ada".into(), untold, ..Identity::default() };
            let rules = AccessRules::from_iter([rule.parse().unwrap()]);
            let ask = Permission::vault_secret(Verb::Get, Some(name.parse().unwrap()));
            rules.refusal(&ada.into(), &ask)
        };
        for narrowing in ["deny group:line-1 vaultSecrets/prod-*", "allow group:line-1 vaultSecrets/*"] {
            for prefix in ["group:", ""] {
                let told = refused(prefix, narrowing, "prod-pump").unwrap();
                assert!(told.contains(narrowing) && told.contains("does not list"), "{told}");
            }
        }
        for other in [
            "deny group:line-1 vaultSecrets/test-*",
            "deny system:serviceaccounts vaultSecrets/*",
            "allow oidc:ada vaultSecrets/*",
            "allow * vaultSecrets/prod-*",
        ] {
            assert_eq!(refused("group:", other, "prod-pump"), None, "{other}");
            assert_eq!(refused("", other, "prod-pump"), None, "{other}");
        }
        // Others, who can't be a group of the issuer.
        for other in ["deny oidc:bob vaultSecrets/*", "allow spiffe://plant/console vaultSecrets/x"] {
            assert_eq!(refused("group:", other, "prod-pump"), None, "{other}");
        }
    }

    #[test]
    fn an_allow_rule_denies_all_other_names_and_leaves_other_callers_alone() {
        let rules = ["allow line-1 vaultSecrets/line1-*", "allow line-1 vaultSecrets/shared"];
        assert_eq!(refused(&rules, &["line-1"], "line1-pump"), None);
        assert_eq!(refused(&rules, &["line-1"], "shared"), None);
        assert!(refused(&rules, &["line-1"], "line2-pump").is_some());
        assert_eq!(refused(&rules, &["line-2"], "line2-pump"), None);
        assert!(refused(&["deny ada vaultSecrets/*"], &[], "pump").is_some());
    }

    #[test]
    fn a_rule_covers_one_collection_and_only_a_rule_for_everybody_covers_unknown_callers() {
        assert_eq!(refused(&["deny * syncedSecrets/*"], &[], "pump"), None);
        let local = Caller::Local("anonymous@127.0.0.1".into());
        let ask = Permission::synced_secret(Verb::Get, Some("pump".parse().unwrap()));
        let rules = |rule: &str| AccessRules::from_iter([rule.parse().unwrap()]);
        assert!(rules("deny * syncedSecrets/p?mp").refusal(&local, &ask).is_some());
        assert_eq!(rules("deny anonymous@127.0.0.1 syncedSecrets/*").refusal(&local, &ask), None);
    }

    #[test]
    fn which_names_are_left_agrees_with_the_refusals_of_names() {
        let untold = Some(UntoldGroups { prefix: "group:".to_owned(), are_too_many: false });
        let callers = [
            Caller::Local("anonymous@127.0.0.1".into()),
            Identity { name: "ada".into(), groups: vec!["line-1".into()], ..Identity::default() }.into(),
            Identity { name: "ada".into(), untold, ..Identity::default() }.into(),
        ];
        let effects = ["allow", "deny"];
        let whos = ["*", "ada", "line-1", "group:line-2", "bob"];
        let patterns = ["vaultSecrets/*", "vaultSecrets/p*", "syncedSecrets/*"];
        let mut rules = Vec::new();
        for effect in effects {
            for who in whos {
                rules.extend(patterns.map(|pattern| format!("{effect} {who} {pattern}")));
            }
        }
        let names = ["pump", "valve"].map(|name| name.parse().unwrap());
        let asks = names.map(|name| Permission::vault_secret(Verb::Get, Some(name)));
        let mut seen = [0; 3];
        for (first, second) in rules.iter().flat_map(|first| rules.iter().map(move |second| (first, second)))
        {
            let rules: AccessRules = [first, second].iter().map(|rule| rule.parse().unwrap()).collect();
            for caller in &callers {
                let refused = asks.iter().filter(|ask| rules.refusal(caller, ask).is_some()).count();
                let left = rules.names(caller, Resource::VaultSecrets);
                seen[refused] += 1;
                let expected = [RuledNames::All, RuledNames::Some, RuledNames::None][refused];
                // One rule for some names and one for the others may leave none.
                let is_right = left == expected || (left == RuledNames::Some && refused == 2);
                assert!(is_right, "{left:?}, {refused} refused to {caller:?} by {first} and {second}");
            }
        }
        assert!(seen.iter().all(|count| *count > 100), "{seen:?}");
    }

    #[test]
    fn rules_that_deny_every_name_leave_none() {
        let ada = Caller::from(Identity { name: "ada".into(), ..Identity::default() });
        let left = |rules: &[&str]| {
            let rules: AccessRules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
            rules.names(&ada, Resource::VaultSecrets)
        };
        assert_eq!(left(&["deny ada vaultSecrets/*"]), RuledNames::None);
        assert_eq!(left(&["allow ada vaultSecrets/p*", "deny * vaultSecrets/**"]), RuledNames::None);
        assert_eq!(left(&["deny bob vaultSecrets/*"]), RuledNames::All);
        assert_eq!(left(&["deny ada vaultSecrets/p*"]), RuledNames::Some);
    }

    #[test]
    fn access_rules_round_trip_and_other_text_is_refused() {
        let rule: AccessRule = " deny  *   vaultSecrets/prod-* ".parse().unwrap();
        assert_eq!(rule.to_string(), "deny * vaultSecrets/prod-*");
        for bad in
            ["", "deny *", "deny * prod-*", "deny * vaultSecrets/", "refuse * vaultSecrets/*", "deny a b c d"]
        {
            assert!(bad.parse::<AccessRule>().is_err(), "{bad:?}");
        }
    }
}
