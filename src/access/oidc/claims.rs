//! From the claims of a verified token to a user with groups.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::{IssuerOptions, LEEWAY};
use crate::access::AUTHENTICATED;
use crate::model::{CLUSTER_PREFIX, Identity, UntoldGroups};

/// Why a token of the issuer is not accepted. Repeats nothing of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenProblem {
    /// It is for something else than calls, such as the end of a session.
    #[error("its type is neither JWT nor at+jwt")]
    Type,
    /// Its issuer is another one at the same host.
    #[error("its issuer (claim \"iss\") is not exactly {0:?}")]
    Issuer(String),
    /// It can't be read.
    #[error("it is not a signed JSON web token")]
    Malformed,
    /// It is signed in a way that is not accepted.
    #[error("it is signed with an algorithm other than RS256 to RS512, PS256 to PS512, ES256 and ES384")]
    Algorithm,
    /// The key is none of the issuer's.
    #[error("it is signed with a key that the issuer does not list")]
    UnknownKey,
    /// The signature is wrong.
    #[error("its signature is wrong")]
    Signature,
    /// It is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    NotYetValid,
    /// It is for others.
    #[error("it is not for {}", audiences(.0))]
    Audience(Vec<String>),
    /// It lacks a claim that it must have.
    #[error("it has no valid claim {0:?}")]
    Missing(String),
    /// A claim has another value than it must have.
    #[error("its claim {0:?} does not have the value that is required")]
    Required(String),
    /// Nobody has verified that the user has this address.
    #[error("its email address is not verified")]
    EmailNotVerified,
    /// The user would have the name of an account of the cluster.
    #[error("names that begin with \"system:\" belong to the cluster")]
    Reserved,
}

/// The user of a token whose signature, audience and time are right.
pub(super) fn identity(
    claims: &Map<String, Value>,
    options: &IssuerOptions,
) -> Result<Identity, TokenProblem> {
    check_issue_time(claims)?;
    for (name, value) in &options.required_claims {
        match claims.get(name) {
            Some(Value::String(found)) if found == value => {}
            Some(_) => return Err(TokenProblem::Required(name.clone())),
            None => return Err(TokenProblem::Missing(name.clone())),
        }
    }
    let name = username(claims, options)?;
    let listed = groups(claims, &options.groups.claim)?;
    // Who signs in may choose a token without groups, or the issuer may have left some of them out.
    let are_too_many = has_overage(claims, &options.groups.claim);
    let untold = (are_too_many || listed.is_none())
        .then(|| UntoldGroups { prefix: options.groups.prefix.clone(), are_too_many });
    let groups = listed.unwrap_or_default().into_iter();
    let groups = groups.map(|group| format!("{}{group}", options.groups.prefix));
    let groups = groups.filter(|group| !is_of_cluster(group)).chain([AUTHENTICATED.to_owned()]).collect();
    Ok(Identity { name, groups, untold, ..Identity::default() })
}

fn username(claims: &Map<String, Value>, options: &IssuerOptions) -> Result<String, TokenProblem> {
    let claim = &options.username.claim;
    let name = claims.get(claim).and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| TokenProblem::Missing(claim.clone()))?;
    let is_verified = claims.get("email_verified").is_none_or(|verified| verified == &Value::Bool(true));
    if claim == "email" && !is_verified {
        return Err(TokenProblem::EmailNotVerified);
    }
    let name = format!("{}{name}", options.username.prefix);
    if is_of_cluster(&name) { Err(TokenProblem::Reserved) } else { Ok(name) }
}

/// The groups that a token lists; `None` if it has no such claim.
fn groups(claims: &Map<String, Value>, claim: &str) -> Result<Option<Vec<String>>, TokenProblem> {
    let wrong = || TokenProblem::Missing(claim.to_owned());
    let text = |group: &Value| group.as_str().map(str::to_owned).ok_or_else(wrong);
    match claims.get(claim) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(groups)) => groups.iter().map(text).collect::<Result<_, _>>().map(Some),
        Some(group) => text(group).map(|group| Some(vec![group])),
    }
}

/// Whether the issuer left the groups out because there are too many: by a distributed claim (OpenID Connect Core 5.6.2),
/// or by Entra's `hasgroups`.
fn has_overage(claims: &Map<String, Value>, claim: &str) -> bool {
    let is_elsewhere = claims.get("_claim_names").is_some_and(|names| names.get(claim).is_some());
    let has_groups = claims.get("hasgroups").is_some_and(|has| has == &Value::Bool(true) || has == "true");
    is_elsewhere || (has_groups && claim == "groups")
}

