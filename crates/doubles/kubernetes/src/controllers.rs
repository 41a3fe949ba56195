//! The background controllers: namespaces and their content, and garbage collection.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    Server,
    delete::{self, Policy},
    garbage, lifecycle,
    object::{Stored, has_finalizers, is_deleting, text},
    resources::NAMESPACES,
    store::Key,
};

/// The minimum pause between rounds.
const PAUSE: Duration = Duration::from_millis(20);
/// The interval of rounds if something changed without a notification.
const EVERY: Duration = Duration::from_secs(1);

/// Runs rounds until the server stops.
pub(super) async fn run(server: Arc<Server>) {
    let mut seen = 0;
    loop {
        tokio::select! {
            () = server.work.notified() => {}
            () = tokio::time::sleep(EVERY) => if seen == server.store.revision() { continue },
            () = server.closing.cancelled() => return,
        }
        seen = server.store.revision();
        round(&server).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// One round over all objects.
pub(super) async fn round(server: &Server) {
    drop_undefined(server).await;
    garbage::collect(server).await;
    for (key, namespace) in objects(server, NAMESPACES) {
        if is_deleting(&namespace.value) {
            empty_namespace(server, &key, &namespace).await;
        } else {
            furnish(server, &key.name).await;
        }
    }
}

/// Creates a namespace if it doesn't exist.
pub(super) async fn ensure_namespace(server: &Server, name: &str) {
    ensure(
        server,
        NAMESPACES,
        "",
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }),
    )
    .await;
}

/// Creates the objects that every namespace has.
async fn furnish(server: &Server, namespace: &str) {
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default", "namespace": namespace },
    });
    ensure(server, "/serviceaccounts", namespace, account).await;
    let certificate = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "kube-root-ca.crt", "namespace": namespace },
        "data": { "ca.crt": server.ca_pem },
    });
    ensure(server, "/configmaps", namespace, certificate).await;
}

async fn ensure(server: &Server, resource: &str, namespace: &str, mut object: Value) {
    let key = Key { namespace: namespace.to_owned(), name: text(&object, "/metadata/name").to_owned() };
    let Some(served) = server.registry.by_id(resource) else { return };
    if server.store.get(resource, &key).is_none() {
        lifecycle::prepare_create(&served, &mut object);
        lifecycle::complete(&served, &mut object);
        // If somebody else was faster, they created the same.
        let _ = server.store.put(resource, &key, None, object).await;
    }
}

/// Deletes the content of a terminating namespace, then the namespace.
async fn empty_namespace(server: &Server, key: &Key, namespace: &Stored) {
    let mut left = false;
    for resource in server.store.resources() {
        let Some(served) = server.registry.by_id(&resource) else { continue };
        let Ok(snapshot) = server.store.list(&resource, &key.name, None) else { continue };
        for (key, stored) in snapshot.items.iter().filter(|_| served.resource.namespaced) {
            // It may be gone already; if it has changed, the next round deletes it.
            let _ = delete::collect(server, &served, key, stored, Some(Policy::Background)).await;
            left |= server.store.get(&resource, key).is_some();
        }
    }
    if left || has_finalizers(&namespace.value) {
        return;
    }
    let mut last = namespace.value.clone();
    last["spec"] = json!({});
    // A write in between only delays this.
    let _ = server.store.remove(NAMESPACES, key, namespace.revision, last).await;
}

/// Deletes custom resources whose definition is gone.
async fn drop_undefined(server: &Server) {
    for resource in server.store.resources() {
        if server.registry.by_id(&resource).is_some() {
            continue;
        }
        for (key, stored) in objects(server, &resource) {
            let _ = server.store.remove(&resource, &key, stored.revision, stored.value.clone()).await;
        }
    }
}

fn objects(server: &Server, resource: &str) -> Vec<(Arc<Key>, Arc<Stored>)> {
    server.store.list(resource, "", None).map(|snapshot| snapshot.items).unwrap_or_default()
}
