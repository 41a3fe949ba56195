//! The certificate authority of a data directory. It signs the TLS certificates of the doubles.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate authority whose certificate and key are in a data directory (`ca.pem`, `ca.key`).
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    path: PathBuf,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error("the certificate authority of the doubles: {0}")]
    File(#[from] io::Error),
    /// A certificate can't be generated.
    #[error("a certificate for the doubles: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A certificate can't be used.
    #[error("TLS for the doubles: {0}")]
    Rustls(#[from] rustls::Error),
}

impl Authority {
    /// Loads the authority of a directory, or creates one.
    pub fn load_or_create(directory: &Path) -> Result<Self, TlsError> {
        let (path, key_path) = (directory.join("ca.pem"), directory.join("ca.key"));
        let key = match std::fs::read_to_string(&key_path) {
            Ok(pem) => KeyPair::from_pem(&pem)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key = KeyPair::generate()?;
                let mut file =
                    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key_path)?;
                io::Write::write_all(&mut file, key.serialize_pem().as_bytes())?;
                key
            }
            Err(error) => return Err(error.into()),
        };
        // With the same key and name, a regenerated certificate verifies what the first one signed.
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "secret-service dev CA");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(parameters, key)?;
        std::fs::write(&path, issuer.pem())?;
        Ok(Self { issuer, path })
    }

    /// The file of the certificate, in PEM.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The certificate, in PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// TLS for a server on loopback, with HTTP/2 and HTTP/1.1. The certificate also has `names`.
    pub fn server(&self, names: &[&str]) -> Result<Arc<rustls::ServerConfig>, TlsError> {
        let mut parameters =
            CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        parameters.distinguished_name.push(DnType::CommonName, "secret-service dev");
        parameters.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
