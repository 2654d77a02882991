//! The flags of `isobar server`: Prometheus 3.14's, under their names, and a few of our own.
//!
//! Every flag is in one of three states, in this one table, which `--help`, the warnings at start and a test read:
//! obeyed; known and not done yet (given with another value than its default: one warning, settled 25);
//! or refused because obeying it in part would lose data or open a door.

use runtime::flags::{Flag, Given};

const USAGE: &str = "\
isobar server [<flags>]

Scrapes, stores and answers in Prometheus' place: its flags, its prometheus.yml, its data directory.
SIGHUP reads the configuration again.";

/// What becomes of a flag that the command line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Does what its help says.
    Obeyed,
    /// Known, without effect yet: a warning with the reason.
    NotYet(&'static str),
    /// Known, and the process does not start with it.
    Refused(&'static str),
}

use Standing::{NotYet, Obeyed, Refused};

const fn value(name: &'static str, default: &'static str, help: &'static str) -> (Flag, Standing) {
    (Flag::value(name, default, help), Obeyed)
}

const fn switch(name: &'static str, default: bool, help: &'static str) -> (Flag, Standing) {
    (Flag::switch(name, default, help), Obeyed)
}

const fn later(name: &'static str, default: &'static str, why: &'static str) -> (Flag, Standing) {
    (Flag::value(name, default, why), NotYet(why))
}

const RULES: &str = "rules are not evaluated yet";
const ALERTS: &str = "alerts are not sent yet";
const REMOTE: &str = "remote write and remote read are not done yet";
const AGENT: &str = "forward-only mode is not done yet";
const GO: &str = "there is no Go runtime to tune";

/// The table, in the order of the original's `--help`; ours at the end.
pub(crate) const TABLE: &[(Flag, Standing)] = &[
    (Flag::switch("version", false, "Show application version."), Obeyed),
    value("config.file", "prometheus.yml", "Prometheus configuration file path."),
    (
        Flag::switch("config.auto-reload", false, "Reload the configuration file when it changes."),
        NotYet("send SIGHUP to reload"),
    ),
    later("config.auto-reload-interval", "30s", "send SIGHUP to reload"),
    (
        Flag::list(
            "web.listen-address",
            "127.0.0.1:9090",
            "Address to listen on for API, page and telemetry. Can be repeated.",
        ),
        Obeyed,
    ),
    (Flag::switch("auto-gomaxprocs", true, "Set the number of threads to the container's CPU quota."), NotYet(GO)),
    (Flag::switch("auto-gomemlimit", true, "Set the memory limit to the container's."), NotYet(GO)),
    later("auto-gomemlimit.ratio", "0.9", GO),
    later("auto-gomemlimit.refresh-interval", "0s", GO),
    (
        Flag::value("web.config.file", "", "File that enables TLS or authentication."),
        Refused(
            "TLS and authentication of our own listener are not done yet; starting without them would open what you meant to close",
        ),
    ),
    value(
        "web.read-timeout",
        "5m",
        "Maximum duration before timing out read of the request, and closing idle connections.",
    ),
    value(
        "web.max-connections",
        "512",
        "Maximum number of simultaneous connections; at the limit the one idle longest is closed.",
    ),
    later("web.max-notifications-subscribers", "16", "live notifications are not done yet"),
    value(
        "web.external-url",
        "",
        "The URL under which the server is reachable from outside; its path prefixes all endpoints.",
    ),
    value(
        "web.route-prefix",
        "",
        "Prefix for the internal routes of web endpoints. Defaults to path of --web.external-url.",
    ),
    later("web.user-assets", "", "static user assets are not served"),
    switch("web.enable-lifecycle", false, "Enable shutdown and reload via HTTP request."),
    (
        Flag::switch("web.enable-admin-api", false, "Enable API endpoints for admin control actions."),
        NotYet("the admin API is not done yet"),
    ),
    (
        Flag::switch("web.enable-remote-write-receiver", false, "Enable API endpoint accepting remote write requests."),
        NotYet(REMOTE),
    ),
    later("web.remote-write-receiver.accepted-protobuf-messages", "prometheus.WriteRequest", REMOTE),
    (
        Flag::switch("web.enable-otlp-receiver", false, "Enable API endpoint accepting OTLP write requests."),
        NotYet("OTLP is not received yet"),
    ),
    later("web.console.templates", "consoles", "consoles are not done yet"),
    later("web.console.libraries", "console_libraries", "consoles are not done yet"),
    later("web.page-title", "Prometheus Time Series Collection and Processing Server", "the page keeps its own title"),
    value("web.cors.origin", ".*", "Regex for CORS origin. It is fully anchored."),
    later("storage.remote.flush-deadline", "1m", REMOTE),
    (Flag::list("enable-feature", "", "Comma separated feature names to enable."), Obeyed),
    (Flag::switch("agent", false, "Forward-only mode."), Refused(AGENT)),
    value(
        "log.level",
        "info",
        "Only log messages with the given severity or above. One of: [debug, info, warn, error]",
    ),
    value("log.format", "logfmt", "Output format of log messages. One of: [logfmt, json]"),
    value("storage.tsdb.path", "data/", "Base path for metrics storage."),
    value(
        "storage.tsdb.retention.time",
        "",
        "How long to retain samples in storage. Default 15d unless retention.size is set. Units: y, w, d, h, m, s, ms.",
    ),
    value(
        "storage.tsdb.retention.size",
        "",
        "Maximum number of bytes that can be stored for blocks. Units: B, KB, MB, GB, TB, PB, EB; 1KB is 1024B.",
    ),
    switch("storage.tsdb.no-lockfile", false, "Do not create lockfile in data directory."),
    later("storage.tsdb.head-chunks-write-queue-size", "0", "head chunks are kept in memory"),
    later("storage.tsdb.delay-compact-file.path", "", "compaction is not delayed"),
    later("storage.remote.read-sample-limit", "5e7", REMOTE),
    later("storage.remote.read-concurrent-limit", "10", REMOTE),
    later("storage.remote.read-max-bytes-in-frame", "1048576", REMOTE),
    later("web.search.max-limit", "10000", "the search API is not done yet"),
    later("rules.alert.for-outage-tolerance", "1h", RULES),
    later("rules.alert.for-grace-period", "10m", RULES),
    later("rules.alert.resend-delay", "1m", RULES),
    later("rules.max-concurrent-evals", "4", RULES),
    later("alertmanager.notification-queue-capacity", "10000", ALERTS),
    later("alertmanager.notification-batch-size", "256", ALERTS),
    (
        Flag::switch(
            "alertmanager.drain-notification-queue-on-shutdown",
            true,
            "Send outstanding notifications when stopping.",
        ),
        NotYet(ALERTS),
    ),
    value(
        "query.lookback-delta",
        "5m",
        "The maximum lookback duration for retrieving metrics during expression evaluations.",
    ),
    value("query.timeout", "2m", "Maximum time a query may take before being aborted."),
    value("query.max-concurrency", "20", "Maximum number of queries executed concurrently."),
    value("query.max-samples", "50000000", "Maximum number of samples a single query can load into memory."),
    // agent mode
    (Flag::value("storage.agent.path", "data-agent/", AGENT).hidden(), NotYet(AGENT)),
    (Flag::switch("storage.agent.wal-compression", true, AGENT).hidden(), NotYet(AGENT)),
    (Flag::value("storage.agent.retention.min-time", "", AGENT).hidden(), NotYet(AGENT)),
    (Flag::value("storage.agent.retention.max-time", "", AGENT).hidden(), NotYet(AGENT)),
    (Flag::switch("storage.agent.no-lockfile", false, AGENT).hidden(), NotYet(AGENT)),
    (Flag::switch("storage.agent.checkpoint-from-in-memory-series", false, AGENT).hidden(), NotYet(AGENT)),
    (Flag::value("storage.agent.checkpoint-batch-size", "1000", AGENT).hidden(), NotYet(AGENT)),
    (Flag::value("storage.agent.wal-segment-size", "", AGENT).hidden(), NotYet(AGENT)),
    (Flag::value("storage.agent.wal-compression-type", "snappy", AGENT).hidden(), NotYet(AGENT)),
    (Flag::value("storage.agent.wal-truncate-frequency", "", AGENT).hidden(), NotYet(AGENT)),
    // hidden in the original too, and relied upon
    (
        Flag::value(
            "storage.tsdb.min-block-duration",
            "2h",
            "Minimum duration of a data block before being persisted.",
        )
        .hidden(),
        Obeyed,
    ),
    (
        Flag::value(
            "storage.tsdb.max-block-duration",
            "",
            "Maximum duration compacted blocks may span. Default: a tenth of the retention, at most 31d.",
        )
        .hidden(),
        Obeyed,
    ),
    (
        Flag::value(
            "storage.tsdb.max-block-chunk-segment-size",
            "512MB",
            "The maximum size for a single chunk segment in a block.",
        )
        .hidden(),
        NotYet("segments are 512 MB"),
    ),
    (
        Flag::value("storage.tsdb.wal-segment-size", "128MB", "Size at which to split the log's segment files.")
            .hidden(),
        Obeyed,
    ),
    (
        Flag::switch("storage.tsdb.allow-overlapping-compaction", true, "Allow compaction of overlapping blocks.")
            .hidden(),
        NotYet("overlapping blocks are always merged"),
    ),
    (Flag::switch("storage.tsdb.wal-compression", true, "Compress the log.").hidden(), Obeyed),
    (
        Flag::value("storage.tsdb.wal-compression-type", "snappy", "Compression algorithm of the log.").hidden(),
        NotYet("the log is compressed with snappy"),
    ),
    (
        Flag::value("storage.tsdb.samples-per-chunk", "120", "Target number of samples per chunk.").hidden(),
        NotYet("chunks hold 120 samples"),
    ),
    (
        Flag::value("storage.tsdb.delayed-compaction.max-percent", "10", "Maximum delay of compaction.").hidden(),
        NotYet("compaction is not delayed"),
    ),
    (
        Flag::value("storage.tsdb.block-reload-interval", "1m", "Interval at which blocks are looked for.").hidden(),
        NotYet("blocks are looked for at start"),
    ),
    (Flag::switch("scrape.adjust-timestamps", true, "Snap scrape timestamps to the schedule.").hidden(), Obeyed),
    (Flag::value("scrape.timestamp-tolerance", "2ms", "How far a timestamp may be snapped.").hidden(), Obeyed),
    (
        Flag::value("scrape.discovery-reload-interval", "5s", "How often discovered targets are taken over.").hidden(),
        Obeyed,
    ),
    // ours
    (
        Flag::list(
            "web.allowed-hosts",
            "",
            "A Host header to accept besides IP addresses, localhost, this machine's name and the external URL's. Can be repeated. (isobar)",
        ),
        Obeyed,
    ),
];

/// Features of `--enable-feature` that are obeyed.
const FEATURES_OBEYED: &[&str] = &[
    "promql-experimental-functions",
    "promql-delayed-name-removal",
    "promql-extended-range-selectors",
    "promql-binop-fill-modifiers",
    "promql-duration-expr",
    "promql-per-step-stats",
    "extra-scrape-metrics",
];

/// Features of the original that are known and have no effect yet.
const FEATURES_NOT_YET: &[&str] = &[
    "exemplar-storage",
    "memory-snapshot-on-shutdown",
    "created-timestamp-zero-ingestion",
    "st-storage",
    "st-synthesis",
    "use-start-timestamps",
    "xor2-encoding",
    "histograms-st-encoding",
    "concurrent-rule-eval",
    "old-ui",
    "metadata-wal-records",
    "delayed-compaction",
    "otlp-deltatocumulative",
    "otlp-native-delta-ingestion",
    "type-and-unit-labels",
    "use-uncached-io",
    "search-api",
    "fast-startup",
    "native-histograms",
    "ooo-native-histograms",
    "auto-reload-config",
    "auto-gomaxprocs",
    "auto-gomemlimit",
    "new-service-discovery-manager",
    "no-default-scrape-port",
    "promql-at-modifier",
    "promql-negative-offset",
    "remote-write-receiver",
    "expand-external-labels",
    "otlp-write-receiver",
];

/// The plain table for the parser.
pub(crate) fn flags() -> Vec<Flag> {
    TABLE.iter().map(|(flag, _)| *flag).collect()
}

/// The text of `--help`: a flag without effect says so.
pub(crate) fn help() -> String {
    let says = |flag: &Flag| {
        let standing =
            TABLE.iter().find(|(known, _)| known.name == flag.name).map_or(Obeyed, |(_, standing)| *standing);
        match standing {
            Obeyed => flag.help.to_owned(),
            NotYet(why) if why == flag.help => format!("Without effect: {why}."),
            NotYet(why) => format!("{} Without effect: {why}.", flag.help),
            Refused(why) => format!("{} Refused: {why}.", flag.help),
        }
    };
    runtime::flags::help_saying(USAGE, &flags(), says)
}

/// What a start with these flags must say: one line per flag or feature that has no effect yet.
///
/// # Errors
/// The line to end with, where a flag is refused.
pub(crate) fn standing(given: &Given) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    for (flag, standing) in TABLE {
        let differs = given.is_given(flag.name) && given.value(flag.name) != flag.default;
        match standing {
            NotYet(why) if differs => warnings.push(format!("--{} has no effect yet: {why}", flag.name)),
            Refused(why) if differs => return Err(format!("--{} is refused: {why}", flag.name)),
            _ => {}
        }
    }
    for name in features(given) {
        if FEATURES_NOT_YET.contains(&name.as_str()) {
            warnings.push(format!("--enable-feature={name} has no effect yet"));
        } else if !FEATURES_OBEYED.contains(&name.as_str()) {
            return Err(format!("unknown feature {name:?} in --enable-feature; known: {}", FEATURES_OBEYED.join(", ")));
        }
    }
    Ok(warnings)
}

