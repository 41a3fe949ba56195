//! The samples of dev mode, as a plant would have them, with random values: secrets in the vault, and resources of Azure IoT
//! Operations that name secrets which nobody has synced yet.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doubles_common::tls::TlsError;
use jiff::{Timestamp, ToSpan};
use key_vault_double::{CertificateForm, KeyVault, Seed};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use secrecy::SecretString;
use serde::Deserialize;

use super::{NAMESPACE, crds::MANAGER};
use crate::cli::CommandError;

/// Random bytes in a password or a token.
const STRENGTH: usize = 24;
/// A secret that expires soon, and in how many hours.
const EXPIRING: (&str, i64) = ("weather-api-token", 10 * 24);
/// A secret that is disabled.
const DISABLED: &str = "old-broker-password";
/// Resources that name secrets.
const USERS: &str = include_str!("users.yaml");

/// Creates the sample secrets whose names are free.
pub(super) async fn create_samples(vault: &KeyVault) -> Result<(), CommandError> {
    vault.seed_all(seeds()?).await.map_err(CommandError::failed)?;
    let (expiring, hours) = EXPIRING;
    let expires = (Timestamp::now() + hours.hours()).as_second();
    vault.set_attributes(expiring, true, Some(expires)).await.map_err(CommandError::failed)?;
    vault.set_attributes(DISABLED, false, None).await.map_err(CommandError::failed)
}

/// Creates the sample resources, whose definitions are installed.
pub(super) async fn create_users(client: &Client) -> Result<(), CommandError> {
    for document in serde_yaml_ng::Deserializer::from_str(USERS) {
        let user = DynamicObject::deserialize(document).map_err(CommandError::failed)?;
        let kind = user.types.as_ref().and_then(|types| GroupVersionKind::try_from(types).ok());
        let kind = kind.ok_or_else(|| CommandError::failed("a sample resource has no kind"))?;
        let users: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), NAMESPACE, &ApiResource::from_gvk(&kind));
        let parameters = PatchParams::apply(MANAGER).force();
        users
            .patch(&user.name_any(), &parameters, &Patch::Apply(&user))
            .await
            .map_err(CommandError::failed)?;
    }
    Ok(())
}

fn seeds() -> Result<Vec<Seed>, CommandError> {
    let certificates = Certificates::make().map_err(CommandError::failed)?;
    let tags = |used_for: &str| BTreeMap::from([("used-for".to_owned(), used_for.to_owned())]);
    let seed = |name: &str, used_for: &str, content_type: &str, value| Seed {
        name: name.to_owned(),
        value,
        content_type: Some(content_type.to_owned()),
        tags: tags(used_for),
        managed: false,
    };
    let text = |name, used_for, value| seed(name, used_for, "text/plain", value);
    let pem = |name, used_for, value| seed(name, used_for, CertificateForm::Pem.content_type(), value);
    let gateway = Seed::certificate("gateway-tls", certificates.gateway, CertificateForm::Pfx);
    Ok(vec![
        text("pump-7-username", "the OPC UA server of pump 7", user()),
        text("pump-7-password", "the OPC UA server of pump 7", random_secret()),
        text("line-3-camera-username", "the camera over line 3", user()),
        text("line-3-camera-password", "the camera over line 3", random_secret()),
        text("historian-token", "the dataflow to the historian", random_secret()),
        text("kafka-sasl-password", "the dataflow to Event Hubs", random_secret()),
        pem("opc-certificate", "the OPC UA connector", certificates.connector),
        pem("plant-ca", "the trust list of the OPC UA connector", certificates.authority),
        Seed { tags: tags("the gateway of line 3"), ..gateway.map_err(CommandError::failed)? },
        text(EXPIRING.0, "the dataflow with the weather", random_secret()),
        text(DISABLED, "the MQTT broker that was replaced", random_secret()),
    ])
}

fn user() -> SecretString {
    format!("user-{:08x}", rand::random::<u32>()).into()
}

fn random_secret() -> SecretString {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; STRENGTH]>()).into()
}

/// The sample certificates, in PEM.
struct Certificates {
    /// A self-signed certificate and its key.
    connector: SecretString,
    /// The certificate of an authority.
    authority: SecretString,
    /// A key, a certificate under the authority, and the authority's.
    gateway: SecretString,
}

impl Certificates {
    fn make() -> Result<Self, TlsError> {
        let key = KeyPair::generate()?;
        let certificate = parameters("opc-ua-connector")?.self_signed(&key)?;
        let connector = format!("{}{}", certificate.pem(), key.serialize_pem());

        let mut authority = parameters("Contoso plant CA")?;
        authority.subject_alt_names.clear();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let gateway = parameters("gateway.line-3.contoso.example")?.signed_by(&key, &authority)?;
        let gateway = format!("{}{}{}", key.serialize_pem(), gateway.pem(), authority.pem());
        Ok(Self { connector: connector.into(), authority: authority.pem().into(), gateway: gateway.into() })
    }
}

/// A certificate for two years or a bit less.
fn parameters(name: &str) -> Result<CertificateParams, TlsError> {
    let year = i32::from(Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year());
    let mut parameters = CertificateParams::new([name.to_owned()])?;
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = rcgen::date_time_ymd(year, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(year + 2, 1, 1);
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_have_names_of_their_own_and_include_what_is_set_later() {
        let seeds = seeds().unwrap();
        let names: std::collections::BTreeSet<_> = seeds.iter().map(|seed| seed.name.as_str()).collect();
        assert_eq!(names.len(), seeds.len());
        assert!(names.contains(EXPIRING.0) && names.contains(DISABLED));
        assert_eq!(seeds.iter().filter(|seed| seed.managed).count(), 1);
    }
}
