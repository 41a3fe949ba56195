//! A credential that forgets what was refused: a token by the vault, or what it shows for one by the token endpoint.
//!
//! The SDK's credentials keep a token until it expires, and give it again even after the vault has answered 401 to it (a revoked
//! token, an identity that was made anew). That of a workload also keeps what was in its token file for ten minutes, and shows it
//! again even after it was refused and the file has been renewed; a client secret is in it for good. A new credential has no token yet, and reads the file.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};

use super::{Options, VaultError, transport::Transport};
use crate::files::{Followed, Source};

/// Where everything is refused, a credential is made anew no more often than once in so long.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long whoever needs a token waits for the new one to be made.
const PATIENCE: Duration = Duration::from_secs(1);

/// The configured credential, made anew after a refusal.
#[derive(Debug)]
pub(super) struct Renewable {
    vault: Arc<Transport>,
    credential: Followed<Configured>,
    /// Whether it gave no token when it was last asked.
    failed: AtomicBool,
}

/// What a credential is made from: its files, where it has any, and nothing that it remembers.
struct Configured {
    options: Options,
    vault: Arc<Transport>,
}

// === impl Renewable ===

impl Renewable {
    /// The credential of `options` for a vault whose answers `vault` sees.
    pub(super) fn new(options: &Options, vault: Arc<Transport>) -> Result<Arc<Self>, VaultError> {
        let credential = options.credential.connect(options, &vault)?;
        let configured = Configured { options: options.clone(), vault: vault.clone() };
        // It is looked at after a refusal, and not because of the time.
        let credential = Followed::new(configured, credential, Duration::MAX);
        Ok(Arc::new(Self { vault, credential, failed: AtomicBool::new(false) }))
    }

    async fn current(&self) -> Arc<dyn TokenCredential> {
        let is_refused = self.vault.is_token_refused() || self.failed.load(Ordering::Relaxed);
        if is_refused && let Some(making) = self.credential.look(INTERVAL) {
            self.vault.forget_token_refused();
            // On a disk that is slower, the next one who asks gets it.
            let _ = tokio::time::timeout(PATIENCE, making).await;
        }
        self.credential.made()
    }
}

#[async_trait]
impl TokenCredential for Renewable {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let token = self.current().await.get_token(scopes, options).await;
        self.failed.store(token.is_err(), Ordering::Relaxed);
        token
    }
}

// === impl Configured ===

impl Source for Configured {
    type Made = Arc<dyn TokenCredential>;
    type Problem = VaultError;

    fn look(&self, _: &Arc<dyn TokenCredential>) -> Result<Option<Arc<dyn TokenCredential>>, VaultError> {
        self.options.credential.connect(&self.options, &self.vault).map(Some)
    }

    /// Whether it is of any use shows with the next token.
    fn tell_taken(&self, _: &Arc<dyn TokenCredential>) {}

    /// What can't be made anew (a file that is being replaced) stays as it is until the next refusal.
    fn tell_unusable(&self, error: &VaultError) {
        tracing::warn!(%error, "the credential for the vault can't be made anew; it is tried again");
    }
}
