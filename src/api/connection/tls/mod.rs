//! TLS: the server's certificate, the authorities that vouch for clients and the certificates that they took back, all read
//! again when their files change.

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
use expiry::Told;
pub use expiry::{Expiry, ExpiryKind, ExpiryStatus};
pub(crate) use handshakes::secured;

use crate::api::options::{Revocation, ServerError, Tls};
use crate::quote::Quote;

/// What messages call the files with the authorities for clients, and with what these took back.
const AUTHORITIES: &str = "the client authorities";
const LISTS: &str = "the revocation lists";

/// How often the files are looked at. With the life of a verification, this is how long a revoked certificate may still work.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What the files say now. A clone sees what the others see.
#[derive(Clone)]
pub(crate) struct Certificates {
    files: Arc<Tls>,
    protocols: &'static [&'static [u8]],
    loaded: Arc<watch::Sender<Loaded>>,
}

/// What the files said when they were read.
#[derive(Clone)]
struct Loaded {
    /// Of all that was read, to see a change.
    digest: [u8; 32],
    server: Arc<ServerConfig>,
    /// Where an authority for clients is configured.
    clients: ClientCertificates,
    dates: Arc<[Expiry]>,
}

/// The files as they are.
struct Contents {
    cert: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
    client_crl: Option<Vec<u8>>,
}

/// Reads the files as the server would; what of them ends, and when.
pub async fn tls_expiries(files: Tls) -> Result<Vec<Expiry>, ServerError> {
    Ok(Certificates::load(files, false).await?.dates().to_vec())
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

    /// What the next handshake is done with.
    fn server(&self) -> Arc<ServerConfig> {
        self.loaded.borrow().server.clone()
    }

    /// What client certificates are verified with, now.
    pub(crate) fn clients(&self) -> ClientCertificates {
        self.loaded.borrow().clients.clone()
    }

    /// What of the files ends, and when.
    pub(crate) fn dates(&self) -> Arc<[Expiry]> {
        self.loaded.borrow().dates.clone()
    }

    /// Looks at the files again and again, until told to stop. What can't be used is told once, and what was there before stays.
    pub(crate) async fn follow(self, stop: CancellationToken) {
        let (mut told, mut dates) = (Quote::from(""), Told::default());
        dates.tell(&self.dates(), Timestamp::now());
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            match self.look().await {
                Ok(is_new) => {
                    if is_new {
                        tracing::info!(cert_file = %self.files.cert_file.display(), "the TLS files have changed and are used now");
                    }
                    told = Quote::from("");
                }
                Err(problem) if problem != told => {
                    tracing::warn!(
                        %problem,
                        "the TLS files have changed and can't be used; what they said before still counts. Mend them"
                    );
                    told = problem;
                }
                Err(_) => {}
            }
            dates.tell(&self.dates(), Timestamp::now());
        }
    }

    async fn look(&self) -> Result<bool, Quote> {
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
        Ok(Self { digest: contents.digest(), server, clients, dates: contents.dates()?.into() })
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

    /// Verifies clients that show a certificate; whether one must be shown is not for the handshake to decide: who asks for
    /// health needs none.
    fn verifier(&self, revocation: Revocation) -> Result<Option<Arc<dyn ClientCertVerifier>>, Quote> {
        let Some(client_ca) = &self.client_ca else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for root in certificates(client_ca).map_err(|why| about(AUTHORITIES, &why))? {
            roots.add(root).map_err(|error| about(AUTHORITIES, &Quote::error(&error)))?;
        }
        // By default the whole chain is looked at, and who is in no list is refused.
        let mut verifier =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::new(default_provider()))
                .with_crls(self.lists()?)
                .allow_unauthenticated();
        if revocation.allow_unknown {
            verifier = verifier.allow_unknown_revocation_status();
        }
        if revocation.require_current {
            verifier = verifier.enforce_revocation_expiration();
        }
        verifier.build().map(Some).map_err(|error| Quote::error(&error))
    }

    fn lists(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, Quote> {
        let lists = self.client_crl.as_deref().map(CertificateRevocationListDer::pem_slice_iter);
        let lists: Result<Vec<_>, _> = lists.into_iter().flatten().collect();
        let lists = lists.map_err(|error| about(LISTS, &Quote::error(&error)))?;
        match lists.is_empty() && self.client_crl.is_some() {
            true => Err(about(LISTS, &"there is none in the file".into())),
            false => Ok(lists),
        }
    }

    fn dates(&self) -> Result<Vec<Expiry>, Quote> {
        let mut dates = Expiry::certificates(ExpiryKind::Serving, &certificates(&self.cert)?);
        if let Some(client_ca) = &self.client_ca {
            dates.extend(Expiry::certificates(ExpiryKind::ClientAuthority, &certificates(client_ca)?));
        }
        dates.extend(Expiry::lists(&self.lists()?));
        Ok(dates)
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Quote> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(none) if none.is_empty() => Err("there is none in the file".into()),
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
