//! The table of the node exporter's flags: every flag of the original, in its order, with its default.
//!
//! A flag of a collector that we do not have is accepted, and warned about when it is given.

use super::collector::KNOWN;
use super::{diskstats, filesystem, netstat, vmstat};
use runtime::flags::{Flag, help};

/// Flags before the collectors' switches.
const COLLECTORS: &[Flag] = &[
    Flag::value(
        "collector.arp.device-include",
        "",
        "Regexp of arp devices to include (mutually exclusive to device-exclude).",
    ),
    Flag::value(
        "collector.arp.device-exclude",
        "",
        "Regexp of arp devices to exclude (mutually exclusive to device-include).",
    ),
    Flag::switch("collector.arp.netlink", true, "Use netlink to gather stats instead of /proc/net/arp."),
    Flag::switch("collector.bcache.priorityStats", false, "Expose expensive priority stats."),
    Flag::switch("collector.cpu.guest", true, "Enables metric node_cpu_guest_seconds_total"),
    Flag::switch("collector.cpu.info", false, "Enables metric cpu_info"),
    Flag::value(
        "collector.cpu.info.flags-include",
        "",
        "Filter the `flags` field in cpuInfo with a value that must be a regular expression",
    ),
    Flag::value(
        "collector.cpu.info.bugs-include",
        "",
        "Filter the `bugs` field in cpuInfo with a value that must be a regular expression",
    ),
    Flag::value(
        "collector.diskstats.device-exclude",
        diskstats::EXCLUDE,
        "Regexp of diskstats devices to exclude (mutually exclusive to device-include).",
    ),
    Flag::value("collector.diskstats.ignored-devices", "", "DEPRECATED: Use collector.diskstats.device-exclude")
        .hidden(),
    Flag::value(
        "collector.diskstats.device-include",
        "",
        "Regexp of diskstats devices to include (mutually exclusive to device-exclude).",
    ),
    Flag::value(
        "collector.ethtool.device-include",
        "",
        "Regexp of ethtool devices to include (mutually exclusive to device-exclude).",
    ),
    Flag::value(
        "collector.ethtool.device-exclude",
        "",
        "Regexp of ethtool devices to exclude (mutually exclusive to device-include).",
    ),
    Flag::value("collector.ethtool.metrics-include", ".*", "Regexp of ethtool stats to include."),
    Flag::value(
        "collector.filesystem.mount-points-exclude",
        filesystem::MOUNT_POINTS_EXCLUDE,
        "Regexp of mount points to exclude for filesystem collector. (mutually exclusive to mount-points-include)",
    ),
    Flag::value(
        "collector.filesystem.ignored-mount-points",
        "",
        "Regexp of mount points to ignore for filesystem collector.",
    )
    .hidden(),
    Flag::value(
        "collector.filesystem.mount-points-include",
        "",
        "Regexp of mount points to include for filesystem collector. (mutually exclusive to mount-points-exclude)",
    ),
    Flag::value(
        "collector.filesystem.fs-types-exclude",
        filesystem::TYPES_EXCLUDE,
        "Regexp of filesystem types to exclude for filesystem collector. (mutually exclusive to fs-types-include)",
    ),
    Flag::value(
        "collector.filesystem.ignored-fs-types",
        "",
        "Regexp of filesystem types to ignore for filesystem collector.",
    )
    .hidden(),
    Flag::value(
        "collector.filesystem.fs-types-include",
        "",
        "Regexp of filesystem types to include for filesystem collector. (mutually exclusive to fs-types-exclude)",
    ),
    Flag::value(
        "collector.filesystem.mount-timeout",
        "5s",
        "How long to wait for a mount to respond before marking it as stale.",
    )
    .hidden(),
    Flag::value("collector.filesystem.stat-workers", "4", "How many stat calls to process simultaneously.").hidden(),
    Flag::value(
        "collector.hwmon.chip-include",
        "",
        "Regexp of hwmon chip to include (mutually exclusive to device-exclude).",
    ),
    Flag::value(
        "collector.hwmon.chip-exclude",
        "",
        "Regexp of hwmon chip to exclude (mutually exclusive to device-include).",
    ),
    Flag::value(
        "collector.hwmon.sensor-include",
        "",
        "Regexp of hwmon sensor to include (mutually exclusive to sensor-exclude).",
    ),
    Flag::value(
        "collector.hwmon.sensor-exclude",
        "",
        "Regexp of hwmon sensor to exclude (mutually exclusive to sensor-include).",
    ),
    Flag::value(
        "collector.interrupts.name-include",
        "",
        "Regexp of interrupts name to include (mutually exclusive to --collector.interrupts.name-exclude).",
    ),
    Flag::value(
        "collector.interrupts.name-exclude",
        "",
        "Regexp of interrupts name to exclude (mutually exclusive to --collector.interrupts.name-include).",
    ),
    Flag::switch("collector.interrupts.include-zeros", true, "Include interrupts that have a zero value"),
    Flag::value(
        "collector.ipvs.backend-labels",
        "local_address,local_port,remote_address,remote_port,proto,local_mark",
        "Comma separated list for IPVS backend stats labels.",
    ),
    Flag::value("collector.netclass.ignored-devices", "^$", "Regexp of net devices to ignore for netclass collector."),
    Flag::switch(
        "collector.netclass.ignore-invalid-speed",
        false,
        "Ignore devices where the speed is invalid. This will be the default behavior in 2.x.",
    ),
    Flag::switch("collector.netclass.netlink", false, "Use netlink to gather stats instead of /proc/net/dev."),
    Flag::switch(
        "collector.netclass_rtnl.with-stats",
        false,
        "Expose the statistics for each network device, replacing netdev collector.",
    ),
    Flag::value(
        "collector.netdev.device-include",
        "",
        "Regexp of net devices to include (mutually exclusive to device-exclude).",
    ),
    Flag::value("collector.netdev.device-whitelist", "", "DEPRECATED: Use collector.netdev.device-include").hidden(),
    Flag::value(
        "collector.netdev.device-exclude",
        "",
        "Regexp of net devices to exclude (mutually exclusive to device-include).",
    ),
    Flag::value("collector.netdev.device-blacklist", "", "DEPRECATED: Use collector.netdev.device-exclude").hidden(),
    Flag::switch("collector.netdev.address-info", false, "Collect address-info for every device"),
    Flag::switch(
        "collector.netdev.enable-detailed-metrics",
        false,
        "Use (incompatible) metric names that provide more detailed stats on Linux",
    ),
    Flag::switch("collector.netdev.netlink", true, "Use netlink to gather stats instead of /proc/net/dev."),
    Flag::switch("collector.netdev.label-ifalias", false, "Add ifAlias label"),
    Flag::value("collector.netstat.fields", netstat::FIELDS, "Regexp of fields to return for netstat collector."),
    Flag::value("collector.ntp.server", "127.0.0.1", "NTP server to use for ntp collector"),
    Flag::value("collector.ntp.server-port", "123", "UDP port number to connect to on NTP server"),
    Flag::value("collector.ntp.protocol-version", "4", "NTP protocol version"),
    Flag::switch(
        "collector.ntp.server-is-local",
        false,
        "Certify that collector.ntp.server address is not a public ntp server",
    ),
    Flag::value("collector.ntp.ip-ttl", "1", "IP TTL to use while sending NTP query"),
    Flag::value("collector.ntp.max-distance", "3.46608s", "Max accumulated distance to the root"),
    Flag::value(
        "collector.ntp.local-offset-tolerance",
        "1ms",
        "Offset between local clock and local ntpd time to tolerate",
    ),
    Flag::value("path.procfs", "/proc", "procfs mountpoint."),
    Flag::value("path.sysfs", "/sys", "sysfs mountpoint."),
    Flag::value("path.rootfs", "/", "rootfs mountpoint."),
    Flag::value("path.udev.data", "/run/udev/data", "udev data path."),
    Flag::value("collector.pcidevice.idsfile", "", "Path to pci.ids file to use for PCI device identification."),
    Flag::switch("collector.pcidevice.names", false, "Enable PCI device name resolution (requires pci.ids file)."),
    Flag::value("collector.perf.cpus", "", "List of CPUs from which perf metrics should be collected"),
    Flag::list("collector.perf.tracepoint", "", "perf tracepoint that should be collected"),
    Flag::switch("collector.perf.disable-hardware-profilers", false, "disable perf hardware profilers"),
    Flag::list("collector.perf.hardware-profilers", "", "perf hardware profilers that should be collected"),
    Flag::switch("collector.perf.disable-software-profilers", false, "disable perf software profilers"),
    Flag::list("collector.perf.software-profilers", "", "perf software profilers that should be collected"),
    Flag::switch("collector.perf.disable-cache-profilers", false, "disable perf cache profilers"),
    Flag::list("collector.perf.cache-profilers", "", "perf cache profilers that should be collected"),
    Flag::value(
        "collector.powersupply.ignored-supplies",
        "^$",
        "Regexp of power supplies to ignore for powersupplyclass collector.",
    ),
    Flag::value("collector.qdisc.fixtures", "", "test fixtures to use for qdisc collector end-to-end testing"),
    Flag::value(
        "collector.qdisc.device-include",
        "",
        "Regexp of qdisc devices to include (mutually exclusive to device-exclude).",
    ),
    Flag::value(
        "collector.qdisc.device-exclude",
        "",
        "Regexp of qdisc devices to exclude (mutually exclusive to device-include).",
    ),
    Flag::switch("collector.rapl.enable-zone-label", false, "Enables service unit metric unit_start_time_seconds"),
    Flag::value("collector.runit.servicedir", "/etc/service", "Path to runit service directory."),
    Flag::value("collector.slabinfo.slabs-include", ".*", "Regexp of slabs to include in slabinfo collector."),
    Flag::value("collector.slabinfo.slabs-exclude", "", "Regexp of slabs to exclude in slabinfo collector."),
    Flag::switch("collector.stat.softirq", false, "Export softirq calls per vector"),
    Flag::value("collector.supervisord.url", "http://localhost:9001/RPC2", "XML RPC endpoint."),
    Flag::list("collector.sysctl.include", "", "Select sysctl metrics to include"),
    Flag::list("collector.sysctl.include-info", "", "Select sysctl metrics to include as info metrics"),
    Flag::value(
        "collector.systemd.unit-include",
        ".+",
        "Regexp of systemd units to include. Units must both match include and not match exclude to be included.",
    ),
    Flag::value(
        "collector.systemd.unit-exclude",
        ".+\\.(automount|device|mount|scope|slice|target)",
        "Regexp of systemd units to exclude. Units must both match include and not match exclude to be included.",
    ),
    Flag::switch(
        "collector.systemd.enable-task-metrics",
        false,
        "Enables service unit tasks metrics unit_tasks_current and unit_tasks_max",
    ),
    Flag::switch(
        "collector.systemd.enable-restarts-metrics",
        false,
        "Enables service unit metric service_restart_total",
    ),
    Flag::switch(
        "collector.systemd.enable-start-time-metrics",
        false,
        "Enables service unit metric unit_start_time_seconds",
    ),
    Flag::value("collector.tapestats.ignored-devices", "^$", "Regexp of devices to ignore for tapestats."),
    Flag::list(
        "collector.textfile.directory",
        "",
        "Directory to read text files with metrics from, supports glob matching. (repeatable)",
    ),
    Flag::value("collector.vmstat.fields", vmstat::FIELDS, "Regexp of fields to return for vmstat collector."),
    Flag::value("collector.wifi.fixtures", "", "test fixtures to use for wifi collector metrics"),
];

