//! Names, types, labels, help and values on the original's fixture tree equal what the original shows there.

use crate::page::{Page, conformance, fixtures, ours, parse};
use std::path::Path;

/// Families of our collectors whose values depend on the moment or on this machine's own devices.
const OF_THE_MOMENT: &[&str] = &[
    "node_scrape_collector_duration_seconds",
    "node_textfile_mtime_seconds",
    "node_time_seconds",
    "node_time_zone_offset_seconds",
    "node_network_receive_bytes_total",
    "node_network_receive_packets_total",
    "node_network_transmit_bytes_total",
    "node_network_transmit_packets_total",
];

/// Prefixes of the families of our collectors among those that the expected page covers.
const OURS: &[&str] = &[
    "node_cpu_",
    "node_disk_",
    "node_filefd_",
    "node_load",
    "node_netstat_",
    "node_network_receive_",
    "node_network_transmit_",
    "node_time_",
    "node_vmstat_",
];
/// … and those among them that belong to others.
const NOT_OURS: &[&str] = &["node_cpu_vulnerabilities_info", "node_cpu_scaling_", "node_network_transmit_queue_length"];

pub(crate) fn flags(root: &Path) -> Vec<String> {
    let at = |path: &str| root.join(path).display().to_string();
    [
        format!("--path.procfs={}", at("proc")),
        format!("--path.sysfs={}", at("sys")),
        "--path.rootfs=/".into(),
        format!("--path.udev.data={}", at("udev/data")),
        "--no-collector.filesystem".into(),
        "--no-collector.uname".into(),
        "--collector.cpu.info".into(),
        "--collector.cpu.info.bugs-include=^(cpu_meltdown|spectre_.*|mds)$".into(),
        "--collector.cpu.info.flags-include=^(aes|avx.?|constant_tsc)$".into(),
        "--collector.netclass.ignore-invalid-speed".into(),
        "--collector.netclass.ignored-devices=(dmz|int)".into(),
        "--collector.netdev.device-include=lo".into(),
        "--collector.stat.softirq".into(),
        format!("--collector.textfile.directory={}", at("textfile/two_metric_files/")),
    ]
    .into()
}

#[test]
fn the_fixture_tree_reads_as_expected() {
    const TEST: &str = "the_fixture_tree_reads_as_expected";
    let (Some(root), Some(expected)) = (fixtures(TEST), conformance(TEST, "node_exporter/fixture-expected.prom"))
    else {
        return;
    };
    let expected = parse(&std::fs::read_to_string(expected).unwrap());
    let flags = flags(root.path());
    let page = ours(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let is_ours = |name: &str| {
        OURS.iter().any(|prefix| name.starts_with(prefix)) && !NOT_OURS.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut families = 0;
    let mut samples = 0;
    for (name, family) in expected.iter().filter(|(name, _)| is_ours(name)) {
        let own = page.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        families += 1;
        assert_eq!((&own.kind, &own.help), (&family.kind, &family.help), "{name}");
        if OF_THE_MOMENT.contains(&name.as_str()) {
            continue;
        }
        assert_eq!(own.samples, family.samples, "{name}");
        samples += family.samples.len();
    }
    assert!(families >= 100 && samples >= 400, "{families} families, {samples} samples compared");
    for (name, family) in page.iter().filter(|(name, _)| is_ours(name)) {
        assert!(expected.contains_key(name), "{name} is not expected: {family:?}");
    }
    let success = &page["node_scrape_collector_success"].samples;
    assert!(success.values().all(|value| value == "1"), "{success:?}");
    assert_eq!(success.len(), 14);
}

/// What the original of the comparison machine shows on the tree, for collectors that the expected page leaves out.
#[test]
fn the_original_on_the_fixture_tree_agrees() {
    const TEST: &str = "the_original_on_the_fixture_tree_agrees";
    let Some(root) = fixtures(TEST) else { return };
    let flags = original_flags(&flags(root.path()));
    let Some(original) = crate::live::Original::start(TEST, 22_917, &flags) else { return };
    let mut theirs: Page = original.page();
    let mut page = ours(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    for name in OF_THE_MOMENT.iter().chain(&["node_exporter_build_info"]) {
        page.remove(*name);
        theirs.remove(*name);
    }
    let names = |page: &Page| page.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&page), names(&theirs));
    for (name, family) in &theirs {
        assert_eq!(&page[name], family, "{name}");
    }
    assert!(theirs.len() > 150, "{} families compared", theirs.len());
}

/// The original refuses a switch given twice, and both need the same collectors.
fn original_flags(flags: &[String]) -> Vec<String> {
    let mut flags: Vec<String> = flags.iter().filter(|flag| !flag.starts_with("--no-collector.")).cloned().collect();
    flags.push("--collector.disable-defaults".into());
    flags.push("--web.disable-exporter-metrics".into());
    for name in crate::live::COLLECTORS.iter().filter(|name| !["filesystem", "uname"].contains(name)) {
        flags.push(format!("--collector.{name}"));
    }
    flags
}
