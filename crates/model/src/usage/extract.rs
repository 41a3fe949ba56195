//! Finds the usages in a resource by the rules. Pure; accepts any content.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use serde_json::{Map, Value};

use super::{
    FIXED_NAME, GroupKind, Needs, Output, Usage, UsageRule,
    rule::{Finds, Format, Segment, guess, is_guessed},
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

/// What a field names.
struct Found {
    secret: String,
    needs: Needs,
    kind: FoundBy,
}

/// How it was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FoundBy {
    /// By a rule for the field.
    Rule,
    /// By its name alone.
    Guess,
    /// By a rule that says that another program writes the secret.
    Output,
}

/// The built-in rules.
pub(super) fn built_in() -> &'static [UsageRule] {
    &BUILT_IN
}

// === impl UsageRules ===

impl UsageRules {
    /// The given rules, followed by the built-in ones.
    pub fn with(others: impl IntoIterator<Item = UsageRule>) -> Self {
        Self(others.into_iter().chain(BUILT_IN.iter().cloned()).collect())
    }

    /// These rules, and those for Kubernetes' own kinds that run Pods.
    #[must_use]
    pub fn and_workloads(&self) -> Self {
        Self(self.0.iter().cloned().chain(super::workloads::rules()).collect())
    }

    /// Whether every kind that runs Pods is covered, so that each use of a Pod is found with what controls it.
    pub fn cover_workloads(&self) -> bool {
        super::workloads::are_covered(self)
    }

    /// No rules: nothing is searched.
    pub fn none() -> Self {
        Self(Arc::new([]))
    }

    /// The groups that the rules cover.
    pub fn groups(&self) -> BTreeSet<&str> {
        self.0.iter().filter(|rule| !rule.is_fixed()).map(UsageRule::group).collect()
    }

    /// Whether a rule covers a kind.
    pub fn covers(&self, group: &str, kind: &str) -> bool {
        self.0.iter().any(|rule| rule.covers(group, kind))
    }

    /// Whether a rule says which fields of this kind name secrets. For a kind that is only covered by a rule for
    /// its group, they are guessed.
    pub fn knows(&self, GroupKind { group, kind }: &GroupKind) -> bool {
        let is_of_kind =
            |rule: &UsageRule| matches!(rule.finds, Finds::Field { .. }) && rule.covers(group, kind);
        self.0.iter().any(is_of_kind)
    }

    /// The usages that no resource names: programs use these secrets under fixed names.
    pub fn fixed(&self, namespace: &str) -> Vec<Usage> {
        let usage = |rule: &UsageRule| match &rule.finds {
            Finds::Fixed { program, secret } => Some(Usage {
                api_version: String::new(),
                group_kind: rule.group_kind.clone(),
                namespace: namespace.to_owned(),
                resource: program.clone(),
                field: FIXED_NAME.to_owned(),
                secret: secret.clone(),
                needs: Needs::Whole(Arc::new([])),
                guessed: false,
            }),
            Finds::Field { .. } | Finds::Names => None,
        };
        self.0.iter().filter_map(usage).collect()
    }

    /// The usages in a resource, by field. `body` is its content without metadata.
    pub fn usages_of(&self, subject: Subject<'_>, body: &Value) -> Vec<Usage> {
        let usage = |(field, Found { secret, needs, kind })| Usage {
            api_version: subject.api_version.to_owned(),
            group_kind: subject.group_kind.clone(),
            namespace: subject.namespace.to_owned(),
            resource: subject.name.to_owned(),
            field,
            secret,
            needs,
            guessed: kind == FoundBy::Guess,
        };
        let found = self.search(subject.group_kind, body).into_iter();
        found.filter(|(_, found)| found.kind != FoundBy::Output).map(usage).collect()
    }

