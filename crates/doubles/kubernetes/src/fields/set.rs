//! Sets of field paths, and their form in `metadata.managedFields` (FieldsV1).

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
};

use serde_json::{Map, Value};

/// One step of a path into an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PathElement {
    /// `f:`: a field of a structure, or a key of a map.
    Field(String),
    /// `k:`: the item of a list whose key fields have these values.
    Key(Vec<(String, Scalar)>),
    /// `v:`: the item of a set that has this value.
    Value(Scalar),
    /// `i:`: the item of a list at this position.
    Index(usize),
}

/// A string, number, boolean or null, as its JSON text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scalar(String);

/// A set of paths. A path doesn't include the paths below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSet(BTreeMap<PathElement, Branch>);

/// The part of a set at one path: whether the path is in it, and the paths below. Never without either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Branch {
    pub(super) member: bool,
    pub(super) below: FieldSet,
}

static EMPTY: Branch = Branch { member: false, below: FieldSet(BTreeMap::new()) };

// === impl FieldSet ===

impl FieldSet {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn insert(&mut self, path: &[PathElement]) {
        if let Some((first, rest)) = path.split_first() {
            let branch = self.0.entry(first.clone()).or_default();
            match rest {
                [] => branch.member = true,
                rest => branch.below.insert(rest),
            }
        }
    }

    /// Sets the part of the set at one step from its root.
    pub(super) fn put(&mut self, element: PathElement, member: bool, below: Self) {
        if member || !below.is_empty() {
            self.0.insert(element, Branch { member, below });
        }
    }

    /// The part of the set at one step from its root.
    pub(super) fn at(&self, element: &PathElement) -> &Branch {
        self.0.get(element).unwrap_or(&EMPTY)
    }

    pub(super) fn branches_mut(&mut self) -> impl Iterator<Item = (&PathElement, &mut Branch)> {
        self.0.iter_mut()
    }

    /// Adds the paths of another set.
    pub(super) fn extend(&mut self, other: Self) {
        for (element, theirs) in other.0 {
            match self.0.entry(element) {
                Entry::Vacant(vacant) => {
                    vacant.insert(theirs);
                }
                Entry::Occupied(mut ours) => {
                    let ours = ours.get_mut();
                    ours.member |= theirs.member;
                    ours.below.extend(theirs.below);
                }
            }
        }
    }

    /// Removes the paths of another set.
    pub(super) fn subtract(&mut self, other: &Self) {
        self.retain_by(other, |ours, theirs| ours && !theirs);
    }

    /// Keeps only the paths that are also in another set.
    pub(super) fn intersect(&mut self, other: &Self) {
        self.retain_by(other, |ours, theirs| ours && theirs);
    }

    pub(super) fn union(mut self, other: Self) -> Self {
        self.extend(other);
        self
    }

    pub(super) fn difference(mut self, other: &Self) -> Self {
        self.subtract(other);
        self
    }

    pub(super) fn intersection(mut self, other: &Self) -> Self {
        self.intersect(other);
        self
    }

    /// Whether another set has every path of this one.
    pub(super) fn is_subset(&self, other: &Self) -> bool {
        self.0.iter().all(|(element, ours)| {
            let theirs = other.at(element);
            (theirs.member || !ours.member) && ours.below.is_subset(&theirs.below)
        })
    }

    /// Every path in the form and order of the apiserver: `.data.username`, `.metadata.ownerReferences[uid="…"]`. The
    /// set's own paths come before those below.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths("", &mut paths);
        paths
    }

    fn collect_paths(&self, prefix: &str, paths: &mut Vec<String>) {
        let members = self.0.iter().filter(|(_, branch)| branch.member);
        paths.extend(members.map(|(element, _)| format!("{prefix}{element}")));
        for (element, branch) in &self.0 {
            branch.below.collect_paths(&format!("{prefix}{element}"), paths);
        }
    }

    fn retain_by(&mut self, other: &Self, keep: fn(bool, bool) -> bool) {
        self.0.retain(|element, ours| {
            let theirs = other.at(element);
            ours.member = keep(ours.member, theirs.member);
            ours.below.retain_by(&theirs.below, keep);
            ours.member || !ours.below.is_empty()
        });
    }
}

// === FieldsV1 ===

impl FieldSet {
    /// The set as FieldsV1. `{}` is a path itself; in an object with members, `.` includes the path.
    pub(super) fn to_fields_v1(&self) -> Value {
        Value::Object(self.members())
    }

    /// Reads FieldsV1, or `None` if it is malformed. Unknown kinds of steps are ignored.
    pub(super) fn from_fields_v1(fields: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (key, value) in fields.as_object()?.iter().filter(|(key, _)| *key != ".") {
            let element = match PathElement::from_key(key) {
                Ok(element) => element,
                Err(BadElement::Unknown) => continue,
                Err(BadElement::Malformed) => return None,
            };
            let below = Self::from_fields_v1(value)?;
            let member = below.is_empty() || value.get(".").is_some();
            set.0.insert(element, Branch { member, below });
        }
        Some(set)
    }

