//! What the command line decides, typed and checked.

use super::collector::{KNOWN, Roots};
use super::cpu::CpuConfig;
use super::cpu_info::CpuInfoConfig;
use super::filesystem::FilesystemConfig;
use super::filter::{Filter, Pattern};
use super::flags::{collector_of, table};
use super::netclass::NetclassConfig;
use super::netdev::NetdevConfig;
use runtime::flags::{FlagError, Given, parse};
use std::time::Duration;

/// The configuration of a node exporter.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where the kernel's trees are mounted.
    pub roots: Roots,
    /// How it is served.
    pub web: WebConfig,
    /// Names of the collectors that run, in name order.
    pub collectors: Vec<&'static str>,
    /// Names of collectors that the original would run by default and we do not have.
    pub missing: Vec<&'static str>,
    /// Lines to log as warnings at start: what was asked for and is not done.
    pub warnings: Vec<String>,
    pub(super) cpu: CpuConfig,
    pub(super) disks: Filter,
    pub(super) filesystem: FilesystemConfig,
    pub(super) netclass: NetclassConfig,
    pub(super) netdev: NetdevConfig,
    pub(super) netstat_fields: Pattern,
    pub(super) vmstat_fields: Pattern,
    pub(super) softirq: bool,
    pub(super) textfile_directories: Vec<String>,
}

/// How the exporter is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebConfig {
    /// `host:port`; an empty host is every address.
    pub listen_addresses: Vec<String>,
    /// Where the metrics are.
    pub telemetry_path: String,
    /// Scrapes at a time; 0 is no limit.
    pub max_requests: usize,
    /// Whether the exporter shows metrics of itself.
    pub exporter_metrics: bool,
    /// `debug`, `info`, `warn` or `error`.
    pub log_level: String,
    /// `logfmt` or `json`.
    pub log_format: String,
}

impl Default for Config {
    fn default() -> Self {
        Config::parse_flags(std::iter::empty::<&str>()).expect("the defaults are valid")
    }
}

impl Config {
    /// Reads a command line (without program and subcommand).
    pub fn parse_flags<S: AsRef<str>>(args: impl IntoIterator<Item = S>) -> Result<Self, FlagError> {
        let given = parse(&table(), args)?;
        let mut warnings = Vec::new();
        refuse_unsafe(&given)?;
        let (collectors, missing) = choose(&given, &mut warnings);
        Ok(Config {
            roots: Roots {
                procfs: given.value("path.procfs").into(),
                sysfs: given.value("path.sysfs").into(),
                rootfs: given.value("path.rootfs").into(),
                udev_data: given.value("path.udev.data").into(),
            },
            web: web(&given)?,
            collectors,
            missing,
            cpu: cpu(&given)?,
            disks: exclusive(&given, "collector.diskstats", ["device-exclude", "device-include", "ignored-devices"])?,
            filesystem: FilesystemConfig {
                mount_points: exclusive(
                    &given,
                    "collector.filesystem",
                    ["mount-points-exclude", "mount-points-include", "ignored-mount-points"],
                )?,
                types: exclusive(
                    &given,
                    "collector.filesystem",
                    ["fs-types-exclude", "fs-types-include", "ignored-fs-types"],
                )?,
                mount_timeout: duration(&given, "collector.filesystem.mount-timeout")?,
            },
            netclass: NetclassConfig {
                ignored: pattern(&given, "collector.netclass.ignored-devices")?,
                ignore_invalid_speed: given.switch("collector.netclass.ignore-invalid-speed"),
            },
            netdev: netdev(&given)?,
            netstat_fields: pattern(&given, "collector.netstat.fields")?,
            vmstat_fields: pattern(&given, "collector.vmstat.fields")?,
            softirq: given.switch("collector.stat.softirq"),
            textfile_directories: given.list("collector.textfile.directory"),
            warnings,
        })
    }
}

fn refused(message: impl Into<String>) -> FlagError {
    FlagError::Refused(message.into())
}

/// What would serve without the protection that was asked for is no warning.
fn refuse_unsafe(given: &Given) -> Result<(), FlagError> {
    if !given.value("web.config.file").is_empty() {
        return Err(refused(
            "--web.config.file (TLS, authentication) is not built yet: start without it to serve in the clear",
        ));
    }
    if given.switch("web.systemd-socket") {
        return Err(refused("--web.systemd-socket is not built yet: use --web.listen-address"));
    }
    Ok(())
}

