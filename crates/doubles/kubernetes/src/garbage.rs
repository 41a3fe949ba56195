//! The garbage collector: dependents whose owners are gone, and owners that wait for their dependents.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;

use super::{
    Server,
    delete::{self, FOREGROUND, ORPHAN, Policy},
    object::{Stored, finalizers, has_finalizers, is_deleting, meta, set_meta_list, text},
    resources::Served,
    store::Key,
};

/// An object of any resource.
struct Object {
    served: Served,
    key: Arc<Key>,
    stored: Arc<Stored>,
}

/// The target of an owner reference.
enum Owner<'a> {
    There(&'a Object),
    Gone,
    /// No resource of its kind is served, which may change.
    Unknown,
}

/// All objects, and the dependents of each.
struct Graph<'a> {
    server: &'a Server,
    objects: HashMap<(&'a str, &'a Key), &'a Object>,
    /// By the owner's uid: its dependents, and whether each blocks its foreground deletion.
    dependents: HashMap<&'a str, Vec<(&'a Object, bool)>>,
}

/// One round over all objects. The next round handles what changes meanwhile.
pub(super) async fn collect(server: &Server) {
    let all = everything(server);
    let graph = Graph::new(server, &all);
    for object in &all {
        if is_deleting(&object.stored.value) {
            graph.release(object).await;
        } else {
            graph.follow(object).await;
        }
    }
}

fn everything(server: &Server) -> Vec<Object> {
    let mut all = Vec::new();
    for resource in server.store.resources() {
        let Some(served) = server.registry.by_id(&resource) else { continue };
        let Ok(snapshot) = server.store.list(&resource, "", None) else { continue };
        let object = |(key, stored)| Object { served: served.clone(), key, stored };
        all.extend(snapshot.items.into_iter().map(object));
    }
    all
}

// === impl Graph ===

impl<'a> Graph<'a> {
    fn new(server: &'a Server, all: &'a [Object]) -> Self {
        let named = |object: &'a Object| ((object.served.resource.id.as_str(), &*object.key), object);
        let mut graph = Self { server, objects: all.iter().map(named).collect(), dependents: HashMap::new() };
        for dependent in all {
            for reference in dependent.owners() {
                if let Owner::There(owner) = graph.owner(dependent, reference) {
                    let blocks = reference["blockOwnerDeletion"] == true;
                    graph.dependents.entry(owner.uid()).or_default().push((dependent, blocks));
                }
            }
        }
        graph
    }

    /// An owner must match by kind, name and uid, and be cluster-scoped or in the namespace of its dependent.
    fn owner(&self, dependent: &Object, reference: &Value) -> Owner<'a> {
        let registry = &self.server.registry;
        let Some(resource) = registry.of_kind(text(reference, "/apiVersion"), text(reference, "/kind"))
        else {
            return Owner::Unknown;
        };
        let namespace = if resource.namespaced { dependent.key.namespace.clone() } else { String::new() };
        let key = Key { namespace, name: text(reference, "/name").to_owned() };
        match self.objects.get(&(resource.id.as_str(), &key)) {
            Some(owner) if owner.uid() == text(reference, "/uid") => Owner::There(owner),
            _ => Owner::Gone,
        }
    }

    /// Continues a deletion once no dependent blocks it.
    async fn release(&self, owner: &Object) {
        let dependents = self.dependents.get(owner.uid()).map(Vec::as_slice).unwrap_or_default();
        let has = |finalizer| finalizers(&owner.stored.value).any(|name| name == finalizer);
        if has(ORPHAN) {
            for (dependent, _) in dependents {
                self.disown(dependent, &[owner.uid()]).await;
            }
            if dependents.is_empty() {
                self.drop_finalizer(owner, ORPHAN).await;
            }
        } else if has(FOREGROUND) && !dependents.iter().any(|(_, blocks)| *blocks) {
            self.drop_finalizer(owner, FOREGROUND).await;
        }
    }

    /// Deletes a dependent without remaining owners; otherwise removes its references to owners that go.
    async fn follow(&self, dependent: &Object) {
        let (mut stay, mut wait, mut leave) = (false, false, Vec::new());
        for reference in dependent.owners() {
            match self.owner(dependent, reference) {
                Owner::There(owner) if owner.is_in_foreground() => {
                    wait = true;
                    leave.push(owner.uid());
                }
                Owner::There(_) => stay = true,
                Owner::Gone => leave.push(text(reference, "/uid")),
                Owner::Unknown => return,
            }
        }
        if leave.is_empty() {
            return;
        }
        if stay {
            return self.disown(dependent, &leave).await;
        }
        let owns = self.dependents.contains_key(dependent.uid());
        let policy = if wait && owns { Some(Policy::Foreground) } else { None };
        let Object { served, key, stored } = dependent;
        // It is gone or changed already: the next round handles it.
        let _ = delete::collect(self.server, served, key, stored, policy).await;
    }

    /// Removes owner references from dependents.
    async fn disown(&self, dependent: &Object, uids: &[&str]) {
        let stays = |reference: &&Value| !uids.contains(&text(reference, "/uid"));
        let mut object = dependent.stored.value.clone();
        set_meta_list(&mut object, "ownerReferences", dependent.owners().filter(stays).cloned().collect());
        self.exchange(dependent, object).await;
    }

    async fn drop_finalizer(&self, owner: &Object, name: &str) {
        let left = finalizers(&owner.stored.value).filter(|finalizer| *finalizer != name).map(Value::from);
        let mut object = owner.stored.value.clone();
        set_meta_list(&mut object, "finalizers", left.collect());
        self.exchange(owner, object).await;
    }

    /// Replaces an object that is unchanged since the beginning of the round. Otherwise the next round handles it.
    async fn exchange(&self, of: &Object, object: Value) {
        let (store, id) = (&self.server.store, &of.served.resource.id);
        let written = if is_deleting(&object) && !has_finalizers(&object) {
            store.remove(id, &of.key, of.stored.revision, object).await
        } else {
            store.put(id, &of.key, Some(of.stored.revision), object).await
        };
        if written.is_ok() {
            self.server.deleted(&of.served);
        }
    }
}

// === impl Object ===

impl Object {
    fn uid(&self) -> &str {
        meta(&self.stored.value, "uid")
    }

    fn owners(&self) -> impl Iterator<Item = &Value> {
        let owners = self.stored.value.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        owners.into_iter().flatten()
    }

    /// Whether it is being deleted and waits for its dependents.
    fn is_in_foreground(&self) -> bool {
        is_deleting(&self.stored.value) && finalizers(&self.stored.value).any(|name| name == FOREGROUND)
    }
}
