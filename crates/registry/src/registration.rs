//! From a request's body to what is registered: names of fields, defaults, and the rules of Consul's agent and catalog.

use crate::agent::LocalCheck;
use crate::catalog::{Check, Deregistration, Node, Registration, Service, ServiceAddress, Status, Weights};
use crate::check::{DEFAULT_TIMEOUT, Definition, HttpProbe, Probe};
use crate::decode::{DecodeError, Fields};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use thiserror::Error;

/// Pairs of metadata a service or node may have.
const META_PAIRS_MAX: usize = 64;
/// Characters of a metadata key.
const META_KEY_MAX: usize = 128;
/// The largest weight: DNS has 16 bits for it.
const WEIGHT_MAX: i64 = 65_535;
/// Characters of a metadata value.
const META_VALUE_MAX: usize = 512;
/// `DeregisterCriticalServiceAfter` is never shorter than this.
const DEREGISTER_AFTER_MIN: Duration = Duration::from_secs(60);
/// Checks never run more often than this.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// A body that is refused.
#[derive(Debug, Error)]
pub(crate) enum BodyError {
    /// It does not have the form.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It breaks a rule: 400.
    #[error("{0}")]
    Invalid(String),
    /// It breaks a rule that the original finds late: 500.
    #[error("{0}")]
    Failed(String),
}

fn invalid<T>(what: impl Into<String>) -> Result<T, BodyError> {
    Err(BodyError::Invalid(what.into()))
}

/// `agent/service/register`.
pub(crate) fn service(body: &[u8], output_max: usize) -> Result<(Service, Vec<LocalCheck>), BodyError> {
    let mut fields = Fields::of_body(body)?;
    let mut service = service_fields(&mut fields, &["Name"], &["TaggedAddresses", "tagged_addresses"])?;
    service.enable_tag_override |= fields.flag(&["enable_tag_override"])?;
    let mut checks: Vec<Fields> = fields.object(&["Check"])?.into_iter().filter(|check| !check.is_empty()).collect();
    checks.extend(fields.objects(&["Checks"])?);
    fields.string(&["Token"])?;
    refuse_mesh(&mut fields)?;
    fields.end()?;
    if service.name.is_empty() {
        return invalid("Missing service name");
    }
    if service.id.is_empty() {
        service.id.clone_from(&service.name);
    }
    check_weights(&service.weights)?;
    if matches!(service.address.as_str(), "0.0.0.0" | "::" | "[::]") {
        return invalid("Invalid service address");
    }
    if let Some(meta) = &service.meta
        && let Err(what) = check_meta(meta)
    {
        return invalid(format!("Invalid Service Meta: {what}"));
    }
    add_own_addresses(&mut service);
    let many = checks.len() > 1;
    let mut locals = Vec::with_capacity(checks.len());
    for (at, check) in checks.into_iter().enumerate() {
        let suffix = if many { format!(":{}", at + 1) } else { String::new() };
        let name = format!("Service '{}' check", service.name);
        let defaults = (format!("service:{}{suffix}", service.id), name);
        locals.push(check_fields(check, Some(defaults), output_max)?);
    }
    Ok((service, locals))
}

/// `agent/check/register`.
pub(crate) fn check(body: &[u8], output_max: usize) -> Result<LocalCheck, BodyError> {
    check_fields(Fields::of_body(body)?, None, output_max)
}

/// What `agent/check/update` says: status and output.
pub(crate) fn report(body: &[u8]) -> Result<(Status, String), BodyError> {
    let mut fields = Fields::of_body(body)?;
    let status = Status::from(fields.string(&["Status"])?);
    let output = fields.string(&["Output"])?;
    fields.end()?;
    match status {
        Status::Other(word) => invalid(format!("Invalid check status: '{word}'")),
        status => Ok((status, output)),
    }
}

