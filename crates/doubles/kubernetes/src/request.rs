//! Parses a request: its path, its query and its verb.

use std::collections::HashMap;

use axum::http::{Method, Uri};

use super::{
    auth::Attributes,
    faults::RequestInfo,
    resources::Served,
    status::{ApiError, Cause},
};

/// The maximum length of a field manager's name.
const MOST_OF_A_MANAGER: usize = 128;

/// The parts of a path below `/api` or `/apis` that name a resource.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ResourcePath {
    pub group: String,
    pub version: String,
    /// Empty for all namespaces and for cluster-scoped resources.
    pub namespace: String,
    pub plural: String,
    /// Empty for a collection.
    pub name: String,
    /// Empty for the object itself.
    pub subresource: String,
}

/// The query parameters.
pub(super) struct Query(HashMap<String, String>);

/// A request for a resource that is served.
#[derive(Clone)]
pub(super) struct Target {
    pub served: Served,
    pub namespace: String,
    pub name: String,
    pub subresource: String,
}

/// How unknown fields are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

// === impl ResourcePath ===

impl ResourcePath {
    pub fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            // The namespaces themselves and their subresources.
            ["namespaces", _, "status" | "finalize"] if group.is_empty() => ("", rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, "", ""),
            [plural, name] => (*plural, *name, ""),
            [plural, name, subresource] => (*plural, *name, *subresource),
            _ => return None,
        };
        let owned = str::to_owned;
        Some(Self {
            group: owned(group),
            version: owned(version),
            namespace: owned(namespace),
            plural: owned(plural),
            name: owned(name),
            subresource: owned(subresource),
        })
    }

    /// The verb of a request; none for methods that the path doesn't have.
    pub fn verb(&self, method: &Method, query: &Query) -> Option<&'static str> {
        Some(match (method, self.name.is_empty()) {
            (&Method::GET, true) if query.flag("watch") => "watch",
            (&Method::GET, true) => "list",
            (&Method::GET, false) => "get",
            (&Method::POST, _) => "create",
            (&Method::PUT, false) => "update",
            (&Method::PATCH, false) => "patch",
            (&Method::DELETE, false) => "delete",
            (&Method::DELETE, true) => "deletecollection",
            _ => return None,
        })
    }

    pub fn attributes<'a>(&'a self, verb: &'a str) -> Attributes<'a> {
        // A namespace is cluster-scoped, but authorization for it is in itself.
        let own = self.group.is_empty() && self.plural == "namespaces";
        Attributes {
            verb,
            group: &self.group,
            resource: &self.plural,
            subresource: &self.subresource,
            namespace: if own { &self.name } else { &self.namespace },
            name: &self.name,
        }
    }

    pub fn info<'a>(&'a self, verb: &'a str) -> RequestInfo<'a> {
        RequestInfo { verb, resource: &self.plural, namespace: &self.namespace, name: &self.name }
    }
}

// === impl Query ===

impl Query {
    pub fn parse(uri: &Uri) -> Self {
        let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), "true" | "1" | "t" | "T" | "TRUE" | "True")
    }

    /// A whole number; absent if missing or zero.
    pub fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        match self.get(name) {
            "" | "0" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                let problem = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
                ApiError::bad_request(format!("{name}: Invalid value: {text:?}: {problem}"))
            }),
        }
    }

    /// Refuses invalid options of a write.
    pub fn check_options(&self, verb: &str, is_apply: bool) -> Result<(), ApiError> {
        let options = match verb {
            "create" => "CreateOptions",
            "update" => "UpdateOptions",
            "patch" => "PatchOptions",
            "delete" | "deletecollection" => "DeleteOptions",
            _ => return Ok(()),
        };
        let refuse = |cause| Err(ApiError::invalid_options(options, cause));
        let manager = self.get("fieldManager");
        if is_apply && manager.is_empty() {
            return refuse(Cause::required("fieldManager", "is required for apply patch"));
        }
        if self.has("force") && verb == "patch" && !is_apply {
            return refuse(Cause::forbidden("force", "may not be specified for non-apply patch"));
        }
        if manager.len() > MOST_OF_A_MANAGER {
            return refuse(Cause::too_long("fieldManager", MOST_OF_A_MANAGER));
        }
        if let Some((at, c)) = manager.char_indices().find(|(_, c)| c.is_control()) {
            let rule = format!("invalid character U+{:04X} (at position {at})", u32::from(c));
            return refuse(Cause::invalid("fieldManager", manager, &rule));
        }
        if !self.get("dryRun").is_empty() {
            dry_run(options, self.get("dryRun"))?;
        }
        match self.get("fieldValidation") {
            "" | "Ignore" | "Warn" | "Strict" => Ok(()),
            other => {
                let known = ["", "Ignore", "Strict", "Warn"];
                refuse(Cause::not_supported("fieldValidation", &format!("{other:?}"), &known))
            }
        }
    }

    /// Whether the request is a dry run.
    pub fn dry_run(&self) -> bool {
        self.has("dryRun")
    }

    pub fn field_validation(&self) -> FieldValidation {
        match self.get("fieldValidation") {
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            _ => FieldValidation::Warn,
        }
    }
}

/// Checks the value of `dryRun`.
pub(super) fn dry_run(options: &str, value: &str) -> Result<bool, ApiError> {
    if value == "All" {
        return Ok(true);
    }
    let cause = Cause::not_supported("dryRun", &format!("[{value:?}]"), &["All"]);
    Err(ApiError::invalid_options(options, cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_parsed_with_and_without_namespace_name_and_subresource() {
        let parsed = |path: &str| {
            let path = ResourcePath::parse(path).unwrap();
            [path.group, path.version, path.namespace, path.plural, path.name, path.subresource].join(" ")
        };
        assert_eq!(parsed("/api/v1/secrets"), " v1  secrets  ");
        assert_eq!(parsed("/api/v1/namespaces"), " v1  namespaces  ");
        assert_eq!(parsed("/api/v1/namespaces/a"), " v1  namespaces a ");
        assert_eq!(parsed("/api/v1/namespaces/a/status"), " v1  namespaces a status");
        assert_eq!(parsed("/api/v1/namespaces/a/secrets/b"), " v1 a secrets b ");
        assert_eq!(parsed("/apis/g.io/v1/namespaces/a/things/b/status"), "g.io v1 a things b status");
        assert_eq!(ResourcePath::parse("/api/v1"), None);
        assert_eq!(ResourcePath::parse("/version"), None);
    }
}
