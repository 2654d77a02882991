//! The HTTP client block of a configuration, which every section that asks somebody inlines: every key known, none unknown
//! let through, nothing of it obeyed yet. Whoever inlines it says so, or does not ask at all.
//!
//! Source: reference of Prometheus' configuration, 3.14.

use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// Declares a block whose keys are known and whose values are passed over.
macro_rules! known {
    ($(#[$doc:meta])* $name:ident { $($key:ident),* $(,)? } { $($nested:ident : $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $(#[serde(default)] #[expect(dead_code, reason = "known, not obeyed yet")] $key: Option<IgnoredAny>,)*
            $(#[serde(default)] #[expect(dead_code, reason = "known, not obeyed yet")] $nested: Option<$kind>,)*
        }
    };
}

known! {
    /// `basic_auth`
    BasicAuth { username, username_file, password, password_file } {}
}

known! {
    /// `authorization`
    Authorization { r#type, credentials, credentials_file } {}
}

known! {
    /// `tls_config`
    Tls { ca, ca_file, cert, cert_file, key, key_file, server_name, insecure_skip_verify, min_version, max_version } {}
}

known! {
    /// `oauth2`
    OAuth2 {
        client_id, grant_type, client_secret, client_secret_file, client_certificate_key, client_certificate_key_file,
        client_certificate_key_id, signature_algorithm, iss, audience, claims, scopes, token_url, endpoint_params,
        proxy_url, no_proxy, proxy_from_environment, proxy_connect_header
    } { tls_config: Tls }
}

known! {
    /// One entry of `http_headers`
    Header { values, secrets, files } {}
}

/// `http_headers`
pub type Headers = BTreeMap<String, Option<Header>>;
