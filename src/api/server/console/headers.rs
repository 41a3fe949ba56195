//! The headers that every answer of the console has: what the page may load and do, and who may load it.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS},
};
use url::Url;

/// The page loads nothing but its own files, and runs no script but those. Fluent UI writes its styles by CSSOM into `<style>`
/// elements that are empty: the hash is that of nothing, so an element with content is refused.
/// The last directive goes on with the issuer.
const POLICY: [&str; 12] = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
    "img-src 'self' data:",
    "font-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
    "connect-src 'self'",
];

/// Nothing of the device, except that people can copy what they see.
const PERMISSIONS: &str = "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), clipboard-read=(), \
                           clipboard-write=(self), display-capture=(), encrypted-media=(), fullscreen=(), gamepad=(), \
                           geolocation=(), gyroscope=(), hid=(), identity-credentials-get=(), idle-detection=(), \
                           keyboard-map=(), local-fonts=(), magnetometer=(), microphone=(), midi=(), \
                           otp-credentials=(), payment=(), picture-in-picture=(), publickey-credentials-create=(), \
                           publickey-credentials-get=(), screen-wake-lock=(), serial=(), storage-access=(), \
                           sync-xhr=(), usb=(), window-management=(), xr-spatial-tracking=()";

/// The headers whose values are always the same.
const FIXED: [(HeaderName, &str); 5] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), PERMISSIONS),
];

/// Browsers that came to a name over TLS once don't come without for a year, to any port of it.
const TLS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// The Content-Security-Policy of a page that connects to these URLs, beside its own origin.
pub(super) fn policy(connectable: &[String]) -> String {
    let mut origins: Vec<String> = Vec::new();
    for origin in connectable.iter().filter_map(|url| origin(url)) {
        if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    [&[POLICY.join("; ")], origins.as_slice()].concat().join(" ")
}

/// Sets the policy.
pub(super) fn set_policy(headers: &mut HeaderMap, policy: String) {
    let policy = HeaderValue::try_from(policy).expect("an origin has nothing but visible ASCII");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
}

/// Adds the headers that every answer has.
pub(super) fn secure(headers: &mut HeaderMap, stays_secured: bool) {
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        set_policy(headers, policy(&[]));
    }
    for (name, value) in FIXED {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if stays_secured {
        headers.insert(STRICT_TRANSPORT_SECURITY, TLS_ONLY);
    }
}

/// The origin of an https URL, if its host has no character that means something in a policy: the URL of the token endpoint
/// comes from the issuer.
fn origin(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "https")?;
    let is_plain =
        |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte));
    url.host_str().filter(|host| is_plain(host))?;
    Some(url.origin().ascii_serialization())
}
