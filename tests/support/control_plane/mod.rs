//! A real Kubernetes control plane on loopback: etcd, kube-apiserver and kube-controller-manager, as processes of ours.

// Each test binary uses its own part of this.
#![allow(dead_code, missing_docs)]

mod arguments;
mod files;
mod process;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{Namespace, Secret, ServiceAccount},
};
use kube::{
    Api, Client, Config,
    api::{
        DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams,
        ValidationDirective,
    },
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep, timeout},
};

use files::Files;
use process::Process;

/// The variable that asks for the real thing, and the value that it has then.
pub const CLUSTER: (&str, &str) = ("SECRET_SERVICE_TEST_CLUSTER", "real");

/// What the chart makes for the engine `auto`: the rights of both engines.
const MANIFEST: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/manifests/auto.yaml"));
/// The namespace that the manifest names.
pub const MANIFEST_NAMESPACE: &str = "azure-iot-operations";
/// The service account and the rights in it.
const ACCOUNT_KINDS: [&str; 5] =
    ["ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];
/// The service account that it makes.
pub const ACCOUNT: &str = "secret-service";

/// A start takes seconds; this is for a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long an instance's token lives: longer than any run.
const DAY: Duration = Duration::from_secs(86_400);
/// How often a start is tried again because somebody else took the port first.
const ATTEMPTS: u32 = 5;

/// A running control plane. Dropped, it is stopped and its data removed; a crash of this process does the same.
pub struct ControlPlane {
    // In the order in which they are stopped.
    controllers: Mutex<Option<Process>>,
    apiserver: Mutex<Option<Process>>,
    etcd: Mutex<Option<Process>>,
    url: String,
    files: Files,
    bin: PathBuf,
    _directory: TempDir,
}

/// The one that all tests of this process share, started at first use.
pub async fn shared() -> &'static ControlPlane {
    // The processes and the files belong to no runtime, so a later test with a runtime of its own can use them.
    static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
    SHARED.get_or_init(ControlPlane::start).await
}

// === impl ControlPlane ===

impl ControlPlane {
    /// Builds the programs where they aren't there yet, starts them, and waits until the API server is ready.
    pub async fn start() -> Self {
        // Somebody else may have been faster.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let bin = tokio::task::spawn_blocking(programs).await.unwrap();
        let mut attempts_left = ATTEMPTS;
        loop {
            match Self::try_start(&bin).await {
                Ok(plane) => return plane,
                Err(words) if words.contains("address already in use") && attempts_left > 0 => {
                    say("control plane: somebody else was faster to take the port; another one is tried");
                    attempts_left -= 1;
                }
                Err(words) => panic!("the control plane doesn't start: {words}"),
            }
        }
    }

    /// Where the API server is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate of its authority, in PEM.
    pub fn ca(&self) -> &Path {
        &self.files.ca
    }

    /// The issuer of service-account tokens: OpenID discovery and the JWKS lie below it.
    pub fn issuer(&self) -> &str {
        &self.url
    }

