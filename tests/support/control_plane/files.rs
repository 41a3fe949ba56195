//! The files that a control plane starts from: certificates, keys, tokens and kubeconfigs.

use std::{
    io::Write,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_RSA_SHA256, SanType,
};
use serde_json::json;
use uuid::Uuid;

/// Where they lie.
pub struct Files {
    /// The directory of everything that belongs to this control plane.
    pub directory: PathBuf,
    /// The certificate authority.
    pub ca: PathBuf,
    /// The API server's certificate and its key.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// What service-account tokens are signed with, and what they are verified with.
    pub account_key: PathBuf,
    pub account_public_key: PathBuf,
    /// The tokens that the API server knows.
    pub tokens: PathBuf,
    /// The administrator's kubeconfig.
    pub admin: PathBuf,
}

impl Files {
    /// Writes them, for an API server at `url`.
    pub fn write(directory: &Path, url: &str) -> Self {
        let file = |name: &str| directory.join(name);
        let files = Self {
            directory: directory.to_owned(),
            ca: file("ca.pem"),
            certificate: file("apiserver.pem"),
            key: file("apiserver.key"),
            account_key: file("service-account.key"),
            account_public_key: file("service-account.pem"),
            tokens: file("tokens.csv"),
            admin: file("admin.kubeconfig"),
        };
        files.write_certificates();
        files.write_account_keys();
        let token = Uuid::new_v4().to_string();
        private(&files.tokens, &format!("{token},admin,admin,\"system:masters\"\n"));
        files.write_kubeconfig(&files.admin, url, "default", &token);
        files
    }

    /// Writes a kubeconfig whose user carries `token`.
    pub fn write_kubeconfig(&self, path: &Path, url: &str, namespace: &str, token: &str) {
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": {"server": url, "certificate-authority": self.ca}}],
            "users": [{"name": "tests", "user": {"token": token}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests", "namespace": namespace}}],
            "current-context": "tests",
        });
        private(path, &serde_yaml_ng::to_string(&kubeconfig).unwrap());
    }

    fn write_certificates(&self) {
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(DnType::CommonName, "secret-service tests CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        private(&self.ca, &ca.pem());

        let mut server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        server.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        private(&self.certificate, &server.signed_by(&key, &ca).unwrap().pem());
        private(&self.key, &key.serialize_pem());
    }

    /// RSA, because that is the only kind that Entra accepts from a cluster.
    fn write_account_keys(&self) {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        private(&self.account_key, &key.serialize_pem());
        private(&self.account_public_key, &key.public_key_pem());
    }
}

/// Writes a file that only we can read.
fn private(path: &Path, content: &str) {
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}
