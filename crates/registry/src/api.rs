//! The HTTP surface: decode, call, encode. Paths, methods, statuses, headers and bodies are Consul's.
//!
//! ```text
//! path ─► TABLE (longest match; a path ending in / takes what follows as a name) ─► method? ─► handler ─► Answer
//!   no entry: 404, empty          known, not built: 501 and what it is          other method: 405, Allow
//! ```
//!
//! Source: `reference/consul.md` 1.1–1.5; the recordings of Consul 1.8.7.

mod agent;
mod answer;
mod catalog;
mod health;
mod query;
mod shape;
mod status;

use crate::registry::Registry;
use answer::Answer;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request, Response, StatusCode, header};
use axum::routing::any;
use bytes::Bytes;
use net::form::Params;

/// What an endpoint is asked with.
pub(crate) struct Call {
    pub(crate) registry: Registry,
    /// What follows the path of the table, percent-decoded.
    pub(crate) name: String,
    pub(crate) params: Params,
    /// `Cache-Control` of the request.
    pub(crate) cache_control: Option<String>,
    pub(crate) body: Bytes,
}

/// The endpoints; one handler each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    AgentSelf,
    AgentMembers,
    AgentMetrics,
    AgentVersion,
    AgentServices,
    AgentService,
    AgentChecks,
    AgentHealthById,
    AgentHealthByName,
    AgentMaintenance,
    ServiceRegister,
    ServiceDeregister,
    ServiceMaintenance,
    CheckRegister,
    CheckDeregister,
    CheckPass,
    CheckWarn,
    CheckFail,
    CheckUpdate,
    AclDisabled,
    CatalogRegister,
    CatalogDeregister,
    CatalogDatacenters,
    CatalogNodes,
    CatalogServices,
    CatalogService,
    CatalogConnect,
    CatalogNode,
    CatalogNodeServices,
    CatalogGatewayServices,
    HealthNode,
    HealthChecks,
    HealthState,
    HealthService,
    HealthConnect,
    HealthIngress,
    StatusLeader,
    StatusPeers,
    /// Known and not built.
    Later(&'static str),
}

use Endpoint as E;

const GET: &[Method] = &[Method::GET];
const PUT: &[Method] = &[Method::PUT];
const ANY: &[Method] = &[];

/// Paths of the surface. The tests read it: an entry is either built or `Later`.
static TABLE: &[(&str, &[Method], Endpoint)] = &[
    ("/v1/agent/self", GET, E::AgentSelf),
    ("/v1/agent/members", GET, E::AgentMembers),
    ("/v1/agent/metrics", GET, E::AgentMetrics),
    ("/v1/agent/version", GET, E::AgentVersion),
    ("/v1/agent/services", GET, E::AgentServices),
    ("/v1/agent/service/", GET, E::AgentService),
    ("/v1/agent/checks", GET, E::AgentChecks),
    ("/v1/agent/health/service/id/", GET, E::AgentHealthById),
    ("/v1/agent/health/service/name/", GET, E::AgentHealthByName),
    ("/v1/agent/maintenance", PUT, E::AgentMaintenance),
    ("/v1/agent/service/register", PUT, E::ServiceRegister),
    ("/v1/agent/service/deregister/", PUT, E::ServiceDeregister),
    ("/v1/agent/service/maintenance/", PUT, E::ServiceMaintenance),
    ("/v1/agent/check/register", PUT, E::CheckRegister),
    ("/v1/agent/check/deregister/", PUT, E::CheckDeregister),
    ("/v1/agent/check/pass/", PUT, E::CheckPass),
    ("/v1/agent/check/warn/", PUT, E::CheckWarn),
    ("/v1/agent/check/fail/", PUT, E::CheckFail),
    ("/v1/agent/check/update/", PUT, E::CheckUpdate),
    ("/v1/agent/token/", PUT, E::AclDisabled),
    ("/v1/acl/", ANY, E::AclDisabled),
    ("/v1/catalog/register", PUT, E::CatalogRegister),
    ("/v1/catalog/deregister", PUT, E::CatalogDeregister),
    ("/v1/catalog/datacenters", GET, E::CatalogDatacenters),
    ("/v1/catalog/nodes", GET, E::CatalogNodes),
    ("/v1/catalog/services", GET, E::CatalogServices),
    ("/v1/catalog/service/", GET, E::CatalogService),
    ("/v1/catalog/connect/", GET, E::CatalogConnect),
    ("/v1/catalog/node/", GET, E::CatalogNode),
    ("/v1/catalog/node-services/", GET, E::CatalogNodeServices),
    ("/v1/catalog/gateway-services/", GET, E::CatalogGatewayServices),
    ("/v1/health/node/", GET, E::HealthNode),
    ("/v1/health/checks/", GET, E::HealthChecks),
    ("/v1/health/state/", GET, E::HealthState),
    ("/v1/health/service/", GET, E::HealthService),
    ("/v1/health/connect/", GET, E::HealthConnect),
    ("/v1/health/ingress/", GET, E::HealthIngress),
    ("/v1/status/leader", GET, E::StatusLeader),
    ("/v1/status/peers", GET, E::StatusPeers),
    ("/v1/agent/connect/", ANY, E::Later("the service mesh")),
    ("/v1/agent/force-leave/", ANY, E::Later("clusters of several servers")),
    ("/v1/agent/host", ANY, E::Later("the description of the host")),
    ("/v1/agent/join/", ANY, E::Later("clusters of several servers")),
    ("/v1/agent/leave", ANY, E::Later("leaving over HTTP: stop the process instead")),
    ("/v1/agent/monitor", ANY, E::Later("the log stream")),
    ("/v1/agent/reload", ANY, E::Later("reloading over HTTP")),
    ("/v1/config", ANY, E::Later("config entries")),
    ("/v1/config/", ANY, E::Later("config entries")),
    ("/v1/connect/", ANY, E::Later("the service mesh")),
    ("/v1/coordinate/", ANY, E::Later("network coordinates")),
    ("/v1/event/", ANY, E::Later("events")),
    ("/v1/internal/", ANY, E::Later("the original's own page")),
    ("/v1/kv/", ANY, E::Later("the key-value store")),
    ("/v1/operator/", ANY, E::Later("operator commands")),
    ("/v1/query", ANY, E::Later("prepared queries")),
    ("/v1/query/", ANY, E::Later("prepared queries")),
    ("/v1/session/", ANY, E::Later("sessions")),
    ("/v1/snapshot", ANY, E::Later("snapshots over HTTP")),
    ("/v1/txn", ANY, E::Later("transactions")),
];

