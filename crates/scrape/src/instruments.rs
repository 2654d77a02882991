//! What scraping measures about itself, under the original's names.

use runtime::instrument::{Counter, CounterVec, GaugeVec, Registry, SummaryVec};

const QUANTILES: [f64; 5] = [0.01, 0.05, 0.5, 0.9, 0.99];

/// Instruments of all pools.
#[derive(Clone, Debug)]
pub(crate) struct Instruments {
    pub(crate) interval_length: SummaryVec,
    pub(crate) sync_length: SummaryVec,
    pub(crate) syncs: CounterVec,
    pub(crate) syncs_failed: CounterVec,
    pub(crate) targets: GaugeVec,
    pub(crate) target_limit: GaugeVec,
    pub(crate) pools: Counter,
    pub(crate) reloads: Counter,
    pub(crate) exceeded_targets: Counter,
    pub(crate) exceeded_labels: Counter,
    pub(crate) exceeded_samples: Counter,
    pub(crate) exceeded_body: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) out_of_order: Counter,
    pub(crate) out_of_bounds: Counter,
    pub(crate) dropped_left_out: Counter,
}

impl Instruments {
    pub(crate) fn new(registry: &Registry) -> Self {
        let counter = |name: &str, help: &str| registry.counter(&format!("prometheus_target_{name}"), help);
        let per_job = &["scrape_job"];
        Instruments {
            interval_length: registry.summary_vec(
                "prometheus_target_interval_length_seconds",
                "Actual intervals between scrapes.",
                &QUANTILES,
                &["interval"],
            ),
            sync_length: registry.summary_vec(
                "prometheus_target_sync_length_seconds",
                "Actual interval to sync the scrape pool.",
                &QUANTILES,
                per_job,
            ),
            syncs: registry.counter_vec(
                "prometheus_target_scrape_pool_sync_total",
                "Total number of syncs that were executed on a scrape pool.",
                per_job,
            ),
            syncs_failed: registry.counter_vec(
                "prometheus_target_sync_failed_total",
                "Total number of target sync failures.",
                per_job,
            ),
            targets: registry.gauge_vec(
                "prometheus_target_scrape_pool_targets",
                "Current number of targets in this scrape pool.",
                per_job,
            ),
            target_limit: registry.gauge_vec(
                "prometheus_target_scrape_pool_target_limit",
                "Maximum number of targets allowed in this scrape pool.",
                per_job,
            ),
            pools: counter("scrape_pools_total", "Total number of scrape pool creation attempts."),
            reloads: counter("scrape_pool_reloads_total", "Total number of scrape pool reloads."),
            exceeded_targets: counter(
                "scrape_pool_exceeded_target_limit_total",
                "Total number of times scrape pools hit the target limit, during sync or config reload.",
            ),
            exceeded_labels: counter(
                "scrape_pool_exceeded_label_limits_total",
                "Total number of times scrape pools hit the label limits, during sync or config reload.",
            ),
            exceeded_samples: counter(
                "scrapes_exceeded_sample_limit_total",
                "Total number of scrapes that hit the sample limit and were rejected.",
            ),
            exceeded_body: counter(
                "scrapes_exceeded_body_size_limit_total",
                "Total number of scrapes that hit the body size limit",
            ),
            duplicates: counter(
                "scrapes_sample_duplicate_timestamp_total",
                "Total number of samples rejected due to duplicate timestamps but different values.",
            ),
            out_of_order: counter(
                "scrapes_sample_out_of_order_total",
                "Total number of samples rejected due to not being out of the expected order.",
            ),
            out_of_bounds: counter(
                "scrapes_sample_out_of_bounds_total",
                "Total number of samples rejected due to timestamp falling outside of the time bounds.",
            ),
            dropped_left_out: registry.counter(
                "isobar_target_dropped_left_out_total",
                "Dropped targets that are counted but not listed because their list is full.",
            ),
        }
    }
}
