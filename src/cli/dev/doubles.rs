//! The doubles of dev mode: a Key Vault, a Kubernetes API, a proxy, and optionally the Secret Store
//! extension.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, TcpListener},
    time::Duration,
};

use doubles_common::proxy::{self, Proxy};
use doubles_common::tls::Authority;
use key_vault_double::{self as vault_double, KeyVault};
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use kubernetes_double::{self as kube_double, Cluster};
use secret_store_extension_double::{self as extension, Extension};

use super::{
    Dev, Engine, NAMESPACE, crds,
    data::{DataDirectory, State},
    seeds,
};
use crate::cli::CommandError;

/// The running doubles.
pub(super) struct Doubles {
    pub vault: KeyVault,
    pub cluster: Cluster,
    /// Routes Azure's host names to the vault.
    pub proxy: Proxy,
    /// Runs with the secret-store engine only.
    extension: Option<Extension>,
}

// === impl Doubles ===

impl Doubles {
    /// Starts them with the state in the data directory, on the ports of the last run if these are free.
    pub async fn start(dev: &Dev, data: &DataDirectory, authority: &Authority) -> Result<Self, CommandError> {
        let remembered = data.load_state();
        let vault = vault_double::Options {
            directory: data.subdirectory("vault")?,
            port: free_or_any(remembered.vault_port),
            latency: Duration::from_millis(dev.vault_latency_ms),
        };
        let cluster = kube_double::Options {
            directory: data.subdirectory("kube")?,
            port: free_or_any(remembered.kube_port),
            namespace: NAMESPACE.to_owned(),
        };
        let (vault, cluster) =
            tokio::join!(KeyVault::start(vault, authority), Cluster::start(cluster, authority));
        let (vault, cluster) = (vault.map_err(CommandError::failed)?, cluster.map_err(CommandError::failed)?);
        let client = client(&cluster).await?;
        crds::install(&client).await?;
        // Everyone on this machine may call the service without credentials, so the vault is no stricter.
        vault.configure(|settings| settings.any_application = true);
        let hosts = [vault_double::public_host(&dev.vault_name), vault_double::AUTHORITY_HOST.to_owned()];
        let proxy = proxy::Options {
            port: free_or_any(remembered.proxy_port),
            routes: hosts.into_iter().map(|host| (host, vault.address())).collect(),
        };
        let proxy = Proxy::start(proxy).await.map_err(CommandError::failed)?;
        if !remembered.seeded {
            seeds::create_samples(&vault).await?;
            seeds::create_users(&client).await?;
        }
        let extension = match dev.engine {
            Engine::Direct => None,
            Engine::SecretStore => Some(start_extension(dev, authority, &vault, &cluster, &client).await?),
        };
        data.save_state(&State {
            vault_port: vault.address().port(),
            proxy_port: proxy.address().port(),
            kube_port: cluster.url().port().unwrap_or_default(),
            seeded: true,
        })?;
        Ok(Self { vault, cluster, proxy, extension })
    }

    /// Stops them, clients before servers.
    pub async fn stop(self) {
        if let Some(extension) = self.extension {
            extension.stop().await;
        }
        self.proxy.stop().await;
        tokio::join!(self.vault.stop(), self.cluster.stop());
    }
}

/// Installs the extension's custom resources and starts the double of its controller.
async fn start_extension(
    dev: &Dev,
    authority: &Authority,
    vault: &KeyVault,
    cluster: &Cluster,
    client: &Client,
) -> Result<Extension, CommandError> {
    extension::install(client).await.map_err(CommandError::failed)?;
    let identity = &vault.credential().client_id;
    extension::enable(client, NAMESPACE, identity).await.map_err(CommandError::failed)?;
    let access = extension::VaultAccess {
        vaults: BTreeMap::from([(dev.vault_name.clone(), vault.uri())]),
        authority_host: vault.authority_host(),
        credential: vault.credential().clone(),
        ca_file: authority.path().to_owned(),
        proxy: None,
    };
    let options = extension::Options {
        rotation_poll_interval: dev.interval,
        ..extension::Options::new(cluster.kubeconfig(), access)
    };
    Extension::start(options).await.map_err(CommandError::failed)
}

/// A client of the cluster, as anybody's.
async fn client(cluster: &Cluster) -> Result<Client, CommandError> {
    let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).map_err(CommandError::failed)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.map_err(CommandError::failed)?).map_err(CommandError::failed)
}

/// The port of the last run, so that clients keep working; 0 for any free port if it is taken.
fn free_or_any(port: u16) -> u16 {
    match TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), port)) {
        Ok(_) => port,
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_replaces_a_taken_one() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_eq!(free_or_any(port), 0);
        drop(taken);
        assert_eq!(free_or_any(port), port);
    }
}
