//! The configuration file of a `serve` that a test starts as a process.

use std::path::Path;

use key_vault_double::KeyVault;
use secrecy::ExposeSecret;

/// What the file names.
pub struct Configuration<'a> {
    pub vault: &'a KeyVault,
    pub ca: &'a Path,
    pub kubeconfig: &'a Path,
    pub namespace: &'a str,
    /// Where the database and the client secret stand.
    pub directory: &'a Path,
    pub port: u16,
    /// Further lines of `[vault]` and all of `[sync]`.
    pub lines_of_vault: &'a str,
    pub sync: &'a str,
}

impl Configuration<'_> {
    /// The text of the file. Writes the client secret that it names.
    pub fn text(&self) -> String {
        let application = self.vault.credential();
        let secret = self.directory.join("client-secret");
        std::fs::write(&secret, application.secret.expose_secret()).expect("a file");
        format!(
            r#"
[vault]
uri = "{vault}"
verify_challenge = false
ca_file = "{ca}"
timeout = "2s"
{lines_of_vault}
[credential]
kind = "client-secret"
tenant_id = "{tenant}"
client_id = "{client}"
secret_file = "{secret}"

[cloud]
name = "custom"
authority_host = "{authority}"

[kubernetes]
kubeconfig = "{kubeconfig}"
namespace = "{namespace}"
timeout = "2s"

[sync]
{sync}
[server]
listen = ["127.0.0.1:{port}"]

[authentication]
tokens = false
anonymous = true

[database]
path = "{database}"
"#,
            vault = self.vault.uri(),
            ca = self.ca.display(),
            lines_of_vault = self.lines_of_vault,
            tenant = application.tenant_id,
            client = application.client_id,
            secret = secret.display(),
            authority = self.vault.authority_host(),
            kubeconfig = self.kubeconfig.display(),
            namespace = self.namespace,
            sync = self.sync,
            port = self.port,
            database = self.directory.join("serve.db").display(),
        )
    }
}