/// Which collectors run, which default ones we lack; what was asked for in vain becomes a warning.
fn choose(given: &Given, warnings: &mut Vec<String>) -> (Vec<&'static str>, Vec<&'static str>) {
    let no_defaults = given.switch("collector.disable-defaults");
    let mut collectors = Vec::new();
    let mut missing = Vec::new();
    for known in KNOWN {
        let asked = given.is_given(known.flag);
        if !given.switch(known.flag) || (no_defaults && !asked) {
            continue;
        }
        match (known.built, asked) {
            (true, _) => collectors.push(known.name),
            (false, true) => {
                warnings.push(format!("--{}: collector {} is not built yet and shows nothing", known.flag, known.name));
            }
            (false, false) => missing.push(known.name),
        }
    }
    for (flag, _) in given.all() {
        let lacking = collector_of(flag).filter(|name| KNOWN.iter().any(|known| known.name == *name && !known.built));
        if let Some(name) = lacking.filter(|_| given.is_given(flag)) {
            warnings.push(format!("--{flag} has no effect: collector {name} is not built yet"));
        }
    }
    for flag in ["collector.netclass.netlink", "collector.netclass_rtnl.with-stats"] {
        if given.switch(flag) {
            warnings.push(format!("--{flag} is not built yet: collector netclass reads sysfs"));
        }
    }
    (collectors, missing)
}

fn web(given: &Given) -> Result<WebConfig, FlagError> {
    let max_requests = given.value("web.max-requests");
    let telemetry_path = given.value("web.telemetry-path").to_owned();
    if !telemetry_path.starts_with('/') {
        return Err(refused(format!("--web.telemetry-path {telemetry_path:?} must begin with a slash")));
    }
    let one_of = |flag: &str, what: &str, allowed: &[&str]| match given.value(flag) {
        value if allowed.contains(&value) => Ok(value.to_owned()),
        value => Err(refused(format!("unrecognized log {what} {value}"))),
    };
    Ok(WebConfig {
        listen_addresses: given.list("web.listen-address"),
        telemetry_path,
        max_requests: max_requests
            .parse::<i64>()
            .map(|max| usize::try_from(max).unwrap_or(0))
            .map_err(|_| refused(format!("--web.max-requests: {max_requests:?} is no whole number")))?,
        exporter_metrics: !given.switch("web.disable-exporter-metrics"),
        log_level: one_of("log.level", "level", &["debug", "info", "warn", "error"])?,
        log_format: one_of("log.format", "format", &["logfmt", "json"])?,
    })
}

fn cpu(given: &Given) -> Result<CpuConfig, FlagError> {
    let optional = |flag: &str| {
        let text = given.value(flag);
        (!text.is_empty()).then(|| pattern(given, flag)).transpose()
    };
    let flags = optional("collector.cpu.info.flags-include")?;
    let bugs = optional("collector.cpu.info.bugs-include")?;
    // naming what to show of it switches it on, as in the original
    let info = given.switch("collector.cpu.info") || flags.is_some() || bugs.is_some();
    let no_defaults = given.switch("collector.disable-defaults") && !given.is_given("collector.cpufreq");
    let frequency = given.switch("collector.cpufreq") && !no_defaults;
    Ok(CpuConfig {
        guest: given.switch("collector.cpu.guest"),
        info: info.then_some(CpuInfoConfig { flags, bugs, frequency }),
    })
}

fn netdev(given: &Given) -> Result<NetdevConfig, FlagError> {
    let either = |new: &str, old: &str| match (given.value(new), given.value(old)) {
        (new, "") => Ok(new.to_owned()),
        ("", old) => Ok(old.to_owned()),
        _ => Err(refused(format!("--{old} and --{new} are mutually exclusive"))),
    };
    let include = either("collector.netdev.device-include", "collector.netdev.device-whitelist")?;
    let exclude = either("collector.netdev.device-exclude", "collector.netdev.device-blacklist")?;
    if !include.is_empty() && !exclude.is_empty() {
        return Err(refused(
            "--collector.netdev.device-exclude and --collector.netdev.device-include are mutually exclusive",
        ));
    }
    Ok(NetdevConfig {
        devices: Filter::new(&exclude, &include).map_err(refused)?,
        netlink: given.switch("collector.netdev.netlink"),
        detailed: given.switch("collector.netdev.enable-detailed-metrics"),
        label_alias: given.switch("collector.netdev.label-ifalias"),
        address_info: given.switch("collector.netdev.address-info"),
    })
}

