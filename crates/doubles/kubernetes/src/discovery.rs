//! Discovery of groups, versions and resources, in the legacy and the aggregated form.

use std::sync::Arc;

use axum::{body::Body, http::HeaderMap, response::Response};
use serde_json::{Value, json};

use super::{
    Server, crd,
    resources::{Builtin, Class, ResourceType, Version, api_version},
    view::json_response,
};

/// Answers a discovery path; none for other paths.
pub(super) fn answer(server: &Server, path: &str, headers: &HeaderMap) -> Option<Response> {
    let all = server.registry.all();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if let ["api"] | ["apis"] = parts.as_slice()
        && let Some(version) = aggregated(headers)
    {
        return Some(aggregate(&all, parts == ["api"], version));
    }
    let value = match parts.as_slice() {
        ["version"] => version(),
        ["api"] => json!({
            "kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs":
                [{ "clientCIDR": "0.0.0.0/0", "serverAddress": server.address.to_string() }],
        }),
        ["apis"] => {
            let groups: Vec<_> = groups(&all).iter().map(|group| group_entry(&all, group)).collect();
            json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
        }
        ["api", "v1"] => resource_list(&all, "", "v1")?,
        ["apis", group, version] => resource_list(&all, group, version)?,
        ["apis", group] if groups(&all).iter().any(|known| known == group) => {
            let mut entry = json!({ "kind": "APIGroup", "apiVersion": "v1" });
            let fields = group_entry(&all, group);
            for (name, value) in fields.as_object().into_iter().flatten() {
                entry[name] = value.clone();
            }
            entry
        }
        _ => return None,
    };
    Some(json_response(200, &value))
}

fn version() -> Value {
    json!({
        "major": "1", "minor": "33", "gitVersion": "v1.33.0+secret-service-double", "gitCommit": "",
        "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// The version of the aggregated form that the client prefers, if it accepts any.
fn aggregated(headers: &HeaderMap) -> Option<&'static str> {
    let accept = headers.get("accept")?.to_str().ok()?;
    let json_ranges = accept.split(',').filter(|range| range.trim_start().starts_with("application/json"));
    let mut wanted = json_ranges.filter(|range| range.contains("as=APIGroupDiscoveryList"));
    wanted.find_map(|range| {
        let is = |version: &str| range.split(';').any(|part| part.trim() == format!("v={version}"));
        if is("v2") { Some("v2") } else { is("v2beta1").then_some("v2beta1") }
    })
}

fn aggregate(all: &[Arc<ResourceType>], core: bool, version: &str) -> Response {
    let names = if core { vec![String::new()] } else { groups(all) };
    let items: Vec<_> = names
        .iter()
        .map(|group| {
            let versions: Vec<_> = versions(all, group)
                .iter()
                .map(|version| {
                    let resources: Vec<_> = members(all, group, version).map(aggregated_resource).collect();
                    json!({ "version": version, "resources": resources, "freshness": "Current" })
                })
                .collect();
            let metadata = if group.is_empty() { json!({}) } else { json!({ "name": group }) };
            json!({ "metadata": metadata, "versions": versions })
        })
        .collect();
    let list = json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {}, "items": items,
    });
    let media_type = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
    let response = Response::builder().header("content-type", media_type);
    response.body(Body::from(list.to_string())).expect("a media type is a valid header")
}

fn aggregated_resource((resource, version): (&ResourceType, &Version)) -> Value {
    let kind = json!({
        "group": resource.group, "version": version.name, "kind": resource.kind,
    });
    let mut entry = json!({
        "resource": resource.plural, "responseKind": kind, "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": verbs(resource),
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    if version.status {
        entry["subresources"] =
            json!([{ "subresource": "status", "responseKind": kind, "verbs": ["get", "patch", "update"] }]);
    }
    entry
}

fn group_entry(all: &[Arc<ResourceType>], group: &str) -> Value {
    let versions: Vec<_> = versions(all, group)
        .iter()
        .map(|version| json!({ "groupVersion": api_version(group, version), "version": version }))
        .collect();
    json!({ "name": group, "versions": versions, "preferredVersion": versions.first() })
}

fn resource_list(all: &[Arc<ResourceType>], group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for (resource, version) in members(all, group, version) {
        let mut entry = json!({
            "name": resource.plural, "singularName": resource.singular, "namespaced": resource.namespaced,
            "kind": resource.kind, "verbs": verbs(resource),
        });
        if !resource.short_names.is_empty() {
            entry["shortNames"] = json!(resource.short_names);
        }
        if !resource.categories.is_empty() {
            entry["categories"] = json!(resource.categories);
        }
        resources.push(entry);
        if version.status {
            resources.push(json!({
                "name": format!("{}/status", resource.plural), "singularName": "",
                "namespaced": resource.namespaced, "kind": resource.kind, "verbs": ["get", "patch", "update"],
            }));
        }
    }
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version(group, version),
        "resources": resources,
    });
    (!resources.is_empty()).then_some(list)
}

fn verbs(resource: &ResourceType) -> &'static [&'static str] {
    match resource.class {
        Class::Review => &["create"],
        Class::Builtin(Builtin::Namespace) => {
            &["create", "delete", "get", "list", "patch", "update", "watch"]
        }
        _ => &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    }
}

/// The groups, in the order of registration.
fn groups(all: &[Arc<ResourceType>]) -> Vec<String> {
    let mut names = Vec::new();
    for resource in all.iter().filter(|resource| !resource.group.is_empty()) {
        if !names.contains(&resource.group) {
            names.push(resource.group.clone());
        }
    }
    names
}

/// The versions of a group, the preferred one first.
pub(super) fn versions(all: &[Arc<ResourceType>], group: &str) -> Vec<String> {
    let resources = all.iter().filter(|resource| resource.group == group);
    let mut names: Vec<_> =
        resources.flat_map(|resource| &resource.versions).map(|version| version.name.clone()).collect();
    names.sort_by_cached_key(|version| crd::priority(version));
    names.dedup();
    names
}

/// The resources of a group that are served at a version.
pub(super) fn members<'a>(
    all: &'a [Arc<ResourceType>],
    group: &'a str,
    version: &'a str,
) -> impl Iterator<Item = (&'a ResourceType, &'a Version)> {
    let resources = all.iter().filter(move |resource| resource.group == group);
    resources.filter_map(move |resource| {
        let found = resource.versions.iter().find(|served| served.name == version)?;
        Some((&**resource, found))
    })
}
