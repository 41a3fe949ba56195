//! A credential that forgets a token which the vault refuses.
//!
//! The SDK's credentials keep a token until it expires, and give it again even after the vault has answered 401 to it (a revoked
//! token, an identity that was made anew). A new credential has no token yet.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};

use super::{Options, VaultError, transport::Transport};

/// A vault that refuses every token makes no more token requests than one in so long.
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
}

// === impl Renewable ===

impl Renewable {
    /// The credential of `options` for a vault whose answers `vault` sees.
    pub(super) fn new(options: &Options, vault: Arc<Transport>) -> Result<Arc<Self>, VaultError> {
        let credential = options.credential.connect(options, &vault)?;
        let held = Mutex::new(Held { credential, renewed: None });
        Ok(Arc::new(Self { options: options.clone(), vault, held }))
    }

    fn current(&self) -> Arc<dyn TokenCredential> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let due = held.renewed.is_none_or(|renewed| renewed.elapsed() >= INTERVAL);
        if due && self.vault.take_token_refused() {
            // What can't be made anew (a file that is being replaced) stays as it is until the next refusal.
            if let Ok(credential) = self.options.credential.connect(&self.options, &self.vault) {
                held.credential = credential;
            }
            held.renewed = Some(Instant::now());
        }
        held.credential.clone()
    }
}

#[async_trait]
impl TokenCredential for Renewable {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        self.current().get_token(scopes, options).await
    }
}
