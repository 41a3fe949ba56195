//! TLS: the server's certificate, the client CAs, and the revocation lists. The files are read again when
//! they change.

mod client_certificates;
mod expiry;
mod handshakes;

use std::{path::Path, sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

pub(crate) use client_certificates::ClientCertificates;
use expiry::ExpiryLog;
pub use expiry::{Expiry, ExpiryKind, ExpiryStatus};
pub(crate) use handshakes::secured;

use crate::api::options::{Revocation, ServerError, Tls};
use crate::quote::Quote;

/// What messages call the files.
const CLIENT_CA: &str = "the client CA file";
const REVOCATION_LISTS: &str = "the revocation list file";

/// How often the files are read again. A revoked certificate may work for this long, plus the time that a
/// verification is remembered.
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// The current content of the files. A clone shares it.
#[derive(Clone)]
pub(crate) struct Certificates {
    files: Arc<Tls>,
    protocols: &'static [&'static [u8]],
    loaded: Arc<watch::Sender<Loaded>>,
}

/// The content of the files when they were read.
#[derive(Clone)]
struct Loaded {
    /// Of all files, to detect a change.
    digest: [u8; 32],
    server: Arc<ServerConfig>,
    /// Verifies client certificates, if a client CA is configured.
    clients: ClientCertificates,
    expiries: Arc<[Expiry]>,
}

/// The bytes of the files.
struct Contents {
    cert: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
    client_crl: Option<Vec<u8>>,
}

/// Reads the files as the server would, and returns what in them expires.
pub async fn tls_expiries(files: Tls) -> Result<Vec<Expiry>, ServerError> {
    Ok(Certificates::load(files, false).await?.expiries().to_vec())
}

// === impl Certificates ===

impl Certificates {
    /// Reads the files.
    pub(crate) async fn load(files: Tls, http1: bool) -> Result<Self, ServerError> {
        let protocols: &[&[u8]] = if http1 { &[b"h2", b"http/1.1"] } else { &[b"h2"] };
        let contents = Contents::read(&files).await.map_err(ServerError::Tls)?;
        let loaded = Loaded::of(&contents, &files, protocols).map_err(ServerError::Tls)?;
        Ok(Self { files: Arc::new(files), protocols, loaded: Arc::new(watch::Sender::new(loaded)) })
    }

    /// The configuration for the next handshake.
    fn server(&self) -> Arc<ServerConfig> {
        self.loaded.borrow().server.clone()
    }

    /// Verifies client certificates by the current files.
    pub(crate) fn clients(&self) -> ClientCertificates {
        self.loaded.borrow().clients.clone()
    }

    /// What in the files expires.
    pub(crate) fn expiries(&self) -> Arc<[Expiry]> {
        self.loaded.borrow().expiries.clone()
    }

    /// Reads the files again until the service stops. If they cannot be used, that is logged once, and the
    /// previous content stays in use.
    pub(crate) async fn follow(self, stop: CancellationToken) {
        let (mut logged, mut expiries) = (Quote::from(""), ExpiryLog::default());
        expiries.log(&self.expiries(), Timestamp::now());
        while stop.run_until_cancelled(tokio::time::sleep(RELOAD_INTERVAL)).await.is_some() {
            match self.reload().await {
                Ok(is_new) => {
                    if is_new {
                        tracing::info!(cert_file = %self.files.cert_file.display(), "the TLS files have changed; new connections use them");
                    }
                    logged = Quote::from("");
                }
                Err(problem) if problem != logged => {
                    tracing::warn!(
                        %problem,
                        "the TLS files have changed and cannot be used; the previous ones stay in use. Fix the files"
                    );
                    logged = problem;
                }
                Err(_) => {}
            }
            expiries.log(&self.expiries(), Timestamp::now());
        }
    }

    async fn reload(&self) -> Result<bool, Quote> {
        let contents = Contents::read(&self.files).await?;
        if contents.digest() == self.loaded.borrow().digest {
            return Ok(false);
        }
        self.loaded.send_replace(Loaded::of(&contents, &self.files, self.protocols)?);
        Ok(true)
    }
}

