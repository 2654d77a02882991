//! The shapes that filters know: one table per kind of answer, names as in the answers.

/// The fields of an object.
#[derive(Debug)]
pub struct Schema(pub &'static [(&'static str, Kind)]);

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text.
    Text,
    /// An integer.
    Integer,
    /// A truth value.
    Flag,
    /// A list of texts.
    Texts,
    /// A map of texts.
    TextMap,
    /// A map of objects.
    ObjectMap(&'static Schema),
    /// An object.
    Object(&'static Schema),
    /// A list of objects.
    Objects(&'static Schema),
}

use Kind::{Flag, Integer, Object, ObjectMap, Objects, Text, TextMap, Texts};

static WEIGHTS: Schema = Schema(&[("Passing", Integer), ("Warning", Integer)]);
static ADDRESS: Schema = Schema(&[("Address", Text), ("Port", Integer)]);

static MODE: Schema = Schema(&[("Mode", Text)]);
static UPSTREAM: Schema = Schema(&[
    ("DestinationType", Text),
    ("DestinationNamespace", Text),
    ("DestinationName", Text),
    ("Datacenter", Text),
    ("LocalBindAddress", Text),
    ("LocalBindPort", Integer),
    ("MeshGateway", Object(&MODE)),
]);
static EXPOSED: Schema = Schema(&[
    ("ListenerPort", Integer),
    ("Path", Text),
    ("LocalPathPort", Integer),
    ("Protocol", Text),
    ("ParsedFromCheck", Flag),
]);
static EXPOSE: Schema = Schema(&[("Checks", Flag), ("Paths", Objects(&EXPOSED))]);
static PROXY: Schema = Schema(&[
    ("DestinationServiceName", Text),
    ("DestinationServiceID", Text),
    ("LocalServiceAddress", Text),
    ("LocalServicePort", Integer),
    ("Upstreams", Objects(&UPSTREAM)),
    ("MeshGateway", Object(&MODE)),
    ("Expose", Object(&EXPOSE)),
]);
static CONNECT: Schema = Schema(&[("Native", Flag)]);

/// `catalog/nodes`.
pub static NODE: Schema = Schema(&[
    ("ID", Text),
    ("Node", Text),
    ("Address", Text),
    ("Datacenter", Text),
    ("TaggedAddresses", TextMap),
    ("Meta", TextMap),
]);

/// `agent/services`, and what is on a node.
pub static SERVICE: Schema = Schema(&[
    ("Kind", Text),
    ("ID", Text),
    ("Service", Text),
    ("Tags", Texts),
    ("Address", Text),
    ("TaggedAddresses", ObjectMap(&ADDRESS)),
    ("Meta", TextMap),
    ("Port", Integer),
    ("Weights", Object(&WEIGHTS)),
    ("EnableTagOverride", Flag),
    // the mesh is empty here; clients may ask for it all the same
    ("Proxy", Object(&PROXY)),
    ("Connect", Object(&CONNECT)),
]);

/// `catalog/service/:name`.
pub static CATALOG_SERVICE: Schema = Schema(&[
    ("ID", Text),
    ("Node", Text),
    ("Address", Text),
    ("Datacenter", Text),
    ("TaggedAddresses", TextMap),
    ("NodeMeta", TextMap),
    ("ServiceKind", Text),
    ("ServiceID", Text),
    ("ServiceName", Text),
    ("ServiceTags", Texts),
    ("ServiceAddress", Text),
    ("ServiceTaggedAddresses", ObjectMap(&ADDRESS)),
    ("ServiceMeta", TextMap),
    ("ServicePort", Integer),
    ("ServiceWeights", Object(&WEIGHTS)),
    ("ServiceEnableTagOverride", Flag),
    ("ServiceProxy", Object(&PROXY)),
    ("ServiceConnect", Object(&CONNECT)),
]);

/// `catalog/services`.
pub static SERVICE_NAME: Schema = Schema(&[("ServiceName", Text), ("ServiceTags", Texts)]);

/// `health/state`, `health/node`, `health/checks`, `agent/checks`.
pub static CHECK: Schema = Schema(&[
    ("Node", Text),
    ("CheckID", Text),
    ("Name", Text),
    ("Status", Text),
    ("Notes", Text),
    ("Output", Text),
    ("ServiceID", Text),
    ("ServiceName", Text),
    ("ServiceTags", Texts),
    ("Type", Text),
]);

/// `health/service`.
pub static INSTANCE: Schema =
    Schema(&[("Node", Object(&NODE)), ("Service", Object(&SERVICE)), ("Checks", Objects(&CHECK))]);

impl Schema {
    /// Whether a selector leads through a map of objects.
    pub(super) fn passes_map(&self, path: &[String]) -> bool {
        path.split_first().is_some_and(|(first, rest)| match self.field(first) {
            Some(ObjectMap(_)) => true,
            Some(Object(inner) | Objects(inner)) => inner.passes_map(rest),
            _ => false,
        })
    }

    pub(super) fn field(&self, name: &str) -> Option<Kind> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, kind)| *kind)
    }
}
