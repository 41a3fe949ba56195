//! `secrets whoami`: who the caller is, and what they may do.

use super::super::{
    call::Client,
    output::Output,
    table::{cell, description, moment, plain, table},
};
use crate::{
    cli::CommandError,
    proto::{self, Caller, MethodPermission, caller::Authentication, method_permission::Access},
};

/// Show who you are to the service, and which methods you may call
///
/// For each method that you may not call, it says what is missing and how it is granted. "some names" means that you may not
/// use every name, but maybe single ones: name a resource to be sure.
#[derive(Debug, clap::Args)]
pub(super) struct Whoami {
    /// What to ask about: syncedSecrets/NAME or vaultSecrets/NAME, which need not exist. If unset, every name
    resource: Option<String>,
}

impl Whoami {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let resource = self.resource.unwrap_or_default();
        let request = proto::GetCallerRequest { name: "caller".to_owned(), resource };
        let answer = client.call(request, async |mut stub, request| stub.get_caller(request).await).await?;
        output.print(&answer, whole)
    }
}

/// The caller, then one row per permission.
fn whole(caller: &Caller) -> String {
    let incomplete = if caller.groups_incomplete { "; the token leaves out others" } else { "" };
    let about = [
        ("User", caller.user.clone()),
        ("Groups", format!("{}{incomplete}", caller.groups.join(", "))),
        ("Credentials", credentials(caller.authentication()).to_owned()),
        ("Expire", moment(caller.expire_time.as_ref())),
    ];
    let about = about.map(|(name, text)| (name, plain(&text)));
    let reference =
        caller.reference.iter().map(|permission| row("(a reference to a vault secret)", permission));
    let methods = caller.permissions.iter().map(|permission| row(&permission.method, permission));
    format!("{}\n\n{}", description(about), table(["METHOD", "ALLOWED", "WHY NOT"], methods.chain(reference)))
}

fn row(method: &str, permission: &MethodPermission) -> [comfy_table::Cell; 3] {
    let allowed = match permission.access() {
        Access::Allowed => "yes",
        Access::Denied => "no",
        Access::NotAllNames => "some names",
        Access::Unspecified => "unknown",
    };
    [method, allowed, &permission.message].map(cell)
}

fn credentials(authentication: Authentication) -> &'static str {
    match authentication {
        Authentication::None => "none, which are not needed on this machine",
        Authentication::ClusterToken => "a token of the cluster",
        Authentication::ClientCertificate => "a client certificate",
        Authentication::OpenidConnect => "a token of the OpenID Connect issuer",
        Authentication::Unspecified => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_is_allowed_and_what_is_missing() {
        let permission = |method: &str, access: Access, message: &str| MethodPermission {
            method: method.to_owned(),
            access: access.into(),
            message: message.to_owned(),
            ..Default::default()
        };
        let caller = Caller {
            user: "oidc:ada".to_owned(),
            groups: vec!["oidc-group:line-1".to_owned()],
            groups_incomplete: true,
            authentication: Authentication::OpenidConnect.into(),
            permissions: vec![
                permission("GetVault", Access::Allowed, ""),
                permission("CreateSyncedSecret", Access::NotAllNames, "Grant the verb create."),
            ],
            reference: Some(permission("", Access::Denied, "Grant the verb reference.")),
            ..Default::default()
        };
        let text = whole(&caller);
        for part in [
            "oidc:ada",
            "oidc-group:line-1; the token leaves out others",
            "OpenID Connect",
            "some names",
            "Grant the verb reference.",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
