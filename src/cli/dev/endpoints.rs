//! What dev mode publishes when it is ready: `dev.json` for programs, and a summary for people.

use std::{
    fmt,
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use doubles_common::tls::Authority;
use key_vault_double::public_host;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use url::form_urlencoded;

use super::{NAMESPACE, data::DataDirectory, doubles::Doubles};
use crate::cli::CommandError;

/// Files in the data directory with the vault credential, in the two forms that clients take.
const TOKEN_REQUEST: &str = "vault-token-request";
const CLIENT_SECRET: &str = "vault-client-secret";

/// The addresses and files of dev mode.
#[derive(Serialize)]
pub(super) struct Endpoints {
    /// The console, for a browser.
    console: String,
    /// Address of the gRPC server.
    grpc: String,
    vault_uri: String,
    /// CA certificate of both doubles.
    vault_ca: PathBuf,
    /// Token endpoint: `curl --cacert VAULT_CA -d @VAULT_TOKEN_REQUEST VAULT_TOKEN_URL`.
    vault_token_url: String,
    vault_token_request: PathBuf,
    /// The vault under its Azure name, for clients with production settings: they reach it through the proxy
    /// (`HTTPS_PROXY`), trust the CA and use this application's credential.
    vault_public_uri: String,
    vault_proxy: String,
    vault_tenant_id: String,
    vault_client_id: String,
    vault_client_secret_file: PathBuf,
    kubeconfig: PathBuf,
    database: PathBuf,
    namespace: &'static str,
    pid: u32,
    #[serde(skip)]
    client_secret: SecretString,
    #[serde(skip)]
    token_request: SecretString,
}

impl Endpoints {
    pub fn of(
        data: &DataDirectory,
        authority: &Authority,
        doubles: &Doubles,
        vault_name: &str,
        grpc: SocketAddr,
    ) -> Result<Self, CommandError> {
        let credential = doubles.vault.credential();
        let token_request: SecretString = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &credential.client_id)
            .append_pair("client_secret", credential.secret.expose_secret())
            .append_pair("scope", "https://vault.azure.net/.default")
            .finish()
            .into();
        let token_url =
            doubles.vault.authority_host().join(&format!("{}/oauth2/v2.0/token", credential.tenant_id));
        Ok(Self {
            console: format!("http://{grpc}/"),
            grpc: grpc.to_string(),
            vault_uri: doubles.vault.uri().to_string(),
            vault_ca: authority.path().to_owned(),
            vault_token_url: token_url.map_err(CommandError::failed)?.to_string(),
            vault_token_request: data.path().join(TOKEN_REQUEST),
            vault_public_uri: format!("https://{}/", public_host(vault_name)),
            vault_proxy: doubles.proxy.url().as_str().trim_end_matches('/').to_owned(),
            vault_tenant_id: credential.tenant_id.clone(),
            vault_client_id: credential.client_id.clone(),
            vault_client_secret_file: data.path().join(CLIENT_SECRET),
            kubeconfig: doubles.cluster.kubeconfig().to_owned(),
            database: data.database(),
            namespace: NAMESPACE,
            pid: std::process::id(),
            client_secret: credential.secret.clone(),
            token_request,
        })
    }

    /// Writes the file for programs, then prints the summary for people, who then find the file.
    pub fn announce(&self, data: &DataDirectory) -> Result<(), CommandError> {
        data.write(TOKEN_REQUEST, self.token_request.expose_secret().as_bytes())?;
        data.write(CLIENT_SECRET, self.client_secret.expose_secret().as_bytes())?;
        let file = data.publish(self)?;
        // A closed standard output is no reason to stop.
        let _ = write!(io::stdout().lock(), "{}", Summary { place: self, file: &file });
        Ok(())
    }
}

