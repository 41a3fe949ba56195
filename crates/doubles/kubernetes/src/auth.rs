//! Authentication by bearer tokens, and authorization by rules.

use std::collections::HashMap;

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use serde::{Deserialize, Serialize};

/// A user as TokenReview shows one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user name; of service accounts `system:serviceaccount:NAMESPACE:NAME`.
    pub username: String,
    /// The uid.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The groups.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// What a rule allows or denies: `*` matches everything; `secrets/status` names a subresource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Verbs, e.g. `get`.
    pub verbs: Vec<String>,
    /// API groups; the core group is the empty string.
    #[serde(rename = "apiGroups", default)]
    pub groups: Vec<String>,
    /// Resources in the plural.
    #[serde(default)]
    pub resources: Vec<String>,
    /// Namespaces; `*` includes requests over all namespaces and cluster-scoped ones.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Object names; empty for all.
    #[serde(rename = "resourceNames", default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// The attributes of a request to authorize.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attributes<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
}

/// The users and the rules.
#[derive(Default)]
pub struct Policy(RwLock<Inner>);

#[derive(Default)]
struct Inner {
    tokens: HashMap<String, Token>,
    /// By user name or group.
    allowed: Vec<(String, Rule)>,
    denied: Vec<(String, Rule)>,
}

/// A token: its user and its audiences.
struct Token {
    user: User,
    audiences: Vec<String>,
}

/// The audience of the API server itself.
pub(super) const API_AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// The group that may do everything.
pub(super) const MASTERS: &str = "system:masters";

// === impl Policy ===

impl Policy {
    /// Adds a token of a user. Rules for the user name or a group (`allow`) give rights.
    pub fn add_token(&self, token: &str, user: User) {
        self.add_token_for(token, user, &[API_AUDIENCE]);
    }

    /// The same for other audiences than the API server, which then refuses the token itself.
    pub fn add_token_for(&self, token: &str, user: User, audiences: &[&str]) {
        let audiences = audiences.iter().map(ToString::to_string).collect();
        self.write().tokens.insert(token.to_owned(), Token { user, audiences });
    }

    /// Revokes a token.
    pub fn remove_token(&self, token: &str) {
        self.write().tokens.remove(token);
    }

    /// Allows a user or a group something.
    pub fn allow(&self, subject: &str, rule: Rule) {
        self.write().allowed.push((subject.to_owned(), rule));
    }

    /// Denies a user or a group something, whatever is allowed, `system:masters` included.
    pub fn deny(&self, subject: &str, rule: Rule) {
        self.write().denied.push((subject.to_owned(), rule));
    }

    /// Removes all rules.
    pub fn clear_rules(&self) {
        let mut inner = self.write();
        inner.allowed.clear();
        inner.denied.clear();
    }

    /// The user of a token for one of these audiences, and which of them it is for.
    pub(super) fn authenticate(&self, token: &str, wanted: &[&str]) -> Option<(User, Vec<String>)> {
        let inner = self.read();
        let token = inner.tokens.get(token)?;
        let fitting = token.audiences.iter().filter(|audience| wanted.contains(&audience.as_str()));
        let fitting: Vec<String> = fitting.cloned().collect();
        if fitting.is_empty() {
            return None;
        }
        let mut user = token.user.clone();
        if !user.groups.iter().any(|group| group == "system:authenticated") {
            user.groups.push("system:authenticated".to_owned());
        }
        Some((user, fitting))
    }

    /// Whether a user may do something.
    pub(super) fn may(&self, user: &User, wanted: &Attributes<'_>) -> bool {
        let inner = self.read();
        let covers = |rules: &[(String, Rule)]| {
            rules.iter().any(|(subject, rule)| user.is(subject) && rule.covers(wanted))
        };
        !covers(&inner.denied) && (user.is(MASTERS) || covers(&inner.allowed))
    }

    /// A user's rights in a namespace, for SelfSubjectRulesReview.
    pub(super) fn rules(&self, user: &User, namespace: &str) -> Vec<Rule> {
        let inner = self.read();
        let everything = || -> Rule {
            let all = || vec!["*".to_owned()];
            Rule { verbs: all(), groups: all(), resources: all(), namespaces: all(), names: Vec::new() }
        };
        let masters = user.is(MASTERS).then(everything);
        let granted = inner.allowed.iter().filter(|(subject, _)| user.is(subject)).map(|(_, rule)| rule);
        let granted = granted.filter(|rule| matches(&rule.namespaces, namespace)).cloned();
        masters.into_iter().chain(granted).collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.0.read()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.0.write()
    }
}

// === impl User ===

impl User {
    fn is(&self, subject: &str) -> bool {
        self.username == subject || self.groups.iter().any(|group| group == subject)
    }
}

// === impl Rule ===

impl Rule {
    fn covers(&self, wanted: &Attributes<'_>) -> bool {
        let resource = match wanted.subresource {
            "" => wanted.resource.to_owned(),
            subresource => format!("{}/{subresource}", wanted.resource),
        };
        matches(&self.verbs, wanted.verb)
            && matches(&self.groups, wanted.group)
            && matches(&self.resources, &resource)
            && matches(&self.namespaces, wanted.namespace)
            && (self.names.is_empty() || self.names.iter().any(|name| name == wanted.name))
    }
}

impl Attributes<'_> {
    /// The real server's message for the refusal.
    pub fn refusal(&self, user: &User) -> String {
        let resource = match self.subresource {
            "" => self.resource.to_owned(),
            subresource => format!("{}/{subresource}", self.resource),
        };
        let scope = match self.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {namespace:?}"),
        };
        let (user, verb, group) = (&user.username, self.verb, self.group);
        format!("User {user:?} cannot {verb} resource {resource:?} in API group {group:?} {scope}")
    }
}

fn matches(patterns: &[String], wanted: &str) -> bool {
    patterns.iter().any(|pattern| pattern == "*" || pattern == wanted)
}