/// `catalog/register`; the datacenter it is for comes along.
pub(crate) fn registration(body: &[u8]) -> Result<(String, Registration), BodyError> {
    let mut fields = Fields::of_body(body)?;
    let datacenter = fields.string(&["Datacenter"])?;
    let name = fields.string(&["Node"])?;
    let node = Node {
        id: fields.string(&["ID"])?,
        name: name.clone(),
        address: fields.string(&["Address"])?,
        tagged_addresses: fields.string_map(&["TaggedAddresses"])?,
        meta: fields.string_map(&["NodeMeta"])?,
        create_index: 0,
        modify_index: 0,
    };
    let skip_node = fields.flag(&["SkipNodeUpdate"])?;
    let service = fields.object(&["Service"])?.map(catalog_service).transpose()?;
    let mut checks: Vec<Fields> = fields.object(&["Check"])?.into_iter().collect();
    checks.extend(fields.objects(&["Checks"])?);
    fields.value(&["WriteRequest", "Token"]);
    refuse_newer(&mut fields)?;
    fields.end()?;
    if name.is_empty() {
        return Err(BodyError::Failed("Must provide node".to_owned()));
    }
    if node.address.is_empty() && !skip_node {
        return Err(BodyError::Failed("Must provide address if SkipNodeUpdate is not set".to_owned()));
    }
    if !node.id.is_empty()
        && let Err(what) = uuid::Uuid::parse_str(&node.id)
    {
        return Err(BodyError::Failed(format!("Bad node ID: {what}")));
    }
    let checks = checks.into_iter().map(|check| catalog_check(check, &name)).collect::<Result<_, _>>()?;
    // what is not to be updated is made all the same when it is not there
    let (node, new_node) = if skip_node { (None, Some(node)) } else { (Some(node), None) };
    Ok((datacenter, Registration { node_name: name, node, new_node, service, checks }))
}

/// `catalog/deregister`; the datacenter it is for comes along.
pub(crate) fn deregistration(body: &[u8]) -> Result<(String, Deregistration), BodyError> {
    let mut fields = Fields::of_body(body)?;
    let datacenter = fields.string(&["Datacenter"])?;
    let some = |text: String| (!text.is_empty()).then_some(text);
    let gone = Deregistration {
        node: fields.string(&["Node"])?,
        service: some(fields.string(&["ServiceID"])?),
        check: some(fields.string(&["CheckID"])?),
    };
    fields.string(&["Address"])?;
    fields.value(&["WriteRequest", "Token"]);
    refuse_newer(&mut fields)?;
    fields.end()?;
    if gone.node.is_empty() {
        return Err(BodyError::Failed("Must provide node".to_owned()));
    }
    Ok((datacenter, gone))
}

fn catalog_service(mut fields: Fields) -> Result<Service, BodyError> {
    let mut service = service_fields(&mut fields, &["Service"], &["TaggedAddresses"])?;
    for index in ["CreateIndex", "ModifyIndex"] {
        fields.integer(&[index])?;
    }
    fields.string(&["ContentHash"])?;
    fields.string(&["Datacenter"])?;
    refuse_mesh(&mut fields)?;
    fields.end()?;
    if service.name.is_empty() {
        let what =
            if service.id.is_empty() { "Must provide service name" } else { "Must provide service name with ID" };
        return Err(BodyError::Failed(what.to_owned()));
    }
    if service.id.is_empty() {
        service.id.clone_from(&service.name);
    }
    if service.weights == (Weights { passing: 0, warning: 0 }) {
        service.weights = Weights::default();
    }
    Ok(service)
}

fn catalog_check(mut fields: Fields, node: &str) -> Result<Check, BodyError> {
    let named = fields.string(&["Node"])?;
    let (id, name) = (fields.string(&["CheckID"])?, fields.string(&["Name"])?);
    let id = if id.is_empty() { name.clone() } else { id };
    let mut check = Check::new(if named.is_empty() { node } else { &named }, &id, &name);
    let status = fields.string(&["Status"])?;
    if !status.is_empty() {
        check.status = Status::from(status);
    }
    check.notes = fields.string(&["Notes"])?;
    check.output = fields.string(&["Output"])?;
    check.service_id = fields.string(&["ServiceID"])?;
    check.service_name = fields.string(&["ServiceName"])?;
    check.service_tags = fields.strings(&["ServiceTags"])?;
    check.kind = fields.string(&["Type"])?;
    let mut definition = fields.object(&["Definition"])?.map(Fields::into_map).unwrap_or_default();
    definition.retain(|_, value| !is_zero(value));
    check.definition = definition;
    if check.kind.is_empty() {
        let has = |name: &str| check.definition.contains_key(name);
        check.kind = if has("HTTP") {
            "http".to_owned()
        } else if has("TCP") {
            "tcp".to_owned()
        } else {
            String::new()
        };
    }
    for index in ["CreateIndex", "ModifyIndex", "ExposedPort"] {
        fields.integer(&[index])?;
    }
    for length in ["Interval", "Timeout"] {
        fields.string(&[length])?;
    }
    refuse_newer(&mut fields)?;
    fields.end()?;
    Ok(check)
}

fn is_zero(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty() || text == "0s",
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    }
}

