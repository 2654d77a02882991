//! What the store measures about itself, under Prometheus' names.

use runtime::instrument::{Counter, Gauge, Registry, Summary};

const FSYNC: [f64; 3] = [0.5, 0.9, 0.99];

/// Counters of the store; gauges that ask the store are registered by [`crate::Db`].
#[derive(Clone)]
pub(crate) struct Instruments {
    pub(crate) samples_appended: Counter,
    pub(crate) out_of_order: Counter,
    pub(crate) out_of_bounds: Counter,
    pub(crate) too_old: Counter,
    pub(crate) series_created: Counter,
    pub(crate) series_removed: Counter,
    pub(crate) chunks_created: Counter,
    pub(crate) chunks_removed: Counter,
    pub(crate) appenders_created: Counter,
    pub(crate) truncations: Counter,
    pub(crate) gc_duration: Summary,
    pub(crate) wal_fsync: Summary,
    pub(crate) wal_corruptions: Counter,
    pub(crate) wal_writes_failed: Counter,
    pub(crate) wal_truncations: Counter,
    pub(crate) wal_truncations_failed: Counter,
    pub(crate) wal_truncate_duration: Summary,
    pub(crate) wal_bytes: Counter,
    pub(crate) checkpoints: Counter,
    pub(crate) checkpoints_failed: Counter,
    pub(crate) unknown_refs: Counter,
    pub(crate) replay_seconds: Gauge,
    pub(crate) compactions: Counter,
    pub(crate) compactions_failed: Counter,
    pub(crate) compactions_triggered: Counter,
    pub(crate) compaction_duration: Summary,
    pub(crate) reloads: Counter,
    pub(crate) reload_failures: Counter,
    pub(crate) time_retentions: Counter,
    pub(crate) size_retentions: Counter,
}

impl Instruments {
    pub(crate) fn new(registry: &Registry) -> Self {
        let counter = |name: &str, help: &str| registry.counter(name, help);
        let by_type = |name: &str, help: &str| registry.counter_vec(name, help, &["type"]).with(&["float"]);
        // truncating memory can not fail here; the name is the original's
        counter("prometheus_tsdb_head_truncations_failed_total", "Total number of head truncations that failed.");
        Instruments {
            samples_appended: by_type(
                "prometheus_tsdb_head_samples_appended_total",
                "Total number of appended samples.",
            ),
            out_of_order: by_type(
                "prometheus_tsdb_out_of_order_samples_total",
                "Total number of samples refused because they were older than the newest of their series.",
            ),
            out_of_bounds: by_type(
                "prometheus_tsdb_out_of_bound_samples_total",
                "Total number of samples refused because they were older than the head takes.",
            ),
            too_old: by_type(
                "prometheus_tsdb_too_old_samples_total",
                "Total number of samples refused because they were older than the out-of-order window.",
            ),
            series_created: counter(
                "prometheus_tsdb_head_series_created_total",
                "Total number of series created in the head.",
            ),
            series_removed: counter(
                "prometheus_tsdb_head_series_removed_total",
                "Total number of series removed from the head.",
            ),
            chunks_created: counter(
                "prometheus_tsdb_head_chunks_created_total",
                "Total number of chunks created in the head.",
            ),
            chunks_removed: counter(
                "prometheus_tsdb_head_chunks_removed_total",
                "Total number of chunks removed from the head.",
            ),
            appenders_created: counter("isobar_tsdb_head_appenders_created_total", "Total number of appenders begun."),
            truncations: counter(
                "prometheus_tsdb_head_truncations_total",
                "Total number of head truncations attempted.",
            ),
            gc_duration: registry.summary(
                "prometheus_tsdb_head_gc_duration_seconds",
                "Time spent collecting dead series and chunks.",
                &[],
            ),
            wal_fsync: registry.summary(
                "prometheus_tsdb_wal_fsync_duration_seconds",
                "Duration of write-ahead log syncs.",
                &FSYNC,
            ),
            wal_corruptions: counter(
                "prometheus_tsdb_wal_corruptions_total",
                "Total number of damages found in the write-ahead log.",
            ),
            wal_writes_failed: counter(
                "prometheus_tsdb_wal_writes_failed_total",
                "Total number of failed writes to the write-ahead log.",
            ),
            wal_truncations: counter(
                "prometheus_tsdb_wal_truncations_total",
                "Total number of log truncations attempted.",
            ),
            wal_truncations_failed: counter(
                "prometheus_tsdb_wal_truncations_failed_total",
                "Total number of log truncations that failed.",
            ),
            wal_truncate_duration: registry.summary(
                "prometheus_tsdb_wal_truncate_duration_seconds",
                "Duration of log truncations.",
                &[],
            ),
            wal_bytes: counter(
                "prometheus_tsdb_wal_record_parts_bytes_written_total",
                "Total number of bytes written to the log.",
            ),
            checkpoints: counter(
                "prometheus_tsdb_checkpoint_creations_total",
                "Total number of checkpoints attempted.",
            ),
            checkpoints_failed: counter(
                "prometheus_tsdb_checkpoint_creations_failed_total",
                "Total number of checkpoints that failed.",
            ),
            unknown_refs: registry
                .counter_vec(
                    "prometheus_tsdb_wal_replay_unknown_refs_total",
                    "Total number of unknown series references met during replay.",
                    &["type"],
                )
                .with(&["samples"]),
            replay_seconds: registry
                .gauge("prometheus_tsdb_data_replay_duration_seconds", "Time taken to replay the data on disk."),
            compactions: counter(
                "prometheus_tsdb_compactions_total",
                "Total number of compactions executed, block cuts included.",
            ),
            compactions_failed: counter(
                "prometheus_tsdb_compactions_failed_total",
                "Total number of compactions that failed.",
            ),
            compactions_triggered: counter(
                "prometheus_tsdb_compactions_triggered_total",
                "Total number of times compaction was considered.",
            ),
            compaction_duration: registry.summary(
                "isobar_tsdb_compaction_duration_seconds",
                "Duration of compactions, block cuts included.",
                &[],
            ),
            reloads: counter("prometheus_tsdb_reloads_total", "Number of times the block directories were read again."),
            reload_failures: counter(
                "prometheus_tsdb_reloads_failures_total",
                "Number of times reading the block directories failed.",
            ),
            time_retentions: counter(
                "prometheus_tsdb_time_retentions_total",
                "Number of times blocks were deleted for their age.",
            ),
            size_retentions: counter(
                "prometheus_tsdb_size_retentions_total",
                "Number of times blocks were deleted for their size.",
            ),
        }
    }
}
