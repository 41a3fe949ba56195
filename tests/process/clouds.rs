//! Azure Government, Azure China and a custom cloud: the service under the names of each, which a proxy routes to the doubles. Where
//! tokens come from and what they are for, and what the Secret Store extension is told of the cloud.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use doubles_common::proxy::{self, Proxy};
use key_vault_double::{CertificateVerifier, Cloud, Issued, Operation};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use secret_service::proto::synced_secret::State;
use secret_store_extension_double::Extension;
use serde_json::json;

use super::process::{DIRECT, Process, configuration};
use crate::support::{Site, requests::*};

const VAULT: &str = "contoso";

/// A cloud as a configuration names it.
struct Named {
    cloud: Cloud,
    /// The lines of `[cloud]`.
    lines: &'static str,
}

const US_GOVERNMENT: Named = Named { cloud: Cloud::US_GOVERNMENT, lines: "name = \"us-government\"" };
const CHINA: Named = Named { cloud: Cloud::CHINA, lines: "name = \"china\"" };
const CUSTOM: Named = Named {
    cloud: Cloud::CUSTOM,
    lines: "name = \"custom\"\nauthority_host = \"https://login.azurestack.example/\"",
};

/// A site whose vault and authority have the names of a cloud, for those who go through the proxy.
struct InCloud {
    site: Site,
    named: Named,
    proxy: Proxy,
}

// === impl InCloud ===

impl InCloud {
    async fn start(named: Named) -> Self {
        let site = Site::start().await;
        let hosts = [named.cloud.vault_host(VAULT), named.cloud.authority_host.to_owned()];
        let routes = hosts.into_iter().map(|host| (host, site.vault.address())).collect();
        let proxy = Proxy::start(proxy::Options { port: 0, routes }).await.unwrap();
        Self { site, named, proxy }
    }

    /// Installs the extension, which knows vaults and authorities by their names in the cloud of the class only.
    async fn install_extension(&mut self) {
        self.site.install_extension().await;
        self.site.extension.take().expect("it is installed").stop().await;
        let mut options = self.site.extension_options();
        options.vault.vaults.clear();
        options.vault.proxy = Some(self.proxy.url());
        self.site.extension = Some(Extension::start(options).await.unwrap());
    }

    /// The configuration with all defaults of a client of Azure, and the application's secret.
    fn configuration(&self, engine: &str, lines_of_secret_store: &str) -> String {
        let application = self.site.vault.credential();
        let own_identity = format!(
            "[secret_store]\nclient_id = \"{}\"\ntenant_id = \"{}\"\n{lines_of_secret_store}\n[cloud]\n",
            application.client_id, application.tenant_id
        );
        let on_loopback =
            format!("name = \"custom\"\nauthority_host = \"{}\"", self.site.vault.authority_host());
        let changes = [
            (self.site.vault.uri().to_string(), format!("https://{}/", self.named.cloud.vault_host(VAULT))),
            ("verify_challenge = false\n".to_owned(), String::new()),
            (on_loopback, self.named.lines.to_owned()),
            ("[cloud]\n".to_owned(), own_identity),
            (DIRECT.to_owned(), format!("engine = \"{engine}\"\n")),
        ];
        // The authority's own URL contains that of the vault, so it goes first.
        let order = [2, 0, 1, 3, 4];
        order.into_iter().map(|at| &changes[at]).fold(configuration(&self.site, 0), |text, (from, to)| {
            assert!(text.contains(from), "{from}: {text}");
            text.replacen(from, to, 1)
        })
    }

    /// The same with a certificate in place of the secret: the assertion is made for the cloud's authority.
    fn with_certificate(&self, configuration: &str) -> String {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let verifier = CertificateVerifier::new(certificate.der()).unwrap();
        self.site.vault.identity().register(Arc::new(verifier));
        let file = self.site.directory().join("client.pem");
        std::fs::write(&file, format!("{}{}", certificate.pem(), key.serialize_pem())).unwrap();
        let secret = self.site.directory().join("client-secret");
        configuration
            .replace("kind = \"client-secret\"", "kind = \"client-certificate\"")
            .replace(&format!("secret_file = {secret:?}"), &format!("certificate_file = {file:?}"))
    }

