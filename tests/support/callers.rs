//! Callers of the service: accounts of the cluster with rights on the virtual resources, and clients that show a token.

use std::time::Duration;

use kubernetes_double::{Rule, User};
use secret_service::{model::ACCESS_GROUP, proto::secret_service_client::SecretServiceClient};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

use super::{Site, World, control_plane};

/// Whom tokens for the service are for.
pub const AUDIENCE: &str = "secret-service";
/// The virtual resources.
pub const BOTH: [&str; 2] = ["syncedsecrets", "vaultsecrets"];
/// What somebody may do who only looks.
pub const LOOKING: [&str; 3] = ["get", "list", "watch"];
/// What somebody may do who may do everything.
pub const EVERYTHING: [&str; 10] =
    ["get", "list", "watch", "create", "update", "delete", "sync", "adopt", "reference", "recover"];

/// A client that shows a token, or none.
pub type Caller = SecretServiceClient<InterceptedService<Channel, Shows>>;

/// Puts the token into every call.
#[derive(Clone)]
pub struct Shows(Option<MetadataValue<Ascii>>);

impl Interceptor for Shows {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

/// A client over a connection.
pub fn client(channel: Channel, token: Option<&str>) -> Caller {
    let header = token.map(|token| format!("Bearer {token}").parse().unwrap());
    SecretServiceClient::with_interceptor(channel, Shows(header))
}

impl World {
    /// A client that shows a token, or none.
    pub async fn caller(&self, token: Option<&str>) -> Caller {
        client(self.channel().await, token)
    }
}

impl Site {
    /// Makes an account that may do something to virtual resources.
    pub async fn account(&self, name: &str, resources: &[&str], verbs: &[&str], names: &[&str]) {
        if !self.is_double() {
            control_plane::shared().await.account(&self.namespace, name).await;
        }
        self.grant(&self.user(name), resources, verbs, names).await;
    }

    /// Lets a user do something to virtual resources, to all of them where no names are given.
    pub async fn grant(&self, user: &str, resources: &[&str], verbs: &[&str], names: &[&str]) {
        if !self.is_double() {
            let rule = (ACCESS_GROUP, resources, verbs, names);
            return control_plane::shared().await.grant(&self.namespace, user, rule).await;
        }
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let rule = Rule {
            verbs: texts(verbs),
            groups: texts(&[ACCESS_GROUP]),
            resources: texts(resources),
            namespaces: vec![self.namespace.clone()],
            names: texts(names),
        };
        self.cluster().policy().allow(user, rule);
    }

    /// A token of an account, for an audience.
    pub async fn token(&self, account: &str, audience: &str) -> String {
        if !self.is_double() {
            let plane = control_plane::shared().await;
            return plane.token(&self.namespace, account, &[audience], Duration::from_secs(600)).await;
        }
        let groups =
            vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{}", self.namespace)];
        let user = User { username: self.user(account), uid: String::new(), groups };
        let token = format!("token-of-{account}-for-{audience}");
        self.cluster().policy().add_token_for(&token, user, &[audience]);
        token
    }

    /// Removes an account: its tokens are void.
    pub async fn remove_account(&self, account: &str, token: &str) {
        match self.is_double() {
            true => self.cluster().policy().remove_token(token),
            false => control_plane::shared().await.remove_account(&self.namespace, account).await,
        }
    }

    /// The user name of an account.
    pub fn user(&self, account: &str) -> String {
        format!("system:serviceaccount:{}:{account}", self.namespace)
    }
}
