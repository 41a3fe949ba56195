//! Somebody who watches a Secret and tells whether it was there all the time.

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{WatchEvent, WatchParams},
};
use tokio::{sync::watch, time::timeout};

use crate::support::PATIENCE;

pub struct Witness {
    secrets: Api<Secret>,
    name: String,
    uid: String,
    seen: watch::Receiver<Observed>,
}

#[derive(Default)]
struct Observed {
    versions: Vec<String>,
    /// What should not have been.
    gap: Option<String>,
}

// === impl Witness ===

impl Witness {
    /// Begins to watch a Secret that is there.
    pub async fn of(secrets: &Api<Secret>, name: &str) -> Self {
        let now = secrets.get_metadata(name).await.unwrap().metadata;
        let (uid, version) = (now.uid.unwrap(), now.resource_version.unwrap());
        let parameters = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(290);
        let (tell, seen) = watch::channel(Observed { versions: vec![version.clone()], gap: None });
        let mut events = secrets.watch_metadata(&parameters, &version).await.unwrap().boxed();
        let same = uid.clone();
        tokio::spawn(async move {
            while let Some(event) = events.next().await {
                tell.send_modify(|seen| match event {
                    Ok(WatchEvent::Modified(secret)) if secret.metadata.uid.as_ref() == Some(&same) => {
                        seen.versions.extend(secret.metadata.resource_version);
                    }
                    Ok(WatchEvent::Bookmark(_)) => {}
                    other => seen.gap = Some(format!("{other:?}")),
                });
            }
        });
        Self { secrets: secrets.clone(), name: name.to_owned(), uid, seen }
    }

    /// It was there at every moment until now, under one uid.
    pub async fn testify(mut self) {
        let now = self.secrets.get_metadata(&self.name).await.unwrap().metadata;
        assert_eq!(now.uid.unwrap(), self.uid, "another Secret stands in its place");
        let version = now.resource_version.unwrap();
        let all = self.seen.wait_for(|seen| seen.gap.is_some() || seen.versions.contains(&version));
        let all = timeout(PATIENCE, all).await.expect("the watch tells of the latest change").unwrap();
        assert!(all.gap.is_none(), "a moment without it: {:?}", all.gap);
    }
}
