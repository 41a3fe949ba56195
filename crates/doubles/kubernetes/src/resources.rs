//! The served resources: built-in ones, and those of the installed CustomResourceDefinitions.

use std::sync::Arc;

use parking_lot::RwLock;
use serde_json::Value;

use super::{
    crd,
    fields::FieldSchema,
    object::{meta, text},
    schema::CustomSchema,
    status::Subject,
    store::Store,
};

/// The resources that are served now.
pub(super) struct Registry(RwLock<Arc<Vec<Arc<ResourceType>>>>);

/// A resource in all its versions.
pub(super) struct ResourceType {
    /// `GROUP/PLURAL`: its name in the store.
    pub id: String,
    pub group: String,
    pub plural: String,
    pub singular: String,
    pub kind: String,
    pub list_kind: String,
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
    pub namespaced: bool,
    pub class: Class,
    /// The version in which objects are stored.
    pub storage: String,
    /// The served versions, the preferred one first.
    pub versions: Vec<Version>,
}

/// The class of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Builtin(Builtin),
    Custom,
    /// A review: answered, not stored.
    Review,
}

/// The built-in resources that are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Builtin {
    Namespace,
    Secret,
    ServiceAccount,
    ConfigMap,
    Event,
    Lease,
    Crd,
}

/// One served version.
pub(super) struct Version {
    pub name: String,
    /// Whether it has the status subresource.
    pub status: bool,
    pub fields: FieldSchema,
    /// Of custom resources.
    pub schema: Option<CustomSchema>,
    /// The `additionalPrinterColumns` of custom resources.
    pub columns: Vec<Value>,
}

/// A resource at the version that a request names.
#[derive(Clone)]
pub(super) struct Served {
    pub resource: Arc<ResourceType>,
    index: usize,
}

pub(super) const NAMESPACES: &str = "/namespaces";
pub(super) const CRDS: &str = "apiextensions.k8s.io/customresourcedefinitions";

// === impl Registry ===

impl Registry {
    pub fn new(store: &Store) -> Self {
        let registry = Self(RwLock::default());
        registry.rebuild(store);
        registry
    }

    /// Reads the CustomResourceDefinitions again.
    pub fn rebuild(&self, store: &Store) {
        let mut all = builtins();
        let definitions = store.list(CRDS, "", None).map(|snapshot| snapshot.items).unwrap_or_default();
        for (_, definition) in definitions {
            all.extend(custom(&definition.value).map(Arc::new));
        }
        *self.0.write() = Arc::new(all);
    }

    pub fn all(&self) -> Arc<Vec<Arc<ResourceType>>> {
        self.0.read().clone()
    }

    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Served> {
        let all = self.all();
        let resource = all.iter().find(|resource| resource.group == group && resource.plural == plural)?;
        let index = resource.versions.iter().position(|served| served.name == version)?;
        Some(Served { resource: resource.clone(), index })
    }

    /// A resource by its name in the store, at its preferred version.
    pub fn by_id(&self, id: &str) -> Option<Served> {
        let resource = self.all().iter().find(|resource| resource.id == id)?.clone();
        Some(Served { resource, index: 0 })
    }

    /// The resource of a kind, if it is served at `api_version`.
    pub fn of_kind(&self, api_version: &str, kind: &str) -> Option<Arc<ResourceType>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let is_it = |resource: &&Arc<ResourceType>| {
            resource.group == group
                && resource.kind == kind
                && resource.versions.iter().any(|served| served.name == version)
        };
        self.all().iter().find(is_it).cloned()
    }

    /// Whether a group and version are served.
    pub fn has_version(&self, group: &str, version: &str) -> bool {
        let serves = |resource: &Arc<ResourceType>| {
            resource.group == group && resource.versions.iter().any(|served| served.name == version)
        };
        self.all().iter().any(serves)
    }
}

// === impl Served ===

impl Served {
    pub fn version(&self) -> &Version {
        &self.resource.versions[self.index]
    }

    pub fn api_version(&self) -> String {
        api_version(&self.resource.group, &self.version().name)
    }

    /// The name of an object in errors.
    pub fn subject<'a>(&'a self, name: &'a str) -> Subject<'a> {
        Subject { group: &self.resource.group, resource: &self.resource.plural, name }
    }

    /// The name of an object in validation errors: by kind.
    pub fn kind_subject<'a>(&'a self, name: &'a str) -> Subject<'a> {
        Subject { group: &self.resource.group, resource: &self.resource.kind, name }
    }

    pub fn builtin(&self) -> Option<Builtin> {
        match self.resource.class {
            Class::Builtin(builtin) => Some(builtin),
            Class::Custom | Class::Review => None,
        }
    }

    pub fn is_custom(&self) -> bool {
        self.resource.class == Class::Custom
    }
}

