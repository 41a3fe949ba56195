//! The SecretSyncs and classes of the namespace as the watches last showed them, whoever made them.

use std::{pin::pin, sync::Arc};

use futures::{FutureExt, StreamExt};
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store, store::Writer},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{SecretProviderClass, SecretSync};
use crate::edge::{Edge, PAGE, RENEWED, error::brief};

/// What the watches showed.
#[derive(Clone)]
pub struct StoreIndex(Arc<Inner>);

struct Inner {
    syncs: Store<SecretSync>,
    classes: Store<SecretProviderClass>,
    /// The other ends, until the watches run.
    writers: Mutex<Option<(Writer<SecretSync>, Writer<SecretProviderClass>)>>,
    namespace: String,
    changed: watch::Sender<()>,
    listed: watch::Sender<()>,
}

/// What is known of a name.
#[derive(Clone, Debug)]
pub enum SyncSeen {
    /// There is such a SecretSync.
    There(Arc<SecretSync>),
    /// There is none.
    Gone,
    /// Nobody knows: the first lists are not complete.
    Unknown,
}

// === impl StoreIndex ===

impl StoreIndex {
    /// An index of a namespace that knows nothing yet.
    pub fn new(namespace: &str) -> Self {
        let ((syncs, syncs_writer), (classes, classes_writer)) = (reflector::store(), reflector::store());
        let writers = Mutex::new(Some((syncs_writer, classes_writer)));
        Self(Arc::new(Inner {
            syncs,
            classes,
            writers,
            namespace: namespace.to_owned(),
            changed: watch::Sender::new(()),
            listed: watch::Sender::new(()),
        }))
    }

    /// The SecretSync of a name.
    pub fn sync(&self, name: &str) -> SyncSeen {
        // Half of the pair says nothing: a class that is not listed yet would look like one that is gone.
        if !self.is_complete() {
            return SyncSeen::Unknown;
        }
        match self.0.syncs.get(&ObjectRef::new(name).within(&self.0.namespace)) {
            Some(sync) => SyncSeen::There(sync),
            None => SyncSeen::Gone,
        }
    }

    /// The class of a name.
    pub fn class(&self, name: &str) -> Option<Arc<SecretProviderClass>> {
        self.0.classes.get(&ObjectRef::new(name).within(&self.0.namespace))
    }

    /// All SecretSyncs.
    pub fn syncs(&self) -> Vec<Arc<SecretSync>> {
        self.0.syncs.state()
    }

    /// All classes.
    pub fn classes(&self) -> Vec<Arc<SecretProviderClass>> {
        self.0.classes.state()
    }

    /// Tells of every change of one of them.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// Tells that all was listed anew: what is gone since the list before has no event of its own.
    pub fn listed(&self) -> watch::Receiver<()> {
        self.0.listed.subscribe()
    }

    /// Whether both lists are complete.
    pub fn is_complete(&self) -> bool {
        is_ready(&self.0.syncs) && is_ready(&self.0.classes)
    }

    /// Watches until told to stop, and says the name of every SecretSync and class that changed.
    pub async fn run(self, edge: Edge, changed: mpsc::Sender<String>, stop: CancellationToken) {
        let Some((syncs, classes)) = self.0.writers.lock().await.take() else { return };
        let both = async {
            tokio::join!(
                follow(edge.syncs(), syncs, &changed, &self.0),
                follow(edge.classes(), classes, &changed, &self.0),
            )
        };
        tokio::select! {
            _ = both => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Whether the first list is complete.
fn is_ready<K: Resource<DynamicType = ()> + Clone + 'static>(store: &Store<K>) -> bool {
    store.wait_until_ready().now_or_never().is_some_and(|ready| ready.is_ok())
}

async fn follow<K>(api: Api<K>, writer: Writer<K>, names: &mpsc::Sender<String>, index: &Inner)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    let kind = K::kind(&());
    let events = watcher(api, watcher::Config::default().page_size(PAGE).timeout(RENEWED)).default_backoff();
    // A large part of every object that nobody asks for.
    let slim = events.modify(|object| object.managed_fields_mut().clear());
    let mut events = pin!(slim.reflect(writer));
    while let Some(event) = events.next().await {
        let name = match event {
            Ok(
                watcher::Event::Apply(object)
                | watcher::Event::InitApply(object)
                | watcher::Event::Delete(object),
            ) => object.name_any(),
            Ok(watcher::Event::Init) => continue,
            Ok(watcher::Event::InitDone) => {
                index.changed.send_replace(());
                index.listed.send_replace(());
                continue;
            }
            Err(error) => {
                tracing::debug!(%kind, error = %brief(&error.to_string()), "a watch failed; it is tried again");
                continue;
            }
        };
        index.changed.send_replace(());
        if names.send(name).await.is_err() {
            return;
        }
    }
}