    async fn serve(&self, configuration: &str) -> Process {
        let url = self.proxy.url().to_string();
        let (proxy, direct) = (Path::new(&url), Path::new("127.0.0.1"));
        let environment =
            [("HTTPS_PROXY", proxy), ("https_proxy", proxy), ("NO_PROXY", direct), ("no_proxy", direct)];
        Process::serve_in_environment(&self.site, configuration, &environment).await
    }

    /// Creates a synced secret with a new vault secret, and looks at the edge and at who was asked for tokens.
    async fn walk(&self, configuration: &str) {
        let mut serving = self.serve(configuration).await;
        let made = serving.create("pump-7", vec![created("password", "pump-7-password", "one")]).await;
        assert_eq!(made.state(), State::Synced, "{made:?}");
        assert_eq!(self.site.edge("pump-7").await.unwrap()["password"], "one");
        let tenant = &self.site.vault.credential().tenant_id;
        let only = Issued {
            authority: format!("https://{}/{tenant}", self.named.cloud.authority_host),
            resource: self.named.cloud.resource(),
        };
        assert_eq!(self.site.vault.issued(), BTreeSet::from([only]));
        assert!(serving.terminate().await.success());
    }

    async fn walk_direct(&self) {
        self.walk(&self.with_certificate(&self.configuration("direct", ""))).await;
    }

    /// The same in the Secret Store engine; what the class says of the cloud.
    async fn walk_secret_store(&mut self, lines: &str) -> BTreeMap<String, String> {
        self.install_extension().await;
        self.walk(&self.configuration("secret-store", lines)).await;
        let mut parameters = self.site.classes().get("pump-7").await.unwrap().spec.parameters;
        assert_eq!(parameters["keyvaultName"], VAULT);
        parameters.retain(|name, _| name.starts_with("cloud"));
        parameters
    }
}

fn parameters(parameters: &[(&str, &str)]) -> BTreeMap<String, String> {
    parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_work_in_azure_government() {
    InCloud::start(US_GOVERNMENT).await.walk_direct().await;
    let told = InCloud::start(US_GOVERNMENT).await.walk_secret_store("").await;
    assert_eq!(told, parameters(&[("cloudName", "AzureUSGovernmentCloud")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_work_in_azure_china() {
    InCloud::start(CHINA).await.walk_direct().await;
    let told = InCloud::start(CHINA).await.walk_secret_store("").await;
    assert_eq!(told, parameters(&[("cloudName", "AzureChinaCloud")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_work_in_a_custom_cloud_that_a_file_describes() {
    InCloud::start(CUSTOM).await.walk_direct().await;
    let mut world = InCloud::start(CUSTOM).await;
    let file = world.site.directory().join("cloud.json");
    let described = json!({
        "name": "AzureStackCloud",
        "activeDirectoryEndpoint": "https://login.azurestack.example/",
        "keyVaultEndpoint": "https://vault.azurestack.example/",
        "keyVaultDNSSuffix": "vault.azurestack.example",
    });
    std::fs::write(&file, described.to_string()).unwrap();
    let told = world.walk_secret_store(&format!("cloud_env_file = {file:?}")).await;
    let file = file.to_str().unwrap();
    assert_eq!(told, parameters(&[("cloudName", "AzureStackCloud"), ("cloudEnvFileName", file)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_wants_a_token_for_another_cloud_gets_none() {
    for named in [US_GOVERNMENT, CHINA, CUSTOM] {
        let world = InCloud::start(named).await;
        world.site.vault.configure(|settings| settings.foreign_challenge = true);
        let mut serving = world.serve(&world.configuration("direct", "")).await;
        let request = create("pump-7", vec![created("password", "pump-7-password", "one")]);
        let refused = serving.client.create_synced_secret(request).await.unwrap_err();
        for word in ["challenge resource", "https://vault.azure.net", &world.named.cloud.vault_host(VAULT)] {
            assert!(refused.message().contains(word), "{word}: {refused:?}");
        }
        assert_eq!(world.site.vault.issued(), BTreeSet::new());
        assert_eq!(world.site.vault.requests().of(Operation::Token), 0, "it was not even asked for");
        assert!(serving.terminate().await.success());
    }
}