/// A token from the future is as wrong as one that is not valid yet.
fn check_issue_time(claims: &Map<String, Value>) -> Result<(), TokenProblem> {
    let Some(issued) = claims.get("iat") else { return Ok(()) };
    let issued = issued.as_f64().ok_or_else(|| TokenProblem::Missing("iat".to_owned()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    if issued > (now + LEEWAY) as f64 { Err(TokenProblem::NotYetValid) } else { Ok(()) }
}

/// For a reader, a name that differs only in case or blanks is the same name.
fn is_of_cluster(name: &str) -> bool {
    let name = name.trim_start().as_bytes();
    name.get(..CLUSTER_PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(CLUSTER_PREFIX.as_bytes()))
}

fn audiences(audiences: &[String]) -> String {
    audiences.iter().map(|audience| format!("{audience:?}")).collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TENANT: &str = "aaaabbbb-0000-cccc-1111-dddd2222eeee";

    fn options(username: &str) -> IssuerOptions {
        let mut options = IssuerOptions::new("https://issuer.example".to_owned(), vec!["console".to_owned()]);
        options.username.claim = username.to_owned();
        options
    }

    fn read(claims: Value, options: &IssuerOptions) -> Result<Identity, TokenProblem> {
        identity(claims.as_object().unwrap(), options)
    }

    fn groups_of(identity: &Identity) -> Vec<&str> {
        identity.groups.iter().map(String::as_str).collect()
    }

    /// What Entra's access tokens of version 1 hold for a person.
    fn entra_v1() -> Value {
        json!({
            "aud": "api://secret-service", "iss": format!("https://sts.windows.net/{TENANT}/"),
            "iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 1_700_003_600, "acr": "1", "amr": ["pwd", "mfa"],
            "appid": "00001111-aaaa-2222-bbbb-3333cccc4444", "appidacr": "0", "family_name": "Lovelace",
            "given_name": "Ada", "groups": ["11111111-1111-1111-1111-111111111111"], "name": "Ada Lovelace",
            "oid": "22222222-2222-2222-2222-222222222222", "scp": "access", "sub": "pairwise-1", "tid": TENANT,
            "unique_name": "ada@contoso.example", "upn": "ada@contoso.example", "ver": "1.0"
        })
    }

    /// The same of version 2.
    fn entra_v2() -> Value {
        json!({
            "aud": "00001111-aaaa-2222-bbbb-3333cccc4444",
            "iss": format!("https://login.microsoftonline.com/{TENANT}/v2.0"),
            "iat": 1_700_000_000, "nbf": 1_700_000_000, "exp": 1_700_003_600, "azp": "00001111-aaaa-2222-bbbb-3333cccc4444",
            "azpacr": "0", "groups": ["11111111-1111-1111-1111-111111111111"], "name": "Ada Lovelace",
            "oid": "22222222-2222-2222-2222-222222222222", "preferred_username": "ada@contoso.example",
            "scp": "access", "sub": "pairwise-2", "tid": TENANT, "ver": "2.0"
        })
    }

    #[test]
    fn users_of_entra_are_named_by_the_claims_of_both_versions() {
        for (claims, claim, name) in [
            (entra_v1(), "upn", "oidc:ada@contoso.example"),
            (entra_v1(), "unique_name", "oidc:ada@contoso.example"),
            (entra_v1(), "oid", "oidc:22222222-2222-2222-2222-222222222222"),
            (entra_v2(), "preferred_username", "oidc:ada@contoso.example"),
            (entra_v2(), "sub", "oidc:pairwise-2"),
        ] {
            let mut options = options(claim);
            options.required_claims = vec![("tid".to_owned(), TENANT.to_owned())];
            let ada = read(claims, &options).unwrap();
            assert_eq!(ada.name, name, "{claim}");
            let listed = ["oidc:11111111-1111-1111-1111-111111111111", AUTHENTICATED];
            assert_eq!((groups_of(&ada), &ada.untold), (listed.to_vec(), &None), "{claim}");
        }
        assert_eq!(read(entra_v2(), &options("upn")), Err(TokenProblem::Missing("upn".to_owned())));
        // An application signs in without a user: no upn, but an object of its own.
        let mut application = entra_v1();
        for claim in ["upn", "unique_name", "groups"] {
            application.as_object_mut().unwrap().remove(claim);
        }
        let application = read(application, &options("oid")).unwrap();
        assert_eq!(groups_of(&application), [AUTHENTICATED]);
        assert!(application.untold.is_some() && !application.has_too_many_groups());
    }

    #[test]
    fn the_groups_of_a_token_without_the_claim_are_unknown_and_an_empty_list_is_none() {
        let mut options = options("sub");
        options.groups.prefix = "group:".to_owned();
        let untold = UntoldGroups { prefix: "group:".to_owned(), are_too_many: false };
        for claims in [json!({ "sub": "ada" }), json!({ "sub": "ada", "groups": null })] {
            assert_eq!(read(claims.clone(), &options).unwrap().untold, Some(untold.clone()), "{claims}");
        }
        assert_eq!(read(json!({ "sub": "ada", "groups": [] }), &options).unwrap().untold, None);
    }

    #[test]
    fn a_token_with_too_many_groups_has_none_and_says_so() {
        let sources =
            json!({ "src1": { "endpoint": "https://graph.windows.net/x/users/y/getMemberObjects" } });
        let overage = [
            json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": sources }),
            json!({ "hasgroups": true }),
            json!({ "hasgroups": "true" }),
        ];
        for extra in overage {
            for mut claims in [entra_v1(), entra_v2()] {
                let fields = claims.as_object_mut().unwrap();
                fields.remove("groups");
                fields.extend(extra.as_object().unwrap().clone());
                let ada = read(claims, &options("oid")).unwrap();
                assert!(ada.has_too_many_groups(), "{extra}");
                assert_eq!(groups_of(&ada), [AUTHENTICATED], "{extra}");
            }
        }
        let other = json!({ "sub": "ada", "_claim_names": { "roles": "src1" } });
        assert!(!read(other, &options("sub")).unwrap().has_too_many_groups(), "another claim is elsewhere");
        let both = json!({ "sub": "ada", "groups": ["a"], "hasgroups": true });
        let both = read(both, &options("sub")).unwrap();
        assert_eq!(groups_of(&both), ["oidc:a", AUTHENTICATED]);
        assert!(both.has_too_many_groups(), "the list is not all");
    }

    #[test]
    fn nobody_gets_a_name_of_the_cluster_with_or_without_a_prefix() {
        for (prefix, name) in [
            ("", "system:serviceaccount:azure-iot-operations:console"),
            ("", "System:admin"),
            ("", " system:admin"),
            ("sys", "tem:masters"),
        ] {
            let mut options = options("sub");
            options.username.prefix = prefix.to_owned();
            assert_eq!(read(json!({ "sub": name }), &options), Err(TokenProblem::Reserved), "{prefix}{name}");
            options.username.prefix = "oidc:".to_owned();
            options.groups.prefix = prefix.to_owned();
            let ada = read(json!({ "sub": "ada", "groups": [name, "line-1"] }), &options).unwrap();
            assert_eq!(groups_of(&ada), [format!("{prefix}line-1").as_str(), AUTHENTICATED]);
        }
        let prefixed = read(json!({ "sub": "system:admin" }), &options("sub")).unwrap();
        assert_eq!(prefixed.name, "oidc:system:admin");
    }

    #[test]
    fn an_email_address_names_a_user_unless_it_is_not_verified() {
        let email = |verified: Option<Value>| {
            let mut claims = json!({ "email": "ada@contoso.example" });
            claims.as_object_mut().unwrap().extend(verified.map(|is| ("email_verified".to_owned(), is)));
            read(claims, &options("email"))
        };
        for good in [None, Some(json!(true))] {
            assert_eq!(email(good).unwrap().name, "oidc:ada@contoso.example");
        }
        for bad in [json!(false), json!("true"), json!(null)] {
            assert_eq!(email(Some(bad)), Err(TokenProblem::EmailNotVerified));
        }
        let unverified = json!({ "sub": "ada", "email_verified": false });
        assert!(read(unverified, &options("sub")).is_ok(), "it names nobody");
    }

    #[test]
    fn claims_of_another_type_or_value_are_refused_and_never_repeated() {
        let mut required = options("sub");
        required.required_claims = vec![("hd".to_owned(), "contoso.example".to_owned())];
        for (claims, options, problem) in [
            (json!({ "sub": 7 }), options("sub"), TokenProblem::Missing("sub".to_owned())),
            (json!({ "sub": "" }), options("sub"), TokenProblem::Missing("sub".to_owned())),
            (
                json!({ "sub": "a", "groups": [7] }),
                options("sub"),
                TokenProblem::Missing("groups".to_owned()),
            ),
            (json!({ "sub": "a", "iat": "soon" }), options("sub"), TokenProblem::Missing("iat".to_owned())),
            (json!({ "sub": "a", "iat": 4e9 }), options("sub"), TokenProblem::NotYetValid),
            (json!({ "sub": "a" }), required.clone(), TokenProblem::Missing("hd".to_owned())),
            (
                json!({ "sub": "a", "hd": "canary" }),
                required.clone(),
                TokenProblem::Required("hd".to_owned()),
            ),
            (
                json!({ "sub": "a", "hd": ["contoso.example"] }),
                required,
                TokenProblem::Required("hd".to_owned()),
            ),
        ] {
            let found = read(claims.clone(), &options).unwrap_err();
            assert_eq!(found, problem, "{claims}");
            assert!(!found.to_string().contains("canary"), "{found}");
        }
        let single = read(json!({ "sub": "a", "groups": "line-1" }), &options("sub")).unwrap();
        assert_eq!(groups_of(&single), ["oidc:line-1", AUTHENTICATED]);
    }
}
