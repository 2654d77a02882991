//! The table of targets.

mod documents;
mod exposition;
mod language;
mod store;
mod values;

/// One reader of bytes.
pub struct Target {
    /// What it is called; also the folder of its corpus.
    pub name: &'static str,
    /// Reads the bytes and checks what must hold. Panics when it does not.
    pub run: fn(&[u8]),
    /// Where a search begins: inputs that are right, or nearly.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "exposition", run: exposition::run, seeds: exposition::seeds },
    Target { name: "promql", run: language::parse, seeds: language::seeds },
    Target { name: "evaluation", run: language::evaluate, seeds: language::seeds },
    Target { name: "regex", run: values::regex, seeds: values::regex_seeds },
    Target { name: "relabel", run: values::relabel, seeds: values::relabel_seeds },
    Target { name: "literals", run: values::literals, seeds: values::literal_seeds },
    Target { name: "form", run: documents::form, seeds: documents::form_seeds },
    Target { name: "scrape-config", run: documents::scrape_config, seeds: documents::scrape_config_seeds },
    Target { name: "registry-body", run: documents::registry_body, seeds: documents::registry_body_seeds },
    Target { name: "registry-filter", run: documents::registry_filter, seeds: documents::registry_filter_seeds },
    Target { name: "xor-chunk", run: store::xor_chunk, seeds: store::xor_chunk_seeds },
    Target { name: "wal-record", run: store::wal_record, seeds: store::wal_record_seeds },
    Target { name: "wal-segment", run: store::wal_segment, seeds: store::wal_segment_seeds },
    Target { name: "block-index", run: store::block_index, seeds: store::block_index_seeds },
    Target { name: "block-chunks", run: store::block_chunks, seeds: store::block_chunks_seeds },
    Target { name: "block-meta", run: store::block_meta, seeds: store::block_meta_seeds },
    Target { name: "tombstones", run: store::tombstones, seeds: store::tombstones_seeds },
    Target { name: "log", run: store::log, seeds: store::log_seeds },
];

/// Inputs written as text.
fn texts(seeds: &[&str]) -> Vec<Vec<u8>> {
    seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect()
}