fn service_fields(fields: &mut Fields, name: &[&str], tagged: &[&str]) -> Result<Service, BodyError> {
    let weights = fields.object(&["Weights"])?;
    Ok(Service {
        kind: fields.string(&["Kind"])?,
        id: fields.string(&["ID"])?,
        name: fields.string(name)?,
        tags: fields.strings(&["Tags"])?,
        address: fields.string(&["Address"])?,
        tagged_addresses: match fields.object(tagged)? {
            None => BTreeMap::new(),
            Some(addresses) => tagged_addresses(addresses)?,
        },
        meta: fields.string_map(&["Meta"])?,
        port: fields.integer(&["Port"])?,
        weights: match weights {
            None => Weights::default(),
            Some(mut fields) => {
                let weights =
                    Weights { passing: fields.integer(&["Passing"])?, warning: fields.integer(&["Warning"])? };
                fields.end()?;
                weights
            }
        },
        enable_tag_override: fields.flag(&["EnableTagOverride"])?,
        create_index: 0,
        modify_index: 0,
    })
}

fn check_weights(weights: &Weights) -> Result<(), BodyError> {
    if weights.passing < 1 {
        return invalid("Invalid Weights: Passing must be greater than 0");
    }
    if weights.warning < 0 {
        return invalid("Invalid Weights: Warning must be greater or equal than 0");
    }
    if weights.passing.max(weights.warning) > WEIGHT_MAX {
        return invalid(format!("Invalid Weights: at most {WEIGHT_MAX}, as in DNS"));
    }
    Ok(())
}

fn tagged_addresses(addresses: Fields) -> Result<BTreeMap<String, ServiceAddress>, BodyError> {
    let mut tagged = BTreeMap::new();
    for (tag, mut fields) in addresses.into_objects()? {
        let address = ServiceAddress { address: fields.string(&["Address"])?, port: fields.integer(&["Port"])? };
        fields.end()?;
        tagged.insert(tag, address);
    }
    Ok(tagged)
}

/// An own address that is an IP is told under `lan_ipv4` and `wan_ipv4` (or 6) too, unless the client did.
fn add_own_addresses(service: &mut Service) {
    let Ok(address) = service.address.parse::<IpAddr>() else { return };
    let tags = if address.is_ipv4() { ["lan_ipv4", "wan_ipv4"] } else { ["lan_ipv6", "wan_ipv6"] };
    for tag in tags {
        let own = ServiceAddress { address: service.address.clone(), port: service.port };
        service.tagged_addresses.entry(tag.to_owned()).or_insert(own);
    }
}

/// The mesh is not built: its fields are taken empty, and refused otherwise.
fn refuse_mesh(fields: &mut Fields) -> Result<(), BodyError> {
    for name in ["Proxy", "Connect"] {
        if let Some(value) = fields.value(&[name]).filter(|value| !is_empty_deep(value)) {
            return invalid(format!("{name}: the service mesh is not supported, found {value}"));
        }
    }
    refuse_newer(fields)
}

/// Fields of the original's paid edition and of versions whose features we do not have: taken empty, refused otherwise.
fn refuse_newer(fields: &mut Fields) -> Result<(), BodyError> {
    for name in ["Namespace", "Partition", "PeerName", "Locality", "SocketPath"] {
        let value = fields.value(&[name]).filter(|value| !is_empty_deep(value));
        if value.is_some_and(|value| value != "default") {
            return invalid(format!("{name}: not supported"));
        }
    }
    Ok(())
}

fn is_empty_deep(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Object(map) => map.values().all(is_empty_deep),
        other => is_zero(other),
    }
}

/// The checks' fields; `of_service` gives id and name to a check without its own.
fn check_fields(
    mut fields: Fields,
    of_service: Option<(String, String)>,
    output_max: usize,
) -> Result<LocalCheck, BodyError> {
    let is_own = of_service.is_none();
    let (default_id, default_name) = of_service.unwrap_or_default();
    let id = fields.string(if is_own { &["ID"] } else { &["CheckID"] })?;
    let name = fields.string(&["Name"])?;
    let status = fields.string(&["Status"])?;
    let notes = fields.string(&["Notes"])?;
    let service_id = if is_own { fields.string(&["ServiceID", "service_id"])? } else { String::new() };
    if is_own {
        fields.string(&["Token"])?;
    }
    let definition = definition_fields(&mut fields, output_max)?;
    fields.end()?;
    let name = if name.is_empty() { default_name } else { name };
    if name.is_empty() {
        return invalid("Missing check name");
    }
    let default_id = if is_own { name.clone() } else { default_id };
    let mut check = Check::new("", if id.is_empty() { &default_id } else { &id }, &name);
    if !status.is_empty() {
        check.status = Status::from(status);
    }
    if matches!(check.status, Status::Other(_)) {
        return invalid("Bad check status");
    }
    check.notes = notes;
    check.service_id = service_id;
    let definition = definition?;
    definition.type_name().clone_into(&mut check.kind);
    Ok(LocalCheck { check, definition })
}

