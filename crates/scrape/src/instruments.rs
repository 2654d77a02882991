//! Scraping's own instruments, under Prometheus' names.

use runtime::instrument::{Counter, CounterVec, GaugeVec, Registry, SummaryVec};

/// Shared by all pools.
#[derive(Clone)]
pub(crate) struct Instruments {
    pub(crate) interval_length: SummaryVec,
    pub(crate) body_size: Counter,
    pub(crate) sample_limit: Counter,
    pub(crate) duplicate: Counter,
    pub(crate) out_of_order: Counter,
    pub(crate) out_of_bounds: Counter,
    pub(crate) label_limits: Counter,
    pub(crate) targets: GaugeVec,
    pub(crate) target_limit: GaugeVec,
    pub(crate) exceeded_target_limit: Counter,
    pub(crate) pools: Counter,
    pub(crate) pool_syncs: CounterVec,
    pub(crate) reloads: Counter,
    pub(crate) store_refused: Counter,
}

impl Instruments {
    pub(crate) fn new(registry: &Registry) -> Self {
        let count = |name: &str, help: &str| registry.counter(name, help);
        Instruments {
            interval_length: registry.summary_vec(
                "prometheus_target_interval_length_seconds",
                "Actual intervals between scrapes.",
                &[0.01, 0.05, 0.5, 0.9, 0.99],
                &["interval"],
            ),
            body_size: count(
                "prometheus_target_scrapes_exceeded_body_size_limit_total",
                "Total number of scrapes that hit the body size limit",
            ),
            sample_limit: count(
                "prometheus_target_scrapes_exceeded_sample_limit_total",
                "Total number of scrapes that hit the sample limit and were rejected.",
            ),
            duplicate: count(
                "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                "Total number of samples rejected due to duplicate timestamps but different values.",
            ),
            out_of_order: count(
                "prometheus_target_scrapes_sample_out_of_order_total",
                "Total number of samples rejected due to not being out of the expected order.",
            ),
            out_of_bounds: count(
                "prometheus_target_scrapes_sample_out_of_bounds_total",
                "Total number of samples rejected due to timestamp falling outside of the time bounds.",
            ),
            label_limits: count(
                "prometheus_target_scrape_pool_exceeded_label_limits_total",
                "Total number of times scrape pools hit the label limits, during sync or config reload.",
            ),
            targets: registry.gauge_vec(
                "prometheus_target_scrape_pool_targets",
                "Current number of targets in this scrape pool.",
                &["scrape_job"],
            ),
            target_limit: registry.gauge_vec(
                "prometheus_target_scrape_pool_target_limit",
                "Maximum number of targets allowed in this scrape pool.",
                &["scrape_job"],
            ),
            exceeded_target_limit: count(
                "prometheus_target_scrape_pool_exceeded_target_limit_total",
                "Total number of times scrape pools hit the target limit, during sync or config reload.",
            ),
            pools: count("prometheus_target_scrape_pools_total", "Total number of scrape pool creation attempts."),
            pool_syncs: registry.counter_vec(
                "prometheus_target_scrape_pool_sync_total",
                "Total number of syncs that were executed on a scrape pool.",
                &["scrape_job"],
            ),
            reloads: count("prometheus_target_scrape_pool_reloads_total", "Total number of scrape pool reloads."),
            store_refused: count(
                "isobar_target_scrapes_store_refused_total",
                "Visits whose samples the store did not take (full disk, poisoned log).",
            ),
        }
    }
}
