//! Tokens: the challenge, the endpoints that issue them, and their expiry.

use std::{sync::Arc, time::Duration};

use doubles_common::proxy::{self, Proxy};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::json;

use super::{Answer, World, client};
use crate::{CertificateVerifier, Cloud};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[tokio::test]
async fn a_request_without_a_token_gets_the_challenge_even_with_a_body() {
    let world = World::start().await;
    let url = world.double.uri().join("secrets/a?api-version=7.4").unwrap();
    let request = world.http.request(Method::PUT, url).json(&json!({"value": "v"}));
    let answer = Answer::of(request.send().await.unwrap()).await;
    assert_eq!(answer.error(), (401, "Unauthorized", ""));
    let tenant = &world.double.credential().tenant_id;
    assert_eq!(
        answer.header("www-authenticate"),
        format!(
            "Bearer authorization=\"{}{tenant}\", resource=\"https://vault.azure.net\"",
            world.double.authority_host()
        )
    );
    assert_eq!(world.double.requests().challenges, 1);
    assert_eq!(world.get("secrets/a").await.status, 404);
}

#[tokio::test]
async fn an_expired_or_foreign_token_is_refused() {
    let mut world = World::start().await;
    world.double.configure(|settings| settings.token_lifetime_seconds = 5);
    world.token = world.new_token().await;
    assert_eq!(world.get("secrets").await.status, 200);
    world.double.clock().advance(Duration::from_secs(6));
    let expired = world.get("secrets").await;
    assert_eq!(expired.error(), (401, "Unauthorized", ""));
    assert!(expired.header("www-authenticate").contains("error=\"invalid_token\""));
    world.token = "foreign".to_owned();
    assert!(world.get("secrets").await.header("www-authenticate").contains("invalid_token"));
}

#[tokio::test]
async fn the_token_endpoint_has_entras_errors() {
    let world = World::start().await;
    let credential = world.double.credential();
    let good = [
        ("grant_type", "client_credentials"),
        ("client_id", credential.client_id.as_str()),
        ("client_secret", credential.secret.expose_secret()),
        ("scope", "https://vault.azure.net/.default openid offline_access profile"),
    ];
    assert_eq!(world.token_request(&good).await.status, 200);
    for (field, value, status, error, code) in [
        ("grant_type", "password", 400, "unsupported_grant_type", 70_003),
        ("client_id", "somebody", 400, "unauthorized_client", 700_016),
        ("client_secret", "wrong", 401, "invalid_client", 7_000_215),
        ("client_secret", "", 400, "invalid_request", 900_144),
        ("scope", "https://graph.microsoft.com/.default", 400, "invalid_resource", 500_011),
        ("scope", "openid", 400, "invalid_scope", 70_011),
    ] {
        let fields = good.map(|(name, good)| (name, if name == field { value } else { good }));
        let answer = world.token_request(&fields).await;
        assert_eq!((answer.status.as_u16(), &answer.body["error"]), (status, &json!(error)));
        assert_eq!(answer.body["error_codes"], json!([code]));
        let description = answer.body["error_description"].as_str().unwrap();
        assert!(description.starts_with(&format!("AADSTS{code}: ")) && !description.contains("wrong"));
        assert!(answer.body["trace_id"].is_string() && answer.body["correlation_id"].is_string());
    }
    let url = world.double.uri().join("another-tenant/oauth2/v2.0/token").unwrap();
    let answer = Answer::of(world.http.post(url).send().await.unwrap()).await;
    assert_eq!(answer.body["error_codes"], json!([90_002]));
}

#[tokio::test]
async fn a_token_of_a_cloud_is_issued_by_its_authority_and_accepted_by_its_vaults_only() {
    let world = World::start().await;
    let clouds = [Cloud::PUBLIC, Cloud::US_GOVERNMENT, Cloud::CHINA, Cloud::CUSTOM];
    let hosts =
        clouds.iter().flat_map(|cloud| [cloud.vault_host("contoso"), cloud.authority_host.to_owned()]);
    let routes = hosts.map(|host| (host, world.double.address())).collect();
    let proxy = Proxy::start(proxy::Options { port: 0, routes }).await.unwrap();
    let http = client(&world.authority).proxy(reqwest::Proxy::https(proxy.url()).unwrap()).build().unwrap();
    let credential = world.double.credential();
    let ask = async |authority: Cloud, resource: Cloud| {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &credential.client_id)
            .append_pair("client_secret", credential.secret.expose_secret())
            .append_pair("scope", &format!("{}/.default", resource.resource()))
            .finish();
        let url = format!("https://{}/{}/oauth2/v2.0/token", authority.authority_host, credential.tenant_id);
        Answer::of(http.post(url).body(form).send().await.unwrap()).await
    };
    for own in clouds {
        let token = ask(own, own).await.body["access_token"].as_str().unwrap().to_owned();
        for other in clouds {
            let url = format!("https://{}/secrets?api-version=7.4", other.vault_host("contoso"));
            let answer = Answer::of(http.get(url).bearer_auth(&token).send().await.unwrap()).await;
            assert_eq!(answer.status == 200, own == other, "{own:?} {other:?}");
            if own != other {
                assert_eq!(ask(own, other).await.body["error_codes"], json!([500_011]));
                let challenge = answer.header("www-authenticate");
                assert!(challenge.contains(&format!("resource=\"{}\"", other.resource())), "{challenge}");
            }
        }
    }
    assert_eq!(world.double.issued().len(), clouds.len() + 1, "and that of the world itself");
}