/// Flags behind the collectors' switches.
const WEB: &[Flag] = &[
    Flag::value("web.telemetry-path", "/metrics", "Path under which to expose metrics."),
    Flag::switch(
        "web.disable-exporter-metrics",
        false,
        "Exclude metrics about the exporter itself (promhttp_*, process_*, go_*).",
    ),
    Flag::value("web.max-requests", "40", "Maximum number of parallel scrape requests. Use 0 to disable."),
    Flag::switch("collector.disable-defaults", false, "Set all collectors to disabled by default."),
    Flag::value("runtime.gomaxprocs", "1", "Without effect here: a scrape runs on one thread."),
    Flag::switch("web.systemd-socket", false, "Refused: socket activation is not built yet."),
    Flag::list(
        "web.listen-address",
        "127.0.0.1:9100",
        "Addresses on which to expose metrics and web interface. Repeatable for multiple addresses. Without a host \
         (`:9100`) every address of the machine.",
    ),
    Flag::value("web.config.file", "", "Refused: TLS and authentication are not built yet."),
    Flag::value(
        "log.level",
        "info",
        "Only log messages with the given severity or above. One of: [debug, info, warn, error]",
    ),
    Flag::value("log.format", "logfmt", "Output format of log messages. One of: [logfmt, json]"),
];