    /// The fields of a resource that name a secret which another program writes.
    pub fn outputs_of(&self, subject: Subject<'_>, body: &Value) -> Vec<Output> {
        let output = |(field, Found { secret, .. })| Output {
            group_kind: subject.group_kind.clone(),
            resource: subject.name.to_owned(),
            field,
            secret,
        };
        let found = self.search(subject.group_kind, body).into_iter();
        found.filter(|(_, found)| found.kind == FoundBy::Output).map(output).collect()
    }

    /// All fields that name a secret. The first rule that finds a field decides.
    fn search(&self, GroupKind { group, kind }: &GroupKind, body: &Value) -> BTreeMap<String, Found> {
        let mut found = BTreeMap::new();
        let mut guesses = false;
        for rule in self.0.iter().filter(|rule| rule.covers(group, kind)) {
            match &rule.finds {
                Finds::Names => guesses = true,
                Finds::Fixed { .. } => {}
                Finds::Field { path, format } => {
                    let at = Place { field: String::new(), beside: None };
                    visit(body, path, at, &mut |at, text| {
                        if let Some((secret, needs)) = format.read(text, at.beside) {
                            let kind = match format {
                                Format::Output => FoundBy::Output,
                                _ => FoundBy::Rule,
                            };
                            found.entry(at.field).or_insert(Found { secret, needs, kind });
                        }
                    });
                }
            }
        }
        if let (true, Some(spec)) = (guesses, body.get("spec")) {
            visit_all(spec, "spec".to_owned(), &mut |at, value| {
                let Some((below, secret, needs)) = guess(value) else { return false };
                let at = below.map_or_else(|| at.to_owned(), |below| field(at, below));
                found.entry(at).or_insert(Found { secret, needs, kind: FoundBy::Guess });
                true
            });
        }
        found
    }
}

impl Default for UsageRules {
    fn default() -> Self {
        Self::with([])
    }
}

/// Where a value stands in a resource.
struct Place<'a> {
    /// Its path.
    field: String,
    /// The fields beside it.
    beside: Option<&'a Map<String, Value>>,
}

/// Visits every text at a path.
fn visit<'a>(value: &'a Value, path: &[Segment], at: Place<'a>, visitor: &mut impl FnMut(Place<'a>, &str)) {
    let Some((next, rest)) = path.split_first() else {
        if let Value::String(text) = value {
            visitor(at, text);
        }
        return;
    };
    match (next, value) {
        (Segment::Field(name), Value::Object(fields)) => {
            if let Some(value) = fields.get(name) {
                visit(value, rest, at.field(fields, name), visitor);
            }
        }
        (Segment::AnyField, Value::Object(fields)) => {
            fields.iter().for_each(|(name, value)| visit(value, rest, at.field(fields, name), visitor));
        }
        (Segment::AnyItem, Value::Array(items)) => {
            items.iter().enumerate().for_each(|(place, value)| visit(value, rest, at.item(place), visitor));
        }
        (Segment::AnyDepth, value) => {
            match value {
                Value::Object(fields) => fields
                    .iter()
                    .for_each(|(name, value)| visit(value, path, at.field(fields, name), visitor)),
                Value::Array(items) => {
                    let items = items.iter().enumerate();
                    items.for_each(|(place, value)| visit(value, path, at.item(place), visitor));
                }
                _ => {}
            }
            visit(value, rest, at, visitor);
        }
        _ => {}
    }
}

/// Visits every field whose name suggests that it names a secret, and what is below it unless the visitor
/// takes it.
fn visit_all(value: &Value, at: String, visitor: &mut impl FnMut(&str, &Value) -> bool) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let at = field(&at, name);
                if !(is_guessed(name) && visitor(&at, value)) {
                    visit_all(value, at, visitor);
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

// === impl Place ===

impl<'a> Place<'a> {
    fn field(&self, fields: &'a Map<String, Value>, name: &str) -> Self {
        Self { field: field(&self.field, name), beside: Some(fields) }
    }

    fn item(&self, place: usize) -> Self {
        Self { field: format!("{}[{place}]", self.field), beside: None }
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
