//! The application as which clients authenticate to the Key Vault double.

use secrecy::SecretString;

/// The application that the token endpoint knows.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its tenant: a UUID.
    pub tenant_id: String,
    /// Its client id: a UUID.
    pub client_id: String,
    /// Its client secret; also what App Service calls the identity header, and the key of `/.double/`.
    pub secret: SecretString,
}
