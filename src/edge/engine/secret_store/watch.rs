//! A cache of all SecretSyncs and classes of the namespace, kept by watches.

use std::{pin::pin, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store, store::Writer},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{Mutex, mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{PairWritten, SecretProviderClass, SecretSync, expectations::Expectations};
use crate::{
    edge::{Edge, Labelled, manifest::uid_label, watches},
    quote::Quote,
};

/// If the extension wrote no status for longer than this, it was not running.
const EXTENSION_IDLE: Duration = Duration::from_secs(10);

/// The cache of SecretSyncs and classes.
#[derive(Clone)]
pub struct StoreIndex(Arc<Inner>);

struct Inner {
    syncs: Store<SecretSync>,
    classes: Store<SecretProviderClass>,
    /// The writers of the stores, until the watches run.
    writers: Mutex<Option<(Writer<SecretSync>, Writer<SecretProviderClass>)>>,
    namespace: String,
    changed: watch::Sender<()>,
    listed: watch::Sender<()>,
    acts: parking_lot::Mutex<Acts>,
    expected_syncs: Expectations,
    expected_classes: Expectations,
}

/// When the extension was last observed to act on any SecretSync.
#[derive(Clone, Copy)]
struct Acts {
    /// When the watches began to observe it.
    watched_since: Instant,
    last: Option<Instant>,
}

/// The cached state of a SecretSync.
#[derive(Clone, Debug)]
pub enum CachedSync {
    /// There is such a SecretSync.
    Present(Arc<SecretSync>),
    /// There is none.
    Absent,
    /// The cache has been older than our own write for this long.
    Stale(Duration),
    /// Unknown: the first lists are not complete.
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
            acts: parking_lot::Mutex::new(Acts { watched_since: Instant::now(), last: None }),
            expected_syncs: Expectations::default(),
            expected_classes: Expectations::default(),
        }))
    }

    /// Records our own write before the watches show it.
    pub fn note(&self, name: &str, written: &PairWritten) {
        self.0.expected_syncs.expect(name, written.sync_uid.clone(), written.sync_generation);
        self.0.expected_classes.expect(name, written.class_uid.clone(), written.class_generation);
    }

    /// Forgets our own write of a name, because the API server says that the object no longer exists.
    pub fn forget(&self, name: &str) {
        self.0.expected_syncs.forget(name);
        self.0.expected_classes.forget(name);
    }

    /// The SecretSync of a name.
    pub fn sync(&self, name: &str) -> CachedSync {
        // Both lists must be complete: a class that is not listed yet would look deleted.
        if !self.is_complete() {
            return CachedSync::Unknown;
        }
        let sync = self.0.syncs.get(&ObjectRef::new(name).within(&self.0.namespace));
        let class = self.class(name);
        let unmet_sync = self.0.expected_syncs.unmet(name, sync.as_ref().map(|sync| &sync.metadata));
        let unmet_class = self.0.expected_classes.unmet(name, class.as_ref().map(|class| &class.metadata));
        match (unmet_sync.max(unmet_class), sync) {
            (Some(behind), _) => CachedSync::Stale(behind),
            (None, Some(sync)) => CachedSync::Present(sync),
            (None, None) => CachedSync::Absent,
        }
    }

    /// The class of a name.
    pub fn class(&self, name: &str) -> Option<Arc<SecretProviderClass>> {
        self.0.classes.get(&ObjectRef::new(name).within(&self.0.namespace))
    }

    /// The uids of synced secrets that the SecretSync and the class of a name carry as our label.
    pub fn labels_of(&self, name: &str) -> impl Iterator<Item = Uuid> {
        let key_of_sync = ObjectRef::new(name).within(&self.0.namespace);
        let sync = self.0.syncs.get(&key_of_sync).and_then(|sync| label(&sync.metadata));
        sync.into_iter().chain(self.class(name).and_then(|class| label(&class.metadata)))
    }

    /// Whether one of the two of a name carries this uid.
    pub fn carries(&self, name: &str, uid: Uuid) -> bool {
        self.labels_of(name).any(|label| label == uid)
    }

    /// The uids of synced secrets that any of them carries.
    pub fn labelled(&self) -> Vec<Uuid> {
        let (syncs, classes) = (self.syncs(), self.classes());
        let labels = syncs.iter().filter_map(|sync| label(&sync.metadata));
        labels.chain(classes.iter().filter_map(|class| label(&class.metadata))).collect()
    }

    /// The SecretSyncs that carry one.
    pub fn labelled_syncs(&self) -> Vec<Labelled> {
        let labelled = |sync: &Arc<SecretSync>| {
            let (name, uid) = (sync.name_any(), sync.metadata.uid.clone()?);
            Some(Labelled { name, uid, label: label(&sync.metadata)? })
        };
        self.syncs().iter().filter_map(labelled).collect()
    }

    /// All SecretSyncs.
    pub fn syncs(&self) -> Vec<Arc<SecretSync>> {
        self.0.syncs.state()
    }

    /// All classes.
    pub fn classes(&self) -> Vec<Arc<SecretProviderClass>> {
        self.0.classes.state()
    }

    /// How long the extension has not updated any SecretSync while the watches were running.
    pub fn quiet_for(&self) -> Duration {
        let acts = *self.0.acts.lock();
        acts.last.map_or(acts.watched_since, |last| last.max(acts.watched_since)).elapsed()
    }

    /// Notifies of every change of a SecretSync or class.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.0.changed.subscribe()
    }

    /// Notifies of every relist, because objects that were deleted before it have no event of their own. Also
    /// notifies when the extension works again after a long silence.
    pub fn listed(&self) -> watch::Receiver<()> {
        self.0.listed.subscribe()
    }

    /// Whether both lists are complete.
    pub fn is_complete(&self) -> bool {
        is_ready(&self.0.syncs) && is_ready(&self.0.classes)
    }

    /// Watches until `stop` is cancelled, and sends the name of every SecretSync and class that changed.
    pub async fn run(self, edge: Edge, changed: mpsc::Sender<String>, stop: CancellationToken) {
        let Some((syncs, classes)) = self.0.writers.lock().await.take() else { return };
        let (expected_syncs, expected_classes) = (&self.0.expected_syncs, &self.0.expected_classes);
        let both = async {
            tokio::join!(
                follow(edge.syncs(), (syncs, expected_syncs), &changed, &self.0, |sync| self.0.note(sync)),
                follow(edge.classes(), (classes, expected_classes), &changed, &self.0, |_| {}),
            )
        };
        tokio::select! {
            _ = both => {}
            () = stop.cancelled() => {}
        }
    }
}