    /// The kubeconfig of somebody who may do everything.
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.files.admin
    }

    /// A client of somebody who may do everything, for the runtime of the caller.
    pub async fn admin(&self) -> Client {
        client(self.admin_kubeconfig()).await
    }

    /// Makes a namespace and in it the product's least-privileged service account, as the chart has it; its kubeconfig.
    pub async fn instance(&self, namespace: &str) -> PathBuf {
        let kubeconfig = self.instance_of(namespace, account(MANIFEST)).await;
        until_allowed(&kubeconfig, namespace).await;
        kubeconfig
    }

    /// The same with other rights than those that the chart gives it, as objects of the chart's.
    pub async fn instance_of(&self, namespace: &str, account: Vec<serde_json::Value>) -> PathBuf {
        let admin = self.admin().await;
        let metadata = ObjectMeta { name: Some(namespace.to_owned()), ..ObjectMeta::default() };
        let new = Namespace { metadata, ..Namespace::default() };
        match Api::<Namespace>::all(admin.clone()).create(&PostParams::default(), &new).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            Err(error) => panic!("the namespace {namespace}: {error}"),
        }
        for object in account {
            apply(&admin, namespace, &object.to_string().replace(MANIFEST_NAMESPACE, namespace)).await;
        }

        let token = self.token(namespace, ACCOUNT, &[], DAY).await;
        let kubeconfig = self.files.directory.join(format!("{namespace}.kubeconfig"));
        self.files.write_kubeconfig(&kubeconfig, &self.url, namespace, &token);
        kubeconfig
    }

    /// Lets an instance's account list and watch a group, as whoever configures a rule for it would.
    pub async fn allow(&self, namespace: &str, group: &str) {
        let manifest = format!(
            "{{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{name: extra, namespace: {namespace}}}, \
             rules: [{{apiGroups: [{group}], resources: ['*'], verbs: [list, watch]}}]}}\n---\n\
             {{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: extra, namespace: {namespace}}}, \
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: extra}}, \
             subjects: [{{kind: ServiceAccount, name: {ACCOUNT}, namespace: {namespace}}}]}}"
        );
        apply(&self.admin().await, namespace, &manifest).await;
    }

    /// Makes a service account.
    pub async fn account(&self, namespace: &str, name: &str) {
        let manifest = format!(
            "{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: {name}, namespace: {namespace}}}}}"
        );
        apply(&self.admin().await, namespace, &manifest).await;
    }

    /// Grants a user something: API group, resources, verbs, and names where it is not all of them.
    pub async fn grant(&self, namespace: &str, user: &str, rule: (&str, &[&str], &[&str], &[&str])) {
        let (group, resources, verbs, names) = rule;
        let name = format!("to-{}", uuid::Uuid::new_v4());
        let manifest = format!(
            "{{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{name: {name}, namespace: {namespace}}}, \
             rules: [{{apiGroups: [{group}], resources: {resources:?}, verbs: {verbs:?}, resourceNames: {names:?}}}]}}\n---\n\
             {{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{name: {name}, namespace: {namespace}}}, \
             roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {name}}}, \
             subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user:?}}}]}}"
        );
        apply(&self.admin().await, namespace, &manifest).await;
    }

    /// Deletes a service account.
    pub async fn remove_account(&self, namespace: &str, name: &str) {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin().await, namespace);
        accounts.delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// A token of a service account, of the instance's for example, for these audiences, for the API server itself where there are none. Kubernetes
    /// gives none that lives for less than ten minutes.
    pub async fn token(
        &self,
        namespace: &str,
        account: &str,
        audiences: &[&str],
        lifetime: Duration,
    ) -> String {
        let spec = TokenRequestSpec {
            audiences: Some(audiences.iter().map(ToString::to_string).collect()),
            expiration_seconds: Some(lifetime.as_secs().cast_signed()),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin().await, namespace);
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await.unwrap();
        answer.status.and_then(|status| status.token).expect("a token request is answered by a token")
    }

    /// Kills etcd: the API server is without its store.
    pub fn stop_etcd(&self) {
        self.etcd.lock().unwrap().take();
    }

    /// Starts etcd again on the data that it had.
    pub fn start_etcd(&self) {
        let etcd = Process::start(&self.bin, "etcd", &arguments::etcd(&self.files), &self.files.directory);
        *self.etcd.lock().unwrap() = Some(etcd);
    }

    /// Waits until the API server says that it is ready.
    pub async fn until_ready(&self) {
        if let Err(words) = self.ready().await {
            panic!("{words}");
        }
    }

    /// The ids of its processes.
    pub fn ids(&self) -> Vec<u32> {
        let id = |process: &Mutex<Option<Process>>| process.lock().unwrap().as_ref().map(Process::id);
        [&self.etcd, &self.apiserver, &self.controllers].into_iter().filter_map(id).collect()
    }

    /// Where its data and logs are.
    pub fn directory(&self) -> &Path {
        &self.files.directory
    }

    async fn try_start(bin: &Path) -> Result<Self, String> {
        let directory =
            tempfile::Builder::new().prefix("control-plane-").tempdir_in(fast_directory()).unwrap();
        let port = free_port();
        let url = format!("https://127.0.0.1:{port}");
        let files = Files::write(directory.path(), &url);
        let start = |name, arguments: Vec<String>| {
            Mutex::new(Some(Process::start(bin, name, &arguments, directory.path())))
        };
        let plane = Self {
            etcd: start("etcd", arguments::etcd(&files)),
            apiserver: start("kube-apiserver", arguments::apiserver(&files, &url, port)),
            controllers: Mutex::new(None),
            bin: bin.to_owned(),
            url,
            files,
            _directory: directory,
        };
        plane.ready().await?;
        // They give up where the API server lets them wait.
        let (files, controllers) = (&plane.files, arguments::controller_manager(&plane.files));
        let controllers = Process::start(bin, "kube-controller-manager", &controllers, &files.directory);
        *plane.controllers.lock().unwrap() = Some(controllers);
        Ok(plane)
    }

    async fn ready(&self) -> Result<(), String> {
        let (admin, begun) = (self.admin().await, Instant::now());
        loop {
            let ask = http::Request::get("/readyz").body(Vec::new()).unwrap();
            // Who took our port may accept and say nothing.
            let answer = timeout(Duration::from_secs(2), admin.request_text(ask)).await;
            if let Ok(Ok(_)) = answer {
                return Ok(());
            }
            for process in [&self.etcd, &self.apiserver] {
                if let Some(words) = process.lock().unwrap().as_mut().and_then(Process::last_words) {
                    return Err(words);
                }
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("the API server isn't ready after {PATIENCE:?}: {answer:?}"));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A client with a kubeconfig, for the runtime of the caller.
pub async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// A manifest that the chart makes, by its engine.
pub fn manifest(engine: &str) -> String {
    let path = format!("{}/deploy/manifests/{engine}.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// The account of the product and its rights, out of a manifest that the chart makes.
pub fn account(manifest: &str) -> Vec<serde_json::Value> {
    let objects = serde_yaml_ng::Deserializer::from_str(manifest);
    let objects = objects.map(|object| serde_json::Value::deserialize(object).unwrap());
    objects.filter(|object| ACCOUNT_KINDS.iter().any(|kind| object["kind"] == *kind)).collect()
}

/// Applies every object of a YAML text, as `kubectl apply --server-side` does. A field that the API server does not know is an error.
pub async fn apply(admin: &Client, namespace: &str, manifest: &str) {
    for document in serde_yaml_ng::Deserializer::from_str(manifest) {
        let object = DynamicObject::deserialize(document).unwrap();
        let kind = GroupVersionKind::try_from(object.types.as_ref().unwrap()).unwrap();
        let resource = ApiResource::from_gvk(&kind);
        let objects: Api<DynamicObject> = match object.metadata.namespace {
            Some(_) => Api::namespaced_with(admin.clone(), namespace, &resource),
            None => Api::all_with(admin.clone(), &resource),
        };
        let name = object.metadata.name.clone().unwrap();
        let strict = Some(ValidationDirective::Strict);
        let params = PatchParams { field_validation: strict, ..PatchParams::apply("tests").force() };
        let applied = objects.patch(&name, &params, &Patch::Apply(&object)).await;
        applied.unwrap_or_else(|error| panic!("{} {name}: {error}", kind.kind));
    }
}

/// Waits until the API server knows of a new RoleBinding: its authorizer learns of it by a watch.
async fn until_allowed(kubeconfig: &Path, namespace: &str) {
    let secrets: Api<Secret> = Api::namespaced(client(kubeconfig).await, namespace);
    let begun = Instant::now();
    while let Err(error) = secrets.list_metadata(&ListParams::default().limit(1)).await {
        assert!(begun.elapsed() < PATIENCE, "the account of {namespace} never got its rights: {error}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// The directory of the programs; built where they aren't there yet, which takes minutes.
fn programs() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/control-plane");
    let output = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "scripts/control-plane failed; its words are above");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

/// Memory, where there is enough of it for etcd's log; else the directory for temporary files.
fn fast_directory() -> PathBuf {
    const ENOUGH: u64 = 512 << 20;
    let memory = PathBuf::from("/dev/shm");
    match rustix::fs::statvfs(&memory) {
        Ok(space) if space.f_bavail * space.f_frsize > ENOUGH => memory,
        _ => std::env::temp_dir(),
    }
}

/// Past the test runner, which keeps to itself what a test that passes prints.
fn say(words: &str) {
    // Nobody may be listening.
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// A port that nobody listens on right now.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
