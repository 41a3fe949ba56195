//! The user of a client certificate: its first URI subject alternative name, otherwise its common name.

use jiff::Timestamp;
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use super::AUTHENTICATED;
use crate::model::{ActorError, CLUSTER_PREFIX, Identity};

/// Why a certificate names no user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be parsed.
    #[error("it is not an X.509 certificate")]
    Malformed,
    /// It has neither a URI nor a common name.
    #[error("it has neither a URI subject alternative name nor a common name")]
    Nameless,
    /// Its name belongs to the cluster.
    #[error("names that begin with \"system:\" belong to the cluster")]
    Reserved,
    /// Its name could be one of the OpenID Connect issuer's users.
    #[error(
        "names with the prefix in authentication.oidc.username_prefix belong to the OpenID Connect issuer"
    )]
    OfIssuer,
    /// Its name is not allowed.
    #[error(transparent)]
    InvalidActor(#[from] ActorError),
}

/// The user of a certificate. Its organizations are the groups, as in Kubernetes.
pub(super) fn identity(der: &[u8]) -> Result<Identity, CertificateError> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
    let subject = certificate.subject();
    let names = certificate.subject_alternative_name().map_err(|_| CertificateError::Malformed)?;
    let uri = names.iter().flat_map(|names| &names.value.general_names).find_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let common_name = || subject.iter_common_name().find_map(|name| name.as_str().ok());
    let name = uri.or_else(common_name).filter(|name| !name.is_empty());
    let name = name.ok_or(CertificateError::Nameless)?;
    // No client certificate names a service account or an administrator of the cluster.
    if name.starts_with(CLUSTER_PREFIX) {
        return Err(CertificateError::Reserved);
    }
    let organizations = subject.iter_organization().filter_map(|name| name.as_str().ok());
    let groups = organizations.filter(|group| !group.starts_with(CLUSTER_PREFIX)).chain([AUTHENTICATED]);
    let groups = groups.map(str::to_owned).collect();
    Ok(Identity { name: name.to_owned(), groups, ..Identity::default() }.checked()?)
}

/// When a certificate expires.
pub(super) fn expire_time(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(common_name: &str, organizations: &[&str], uri: Option<&str>) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["console.example".to_owned()]).unwrap();
        params.distinguished_name.remove(DnType::CommonName);
        if !common_name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, common_name);
        }
        for organization in organizations {
            params.distinguished_name.push(DnType::OrganizationName, *organization);
        }
        params.subject_alt_names.extend(uri.map(|uri| SanType::URI(uri.try_into().unwrap())));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn a_uri_names_the_user_and_without_one_the_common_name() {
        let spiffe = "spiffe://contoso.example/console";
        let named = identity(&certificate("console", &["operators"], Some(spiffe))).unwrap();
        assert_eq!(
            (named.name.as_str(), named.groups),
            (spiffe, vec!["operators".into(), AUTHENTICATED.into()])
        );
        assert_eq!(identity(&certificate("console", &[], None)).unwrap().name, "console");
    }

    #[test]
    fn a_certificate_cannot_name_a_user_or_group_of_the_cluster() {
        let stolen = identity(&certificate("system:serviceaccount:kube-system:admin", &[], None));
        assert_eq!(stolen, Err(CertificateError::Reserved));
        assert_eq!(
            identity(&certificate("a", &[], Some("system:admin"))).unwrap_err(),
            CertificateError::Reserved
        );
        let master = identity(&certificate("console", &["system:masters"], None)).unwrap();
        assert_eq!(master.groups, [AUTHENTICATED]);
    }

    #[test]
    fn a_certificate_cannot_name_the_service_or_contain_control_characters() {
        assert_eq!(identity(&certificate("sync", &[], None)), Err(ActorError::Reserved.into()));
        assert_eq!(identity(&certificate("a", &[], Some("unix:uid=0"))), Err(ActorError::Reserved.into()));
        assert_eq!(identity(&certificate("pump\u{1b}[2J", &[], None)), Err(ActorError::Control.into()));
    }

    #[test]
    fn a_certificate_without_a_name_is_refused() {
        assert_eq!(identity(&certificate("", &["operators"], None)), Err(CertificateError::Nameless));
        assert_eq!(identity(b"no certificate"), Err(CertificateError::Malformed));
    }
}