/// All flags.
pub(super) fn table() -> Vec<Flag> {
    let switches = KNOWN.iter().map(|known| Flag::switch(known.flag, known.default, known.help));
    COLLECTORS.iter().copied().chain(switches).chain(WEB.iter().copied()).collect()
}

const USAGE: &str = "\
isobar exporter node [<flags>]

Metrics of this machine in node_exporter's place: its flags, names and labels.";

/// The text of `--help`.
pub fn help_text() -> String {
    help(USAGE, &table())
}

/// The collector that a flag `collector.<name>.<…>` belongs to.
pub(super) fn collector_of(flag: &str) -> Option<&str> {
    let name = flag.strip_prefix("collector.")?.split_once('.')?.0;
    Some(match name {
        // flags that do not carry their collector's whole name
        "powersupply" => "powersupplyclass",
        "netclass_rtnl" => "netclass",
        name => name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_is_there_once_and_belongs_to_a_collector() {
        let table = table();
        for (at, flag) in table.iter().enumerate() {
            assert!(table[..at].iter().all(|other| other.name != flag.name), "{} twice", flag.name);
            if let Some(collector) = collector_of(flag.name) {
                assert!(KNOWN.iter().any(|known| known.name == collector), "{}: no collector {collector}", flag.name);
            }
        }
        assert!(help_text().contains("--[no-]collector.uname"));
    }
}
