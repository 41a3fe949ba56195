//! Checks the object of a write against the path and the live object.

use serde_json::{Value, json};

use super::{
    object::{meta, metadata_mut},
    request::Target,
    resources::Builtin,
    status::{ApiError, Cause},
};

impl Target {
    /// Sets the namespace of the path, and refuses another one.
    pub fn check_place(&self, object: &mut Value) -> Result<(), ApiError> {
        let (found, wanted) = (meta(object, "namespace"), self.namespace.as_str());
        if !found.is_empty() && found != wanted {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        if !wanted.is_empty() {
            metadata_mut(object).insert("namespace".to_owned(), json!(wanted));
        }
        Ok(())
    }

    pub fn check_name(&self, object: &Value) -> Result<(), ApiError> {
        let (found, wanted) = (meta(object, "name"), self.name.as_str());
        if !found.is_empty() && found != wanted {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({found}) does not match the name on the URL ({wanted})"
            )));
        }
        Ok(())
    }

    /// An apply with a uid requires an existing object.
    pub fn check_absent(&self, applied: &Value) -> Result<(), ApiError> {
        let (served, uid) = (&self.served, meta(applied, "uid"));
        if !uid.is_empty() {
            let problem = format!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            );
            return Err(ApiError::conflict(served.subject(&self.name), &problem));
        }
        if !self.subresource.is_empty() {
            return Err(ApiError::not_found(served.subject(&self.name)));
        }
        Ok(())
    }

    /// The uid and the resourceVersion that an object was sent with, `whole` or as a patch.
    pub fn check_preconditions(&self, live: &Value, object: &Value, whole: bool) -> Result<(), ApiError> {
        let (served, name) = (&self.served, self.name.as_str());
        let (sent, current) = (meta(object, "uid"), meta(live, "uid"));
        if !sent.is_empty() && sent != current && !whole {
            let cause = Cause::invalid("metadata.uid", sent, "field is immutable");
            return Err(ApiError::invalid(served.kind_subject(name), vec![cause]));
        }
        if !sent.is_empty() && sent != current {
            let problem =
                format!("Precondition failed: UID in precondition: {sent}, UID in object meta: {current}");
            return Err(ApiError::conflict(served.subject(name), &problem));
        }
        let sent = meta(object, "resourceVersion");
        let unconditional =
            !served.is_custom() && !matches!(served.builtin(), Some(Builtin::Lease | Builtin::Crd));
        if sent.is_empty() && whole && !unconditional {
            let cause = Cause::new(
                "FieldValueInvalid",
                "Invalid value: 0: must be specified for an update",
                "metadata.resourceVersion",
            );
            // This error has the resource, not the kind.
            return Err(ApiError::invalid(served.subject(name), vec![cause]));
        }
        if !sent.is_empty() && sent != meta(live, "resourceVersion") {
            return Err(ApiError::modified(served.subject(name)));
        }
        Ok(())
    }

    /// The error for an apply of unknown fields: like the real server, 500 without a reason.
    pub fn undeclared(&self, paths: &[String]) -> ApiError {
        let lines: Vec<_> =
            paths.iter().map(|path| format!(".{path}: field not declared in schema")).collect();
        let list = match lines.as_slice() {
            [line] => line.clone(),
            lines => format!("errors:\n  {}", lines.join("\n  ")),
        };
        let (resource, version) = (&self.served.resource, &self.served.version().name);
        let (group, kind) = (&resource.group, &resource.kind);
        let object = format!("{}/{}; {group}/{version}, Kind={kind}", self.namespace, self.name);
        ApiError::new(500, "", format!("failed to create typed patch object ({object}): {list}"))
    }
}