/// How a check is done. The outer error is a wrong form, the inner a broken rule, which the original finds later.
fn definition_fields(fields: &mut Fields, output_max: usize) -> Result<Result<Definition, BodyError>, BodyError> {
    let http = fields.string(&["HTTP"])?;
    let probe = HttpProbe {
        url: http,
        method: fields.string(&["Method"])?,
        header: fields.header_map(&["Header"])?,
        body: fields.string(&["Body"])?,
        follow_redirects: !fields.flag(&["DisableRedirects", "disable_redirects"])?,
    };
    let args = fields.strings(&["Args", "ScriptArgs", "script_args"])?;
    let container = fields.string(&["DockerContainerID", "docker_container_id"])?;
    let raw = RawCheck {
        http: probe,
        tcp: fields.string(&["TCP"])?,
        grpc: fields.string(&["GRPC"])?,
        grpc_tls: fields.flag(&["GRPCUseTLS", "grpc_use_tls"])?,
        script: !args.is_empty() || !container.is_empty(),
        alias_node: fields.string(&["AliasNode", "alias_node"])?,
        alias_service: fields.string(&["AliasService", "alias_service"])?,
        ttl: fields.duration(&["TTL"])?,
        interval: fields.duration(&["Interval"])?,
    };
    fields.string(&["Shell"])?;
    fields.flag(&["TLSSkipVerify", "tls_skip_verify"])?;
    fields.string(&["TLSServerName", "tls_server_name"])?;
    let timeout = fields.duration(&["Timeout"])?;
    let count = |number: i64| u32::try_from(number).unwrap_or(0);
    let success = count(fields.integer(&["SuccessBeforePassing", "success_before_passing"])?);
    let warning = count(fields.integer(&["FailuresBeforeWarning", "failures_before_warning"])?);
    let critical = count(fields.integer(&["FailuresBeforeCritical", "failures_before_critical"])?);
    let after = fields.duration(&["DeregisterCriticalServiceAfter", "deregister_critical_service_after"])?;
    let output = fields.integer(&["OutputMaxSize", "output_max_size"])?;
    if output < 0 {
        return Ok(invalid("Invalid check: MaxOutputMaxSize must be positive"));
    }
    let interval = raw.interval;
    Ok(raw.probe().map(|probe| Definition {
        interval: if matches!(probe, Probe::Ttl(_) | Probe::Alias { .. }) {
            Duration::ZERO
        } else {
            interval.max(INTERVAL_MIN)
        },
        probe,
        timeout: if timeout.is_zero() { DEFAULT_TIMEOUT } else { timeout },
        success_before_passing: success,
        failures_before_warning: warning,
        failures_before_critical: critical,
        deregister_after: (!after.is_zero()).then(|| after.max(DEREGISTER_AFTER_MIN)),
        output_max_size: if output == 0 {
            output_max
        } else {
            usize::try_from(output).unwrap_or(output_max).min(output_max)
        },
    }))
}

struct RawCheck {
    http: HttpProbe,
    tcp: String,
    grpc: String,
    grpc_tls: bool,
    script: bool,
    alias_node: String,
    alias_service: String,
    ttl: Duration,
    interval: Duration,
}

impl RawCheck {
    fn probe(self) -> Result<Probe, BodyError> {
        let interval_missing = || invalid("Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks");
        let is_run = self.script || !(self.http.url.is_empty() && self.tcp.is_empty() && self.grpc.is_empty());
        if !self.interval.is_zero() && !self.ttl.is_zero() {
            return invalid("Invalid check: Interval and TTL cannot both be specified");
        }
        if is_run && self.interval.is_zero() {
            return interval_missing();
        }
        if self.script {
            let what = "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true";
            return Err(BodyError::Failed(what.to_owned()));
        }
        if !self.http.url.is_empty() {
            if self.http.url.starts_with("https:") {
                return invalid("Invalid check: HTTPS checks are not supported yet");
            }
            let mut http = self.http;
            if http.method.is_empty() {
                "GET".clone_into(&mut http.method);
            }
            return Ok(Probe::Http(http));
        }
        if !self.tcp.is_empty() {
            return Ok(Probe::Tcp(self.tcp));
        }
        if !self.grpc.is_empty() {
            if self.grpc_tls {
                return invalid("Invalid check: gRPC checks over TLS are not supported yet");
            }
            let (target, service) = self.grpc.split_once('/').unwrap_or((&self.grpc, ""));
            return Ok(Probe::Grpc { target: target.to_owned(), service: service.to_owned() });
        }
        if !self.alias_node.is_empty() || !self.alias_service.is_empty() {
            return Ok(Probe::Alias { node: self.alias_node, service: self.alias_service });
        }
        if self.ttl.is_zero() {
            return invalid("Invalid check: TTL must be > 0 for TTL checks");
        }
        Ok(Probe::Ttl(self.ttl))
    }
}