// === impl Loaded ===

impl Loaded {
    fn of(contents: &Contents, files: &Tls, protocols: &[&[u8]]) -> Result<Self, Quote> {
        let verifier = contents.verifier(files.revocation)?;
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Quote::error(&error))?;
        let builder = match &verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier.clone()),
            None => builder.with_no_client_auth(),
        };
        let chain = certificates(&contents.cert).map_err(|why| about("the certificate", &why))?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|error| about("the key", &Quote::error(&error)))?;
        let mut server = builder.with_single_cert(chain, key).map_err(|error| Quote::error(&error))?;
        server.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let (server, clients) = (Arc::new(server), ClientCertificates::new(verifier));
        Ok(Self { digest: contents.digest(), server, clients, expiries: contents.expiries()?.into() })
    }
}

// === impl Contents ===

impl Contents {
    async fn read(files: &Tls) -> Result<Self, Quote> {
        let optional = async |file: &Option<std::path::PathBuf>| match file {
            Some(file) => read(file).await.map(Some),
            None => Ok(None),
        };
        Ok(Self {
            cert: read(&files.cert_file).await?,
            key: Zeroizing::new(read(&files.key_file).await?),
            client_ca: optional(&files.client_ca_file).await?,
            client_crl: optional(&files.client_crl_file).await?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut all = Zeroizing::new(Vec::new());
        let no_file = Vec::new();
        let (ca, crl) = (self.client_ca.as_ref(), self.client_crl.as_ref());
        for file in [&self.cert, &*self.key, ca.unwrap_or(&no_file), crl.unwrap_or(&no_file)] {
            all.extend_from_slice(digest(&SHA256, file).as_ref());
        }
        digest(&SHA256, &all).as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// Verifies the certificates of clients that show one. The handshake does not require one: health checks
    /// need none.
    fn verifier(&self, revocation: Revocation) -> Result<Option<Arc<dyn ClientCertVerifier>>, Quote> {
        let Some(client_ca) = &self.client_ca else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for root in certificates(client_ca).map_err(|why| about(CLIENT_CA, &why))? {
            roots.add(root).map_err(|error| about(CLIENT_CA, &Quote::error(&error)))?;
        }
        // By default, this checks the whole chain, and refuses a certificate that no list covers.
        let mut verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::new(default_provider()))
                .with_crls(self.revocation_lists()?)
                .allow_unauthenticated();
        if revocation.allow_unknown {
            verifier = verifier.allow_unknown_revocation_status();
        }
        if revocation.require_current {
            verifier = verifier.enforce_revocation_expiration();
        }
        verifier.build().map(Some).map_err(|error| Quote::error(&error))
    }

    fn revocation_lists(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, Quote> {
        let lists = self.client_crl.as_deref().map(CertificateRevocationListDer::pem_slice_iter);
        let lists: Result<Vec<_>, _> = lists.into_iter().flatten().collect();
        let lists = lists.map_err(|error| about(REVOCATION_LISTS, &Quote::error(&error)))?;
        match lists.is_empty() && self.client_crl.is_some() {
            true => Err(about(REVOCATION_LISTS, &"the file contains no revocation list".into())),
            false => Ok(lists),
        }
    }

    fn expiries(&self) -> Result<Vec<Expiry>, Quote> {
        let mut expiries = Expiry::certificates(ExpiryKind::Serving, &certificates(&self.cert)?);
        if let Some(client_ca) = &self.client_ca {
            expiries.extend(Expiry::certificates(ExpiryKind::ClientAuthority, &certificates(client_ca)?));
        }
        expiries.extend(Expiry::revocation_lists(&self.revocation_lists()?));
        Ok(expiries)
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Quote> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(none) if none.is_empty() => Err("the file contains no certificate".into()),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(Quote::error(&error)),
    }
}

fn about(what: &str, problem: &Quote) -> Quote {
    format!("{what}: {problem}").into()
}

async fn read(file: &Path) -> Result<Vec<u8>, Quote> {
    tokio::fs::read(file).await.map_err(|error| about(&file.display().to_string(), &Quote::error(&error)))
}
