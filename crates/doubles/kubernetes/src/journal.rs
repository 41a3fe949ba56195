//! Makes commits durable: one task writes them to disk in order, many in one transaction.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::object::Stored;
use doubles_common::disk::{Disk, Write};

/// The bucket of the objects; the key is their path.
pub(super) const OBJECTS: &str = "objects";
/// The bucket of everything else.
pub(super) const META: &str = "meta";
/// The key of the highest revision that was assigned.
pub(super) const REVISION: &str = "revision";

const MAX_BATCH: usize = 1_000;

/// One commit on its way to the disk.
pub(super) struct Commit {
    pub path: String,
    pub revision: u64,
    /// Absent for a removal.
    pub object: Option<Arc<Stored>>,
    pub done: oneshot::Sender<bool>,
}

/// Writes until all senders are dropped.
pub(super) async fn run(disk: Disk, mut commits: mpsc::UnboundedReceiver<Commit>) {
    let mut batch = Vec::new();
    while commits.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let revision = batch.last().map_or(0, |commit: &Commit| commit.revision);
        let mut writes: Vec<_> = batch.iter().map(write).collect();
        writes.push(Write::Put {
            bucket: META,
            key: REVISION.to_owned(),
            value: revision.to_string().into_bytes(),
        });
        let written = disk.write(writes).await;
        if let Err(error) = &written {
            tracing::error!(%error, "the Kubernetes double can't write its state");
        }
        for commit in batch.drain(..) {
            // The request may be gone meanwhile; its write is done all the same.
            let _ = commit.done.send(written.is_ok());
        }
    }
}

fn write(commit: &Commit) -> Write {
    let (bucket, key) = (OBJECTS, commit.path.clone());
    match &commit.object {
        Some(object) => {
            let value = serde_json::to_vec(&object.value).expect("a JSON value is always writable");
            Write::Put { bucket, key, value }
        }
        None => Write::Delete { bucket, key },
    }
}
