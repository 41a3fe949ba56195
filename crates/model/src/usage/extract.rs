//! Finds the usages in a resource by the rules. Pure; accepts any content.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use serde_json::Value;

use super::{
    GroupKind, Needs, Usage, UsageRule,
    rule::{Finds, Segment, guess, is_guessed},
};

/// The built-in table: data, so that a field that a release of AIO moves is a change of one line.
const TABLE: &str = include_str!("rules.txt");

static BUILT_IN: LazyLock<Vec<UsageRule>> = LazyLock::new(|| {
    let lines = TABLE.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.parse().expect("a test reads every line")).collect()
});

/// All rules: those of the configuration first, so that they take precedence over the built-in ones.
#[derive(Clone, Debug)]
pub struct UsageRules(Arc<[UsageRule]>);

/// The resource to search.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// `group/version`.
    pub api_version: &'a str,
    /// Group and kind.
    pub group_kind: &'a GroupKind,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

// === impl UsageRules ===

impl UsageRules {
    /// The given rules, followed by the built-in ones.
    pub fn with(others: impl IntoIterator<Item = UsageRule>) -> Self {
        Self(others.into_iter().chain(BUILT_IN.iter().cloned()).collect())
    }

    /// No rules: nothing is searched.
    pub fn none() -> Self {
        Self(Arc::new([]))
    }

    /// The groups that the rules cover.
    pub fn groups(&self) -> BTreeSet<&str> {
        self.0.iter().map(UsageRule::group).collect()
    }

    /// Whether a rule covers a kind.
    pub fn covers(&self, group: &str, kind: &str) -> bool {
        self.0.iter().any(|rule| rule.covers(group, kind))
    }

    /// The usages in a resource, by field. `body` is its content without metadata.
    pub fn usages_of(&self, subject: Subject<'_>, body: &Value) -> Vec<Usage> {
        let mut found: BTreeMap<String, (String, Needs, bool)> = BTreeMap::new();
        let mut guesses = false;
        let GroupKind { group, kind } = subject.group_kind;
        for rule in self.0.iter().filter(|rule| rule.covers(group, kind)) {
            match &rule.finds {
                Finds::Names => guesses = true,
                Finds::Field { path, format } => visit(body, path, String::new(), &mut |field, text| {
                    if let Some((secret, needs)) = format.read(text) {
                        found.entry(field).or_insert((secret, needs, false));
                    }
                }),
            }
        }
        if let (true, Some(spec)) = (guesses, body.get("spec")) {
            visit_all(spec, "spec".to_owned(), &mut |field, text| {
                if let Some((secret, needs)) = guess(text) {
                    found.entry(field).or_insert((secret, needs, true));
                }
            });
        }
        let usage = |(field, (secret, needs, guessed))| Usage {
            api_version: subject.api_version.to_owned(),
            group_kind: subject.group_kind.clone(),
            namespace: subject.namespace.to_owned(),
            resource: subject.name.to_owned(),
            field,
            secret,
            needs,
            guessed,
        };
        found.into_iter().map(usage).collect()
    }
}

impl Default for UsageRules {
    fn default() -> Self {
        Self::with([])
    }
}

/// Visits every text at a path.
fn visit(value: &Value, path: &[Segment], at: String, visitor: &mut impl FnMut(String, &str)) {
    let Some((next, rest)) = path.split_first() else {
        if let Value::String(text) = value {
            visitor(at, text);
        }
        return;
    };
    match (next, value) {
        (Segment::Field(name), Value::Object(fields)) => {
            if let Some(value) = fields.get(name) {
                visit(value, rest, field(&at, name), visitor);
            }
        }
        (Segment::AnyField, Value::Object(fields)) => {
            fields.iter().for_each(|(name, value)| visit(value, rest, field(&at, name), visitor));
        }
        (Segment::AnyItem, Value::Array(items)) => {
            let items = items.iter().enumerate();
            items.for_each(|(place, value)| visit(value, rest, format!("{at}[{place}]"), visitor));
        }
        _ => {}
    }
}

/// Visits every text in a field whose name suggests that it names a secret.
fn visit_all(value: &Value, at: String, visitor: &mut impl FnMut(String, &str)) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if is_guessed(name) => visitor(field(&at, name), text),
                    value => visit_all(value, field(&at, name), visitor),
                }
            }
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(place, value)| visit_all(value, format!("{at}[{place}]"), visitor));
        }
        _ => {}
    }
}

/// The path of a field: with a dot, or in brackets if the name itself has dots.
fn field(at: &str, name: &str) -> String {
    match (at, name.contains(['.', '[', ']'])) {
        ("", false) => name.to_owned(),
        (_, false) => format!("{at}.{name}"),
        (_, true) => format!("{at}[{name}]"),
    }
}
