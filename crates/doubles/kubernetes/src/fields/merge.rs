//! Typed operations on objects: their fields, comparison, merge and removal of fields.

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::{Map, Value};

use super::{
    schema::FieldSchema,
    set::{Branch, FieldSet, PathElement},
};

/// The difference between two states of an object.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The fields that were added or changed.
    pub(super) written: FieldSet,
    /// The fields that were removed.
    pub(super) removed: FieldSet,
}

/// The fields that a configuration sets.
pub(super) fn fields_of(value: &Value, schema: &FieldSchema) -> FieldSet {
    let mut set = FieldSet::default();
    match Shape::of(value, schema) {
        Shape::Leaf => {}
        Shape::Map(map) => {
            for (name, value) in map {
                let (schema, named) = schema.field(name);
                let whole = match Shape::of(value, schema) {
                    Shape::Leaf => true,
                    Shape::Map(map) => map.is_empty() || !named,
                    Shape::List(..) => !named,
                };
                set.put(PathElement::Field(name.clone()), whole, fields_of(value, schema));
            }
        }
        Shape::List(elements, items) => {
            for (element, item) in elements.into_iter().zip(items) {
                set.put(element, true, fields_of(item, schema.item()));
            }
        }
    }
    set
}

/// Compares two states of an object.
pub(super) fn compare(old: &Value, new: &Value, schema: &FieldSchema) -> Changes {
    let mut changes = Changes::default();
    changes.compare(&mut Vec::new(), Some(old), Some(new), schema);
    changes
}

/// Merges a configuration into an object. Removes nothing.
pub(super) fn merge(live: &Value, applied: &Value, schema: &FieldSchema) -> Value {
    match (Shape::of(live, schema), Shape::of(applied, schema)) {
        (Shape::Map(live), Shape::Map(over)) => {
            let merged = live.iter().map(|(name, value)| match over.get(name) {
                Some(over) => (name.clone(), merge(value, over, schema.field(name).0)),
                None => (name.clone(), value.clone()),
            });
            let added = over.iter().filter(|(name, _)| !live.contains_key(*name));
            Value::Object(merged.chain(added.map(|(name, over)| (name.clone(), over.clone()))).collect())
        }
        (Shape::List(elements, items), Shape::List(over_elements, over_items)) => {
            merge_lists(&pairs(elements, items), &pairs(over_elements, over_items), schema)
        }
        (Shape::Map(_) | Shape::List(..), Shape::Leaf) if applied.is_null() => live.clone(),
        _ => applied.clone(),
    }
}

/// An object after the removal of fields.
pub(super) struct Pruned {
    /// The object, without maps and lists that became empty.
    pub(super) object: Value,
    /// Those maps and lists. The apiserver keeps them as nulls until it has computed ownership, so their owners keep
    /// them.
    pub(super) emptied: FieldSet,
}

/// Removes from a merged object the fields of the applier's last configuration, unless the new configuration or another
/// manager owns them. `managed` is the union of what all own.
pub(super) fn prune(merged: Value, last: &FieldSet, managed: &FieldSet, schema: &FieldSchema) -> Pruned {
    if last.is_subset(managed) {
        return Pruned { object: merged, emptied: FieldSet::default() };
    }
    let last = with_named(last, schema);
    let all = with_named(&fields_of(&merged, schema), schema);
    let left_without = |gone: &FieldSet| {
        let Pruned { object, emptied } = Pruned::of(&merged, gone, schema);
        with_named(&fields_of(&object, schema).union(emptied), schema)
    };
    let kept = left_without(&last).union(with_named(managed, schema));
    let kept = left_without(&all.clone().difference(&kept));
    Pruned::of(&merged, &all.difference(&kept).intersection(&last), schema)
}

/// How a value is traversed.
enum Shape<'a> {
    /// It is one field.
    Leaf,
    /// Each member is a field.
    Map(&'a Map<String, Value>),
    /// Each item is a field; its step is beside it.
    List(Vec<PathElement>, &'a [Value]),
}

type Pair<'a> = (PathElement, &'a Value);

