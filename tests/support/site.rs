//! Where a test takes place: a vault, a cluster and a directory.

use super::*;

/// A vault and a cluster, and the hands of others on both.
pub struct Site {
    pub vault: KeyVault,
    /// The instance's namespace; on a real cluster, of this site alone.
    pub namespace: String,
    /// Who the service is in the cluster: on a real one, the least-privileged account that the product documents.
    pub kubeconfig: PathBuf,
    /// Somebody who may do everything there.
    pub kube: Client,
    /// That somebody's kubeconfig.
    pub admin_kubeconfig: PathBuf,
    double: Option<Cluster>,
    /// The double of the Secret Store extension, with the Secret Store engine.
    pub extension: Option<Extension>,
    pub somebody: Somebody,
    pub directory: TempDir,
    pub ca: PathBuf,
}

// === impl Site ===

impl Site {
    /// On the double, or on a namespace of its own of the real control plane that the tests share.
    pub async fn start() -> Self {
        match is_real() {
            true => Self::on(control_plane::shared().await).await,
            false => Self::on_double().await,
        }
    }

    /// On a real control plane.
    pub async fn on(plane: &control_plane::ControlPlane) -> Self {
        let namespace = format!("t-{}", uuid::Uuid::new_v4());
        let kubeconfig = plane.instance(&namespace).await;
        Self::of_account(plane, namespace, kubeconfig).await
    }

    /// On a real control plane, as an account of its own.
    pub async fn of_account(
        plane: &control_plane::ControlPlane,
        namespace: String,
        kubeconfig: PathBuf,
    ) -> Self {
        let (directory, authority) = ground();
        let vault = vault_double(directory.path(), &authority).await;
        Self {
            kubeconfig,
            namespace,
            kube: plane.admin().await,
            admin_kubeconfig: plane.admin_kubeconfig().to_owned(),
            double: None,
            extension: None,
            somebody: Somebody::at(&vault, authority.path()),
            vault,
            directory,
            ca: authority.path().to_owned(),
        }
    }

    async fn on_double() -> Self {
        let (directory, authority) = ground();
        let vault = vault_double(directory.path(), &authority).await;
        let double = kubernetes_double(directory.path(), &authority).await;
        Self {
            kubeconfig: double.kubeconfig().to_owned(),
            namespace: NAMESPACE.to_owned(),
            kube: control_plane::client(double.kubeconfig()).await,
            admin_kubeconfig: double.kubeconfig().to_owned(),
            double: Some(double),
            extension: None,
            somebody: Somebody::at(&vault, authority.path()),
            vault,
            directory,
            ca: authority.path().to_owned(),
        }
    }

    /// Installs the Secret Store extension, with the double of its controller.
    pub async fn install_extension(&mut self) {
        extension::install(&self.kube).await.unwrap();
        let identity = &self.vault.credential().client_id;
        extension::enable(&self.kube, &self.namespace, identity).await.unwrap();
        self.extension = Some(Extension::start(self.extension_options()).await.unwrap());
    }

    /// The options of the extension's double. It does not poll within a test.
    pub fn extension_options(&self) -> extension::Options {
        let vault = extension::VaultAccess {
            vaults: BTreeMap::from([(VAULT.to_owned(), self.vault.uri())]),
            authority_host: self.vault.authority_host(),
            credential: self.vault.credential().clone(),
            ca_file: self.ca.clone(),
            proxy: None,
        };
        let namespaces = Some(vec![self.namespace.clone()]);
        extension::Options { namespaces, ..extension::Options::new(&self.admin_kubeconfig, vault) }
    }

    /// The SecretSyncs of the instance's namespace.
    pub fn syncs(&self) -> Api<SecretSync> {
        Api::namespaced(self.kube.clone(), &self.namespace)
    }

    /// The SecretProviderClasses of the instance's namespace.
    pub fn classes(&self) -> Api<SecretProviderClass> {
        Api::namespaced(self.kube.clone(), &self.namespace)
    }

    /// The double of Kubernetes, for its faults: tests that need it begin with `needs!(the_double)`.
    pub fn cluster(&self) -> &Cluster {
        self.double.as_ref().expect("a real cluster has no faults to order")
    }

    pub fn is_double(&self) -> bool {
        self.double.is_some()
    }

    /// The Secrets of the instance's namespace.
    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.kube.clone(), &self.namespace)
    }

    /// Lets the service look into a group besides those of its documented role. The double lets it look everywhere.
    pub async fn allows(&self, group: &str) {
        if !self.is_double() {
            control_plane::shared().await.allow(&self.namespace, group).await;
        }
    }

    /// What the edge holds under a name, as text.
    pub async fn edge(&self, name: &str) -> Option<BTreeMap<String, String>> {
        let secret = self.secrets().get_opt(name).await.unwrap()?;
        let text =
            |(key, bytes): (String, k8s_openapi::ByteString)| (key, String::from_utf8(bytes.0).unwrap());
        Some(secret.data.unwrap_or_default().into_iter().map(text).collect())
    }

    /// Puts a secret into the vault, as somebody else would.
    pub async fn seed(&self, name: &str, value: &str) {
        self.vault.seed(name, SecretString::from(value), None, BTreeMap::new()).await.unwrap();
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// A directory, and a certificate authority in it.
fn ground() -> (TempDir, Authority) {
    // Somebody else may have been faster.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(directory.path()).unwrap();
    (directory, authority)
}

async fn vault_double(directory: &Path, authority: &Authority) -> KeyVault {
    use key_vault_double::Options;
    let options = Options { directory: directory.to_owned(), port: 0, latency: Duration::ZERO };
    KeyVault::start(options, authority).await.unwrap()
}

async fn kubernetes_double(directory: &Path, authority: &Authority) -> Cluster {
    use kubernetes_double::Options;
    let options = Options { directory: directory.to_owned(), port: 0, namespace: NAMESPACE.to_owned() };
    Cluster::start(options, authority).await.unwrap()
}