/// The rules of metadata pairs, of services and nodes.
pub(crate) fn check_meta(meta: &BTreeMap<String, String>) -> Result<(), String> {
    if meta.len() > META_PAIRS_MAX {
        return Err(format!("Node metadata cannot contain more than {META_PAIRS_MAX} key/value pairs"));
    }
    for (key, value) in meta {
        let problem = if key.is_empty() {
            "Key cannot be blank".to_owned()
        } else if !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            "Key contains invalid characters".to_owned()
        } else if key.len() > META_KEY_MAX {
            format!("Key is too long (limit: {META_KEY_MAX} characters)")
        } else if key.starts_with("consul-") {
            "Key prefix 'consul-' is reserved for internal use".to_owned()
        } else if value.len() > META_VALUE_MAX {
            format!("Value is too long (limit: {META_VALUE_MAX} characters)")
        } else {
            continue;
        };
        return Err(format!("Couldn't load metadata pair ('{key}', '{value}'): {problem}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_done_is_refused_by_name() {
        for (body, message) in [
            (
                r#"{"Name":"x","Check":{"HTTP":"https://h/","Interval":"5s"}}"#,
                "Invalid check: HTTPS checks are not supported yet",
            ),
            (
                r#"{"Name":"x","Check":{"GRPC":"h:1","GRPCUseTLS":true,"Interval":"5s"}}"#,
                "Invalid check: gRPC checks over TLS are not supported yet",
            ),
            (
                r#"{"Name":"x","Connect":{"Native":true}}"#,
                r#"Connect: the service mesh is not supported, found {"Native":true}"#,
            ),
            (r#"{"Name":"x","Namespace":"team"}"#, "Namespace: not supported"),
            (
                r#"{"Name":"x","Check":{"UDP":"h:1","Interval":"5s"}}"#,
                "Request decode failed: json: unknown field \"UDP\"",
            ),
        ] {
            assert_eq!(service(body.as_bytes(), 4096).unwrap_err().to_string(), message, "{body}");
        }
    }

    #[test]
    fn empty_remnants_of_newer_clients_are_taken() {
        let body = r#"{"Name":"x","Proxy":{"MeshGateway":{},"Expose":{}},"Connect":{},"Namespace":"","Partition":"default","Locality":null}"#;
        assert!(service(body.as_bytes(), 4096).is_ok());
    }

    #[test]
    fn checks_of_a_service_get_ids_and_bounds() {
        let body = r#"{"ID":"w","Name":"web","Check":{"TTL":"5s"},"Checks":[{"HTTP":"http://h/","Interval":"10ms",
            "DeregisterCriticalServiceAfter":"1s","OutputMaxSize":99999},{"CheckID":"own","TCP":"h:1","Interval":"5s"}]}"#;
        let (_, checks) = service(body.as_bytes(), 4096).unwrap();
        let ids: Vec<&str> = checks.iter().map(|local| local.check.id.as_str()).collect();
        assert_eq!(ids, ["service:w:1", "service:w:2", "own"]);
        let http = &checks[1].definition;
        assert_eq!((http.interval, http.deregister_after), (INTERVAL_MIN, Some(DEREGISTER_AFTER_MIN)));
        assert_eq!((http.output_max_size, http.timeout), (4096, DEFAULT_TIMEOUT));
    }

    proptest! {
        #[test]
        fn arbitrary_and_mutated_bodies_never_panic(at in 0usize..400, with in prop::collection::vec(any::<u8>(), 0..4)) {
            let valid = br#"{"Node":"n","Address":"1.2.3.4","ID":"w","Name":"web","Tags":["a"],"Port":1,"Meta":{"k":"v"},
                "TaggedAddresses":{"lan":{"address":"h","port":1}},"Weights":{"Passing":1,"Warning":1},"TTL":"5s",
                "Service":{"Service":"s"},"Checks":[{"Name":"c","HTTP":"http://h/","Interval":"1s","Header":{"a":["b"]}}]}"#;
            let mut body = valid.to_vec();
            let at = at.min(body.len() - 1);
            body.splice(at..=at, with);
            let _ = service(&body, 4096);
            let _ = check(&body, 4096);
            let _ = registration(&body);
            let _ = deregistration(&body);
            let _ = report(&body);
        }
    }
}