#[tokio::test]
async fn an_assertion_is_accepted_only_from_a_registered_certificate() {
    let world = World::start().await;
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    let signing = EncodingKey::from_rsa_pem(key.serialize_pem().as_bytes()).unwrap();
    let credential = world.double.credential();
    let audience = format!("{}{}/oauth2/v2.0/token", world.double.authority_host(), credential.tenant_id);
    let now = world.double.clock().seconds();
    let ask = async |audience: &str, expires: i64| {
        let claims = json!({"aud": audience, "iss": credential.client_id, "sub": credential.client_id, "exp": expires});
        let assertion = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &signing).unwrap();
        world
            .token_request(&[
                ("grant_type", "client_credentials"),
                ("client_id", &credential.client_id),
                ("client_assertion_type", JWT_BEARER),
                ("client_assertion", &assertion),
                ("scope", "https://vault.azure.net/.default"),
            ])
            .await
    };
    assert_eq!(ask(&audience, now + 60).await.body["error_codes"], json!([700_027]));

    let verifier = CertificateVerifier::new(certificate.der()).unwrap();
    world.double.identity().register(Arc::new(verifier));
    assert_eq!(ask(&audience, now + 60).await.status, 200);
    assert_eq!(ask(&audience, now - 1).await.status, 401, "expired");
    assert_eq!(ask("https://elsewhere/", now + 60).await.status, 401, "for another audience");
}

#[tokio::test]
async fn instance_metadata_issues_tokens_only_when_enabled_and_with_its_header() {
    let world = World::start().await;
    let path = "metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net";
    let url = world.double.uri().join(path).unwrap();
    let ask = async |header: bool| {
        let request = world.http.get(url.clone());
        let request = if header { request.header("metadata", "true") } else { request };
        Answer::of(request.send().await.unwrap()).await
    };
    assert_eq!(ask(true).await.status, 404);
    world.double.configure(|settings| settings.instance_metadata = true);
    assert_eq!(ask(false).await.status, 400);
    let answer = ask(true).await;
    assert!(answer.body["expires_on"].as_str().unwrap().parse::<i64>().is_ok());
    assert_eq!(answer.body["resource"], "https://vault.azure.net");
    let world = World { token: answer.body["access_token"].as_str().unwrap().to_owned(), ..world };
    assert_eq!(world.get("secrets").await.status, 200);
}

#[tokio::test]
async fn app_service_issues_tokens_only_with_the_identity_header() {
    let world = World::start().await;
    let mut url = world.double.identity_endpoint();
    url.set_query(Some("api-version=2019-08-01&resource=https://vault.azure.net"));
    let ask = async |key: &str| {
        Answer::of(world.http.get(url.clone()).header("x-identity-header", key).send().await.unwrap()).await
    };
    assert_eq!(ask("guess").await.status, 401);
    let answer = ask(world.double.credential().secret.expose_secret()).await;
    assert_eq!(answer.body["token_type"], "Bearer");
}

#[tokio::test]
async fn the_discovery_documents_lead_to_the_token_endpoint() {
    let world = World::start().await;
    let get = async |url: String| Answer::of(world.http.get(url).send().await.unwrap()).await;
    let host = world.double.authority_host();
    let instance = get(format!("{host}common/discovery/instance?api-version=1.1")).await;
    let tenant = instance.body["tenant_discovery_endpoint"].as_str().unwrap().to_owned();
    let openid = get(tenant).await;
    assert_eq!(
        openid.body["token_endpoint"],
        format!("{host}{}/oauth2/v2.0/token", world.double.credential().tenant_id)
    );
}
