//! This machine, told by us and by the original at the same moment: the same families with the same labels.

use crate::page::{Page, ours, parse};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) const COLLECTORS: [&str; 16] = [
    "cpu",
    "diskstats",
    "filefd",
    "filesystem",
    "loadavg",
    "meminfo",
    "netclass",
    "netdev",
    "netstat",
    "pressure",
    "sockstat",
    "stat",
    "textfile",
    "time",
    "uname",
    "vmstat",
];

/// A running original; killed when dropped.
pub(crate) struct Original {
    process: Child,
    port: u16,
}

impl Original {
    /// Starts the original with these flags; says why and answers `None` when it is not within reach.
    pub(crate) fn start(test: &str, port: u16, flags: &[String]) -> Option<Self> {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let peers = std::env::var("ISOBAR_PEERS").unwrap_or_else(|_| format!("{root}/../shared/tools/peers"));
        let skip = |why: &str| println!("SKIP {test}: {why} (ISOBAR_PEERS={peers})");
        let Ok(output) = Command::new(&peers).arg("node-exporter").output() else {
            skip("no such command");
            return None;
        };
        let program = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() || program.is_empty() {
            skip("it does not find node-exporter");
            return None;
        }
        Some(Original::run(&program, port, flags))
    }

    /// Starts a program and waits until it answers.
    pub(crate) fn run(program: &str, port: u16, flags: &[String]) -> Self {
        let process = Command::new(program)
            .args(flags)
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let running = Original { process, port };
        for _ in 0..100 {
            if running.get("/metrics").is_some() {
                return running;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{program} does not answer on port {port}");
    }

    pub(crate) fn page(&self) -> Page {
        parse(&self.get("/metrics").expect("the original answers"))
    }

    pub(crate) fn get(&self, path: &str) -> Option<String> {
        get(self.port, path)
    }
}

impl Drop for Original {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The body of a page, by HTTP/1.0 so that it comes as it is.
pub(crate) fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

pub(crate) fn same_flags() -> Vec<String> {
    let mut flags = vec!["--collector.disable-defaults".to_owned(), "--web.disable-exporter-metrics".to_owned()];
    flags.extend(COLLECTORS.iter().map(|name| format!("--collector.{name}")));
    // Debian's defaults of these differ from upstream's
    flags.push("--collector.textfile.directory=".into());
    flags.push("--collector.filesystem.mount-points-exclude=^/(dev|proc|sys)($|/)".into());
    flags
}

#[test]
fn every_family_has_the_originals_name_type_help_and_labels() {
    let flags = same_flags();
    let test = "every_family_has_the_originals_name_type_help_and_labels";
    let Some(original) = Original::start(test, 22_915, &flags) else { return };
    let mut theirs = original.page();
    let mut page = ours(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let shape = |page: &Page| {
        page.iter()
            .map(|(name, family)| (name.clone(), family.kind.clone(), family.help.clone(), family.label_names()))
            .collect::<Vec<_>>()
    };
    assert_eq!(shape(&page), shape(&theirs));
    // 1.11.1 gives up on a device of which it can not read every setting; 1.12 (and we) read this one by itself
    for page in [&mut page, &mut theirs] {
        let Some(info) = page.get_mut("node_disk_info") else { continue };
        let samples = std::mem::take(&mut info.samples);
        info.samples = samples
            .into_iter()
            .map(|(sample, value)| (sample.replace("rotational=\"1\"", "rotational=\"0\""), value))
            .collect();
    }
    assert!(theirs.len() > 200, "{} families", theirs.len());
    for (name, family) in &theirs {
        let labels = |samples: &std::collections::BTreeMap<String, String>| samples.keys().cloned().collect::<Vec<_>>();
        if name != "node_exporter_build_info" {
            assert_eq!(labels(&page[name].samples), labels(&family.samples), "{name}");
        }
    }
    // what does not move between two scrapes; `node_filesystem_readonly` is 0 in 1.11.1 for some mounts that are
    // read-only, which 1.12 repaired
    for name in [
        "node_boot_time_seconds",
        "node_memory_MemTotal_bytes",
        "node_memory_SwapTotal_bytes",
        "node_uname_info",
        "node_network_info",
        "node_network_mtu_bytes",
        "node_network_speed_bytes",
        "node_filesystem_size_bytes",
        "node_filesystem_mount_info",
        "node_filefd_maximum",
        "node_disk_info",
        "node_time_zone_offset_seconds",
        "node_time_clocksource_current_info",
    ] {
        match (page.get(name), theirs.get(name)) {
            (Some(own), Some(their)) => assert_eq!(own.samples, their.samples, "{name}"),
            (None, None) => {}
            (own, their) => panic!("{name}: {own:?} {their:?}"),
        }
    }
}