/// The routes, for whoever listens.
pub(crate) fn routes(registry: Registry) -> Router {
    Router::new().route("/v1/{*path}", any(serve)).with_state(registry)
}

/// The endpoint of a path, its methods, and what follows: an exact path, or the longest prefix ending in `/`.
fn find(path: &str) -> Option<(&'static str, &'static [Method], Endpoint, &str)> {
    let matching = TABLE.iter().filter_map(|(entry, methods, endpoint)| {
        let rest = path.strip_prefix(entry)?;
        (rest.is_empty() || entry.ends_with('/')).then_some((*entry, *methods, *endpoint, rest))
    });
    matching.max_by_key(|(entry, ..)| entry.len())
}

async fn serve(State(registry): State<Registry>, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let Some((entry, methods, endpoint, rest)) = find(&path) else {
        return Answer::nothing_there().into_response();
    };
    let method = request.method().clone();
    let answer = dispatch(&registry, request, methods, endpoint, rest).await;
    let response = answer.into_response();
    // a made-up method must not make a series
    let known =
        matches!(method, Method::GET | Method::PUT | Method::POST | Method::DELETE | Method::OPTIONS | Method::HEAD);
    let method = if known { method.as_str() } else { "other" };
    registry.0.requests.with(&[entry, method, response.status().as_str()]).inc();
    response
}

async fn dispatch(
    registry: &Registry,
    request: Request<Body>,
    methods: &'static [Method],
    endpoint: Endpoint,
    rest: &str,
) -> Answer {
    if let E::Later(what) = endpoint {
        return Answer::text(StatusCode::NOT_IMPLEMENTED, format!("not built yet: {what}"));
    }
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes());
    if params.error().is_some() {
        // without a word, as in the original
        return Answer::empty().status(StatusCode::INTERNAL_SERVER_ERROR);
    }
    if !methods.is_empty() {
        let allowed = methods.iter().map(Method::as_str).collect::<Vec<_>>().join(",");
        let allow = format!("OPTIONS,{allowed}");
        if request.method() == Method::OPTIONS {
            return Answer::empty().with(header::ALLOW, &allow);
        }
        if !methods.contains(request.method()) {
            let what = format!("method {} not allowed", request.method());
            return Answer::text(StatusCode::METHOD_NOT_ALLOWED, what).with(header::ALLOW, &allow);
        }
    }
    let cache_control =
        request.headers().get(header::CACHE_CONTROL).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    let Some(name) = name_of(rest) else { return Answer::empty().status(StatusCode::BAD_REQUEST) };
    // only a PUT says anything in its body: others are not waited for
    let limit = if request.method() == Method::PUT { registry.0.config.limits.body_bytes } else { 0 };
    let body = match limit {
        0 => Bytes::new(),
        _ => match net::form::read(request.into_body(), limit).await {
            Ok(body) => body,
            Err(refused) if refused.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                let what = format!("Request body too large, max allowed {limit} bytes");
                return Answer::text(StatusCode::PAYLOAD_TOO_LARGE, what);
            }
            Err(refused) => {
                return Answer::text(refused.status(), "cannot read the request body".to_owned());
            }
        },
    };
    let is_pretty = params.has("pretty");
    let call = Call { registry: registry.clone(), name, params, cache_control, body };
    // nodes are in no namespace
    if endpoint != E::CatalogNodes
        && let Err(refused) = query::check_edition(&call.params)
    {
        return refused;
    }
    call_endpoint(call, endpoint).await.pretty(is_pretty)
}

