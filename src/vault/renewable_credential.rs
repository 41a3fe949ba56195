//! A credential that is recreated after a rejection by the vault or the token endpoint.
//!
//! The SDK's credentials cache a token until it expires, even after the vault answered 401 to it (a revoked
//! token, a recreated identity). The workload identity credential also caches its token file for ten minutes,
//! even after it was rejected and the file was rotated. A client secret stays in it forever. A new credential
//! has no cached token and reads the file again.

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
use crate::files::{Loader, Reloadable};

/// Minimum time between two recreations, if everything is rejected.
const MIN_INTERVAL: Duration = Duration::from_secs(10);
/// How long a request for a token waits for the new credential.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The configured credential, recreated after a rejection.
#[derive(Debug)]
pub(super) struct RenewableCredential {
    vault: Arc<Transport>,
    credential: Reloadable<CredentialLoader>,
    /// Whether the last request for a token failed.
    failed: AtomicBool,
}

/// Creates the credential from its options and files.
struct CredentialLoader {
    options: Options,
    vault: Arc<Transport>,
}

// === impl RenewableCredential ===

impl RenewableCredential {
    /// The credential in `options`. `vault` is the transport that sees the vault's rejections.
    pub(super) fn new(options: &Options, vault: Arc<Transport>) -> Result<Arc<Self>, VaultError> {
        let credential = options.credential.connect(options, &vault)?;
        let configured = CredentialLoader { options: options.clone(), vault: vault.clone() };
        // It is recreated after a rejection, not periodically.
        let credential = Reloadable::new(configured, credential, Duration::MAX);
        Ok(Arc::new(Self { vault, credential, failed: AtomicBool::new(false) }))
    }

    async fn current(&self) -> Arc<dyn TokenCredential> {
        let is_refused = self.vault.is_token_refused() || self.failed.load(Ordering::Relaxed);
        if is_refused && let Some(making) = self.credential.start_reload(MIN_INTERVAL) {
            self.vault.forget_token_refused();
            // If the disk is slower, the next request gets the new credential.
            let _ = tokio::time::timeout(MAX_WAIT, making).await;
        }
        self.credential.value()
    }
}

#[async_trait]
impl TokenCredential for RenewableCredential {
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

// === impl CredentialLoader ===

impl Loader for CredentialLoader {
    type Value = Arc<dyn TokenCredential>;
    type Error = VaultError;

    fn reload(&self, _: &Arc<dyn TokenCredential>) -> Result<Option<Arc<dyn TokenCredential>>, VaultError> {
        self.options.credential.connect(&self.options, &self.vault).map(Some)
    }

    /// The next token shows whether it works, so there is nothing to log.
    fn log_reloaded(&self, _: &Arc<dyn TokenCredential>) {}

    /// If it can't be recreated (a file that is being replaced), the old one stays until the next rejection.
    fn log_unusable(&self, error: &VaultError) {
        tracing::warn!(%error, "can't recreate the vault credential; retrying");
    }
}
