//! A credential that forgets what was refused: a token by the vault, or what it shows for one by the token endpoint.
//!
//! The SDK's credentials keep a token until it expires, and give it again even after the vault has answered 401 to it (a revoked
//! token, an identity that was made anew). That of a workload also keeps what was in its token file for ten minutes, and shows it
//! again even after it was refused and the file has been renewed; a client secret is in it for good. A new credential has no token yet, and reads the file.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};

use super::{Options, VaultError, transport::Transport};

/// Where everything is refused, a credential is made anew no more often than once in so long.
const INTERVAL: Duration = Duration::from_secs(10);

/// The configured credential, made anew after a refusal.
#[derive(Debug)]
pub(super) struct Renewable {
    options: Options,
    vault: Arc<Transport>,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    credential: Arc<dyn TokenCredential>,
    renewed: Option<Instant>,
    /// Whether it gave no token when it was last asked.
    failed: bool,
    /// Why it could not be made anew, as the log has it.
    told: Option<VaultError>,
}

// === impl Renewable ===

impl Renewable {
    /// The credential of `options` for a vault whose answers `vault` sees.
    pub(super) fn new(options: &Options, vault: Arc<Transport>) -> Result<Arc<Self>, VaultError> {
        let credential = options.credential.connect(options, &vault)?;
        let held = Mutex::new(Held { credential, renewed: None, failed: false, told: None });
        Ok(Arc::new(Self { options: options.clone(), vault, held }))
    }

    fn current(&self) -> Arc<dyn TokenCredential> {
        let mut held = self.held();
        let due = held.renewed.is_none_or(|renewed| renewed.elapsed() >= INTERVAL);
        if due && (self.vault.take_token_refused() || held.failed) {
            match self.options.credential.connect(&self.options, &self.vault) {
                Ok(credential) => {
                    held.credential = credential;
                    held.told = None;
                }
                // What can't be made anew (a file that is being replaced) stays as it is until the next refusal.
                Err(error) if held.told.as_ref() != Some(&error) => {
                    tracing::warn!(%error, "the credential for the vault can't be made anew; it is tried again");
                    held.told = Some(error);
                }
                Err(_) => {}
            }
            held.renewed = Some(Instant::now());
        }
        held.credential.clone()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenCredential for Renewable {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let token = self.current().get_token(scopes, options).await;
        self.held().failed = token.is_err();
        token
    }
}