pub(super) fn api_version(group: &str, version: &str) -> String {
    match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

/// A custom version from its entry in `spec.versions`.
fn custom_version(entry: &Value) -> Version {
    let schema = entry.pointer("/schema/openAPIV3Schema").cloned().unwrap_or_default();
    let status = entry.pointer("/subresources/status").is_some();
    Version {
        name: text(entry, "/name").to_owned(),
        status,
        fields: FieldSchema::custom(&schema),
        schema: Some(CustomSchema::new(schema, status)),
        columns: entry["additionalPrinterColumns"].as_array().cloned().unwrap_or_default(),
    }
}

/// A resource from a definition; none if it isn't established.
fn custom(definition: &Value) -> Option<ResourceType> {
    let spec = definition.get("spec")?;
    let names = definition.pointer("/status/acceptedNames").or_else(|| spec.get("names"))?;
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut versions: Vec<&Value> = spec["versions"].as_array()?.iter().collect();
    let storage = versions.iter().find(|version| version["storage"] == true)?;
    let storage = text(storage, "/name").to_owned();
    versions.retain(|version| version["served"] == true);
    versions.sort_by_cached_key(|version| crd::priority(text(version, "/name")));
    let (group, plural) = (text(spec, "/group"), text(names, "/plural"));
    debug_assert_eq!(meta(definition, "name"), format!("{plural}.{group}"));
    Some(ResourceType {
        id: format!("{group}/{plural}"),
        group: group.to_owned(),
        plural: plural.to_owned(),
        singular: text(names, "/singular").to_owned(),
        kind: text(names, "/kind").to_owned(),
        list_kind: text(names, "/listKind").to_owned(),
        short_names: strings(&names["shortNames"]),
        categories: strings(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        class: Class::Custom,
        storage,
        versions: versions.into_iter().map(custom_version).collect(),
    })
}

fn builtins() -> Vec<Arc<ResourceType>> {
    use Builtin::{ConfigMap, Crd, Event, Lease, Namespace, Secret, ServiceAccount};
    let stored = |builtin| Class::Builtin(builtin);
    let (core, authentication, authorization) = ("", "authentication.k8s.io", "authorization.k8s.io");
    let crd_plural = "customresourcedefinitions";
    [
        builtin(core, "namespaces", "Namespace", &["ns"], false, stored(Namespace)),
        builtin(core, "secrets", "Secret", &[], true, stored(Secret)),
        builtin(core, "serviceaccounts", "ServiceAccount", &["sa"], true, stored(ServiceAccount)),
        builtin(core, "configmaps", "ConfigMap", &["cm"], true, stored(ConfigMap)),
        builtin(core, "events", "Event", &["ev"], true, stored(Event)),
        builtin("coordination.k8s.io", "leases", "Lease", &[], true, stored(Lease)),
        builtin(
            "apiextensions.k8s.io",
            crd_plural,
            "CustomResourceDefinition",
            &["crd", "crds"],
            false,
            stored(Crd),
        ),
        builtin(authentication, "tokenreviews", "TokenReview", &[], false, Class::Review),
        builtin(authentication, "selfsubjectreviews", "SelfSubjectReview", &[], false, Class::Review),
        builtin(authorization, "subjectaccessreviews", "SubjectAccessReview", &[], false, Class::Review),
        builtin(
            authorization,
            "localsubjectaccessreviews",
            "LocalSubjectAccessReview",
            &[],
            true,
            Class::Review,
        ),
        builtin(
            authorization,
            "selfsubjectaccessreviews",
            "SelfSubjectAccessReview",
            &[],
            false,
            Class::Review,
        ),
        builtin(
            authorization,
            "selfsubjectrulesreviews",
            "SelfSubjectRulesReview",
            &[],
            false,
            Class::Review,
        ),
    ]
    .into_iter()
    .map(Arc::new)
    .collect()
}

fn builtin(
    group: &str,
    plural: &str,
    kind: &str,
    short_names: &[&str],
    namespaced: bool,
    class: Class,
) -> ResourceType {
    let status = matches!(class, Class::Builtin(Builtin::Namespace | Builtin::Crd));
    let categories: &[&str] = if kind == "CustomResourceDefinition" { &["api-extensions"] } else { &[] };
    ResourceType {
        id: format!("{group}/{plural}"),
        group: group.to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        short_names: short_names.iter().map(ToString::to_string).collect(),
        categories: categories.iter().map(ToString::to_string).collect(),
        namespaced,
        class,
        storage: "v1".to_owned(),
        versions: vec![Version {
            name: "v1".to_owned(),
            status,
            fields: FieldSchema::builtin(group, kind),
            schema: None,
            columns: Vec::new(),
        }],
    }
}
