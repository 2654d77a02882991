//! Blocks of `prometheus.yml` that are read whole and not obeyed yet: every key known, none unknown let through.
//!
//! A block that is present makes one warning (settled 25). Its keys are checked, so that a typing error is found on the
//! day it is made and not on the day the block begins to work. Source: reference of the original's configuration, 3.14.

use net::client::block;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Declares a block whose keys are known and whose values are passed over.
macro_rules! later {
    ($(#[$doc:meta])* $name:ident { $($key:ident),* $(,)? } { $($nested:ident : $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $(#[serde(default)] #[expect(dead_code, reason = "known, not obeyed yet")] $key: Option<IgnoredAny>,)*
            $(#[serde(default)] #[expect(dead_code, reason = "known, not obeyed yet")] $nested: Option<$kind>,)*
        }
    };
    // the same with the keys of the HTTP client block, which the original inlines
    ($(#[$doc:meta])* http $name:ident { $($key:ident),* $(,)? } { $($nested:ident : $kind:ty),* $(,)? }) => {
        later! {
            $(#[$doc])*
            $name {
                $($key,)* bearer_token, bearer_token_file, follow_redirects, enable_http2, proxy_url, no_proxy,
                proxy_from_environment, proxy_connect_header
            } {
                basic_auth: block::BasicAuth, authorization: block::Authorization, oauth2: block::OAuth2,
                tls_config: block::Tls, http_headers: block::Headers, $($nested: $kind),*
            }
        }
    };
}

later! {
    /// `alerting`
    Alerting {} { alert_relabel_configs: Vec<RelabelRule>, alertmanagers: Vec<Alertmanager> }
}

later! {
    /// A relabelling rule of a block that is not obeyed yet.
    RelabelRule { source_labels, separator, target_label, regex, modulus, replacement, action } {}
}

later! {
    /// One entry of `alerting.alertmanagers`
    http Alertmanager {
        scheme, path_prefix, timeout, api_version, sigv4, static_configs, file_sd_configs, http_sd_configs, dns_sd_configs,
        consul_sd_configs, kubernetes_sd_configs, aws_sd_configs, ec2_sd_configs, lightsail_sd_configs, azure_sd_configs,
        gce_sd_configs, digitalocean_sd_configs, docker_sd_configs, dockerswarm_sd_configs, eureka_sd_configs,
        hetzner_sd_configs, ionos_sd_configs, kuma_sd_configs, linode_sd_configs, marathon_sd_configs, nerve_sd_configs,
        nomad_sd_configs, oci_sd_configs, openstack_sd_configs, outscale_sd_configs, ovhcloud_sd_configs,
        puppetdb_sd_configs, scaleway_sd_configs, serverset_sd_configs, stackit_sd_configs, triton_sd_configs,
        uyuni_sd_configs, vultr_sd_configs
    } { relabel_configs: Vec<RelabelRule>, alert_relabel_configs: Vec<RelabelRule> }
}

later! {
    /// One entry of `remote_write`
    http RemoteWrite {
        url, remote_timeout, headers, name, send_exemplars, send_native_histograms, round_robin_dns, protobuf_message,
        failed_request_logging, sigv4, azuread, google_iam
    } { write_relabel_configs: Vec<RelabelRule>, queue_config: QueueConfig, metadata_config: MetadataConfig }
}

later! {
    /// `remote_write[].queue_config`
    QueueConfig {
        capacity, max_shards, min_shards, max_samples_per_send, batch_send_deadline, min_backoff, max_backoff,
        retry_on_http_429, sample_age_limit
    } {}
}

later! {
    /// `remote_write[].metadata_config`
    MetadataConfig { send, send_interval, max_samples_per_send } {}
}

later! {
    /// One entry of `remote_read`
    http RemoteRead {
        url, remote_timeout, chunked_read_limit, headers, read_recent, name, required_matchers, filter_external_labels
    } {}
}

later! {
    /// `tracing`
    Tracing { client_type, endpoint, sampling_fraction, insecure, headers, compression, timeout } { tls_config: block::Tls }
}

later! {
    /// `otlp`
    Otlp {
        promote_all_resource_attributes, promote_resource_attributes, ignore_resource_attributes, translation_strategy,
        keep_identifying_resource_attributes, convert_histograms_to_nhcb, promote_scope_metadata,
        label_name_underscore_sanitization, label_name_preserve_multiple_underscores
    } {}
}

later! {
    /// `runtime`
    Runtime { gogc } {}
}

later! {
    /// `storage.exemplars`
    Exemplars { max_exemplars } {}
}

#[cfg(test)]
mod tests {
    use super::super::{Root, parse};
    use std::path::Path;

    #[test]
    fn keys_inside_what_is_not_obeyed_are_checked() {
        for (block, slip) in [
            ("scrape_configs: [{job_name: a, basic_auth: {username: u, password: p}}]", None),
            ("scrape_configs: [{job_name: a, basic_auth: {usernam: u}}]", Some("usernam")),
            ("scrape_configs: [{job_name: a, authorization: {type: Bearer, credentials: c}}]", None),
            ("scrape_configs: [{job_name: a, authorization: {typ: Bearer}}]", Some("typ")),
            ("scrape_configs: [{job_name: a, oauth2: {client_id: c, tls_config: {ca_fil: x}}}]", Some("ca_fil")),
            ("scrape_configs: [{job_name: a, http_headers: {X-A: {values: [b]}}}]", None),
            ("scrape_configs: [{job_name: a, http_headers: {X-A: {value: [b]}}}]", Some("value")),
            ("scrape_configs: [{job_name: a, consul_sd_configs: [{tls_config: {bogus: 1}}]}]", Some("bogus")),
            ("remote_write: [{url: 'http://x', basic_auth: {bogus: 1}}]", Some("bogus")),
            ("remote_read: [{url: 'http://x', tls_config: {insecure_skip_verify: true}}]", None),
            ("alerting: {alertmanagers: [{oauth2: {bogus: 1}}]}", Some("bogus")),
        ] {
            let said = parse::<Root>(Path::new("p.yml"), block).err().map(|error| error.to_string());
            assert_eq!(said.is_some(), slip.is_some(), "{block}: {said:?}");
            assert!(
                said.unwrap_or_default().contains(&slip.map_or(String::new(), |s| format!("unknown key {s}"))),
                "{block}"
            );
        }
    }
}