/// What follows the path of the table. `None` for what can not be read, and for characters nobody can see, as in the
/// original.
fn name_of(rest: &str) -> Option<String> {
    let name = net::form::unescape(rest.as_bytes(), false).ok()?;
    let seen = |c: char| c == ' ' || !(c.is_control() || c.is_whitespace());
    name.chars().all(seen).then_some(name)
}

async fn call_endpoint(call: Call, endpoint: Endpoint) -> Answer {
    match endpoint {
        E::AgentSelf => status::agent_self(&call),
        E::AgentMembers => status::members(&call),
        E::AgentMetrics => status::metrics(&call),
        E::AgentVersion => status::version(),
        E::AgentServices => agent::services(&call),
        E::AgentService => agent::service(&call).await,
        E::AgentChecks => agent::checks(&call),
        E::AgentHealthById => agent::health_by_id(&call),
        E::AgentHealthByName => agent::health_by_name(&call),
        E::AgentMaintenance => agent::node_maintenance(&call).await,
        E::ServiceRegister => agent::register_service(&call).await,
        E::ServiceDeregister => agent::deregister_service(&call).await,
        E::ServiceMaintenance => agent::service_maintenance(&call).await,
        E::CheckRegister => agent::register_check(&call).await,
        E::CheckDeregister => agent::deregister_check(&call).await,
        E::CheckPass => agent::report(&call, crate::catalog::Status::Passing).await,
        E::CheckWarn => agent::report(&call, crate::catalog::Status::Warning).await,
        E::CheckFail => agent::report(&call, crate::catalog::Status::Critical).await,
        E::CheckUpdate => agent::update(&call).await,
        E::AclDisabled => Answer::text(StatusCode::UNAUTHORIZED, "ACL support disabled".to_owned()),
        E::CatalogRegister => catalog::register(&call).await,
        E::CatalogDeregister => catalog::deregister(&call).await,
        E::CatalogDatacenters => Answer::json(&[&call.registry.0.config.datacenter]),
        E::CatalogNodes => catalog::nodes(&call).await,
        E::CatalogServices => catalog::services(&call).await,
        E::CatalogService => catalog::service(&call).await,
        E::CatalogConnect => catalog::connect(&call).await,
        E::CatalogNode => catalog::node(&call).await,
        E::CatalogNodeServices => catalog::node_services(&call).await,
        E::CatalogGatewayServices => catalog::gateway_services(&call).await,
        E::HealthNode => health::node(&call).await,
        E::HealthChecks => health::checks(&call).await,
        E::HealthState => health::state(&call).await,
        E::HealthService => health::service(&call).await,
        E::HealthConnect => health::connect(&call).await,
        E::HealthIngress => health::ingress(&call).await,
        E::StatusLeader => Answer::json(&status::leader(&call)),
        E::StatusPeers => Answer::json(&[status::leader(&call)]),
        E::Later(_) => Answer::nothing_there(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_entry_wins_and_prefixes_need_their_slash() {
        for (path, expected, rest) in [
            ("/v1/agent/service/register", Some(E::ServiceRegister), ""),
            ("/v1/agent/service/web", Some(E::AgentService), "web"),
            ("/v1/agent/service/", Some(E::AgentService), ""),
            ("/v1/agent/service/maintenance/x", Some(E::ServiceMaintenance), "x"),
            ("/v1/catalog/nodes", Some(E::CatalogNodes), ""),
            ("/v1/catalog/nodes/", None, ""),
            ("/v1/catalog/nodesx", None, ""),
            ("/v1/kv/a/b", Some(E::Later("the key-value store")), "a/b"),
            ("/v2", None, ""),
            ("/", None, ""),
        ] {
            let found = find(path);
            assert_eq!(found.map(|(_, _, endpoint, rest)| (endpoint, rest)), expected.map(|e| (e, rest)), "{path}");
        }
    }

    #[test]
    fn names_in_paths() {
        for (rest, name) in [
            ("a%2Fb", Some("a/b")),
            ("a%20b+c", Some("a b+c")),
            ("%C3%A9", Some("é")),
            ("%ff", Some("\u{fffd}")),
            ("a%00", None),
            ("a%0Ab", None),
            ("a%zz", None),
            ("a%", None),
        ] {
            assert_eq!(name_of(rest).as_deref(), name, "{rest}");
        }
    }

    #[test]
    fn no_path_is_listed_twice() {
        let mut paths: Vec<&str> = TABLE.iter().map(|(path, ..)| *path).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), TABLE.len());
    }
}