    fn members(&self) -> Map<String, Value> {
        let member = |(element, branch): (&PathElement, &Branch)| {
            let mut members = branch.below.members();
            if branch.member && !members.is_empty() {
                members.shift_insert(0, ".".to_owned(), Value::Object(Map::new()));
            }
            (element.to_key(), Value::Object(members))
        };
        self.0.iter().map(member).collect()
    }
}

enum BadElement {
    Unknown,
    Malformed,
}

impl PathElement {
    fn to_key(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, Scalar(json))| format!("{}:{json}", Value::from(name.as_str())))
                    .collect();
                format!("k:{{{}}}", fields.join(","))
            }
            Self::Value(Scalar(json)) => format!("v:{json}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    fn from_key(key: &str) -> Result<Self, BadElement> {
        let malformed = |_| BadElement::Malformed;
        match key.split_once(':').ok_or(BadElement::Malformed)? {
            ("f", name) => Ok(Self::Field(name.to_owned())),
            ("k", json) => {
                let fields: BTreeMap<String, Value> = serde_json::from_str(json).map_err(malformed)?;
                Ok(Self::Key(fields.iter().map(|(name, value)| (name.clone(), Scalar::of(value))).collect()))
            }
            ("v", json) => Ok(Self::Value(Scalar::of(&serde_json::from_str(json).map_err(malformed)?))),
            ("i", index) => Ok(Self::Index(index.parse().map_err(|_| BadElement::Malformed)?)),
            _ => Err(BadElement::Unknown),
        }
    }
}

impl fmt::Display for PathElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(fields) => {
                let fields: Vec<_> =
                    fields.iter().map(|(name, Scalar(json))| format!("{name}={json}")).collect();
                write!(f, "[{}]", fields.join(","))
            }
            Self::Value(Scalar(json)) => write!(f, "[={json}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl Scalar {
    pub(super) fn of(value: &Value) -> Self {
        Self(value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn element() -> impl Strategy<Value = PathElement> {
        let scalar = || "[a-c]".prop_map(|text| Scalar::of(&Value::from(text)));
        prop_oneof![
            "[a-c:.]{1,2}".prop_map(PathElement::Field),
            scalar().prop_map(|value| PathElement::Key(vec![("name".to_owned(), value)])),
            scalar().prop_map(PathElement::Value),
            (0_usize..3).prop_map(PathElement::Index),
        ]
    }

    fn set() -> impl Strategy<Value = FieldSet> {
        proptest::collection::vec(proptest::collection::vec(element(), 1..4), 0..8).prop_map(|paths| {
            let mut set = FieldSet::default();
            paths.iter().for_each(|path| set.insert(path));
            set
        })
    }

    proptest! {
        #[test]
        fn field_sets_round_trip(set in set()) {
            prop_assert_eq!(FieldSet::from_fields_v1(&set.to_fields_v1()), Some(set));
        }

        #[test]
        fn the_operations_obey_the_laws_of_sets(a in set(), b in set()) {
            let both = a.clone().intersection(&b);
            let only_a = a.clone().difference(&b);
            prop_assert_eq!(only_a.clone().union(both.clone()), a.clone());
            prop_assert!(only_a.intersection(&b).is_empty());
            prop_assert!(both.is_subset(&a) && both.is_subset(&b));
            prop_assert_eq!(a.clone().union(b.clone()), b.clone().union(a.clone()));
            prop_assert_eq!(a.is_subset(&b), a.clone().difference(&b).is_empty());
        }
    }

    #[test]
    fn every_kind_of_step_is_written_as_the_apiserver_writes_it() {
        let fields = json!({
            "f:data": {".": {}, "f:a.b": {}},
            "f:metadata": {
                "f:finalizers": {"v:\"x/y\"": {}},
                "f:ownerReferences": {"k:{\"uid\":\"u-1\"}": {}},
            },
            "f:old": {"i:3": {}},
        });
        let set = FieldSet::from_fields_v1(&fields).unwrap();
        assert_eq!(set.to_fields_v1(), fields);
        assert_eq!(
            set.paths(),
            [
                ".data",
                ".data.a.b",
                ".metadata.finalizers[=\"x/y\"]",
                ".metadata.ownerReferences[uid=\"u-1\"]",
                ".old[3]"
            ]
        );
    }

    #[test]
    fn a_step_of_an_unknown_kind_is_ignored_and_a_malformed_one_refused() {
        assert!(FieldSet::from_fields_v1(&json!({"z:new": {}})).unwrap().is_empty());
        assert_eq!(FieldSet::from_fields_v1(&json!({"k:{": {}})), None);
        assert_eq!(FieldSet::from_fields_v1(&json!({"f:data": "x"})), None);
    }
}