// === impl Shape ===

impl<'a> Shape<'a> {
    fn of(value: &'a Value, schema: &FieldSchema) -> Self {
        match (schema, value) {
            (FieldSchema::Struct { .. } | FieldSchema::Map(_) | FieldSchema::Untyped, Value::Object(map)) => {
                Self::Map(map)
            }
            (FieldSchema::Set | FieldSchema::List { .. }, Value::Array(items)) => {
                elements(items, schema).map_or(Self::Leaf, |elements| Self::List(elements, items))
            }
            _ => Self::Leaf,
        }
    }

    fn of_optional(value: Option<&'a Value>, schema: &FieldSchema) -> Option<Self> {
        value.filter(|value| !value.is_null()).map(|value| Self::of(value, schema))
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Leaf => false,
            Self::Map(map) => map.is_empty(),
            Self::List(elements, _) => elements.is_empty(),
        }
    }

    fn members(&self) -> Vec<Pair<'a>> {
        match self {
            Self::Leaf => Vec::new(),
            Self::Map(map) => {
                map.iter().map(|(name, value)| (PathElement::Field(name.clone()), value)).collect()
            }
            Self::List(elements, items) => pairs(elements.clone(), items),
        }
    }

    fn get(&self, element: &PathElement) -> Option<&'a Value> {
        match (self, element) {
            (Self::Map(map), PathElement::Field(name)) => map.get(name),
            (Self::List(elements, items), _) => {
                elements.iter().position(|other| other == element).map(|position| &items[position])
            }
            _ => None,
        }
    }
}

/// The steps to the items of a list, or `None` if they can't be identified.
fn elements(items: &[Value], schema: &FieldSchema) -> Option<Vec<PathElement>> {
    let elements: Vec<_> = items.iter().map(|item| schema.element(item)).collect::<Option<_>>()?;
    let distinct: BTreeSet<_> = elements.iter().collect();
    (distinct.len() == elements.len()).then_some(elements)
}

fn pairs(elements: Vec<PathElement>, items: &[Value]) -> Vec<Pair<'_>> {
    elements.into_iter().zip(items).collect()
}

fn find<'a>(pairs: &[Pair<'a>], element: &PathElement) -> Option<&'a Value> {
    pairs.iter().find(|(other, _)| other == element).map(|(_, value)| *value)
}

// === impl Changes ===

impl Changes {
    fn compare(
        &mut self,
        path: &mut Vec<PathElement>,
        old: Option<&Value>,
        new: Option<&Value>,
        schema: &FieldSchema,
    ) {
        static EMPTY: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));
        let always = matches!(schema, FieldSchema::Struct { always: true, .. });
        let old = if always { old.or(Some(&EMPTY)) } else { old };
        let new = if always { new.or(Some(&EMPTY)) } else { new };
        match (Shape::of_optional(old, schema), Shape::of_optional(new, schema)) {
            (None | Some(Shape::Leaf), None | Some(Shape::Leaf)) => return self.leaf(path, old, new),
            (a, b) if a.as_ref().is_none_or(Shape::is_empty) && b.as_ref().is_none_or(Shape::is_empty) => {
                return self.leaf(path, old, new);
            }
            (Some(Shape::Leaf), Some(b)) => {
                self.written.insert(path);
                self.compare_below(path, None, Some(b), schema);
            }
            (Some(a), Some(Shape::Leaf)) => {
                self.written.insert(path);
                self.compare_below(path, Some(a), None, schema);
            }
            (a, b) => self.compare_below(path, a, b, schema),
        }
        if old.is_none() {
            self.written.insert(path);
        } else if new.is_none() {
            self.removed.insert(path);
        }
    }

    fn compare_below(
        &mut self,
        path: &mut Vec<PathElement>,
        old: Option<Shape<'_>>,
        new: Option<Shape<'_>>,
        schema: &FieldSchema,
    ) {
        let (old, new) = (old.unwrap_or(Shape::Leaf), new.unwrap_or(Shape::Leaf));
        let mut step = |element: PathElement, old: Option<&Value>, new: Option<&Value>| {
            let below = schema.below(&element).0;
            path.push(element);
            self.compare(path, old, new, below);
            path.pop();
        };
        for (element, value) in old.members() {
            let now = new.get(&element);
            step(element, Some(value), now);
        }
        for (element, value) in new.members().into_iter().filter(|(element, _)| old.get(element).is_none()) {
            step(element, None, Some(value));
        }
    }

    fn leaf(&mut self, path: &[PathElement], old: Option<&Value>, new: Option<&Value>) {
        if new.is_none() {
            self.removed.insert(path);
        } else if old != new {
            self.written.insert(path);
        }
    }
}

