//! Create, update, patch and apply.

use axum::{
    http::{HeaderMap, header::USER_AGENT},
    response::Response,
};
use serde_json::{Value, json};

use super::{
    Server, decode,
    fields::{self, Manager},
    lifecycle, names,
    object::{Stored, has_finalizers, is_deleting, meta, metadata_mut, same, text},
    patch::{self, Patch},
    request::{FieldValidation, Query, Target},
    resources::{NAMESPACES, Served, api_version},
    status::ApiError,
    store::{CommitError, Key},
    validation,
    view::View,
};

/// How often a write without a resourceVersion is retried when the object changes meanwhile.
const ATTEMPTS: usize = 10;
/// The media type of a server-side apply.
pub(super) const APPLY: &str = "application/apply-patch+yaml";

/// A write request.
pub(super) struct Write<'a> {
    pub server: &'a Server,
    pub target: &'a Target,
    pub query: &'a Query,
    pub headers: &'a HeaderMap,
    pub view: View,
}

/// The result of a write.
struct Written {
    code: u16,
    object: Value,
    warnings: Vec<String>,
}

// === impl Write ===

impl Write<'_> {
    /// POST.
    pub async fn create(&self, body: &[u8]) -> Result<Response, ApiError> {
        let (served, validation) = (self.served(), self.query.field_validation());
        let mut object = decode::parse(decode::media_type(self.headers), body)?;
        decode::check_type(&mut object, served)?;
        self.target.check_place(&mut object)?;
        if meta(&object, "name").is_empty() && !meta(&object, "generateName").is_empty() {
            let name = names::generate(meta(&object, "generateName"));
            metadata_mut(&mut object).insert("name".to_owned(), json!(name));
        }
        if !meta(&object, "resourceVersion").is_empty() {
            return Err(ApiError::new(500, "", "resourceVersion should not be set on objects to be created"));
        }
        let warnings = decode::normalize(&mut object, served, validation)?;
        let manager = self.manager(self.query.get("fieldManager"));
        lifecycle::prepare_create(served, &mut object);
        let object = fields::update(None, object, &manager, &served.version().fields);
        let written = self.insert(object, warnings).await?;
        Ok(self.answer(&written))
    }

    /// PUT.
    pub async fn update(&self, body: &[u8]) -> Result<Response, ApiError> {
        let (served, validation) = (self.served(), self.query.field_validation());
        let mut object = decode::parse(decode::media_type(self.headers), body)?;
        decode::check_type(&mut object, served)?;
        self.target.check_place(&mut object)?;
        self.target.check_name(&object)?;
        let warnings = decode::normalize(&mut object, served, validation)?;
        let written = self.replace(warnings, |_| Ok(object.clone()), true).await?;
        Ok(self.answer(&written))
    }

    /// PATCH.
    pub async fn patch(&self, body: &[u8]) -> Result<Response, ApiError> {
        let media_type = decode::media_type(self.headers);
        if media_type == APPLY {
            return self.apply(body).await;
        }
        let (served, validation) = (self.served(), self.query.field_validation());
        let patch = Patch::parse(media_type, body, served.is_custom())?;
        let patched = |live: &Value| {
            let mut object = patch.apply(live)?;
            decode::check_type(&mut object, served).map_err(patch::unfit)?;
            self.target.check_place(&mut object)?;
            self.target.check_name(&object)?;
            decode::normalize(&mut object, served, validation).map_err(patch::unfit)?;
            Ok(object)
        };
        let written = self.replace(Vec::new(), patched, false).await?;
        Ok(self.answer(&written))
    }

    async fn apply(&self, body: &[u8]) -> Result<Response, ApiError> {
        let served = self.served();
        let mut applied = decode::parse_yaml(body)?;
        decode::check_type(&mut applied, served)?;
        if applied.pointer("/metadata/managedFields").is_some_and(|fields| *fields != json!([])) {
            return Err(ApiError::bad_request("metadata.managedFields must be nil"));
        }
        self.target.check_place(&mut applied)?;
        self.target.check_name(&applied)?;
        metadata_mut(&mut applied).entry("name").or_insert_with(|| json!(self.target.name));
        let unknown = decode::drop_unknown(&mut applied, served)?;
        if !unknown.is_empty() {
            return Err(self.target.undeclared(&unknown));
        }
        let written = self.merge(&applied, &self.manager(self.query.get("fieldManager"))).await?;
        Ok(self.answer(&written))
    }

    async fn merge(&self, applied: &Value, manager: &Manager) -> Result<Written, ApiError> {
        let (served, force) = (self.served(), self.query.flag("force"));
        let schema = &served.version().fields;
        for _ in 0..ATTEMPTS {
            let Some(stored) = self.live() else {
                self.target.check_absent(applied)?;
                let mut object = fields::apply(None, applied, manager, force, schema)
                    .map_err(|conflicts| ApiError::field_conflicts(&conflicts))?;
                decode::normalize(&mut object, served, FieldValidation::Ignore)?;
                lifecycle::prepare_create(served, &mut object);
                match self.insert(object, Vec::new()).await {
                    // Somebody else was faster: merge into their object.
                    Err(error) if error.reason == "AlreadyExists" => continue,
                    result => return result,
                }
            };
            let live = self.as_served(&stored);
            self.target.check_preconditions(&live, applied, false)?;
            let mut object = fields::apply(Some(&live), applied, manager, force, schema)
                .map_err(|conflicts| ApiError::field_conflicts(&conflicts))?;
            decode::normalize(&mut object, served, FieldValidation::Ignore)?;
            lifecycle::prepare_update(served, &live, &mut object, &self.target.subresource);
            if let Some(object) = self.exchange(&stored, &live, object).await? {
                return Ok(Written { code: 200, object, warnings: Vec::new() });
            }
        }
        Err(ApiError::modified(served.subject(&self.target.name)))
    }

    /// Replaces the live object by a new state computed from it.
    async fn replace(
        &self,
        warnings: Vec<String>,
        change: impl Fn(&Value) -> Result<Value, ApiError>,
        whole: bool,
    ) -> Result<Written, ApiError> {
        let served = self.served();
        let manager = self.manager(self.query.get("fieldManager"));
        for _ in 0..ATTEMPTS {
            let stored = self.live().ok_or_else(|| ApiError::not_found(served.subject(&self.target.name)))?;
            let live = self.as_served(&stored);
            let mut object = change(&live)?;
            self.target.check_preconditions(&live, &object, whole)?;
            lifecycle::prepare_update(served, &live, &mut object, &self.target.subresource);
            let object = fields::update(Some(&live), object, &manager, &served.version().fields);
            if let Some(object) = self.exchange(&stored, &live, object).await? {
                return Ok(Written { code: 200, object, warnings });
            }
        }
        Err(ApiError::modified(served.subject(&self.target.name)))
    }

    async fn insert(&self, mut object: Value, warnings: Vec<String>) -> Result<Written, ApiError> {
        let (served, name) = (self.served(), meta(&object, "name").to_owned());
        lifecycle::check_namespace(self.server, served, &self.target.namespace, &name)?;
        lifecycle::complete(served, &mut object);
        validation::validate(served, None, &object)?;
        let key = Key { namespace: self.target.namespace.clone(), name: name.clone() };
        let written = |object| Ok(Written { code: 201, object, warnings });
        if self.query.dry_run() {
            return match self.server.store.get(&served.resource.id, &key) {
                Some(_) => Err(ApiError::already_exists(served.subject(&name))),
                None => written(object),
            };
        }
        let stored = to_storage(served, object);
        match self.server.store.put(&served.resource.id, &key, None, stored).await {
            Ok(stored) => {
                self.server.changed(served);
                written(self.as_served(&stored))
            }
            Err(CommitError::Raced) => Err(ApiError::already_exists(served.subject(&name))),
            Err(CommitError::Disk) => Err(ApiError::internal("the state can't be written")),
        }
    }

    /// Replaces the live object; none if it has changed meanwhile.
    async fn exchange(
        &self,
        stored: &Stored,
        live: &Value,
        mut object: Value,
    ) -> Result<Option<Value>, ApiError> {
        let served = self.served();
        lifecycle::complete(served, &mut object);
        validation::validate(served, Some(live), &object)?;
        if same(live, &object) {
            return Ok(Some(live.clone()));
        }
        if self.query.dry_run() {
            return Ok(Some(object));
        }
        let key = self.key();
        let id = &served.resource.id;
        let finished = is_deleting(&object) && !has_finalizers(&object);
        let object = to_storage(served, object);
        let result = if finished && id != NAMESPACES {
            self.server.store.remove(id, &key, stored.revision, object).await
        } else {
            self.server.store.put(id, &key, Some(stored.revision), object).await
        };
        match result {
            Ok(stored) => {
                if finished {
                    self.server.deleted(served)
                } else {
                    self.server.changed(served)
                }
                Ok(Some(self.as_served(&stored)))
            }
            Err(CommitError::Raced) => Ok(None),
            Err(CommitError::Disk) => Err(ApiError::internal("the state can't be written")),
        }
    }

    fn answer(&self, written: &Written) -> Response {
        self.view.one(written.code, self.served(), &written.object, &written.warnings)
    }

    fn served(&self) -> &Served {
        &self.target.served
    }

    fn key(&self) -> Key {
        Key { namespace: self.target.namespace.clone(), name: self.target.name.clone() }
    }

    fn live(&self) -> Option<std::sync::Arc<Stored>> {
        self.server.store.get(&self.served().resource.id, &self.key())
    }

    fn as_served(&self, stored: &Stored) -> Value {
        let mut object = stored.value.clone();
        object["apiVersion"] = json!(self.served().api_version());
        object
    }

    /// The field manager of this request: as named, or by the user agent.
    fn manager(&self, name: &str) -> Manager {
        let agent = self.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
        let name = match name {
            "" => agent.split('/').next().unwrap_or_default(),
            name => name,
        };
        Manager {
            name: name.to_owned(),
            api_version: self.served().api_version(),
            time: jiff::Timestamp::now(),
            subresource: self.target.subresource.clone(),
        }
    }
}

/// Sets the storage version of the resource, in which objects are stored.
fn to_storage(served: &Served, mut object: Value) -> Value {
    object["apiVersion"] = json!(api_version(&served.resource.group, &served.resource.storage));
    debug_assert!(!text(&object, "/kind").is_empty());
    object
}