/// The summary for people.
struct Summary<'a> {
    place: &'a Endpoints,
    file: &'a Path,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Endpoints { console, grpc, vault_uri, vault_ca, vault_token_url, vault_token_request, .. } =
            self.place;
        let Endpoints { vault_public_uri, vault_proxy, kubeconfig, database, namespace, .. } = self.place;
        let service = "iotoperations.secrets.v1.SecretService";
        let create = r#"{"synced_secret_id": "pump-7", "synced_secret": {"references": [{"key": "username", "vault_secret": "vaultSecrets/pump-7-username"}, {"key": "password", "vault_secret": "vaultSecrets/pump-7-password"}]}, "wait": "5s"}"#;
        write!(
            f,
            "\nSecret Service is ready. This is dev mode: no authentication, NOT FOR PRODUCTION.\n\n  \
             Console     {console}\n  \
             gRPC        {grpc}  (plaintext; gRPC-Web, health, reflection)\n  \
             Key Vault   {vault_uri}  (CA {ca})\n  \
             Kubernetes  kubectl --kubeconfig {kubeconfig} -n {namespace} get secrets\n  \
             Database    {database}\n  \
             All details {file}\n  \
             Vault token curl --cacert {ca} -d @{request} {vault_token_url}\n  \
             Like Azure  HTTPS_PROXY={vault_proxy} SSL_CERT_FILE={ca} REQUESTS_CA_BUNDLE={ca} CLIENT  \
             reaches {vault_public_uri}\n\n\
             Try:\n\n  \
             grpcurl -plaintext {grpc} {service}/ListVaultSecrets\n  \
             grpcurl -plaintext -d '{create}' {grpc} {service}/CreateSyncedSecret\n  \
             grpcurl -plaintext {grpc} {service}/ListSyncedSecrets\n\n",
            ca = vault_ca.display(),
            kubeconfig = kubeconfig.display(),
            database = database.display(),
            file = self.file.display(),
            request = vault_token_request.display(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints() -> Endpoints {
        Endpoints {
            console: "http://127.0.0.1:50051/".to_owned(),
            grpc: "127.0.0.1:50051".to_owned(),
            vault_uri: "https://127.0.0.1:4443/".to_owned(),
            vault_ca: "/d/ca.pem".into(),
            vault_token_url: "https://127.0.0.1:4443/t/oauth2/v2.0/token".to_owned(),
            vault_token_request: "/d/vault-token-request".into(),
            vault_public_uri: "https://contoso-aio.vault.azure.net/".to_owned(),
            vault_proxy: "http://127.0.0.1:4444".to_owned(),
            vault_tenant_id: "t".to_owned(),
            vault_client_id: "c".to_owned(),
            vault_client_secret_file: "/d/vault-client-secret".into(),
            kubeconfig: "/d/kube/kubeconfig".into(),
            database: "/d/secret-service.db".into(),
            namespace: NAMESPACE,
            pid: 7,
            client_secret: "canary".to_owned().into(),
            token_request: "client_secret=canary".to_owned().into(),
        }
    }

    #[test]
    fn dev_json_has_the_documented_fields_and_no_secret() {
        let json = serde_json::to_value(endpoints()).unwrap();
        let promised = ["console", "grpc", "vault_uri", "vault_ca", "kubeconfig", "database", "namespace"];
        for key in promised {
            assert!(json[key].is_string(), "{key}");
        }
        assert_eq!(json["namespace"], "azure-iot-operations");
        assert!(!json.to_string().contains("canary"));
    }

    #[test]
    fn the_page_has_three_lines_to_try_and_no_secret() {
        let place = endpoints();
        let page = Summary { place: &place, file: Path::new("/d/dev.json") }.to_string();
        assert_eq!(page.matches("grpcurl -plaintext").count(), 3);
        let (console, grpc) = (page.find("http://127.0.0.1:50051/\n"), page.find("gRPC"));
        assert!(console.is_some() && console < grpc, "the page for people comes first: {page}");
        assert!(page.contains("NOT FOR PRODUCTION") && !page.contains("canary"));
        assert!(page.contains("HTTPS_PROXY=http://127.0.0.1:4444 SSL_CERT_FILE=/d/ca.pem"));
    }
}
