//! What field management needs of a type: which maps and lists are granular, and which are atomic.

use std::collections::BTreeMap;

use serde_json::Value;

use super::set::{PathElement, Scalar};

/// The type of a value, for ownership of its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldSchema {
    /// Atomic: a scalar, or a map or list that is set as a whole.
    Atomic,
    /// Decided by the value: objects are granular, everything else is atomic.
    Untyped,
    /// A structure with known fields. Unknown fields are [`FieldSchema::Untyped`].
    Struct {
        /// The fields by name.
        fields: BTreeMap<String, FieldSchema>,
        /// Whether every object has it, even if empty, so that nobody adds or removes it.
        always: bool,
    },
    /// A map whose keys are data, with the type of its values.
    Map(Box<FieldSchema>),
    /// A list of unique scalars.
    Set,
    /// A list of objects with key fields.
    List {
        /// The key fields in alphabetical order, with their defaults.
        keys: Vec<(String, Option<Value>)>,
        /// The type of the items.
        item: Box<FieldSchema>,
    },
}

static UNTYPED: FieldSchema = FieldSchema::Untyped;

// === builtin and custom types ===

impl FieldSchema {
    /// The type of a built-in kind, such as `("", "Secret")`. For unknown kinds, only the metadata is typed.
    pub fn builtin(group: &str, kind: &str) -> Self {
        match (group, kind) {
            ("", "Secret") => object([("data", map()), ("stringData", map())]),
            ("", "ConfigMap") => object([("data", map()), ("binaryData", map())]),
            ("", "ServiceAccount") => {
                object([("secrets", list("name", Self::Atomic)), ("imagePullSecrets", Self::Atomic)])
            }
            ("", "Namespace") => {
                let status = [("conditions", list("type", structure([])))];
                object([("spec", always([("finalizers", Self::Atomic)])), ("status", always(status))])
            }
            ("" | "events.k8s.io", "Event") => object([
                ("involvedObject", Self::Atomic),
                ("regarding", Self::Atomic),
                ("related", Self::Atomic),
                ("source", always([])),
                ("deprecatedSource", always([])),
                ("series", structure([])),
            ]),
            ("coordination.k8s.io", "Lease") => object([("spec", always([]))]),
            ("apiextensions.k8s.io", "CustomResourceDefinition") => object([
                ("spec", always([("names", always([])), ("conversion", conversion())])),
                (
                    "status",
                    always([("acceptedNames", always([])), ("conditions", list("type", structure([])))]),
                ),
            ]),
            _ => object([]),
        }
    }

    /// The type of a custom resource, from the `openAPIV3Schema` of its version.
    pub fn custom(openapi_v3_schema: &Value) -> Self {
        let mut fields = match Self::of_openapi(openapi_v3_schema) {
            Self::Struct { fields, .. } => fields,
            _ => BTreeMap::new(),
        };
        fields.extend(object_fields());
        Self::Struct { fields, always: true }
    }

    fn of_openapi(schema: &Value) -> Self {
        let says = |keyword: &str, word: &str| schema[keyword] == word;
        if says("x-kubernetes-map-type", "atomic") || schema["x-kubernetes-int-or-string"] == true {
            return Self::Atomic;
        }
        match schema["type"].as_str() {
            Some("array") if says("x-kubernetes-list-type", "set") => Self::Set,
            Some("array") if says("x-kubernetes-list-type", "map") => Self::list_of_openapi(schema),
            Some("object") => match (schema.get("properties"), schema.get("additionalProperties")) {
                (None, Some(values @ Value::Object(_))) => Self::Map(Box::new(Self::of_openapi(values))),
                (None, _) => Self::Untyped,
                (Some(properties), _) => {
                    let fields = properties.as_object().into_iter().flatten();
                    let fields =
                        fields.map(|(name, field)| (name.clone(), Self::of_openapi(field))).collect();
                    Self::Struct { fields, always: false }
                }
            },
            None if schema["x-kubernetes-preserve-unknown-fields"] == true => Self::Untyped,
            _ => Self::Atomic,
        }
    }

    fn list_of_openapi(schema: &Value) -> Self {
        let items = &schema["items"];
        let default = |name: &str| items["properties"][name].get("default").cloned();
        let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
        let mut keys: Vec<_> =
            keys.filter_map(Value::as_str).map(|name| (name.to_owned(), default(name))).collect();
        keys.sort_by(|(a, _), (b, _)| a.cmp(b));
        Self::List { keys, item: Box::new(Self::of_openapi(items)) }
    }
}

// === steps from a value of the type ===

impl FieldSchema {
    /// The type at a step, and whether the step is a field of the type itself.
    pub(super) fn below(&self, element: &PathElement) -> (&Self, bool) {
        match element {
            PathElement::Field(name) => self.field(name),
            _ => (self.item(), false),
        }
    }

    /// The type of a field, and whether the type itself has it.
    pub(super) fn field(&self, name: &str) -> (&Self, bool) {
        match self {
            Self::Struct { fields, .. } => fields.get(name).map_or((&UNTYPED, false), |field| (field, true)),
            Self::Map(values) => (values, false),
            _ => (&UNTYPED, false),
        }
    }

    /// The type of an item of a list.
    pub(super) fn item(&self) -> &Self {
        match self {
            Self::List { item, .. } => item,
            _ => &Self::Atomic,
        }
    }

    /// The step to an item of a list, if the type has keys and the item has their values.
    pub(super) fn element(&self, item: &Value) -> Option<PathElement> {
        match self {
            Self::Set => Some(PathElement::Value(Scalar::of(item))),
            Self::List { keys, .. } => {
                let key = |(name, default): &(String, Option<Value>)| {
                    let value = item.get(name).or(default.as_ref())?;
                    Some((name.clone(), Scalar::of(value)))
                };
                let key: Vec<_> = keys.iter().filter_map(key).collect();
                (!key.is_empty()).then_some(PathElement::Key(key))
            }
            _ => None,
        }
    }
}

// === constructors of types; omitted fields are scalars ===

fn object<const N: usize>(own: [(&str, FieldSchema); N]) -> FieldSchema {
    let own = own.into_iter().map(|(name, field)| (name.to_owned(), field));
    FieldSchema::Struct { fields: own.chain(object_fields()).collect(), always: true }
}

fn object_fields() -> impl Iterator<Item = (String, FieldSchema)> {
    let metadata = always([
        ("annotations", map()),
        ("labels", map()),
        ("finalizers", FieldSchema::Set),
        ("ownerReferences", list("uid", FieldSchema::Atomic)),
    ]);
    let fields = [("apiVersion", FieldSchema::Atomic), ("kind", FieldSchema::Atomic), ("metadata", metadata)];
    fields.into_iter().map(|(name, field)| (name.to_owned(), field))
}

fn structure<const N: usize>(fields: [(&str, FieldSchema); N]) -> FieldSchema {
    let fields = fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect();
    FieldSchema::Struct { fields, always: false }
}

fn always<const N: usize>(fields: [(&str, FieldSchema); N]) -> FieldSchema {
    let fields = fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect();
    FieldSchema::Struct { fields, always: true }
}

fn conversion() -> FieldSchema {
    let client = structure([("service", structure([]))]);
    structure([("webhook", structure([("clientConfig", client)]))])
}

fn map() -> FieldSchema {
    FieldSchema::Map(Box::new(FieldSchema::Atomic))
}

fn list(key: &str, item: FieldSchema) -> FieldSchema {
    FieldSchema::List { keys: vec![(key.to_owned(), None)], item: Box::new(item) }
}
