//! The bearer token of a command, from a file or the environment, and the client that sends it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret, SecretString};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use zeroize::Zeroizing;

use crate::{cli::CommandError, proto::secret_service_client::SecretServiceClient};

/// The environment variable with a token. There is no flag, because other users can see a process's
/// arguments.
const TOKEN: &str = "SECRET_SERVICE_TOKEN";

/// The generated client, which sends the token with every call.
pub(super) type Stub = SecretServiceClient<InterceptedService<Channel, Bearer>>;

/// Adds the token to every call.
#[derive(Clone)]
pub(super) enum Bearer {
    None,
    Text(SecretString),
    File(PathBuf),
}

// === impl Bearer ===

impl Bearer {
    pub fn new(file: Option<&Path>) -> Result<Self, CommandError> {
        if let Some(file) = file {
            // Read now, so that a wrong path is an error of the command line and not of every call.
            read_token(file).map_err(|problem| CommandError::usage(format!("--token-file: {problem}")))?;
            return Ok(Self::File(file.to_owned()));
        }
        match std::env::var(TOKEN) {
            Ok(token) if !token.trim().is_empty() => Ok(Self::Text(token.trim().to_owned().into())),
            _ => Ok(Self::None),
        }
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = match self {
            Self::None => return Ok(request),
            Self::Text(token) => token.clone(),
            Self::File(file) => read_token(file).map_err(Status::unauthenticated)?,
        };
        let header = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
        let mut header: MetadataValue<Ascii> =
            header.parse().map_err(|_| Status::unauthenticated("the token is not a single line of ASCII"))?;
        header.set_sensitive(true);
        request.metadata_mut().insert("authorization", header);
        Ok(request)
    }
}

fn read_token(file: &Path) -> Result<SecretString, String> {
    let text = fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|error| format!("{:?}: {error}", file.display().to_string()))?;
    match text.trim() {
        "" => Err(format!("{:?} is empty", file.display().to_string())),
        token => Ok(token.to_owned().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_and_never_printed() {
        let mut bearer = Bearer::Text("canary-token".to_owned().into());
        let request = bearer.call(Request::new(())).unwrap();
        let header = request.metadata().get("authorization").unwrap();
        assert_eq!(header.to_str().unwrap(), "Bearer canary-token");
        assert!(!format!("{request:?}").contains("canary"));
    }
}