// === impl Pruned ===

impl Pruned {
    fn of(value: &Value, gone: &FieldSet, schema: &FieldSchema) -> Self {
        let mut emptied = FieldSet::default();
        let object =
            Self::remove(value, gone, schema, &mut emptied).unwrap_or_else(|| Value::Object(Map::new()));
        Self { object, emptied }
    }

    /// A value without some of its fields, or `None` if nothing is left, not even an emptied map or list.
    fn remove(value: &Value, gone: &FieldSet, schema: &FieldSchema, emptied: &mut FieldSet) -> Option<Value> {
        let mut keep = |element: &PathElement, value: &Value| match gone.at(element) {
            Branch { member: true, .. } => None,
            Branch { below, .. } if below.is_empty() => Some(value.clone()),
            Branch { below, .. } => {
                let mut emptied_below = FieldSet::default();
                let left = Self::remove(value, below, schema.below(element).0, &mut emptied_below);
                emptied.put(element.clone(), left.is_none(), emptied_below);
                left
            }
        };
        match Shape::of(value, schema) {
            Shape::Leaf => Some(value.clone()),
            Shape::Map(map) => {
                let kept = map.iter().filter_map(|(name, value)| {
                    let left = keep(&PathElement::Field(name.clone()), value)?;
                    Some((name.clone(), left))
                });
                let kept: Map<_, _> = kept.collect();
                (!kept.is_empty() || !emptied.is_empty()).then_some(Value::Object(kept))
            }
            Shape::List(elements, items) => {
                let kept = elements.iter().zip(items).filter_map(|(element, item)| keep(element, item));
                let kept: Vec<_> = kept.collect();
                (!kept.is_empty() || !emptied.is_empty()).then_some(Value::Array(kept))
            }
        }
    }
}

// === helpers ===

/// The items of both lists. Items of the configuration keep its order; an item that only the object has stays before the
/// configuration's item that it preceded.
fn merge_lists(live: &[Pair<'_>], applied: &[Pair<'_>], schema: &FieldSchema) -> Value {
    let mut merged = Vec::with_capacity(live.len() + applied.len());
    let mut left = live.iter().peekable();
    for (position, (element, over)) in applied.iter().enumerate() {
        let mut rest = applied[position..].iter().map(|(element, _)| element);
        let next_shared = rest.find(|element| find(live, element).is_some());
        while let Some((live, item)) = left.next_if(|(live, _)| Some(live) != next_shared) {
            if find(applied, live).is_none() {
                merged.push((*item).clone());
            }
        }
        let item = find(live, element);
        merged.push(item.map_or_else(|| (*over).clone(), |item| merge(item, over, schema.item())));
        left.next_if(|(live, _)| live == element);
    }
    merged.extend(left.filter(|(live, _)| find(applied, live).is_none()).map(|(_, item)| (*item).clone()));
    Value::Array(merged)
}

/// A set extended by each structure field below which it has a path.
fn with_named(set: &FieldSet, schema: &FieldSchema) -> FieldSet {
    let mut set = set.clone();
    for (element, branch) in set.branches_mut() {
        let (below, named) = schema.below(element);
        branch.member |= named;
        branch.below = with_named(&branch.below, below);
    }
    set
}