/// A pair of flags of which one may be given; the default of the first gives way to the second. The third is the first's
/// name of old.
fn exclusive(given: &Given, prefix: &str, [exclude, include, old]: [&str; 3]) -> Result<Filter, FlagError> {
    let [exclude, include, old] = [exclude, include, old].map(|name| format!("{prefix}.{name}"));
    let mut excluded = given.value(&exclude);
    let included = given.value(&include);
    if !given.value(&old).is_empty() {
        if given.is_given(&exclude) {
            return Err(refused(format!("--{old} and --{exclude} are mutually exclusive")));
        }
        excluded = given.value(&old);
    }
    if !included.is_empty() {
        if given.is_given(&exclude) && !excluded.is_empty() {
            return Err(refused(format!("--{exclude} and --{include} are mutually exclusive")));
        }
        excluded = "";
    }
    Filter::new(excluded, included).map_err(|error| refused(format!("--{exclude}, --{include}: {error}")))
}

fn pattern(given: &Given, flag: &str) -> Result<Pattern, FlagError> {
    Pattern::new(given.value(flag)).map_err(|error| refused(format!("--{flag}: {error}")))
}

/// A length of time as Go writes it: `1.5s`, `500ms`, `1m30s`.
fn duration(given: &Given, flag: &str) -> Result<Duration, FlagError> {
    let text = given.value(flag);
    go_duration(text).ok_or_else(|| refused(format!("--{flag}: {text:?} is no length of time such as 5s or 500ms")))
}

fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let units = [("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("ns", 1e-9), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
        let (unit, factor) = units.iter().find(|(unit, _)| rest.starts_with(unit))?;
        seconds += amount * factor;
        rest = &rest[unit.len()..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(seconds).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(line: &str) -> Result<Config, String> {
        Config::parse_flags(line.split_whitespace()).map_err(|error| error.to_string())
    }

    #[test]
    fn collectors_are_chosen_as_in_the_original() {
        let all = config("").unwrap();
        assert_eq!(all.collectors.len(), 16);
        assert!(all.missing.contains(&"arp") && !all.missing.contains(&"systemd") && all.warnings.is_empty());
        assert_eq!(config("--collector.disable-defaults").unwrap().collectors, [""; 0]);
        let some = config("--collector.disable-defaults --collector.cpu --collector.loadavg").unwrap();
        assert_eq!((some.collectors, some.missing.len()), (vec!["cpu", "loadavg"], 0));
        assert!(!config("--no-collector.cpu").unwrap().collectors.contains(&"cpu"));
    }

    #[test]
    fn what_is_not_built_warns_by_name_or_is_refused() {
        let warnings = |line: &str| config(line).unwrap().warnings.join("; ");
        for known in KNOWN.iter().filter(|known| !known.built) {
            let text = warnings(&format!("--{}", known.flag));
            assert_eq!(text, format!("--{}: collector {} is not built yet and shows nothing", known.flag, known.name));
        }
        assert!(warnings("--collector.arp.device-include=x").contains("collector arp is not built yet"));
        assert!(warnings("--collector.netclass.netlink").contains("reads sysfs"));
        assert!(config("--web.config.file=x").unwrap_err().contains("not built yet"));
        assert!(config("--web.systemd-socket").unwrap_err().contains("not built yet"));
    }

    #[test]
    fn contradictions_and_nonsense_are_refused() {
        for line in [
            "--collector.filesystem.mount-points-exclude=a --collector.filesystem.mount-points-include=b",
            "--collector.filesystem.fs-types-exclude=a --collector.filesystem.ignored-fs-types=b",
            "--collector.diskstats.device-exclude=a --collector.diskstats.device-include=b",
            "--collector.netdev.device-include=a --collector.netdev.device-exclude=b",
            "--collector.netdev.device-include=a --collector.netdev.device-whitelist=b",
        ] {
            assert!(config(line).unwrap_err().contains("mutually exclusive"), "{line}");
        }
        for line in [
            "--collector.netstat.fields=(",
            "--collector.diskstats.device-include=)(",
            "--web.max-requests=x",
            "--web.telemetry-path=metrics",
            "--log.level=loud",
            "--log.format=xml",
            "--collector.filesystem.mount-timeout=5",
        ] {
            config(line).expect_err(line);
        }
        let included = config("--collector.diskstats.device-include=^loop").unwrap();
        assert!(!included.disks.ignores("loop0") && included.disks.ignores("sda"));
        let old = config("--collector.diskstats.ignored-devices=^sda$").unwrap();
        assert!(old.disks.ignores("sda") && !old.disks.ignores("loop0"));
        assert_eq!(config("--web.max-requests=-1").unwrap().web.max_requests, 0);
    }

    #[test]
    fn lengths_of_time() {
        for (text, milliseconds) in [
            ("5s", Some(5000)),
            ("1.5s", Some(1500)),
            ("500ms", Some(500)),
            ("1m30s", Some(90_000)),
            ("", None),
            ("5", None),
            ("s", None),
        ] {
            assert_eq!(go_duration(text), milliseconds.map(Duration::from_millis), "{text}");
        }
    }
}
