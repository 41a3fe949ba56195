//! The sample secrets of dev mode's vault: as a create_samples would have them, with random values.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doubles_common::tls::TlsError;
use key_vault_double::{KeyVault, Seed};
use rcgen::{CertificateParams, DnType, KeyPair};
use secrecy::SecretString;

use crate::cli::CommandError;

/// Random bytes in a password or a token.
const STRENGTH: usize = 24;

/// Creates the sample secrets whose names are free.
pub(super) async fn create_samples(vault: &KeyVault) -> Result<(), CommandError> {
    vault.seed_all(seeds()?).await.map(|_| ()).map_err(CommandError::failed)
}

fn seeds() -> Result<Vec<Seed>, CommandError> {
    let certificate = certificate().map_err(CommandError::failed)?;
    let seed = |name: &str, used_for: &str, content_type: &str, value| Seed {
        name: name.to_owned(),
        value,
        content_type: Some(content_type.to_owned()),
        tags: BTreeMap::from([("used-for".to_owned(), used_for.to_owned())]),
        managed: false,
    };
    let text = |name, used_for, value| seed(name, used_for, "text/plain", value);
    Ok(vec![
        text("pump-7-username", "the OPC UA server of pump 7", user()),
        text("pump-7-password", "the OPC UA server of pump 7", random_secret()),
        text("line-3-camera-username", "the camera over line 3", user()),
        text("line-3-camera-password", "the camera over line 3", random_secret()),
        text("historian-token", "the dataflow to the historian", random_secret()),
        text("kafka-sasl-password", "the dataflow to Event Hubs", random_secret()),
        seed("opc-certificate", "the OPC UA connector", "application/x-pem-file", certificate),
    ])
}

fn user() -> SecretString {
    format!("user-{:08x}", rand::random::<u32>()).into()
}

fn random_secret() -> SecretString {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; STRENGTH]>()).into()
}

/// A certificate and its key as PEM.
fn certificate() -> Result<SecretString, TlsError> {
    let key = KeyPair::generate()?;
    let mut parameters = CertificateParams::new(["opc-ua-connector".to_owned()])?;
    parameters.distinguished_name.push(DnType::CommonName, "opc-ua-connector");
    let certificate = parameters.self_signed(&key)?;
    Ok(format!("{}{}", certificate.pem(), key.serialize_pem()).into())
}
