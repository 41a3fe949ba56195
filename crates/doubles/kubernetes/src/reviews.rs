//! Token reviews and access reviews.

use serde_json::{Value, json};

use super::{
    Server,
    auth::{API_AUDIENCE, Attributes, MASTERS, User},
    object::text,
    status::ApiError,
};

/// Fills in the status of a review.
pub(super) fn answer(server: &Server, user: &User, kind: &str, mut review: Value) -> Result<Value, ApiError> {
    let spec = review["spec"].take();
    let status = match kind {
        "TokenReview" => token(server, &spec),
        "SelfSubjectReview" => json!({ "userInfo": user }),
        "SelfSubjectAccessReview" => access(server, user, &spec),
        "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            let requested = reviewed_user(&spec)?;
            access(server, &requested, &spec)
        }
        "SelfSubjectRulesReview" => rules(server, user, text(&spec, "/namespace")),
        _ => return Err(ApiError::no_such_resource()),
    };
    review["metadata"] = json!({ "creationTimestamp": null });
    if kind != "SelfSubjectReview" {
        review["spec"] = spec;
    } else if let Some(fields) = review.as_object_mut() {
        fields.shift_remove("spec");
    }
    review["status"] = status;
    Ok(review)
}

fn token(server: &Server, spec: &Value) -> Value {
    let requested = spec["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let requested: Vec<&str> = requested.collect();
    let wanted = if requested.is_empty() { vec![API_AUDIENCE] } else { requested };
    match server.policy.authenticate(text(spec, "/token"), &wanted) {
        Some((user, audiences)) => json!({ "authenticated": true, "user": user, "audiences": audiences }),
        None => json!({ "user": {}, "error": "[invalid bearer token, token lookup failed]" }),
    }
}

fn reviewed_user(spec: &Value) -> Result<User, ApiError> {
    let groups = spec["groups"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let user = User {
        username: text(spec, "/user").to_owned(),
        uid: text(spec, "/uid").to_owned(),
        groups: groups.map(str::to_owned).collect(),
    };
    if user.username.is_empty() && user.groups.is_empty() {
        return Err(ApiError::new(
            422,
            "Invalid",
            "SubjectAccessReview.authorization.k8s.io \"\" is invalid: spec.user: Invalid value: \"\": at least one of user or group must be specified",
        ));
    }
    Ok(user)
}

fn access(server: &Server, user: &User, spec: &Value) -> Value {
    let attribute = |name: &str| text(spec, &format!("/resourceAttributes/{name}"));
    let allowed = if spec.get("resourceAttributes").is_some() {
        let wanted = Attributes {
            verb: attribute("verb"),
            group: attribute("group"),
            resource: attribute("resource"),
            subresource: attribute("subresource"),
            namespace: attribute("namespace"),
            name: attribute("name"),
        };
        server.policy.may(user, &wanted)
    } else {
        user.groups.iter().any(|group| group == MASTERS)
    };
    match allowed {
        true => json!({ "allowed": true }),
        false => json!({ "allowed": false }),
    }
}

fn rules(server: &Server, user: &User, namespace: &str) -> Value {
    let rules = server.policy.rules(user, namespace).into_iter().map(|rule| {
        let mut shown = json!({ "verbs": rule.verbs, "apiGroups": rule.groups, "resources": rule.resources });
        if !rule.names.is_empty() {
            shown["resourceNames"] = json!(rule.names);
        }
        shown
    });
    json!({ "resourceRules": rules.collect::<Vec<_>>(), "nonResourceRules": [], "incomplete": false })
}