/// Names given to `--enable-feature`.
pub(crate) fn features(given: &Given) -> Vec<String> {
    let listed = given.list("enable-feature");
    let names = listed.iter().flat_map(|list| list.split(',')).map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(args: &[&str]) -> Result<Vec<String>, String> {
        standing(&runtime::flags::parse(&flags(), args).map_err(|e| e.to_string())?)
    }

    #[test]
    fn every_flag_of_the_table_obeys_warns_or_refuses() {
        for (flag, standing) in TABLE {
            assert!(!flag.help.is_empty(), "--{} has no help", flag.name);
            // the run ends with it
            if flag.name == "version" {
                continue;
            }
            let argument = match flag.kind {
                runtime::flags::FlagKind::Switch if flag.default == "true" => format!("--no-{}", flag.name),
                runtime::flags::FlagKind::Switch => format!("--{}", flag.name),
                _ if flag.name == "enable-feature" => continue,
                _ => format!("--{}=other", flag.name),
            };
            let said = lines(&[&argument]);
            match standing {
                Obeyed => assert_eq!(said, Ok(vec![]), "{argument}"),
                NotYet(why) => assert!(said.expect("only a warning")[0].contains(why), "{argument}"),
                Refused(why) => assert!(said.expect_err("refused").contains(why), "{argument}"),
            }
        }
    }

    #[test]
    fn defaults_given_in_words_do_not_warn() {
        assert_eq!(lines(&["--rules.max-concurrent-evals=4", "--auto-gomaxprocs"]), Ok(vec![]));
    }

    #[test]
    fn unknown_flags_and_features_are_refused() {
        assert!(lines(&["--web.listen"]).expect_err("unknown").contains("unknown long flag '--web.listen'"));
        assert!(lines(&["--enable-feature=nosuch"]).expect_err("unknown").contains("nosuch"));
        assert_eq!(
            lines(&["--enable-feature=promql-duration-expr,exemplar-storage"]),
            Ok(vec!["--enable-feature=exemplar-storage has no effect yet".to_owned()])
        );
    }
}