// === impl Inner ===

impl Inner {
    /// Compares a SecretSync with the cached one before it replaces that. Only the extension writes the
    /// status, so a changed status shows that the extension is running.
    fn note(&self, sync: &SecretSync) {
        let before = self.syncs.get(&ObjectRef::from_obj(sync));
        if !before.is_some_and(|before| before.status != sync.status) {
            return;
        }
        let mut acts = self.acts.lock();
        let was_silent = acts.last.is_none_or(|last| last.elapsed() > EXTENSION_IDLE);
        acts.last = Some(Instant::now());
        drop(acts);
        if was_silent {
            self.listed.send_replace(());
        }
    }

    /// A relist has finished. The watch may have missed updates before it.
    fn begin(&self) {
        self.acts.lock().watched_since = Instant::now();
        self.changed.send_replace(());
        self.listed.send_replace(());
    }
}

fn label(metadata: &ObjectMeta) -> Option<Uuid> {
    uid_label(metadata)?.parse().ok()
}

/// Whether the first list is complete.
fn is_ready<K: Resource<DynamicType = ()> + Clone + 'static>(store: &Store<K>) -> bool {
    store.wait_until_ready().now_or_never().is_some_and(|ready| ready.is_ok())
}

async fn follow<K>(
    api: Api<K>,
    (writer, expected): (Writer<K>, &Expectations),
    names: &mpsc::Sender<String>,
    index: &Inner,
    note: impl Fn(&K),
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send + Sync + 'static,
{
    let kind = K::kind(&());
    let events = watcher(api, watches::config()).default_backoff();
    // managedFields are a large part of every object, and nobody reads them here.
    let slim = events.modify(|object| {
        object.managed_fields_mut().clear();
        note(object);
    });
    let mut events = pin!(slim.reflect(writer));
    let mut list_begun = Instant::now();
    while let Some(event) = events.next().await {
        let name = match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => object.name_any(),
            Ok(watcher::Event::Delete(object)) => {
                expected.deleted(object.meta());
                object.name_any()
            }
            Ok(watcher::Event::Init) => {
                list_begun = Instant::now();
                continue;
            }
            Ok(watcher::Event::InitDone) => {
                expected.listed(list_begun);
                index.begin();
                continue;
            }
            Err(error) => {
                tracing::debug!(%kind, error = %Quote::error(&error), "a watch failed; retrying");
                continue;
            }
        };
        index.changed.send_replace(());
        if names.send(name).await.is_err() {
            return;
        }
    }
}
