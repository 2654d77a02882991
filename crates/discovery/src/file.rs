//! `file_sd_configs`: groups in files that somebody else writes.
//!
//! Every second the matching files' times and sizes are looked at (one stat each: 2 µs); a file that changed is read again, and all of
//! them at the latest after `refresh_interval`. A file that cannot be read or parsed keeps the groups it had and makes one
//! log line and a count; a file that is gone takes its groups with it.
//! Limits: [`FILE_MAX`] a file.

use crate::config::{FileConfig, StaticConfig};
use crate::manager::{Instruments, Settings, Sink};
use model::TargetGroup;
use runtime::disk::{Disk, FileKind, Metadata};
use runtime::glob::glob;
use runtime::shutdown::Shutdown;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest file that is read.
pub const FILE_MAX: u64 = 64 << 20;
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What one file said last, and what it looked like then.
struct Known {
    seen: Option<Metadata>,
    groups: Vec<TargetGroup>,
}

pub(crate) async fn run(config: FileConfig, settings: Settings, instruments: Instruments, sink: Sink, stop: Shutdown) {
    let mut known: BTreeMap<PathBuf, Known> = BTreeMap::new();
    let mut read_all_at = settings.clock.instant();
    let work = async {
        loop {
            let all = settings.clock.instant() >= read_all_at;
            if all {
                read_all_at = settings.clock.instant() + config.refresh_interval;
            }
            look(&config, &settings, &instruments, &mut known, all);
            sink.set(known.values().flat_map(|file| file.groups.iter().cloned()).collect());
            settings.clock.sleep(LOOK_EVERY.min(config.refresh_interval)).await;
        }
    };
    stop.until_stopped(work).await;
}

fn look(
    config: &FileConfig,
    settings: &Settings,
    instruments: &Instruments,
    known: &mut BTreeMap<PathBuf, Known>,
    all: bool,
) {
    let disk = settings.disk.as_ref();
    let begun = settings.clock.instant();
    let paths: BTreeSet<PathBuf> = config.files.iter().flat_map(|pattern| matching(disk, pattern)).collect();
    known.retain(|path, _| {
        let stays = paths.contains(path);
        if !stays {
            instruments.file_mtime.remove(&[&path.display().to_string()]);
        }
        stays
    });
    for path in paths {
        let now = disk.metadata(&path).ok();
        let file = known.entry(path.clone()).or_insert_with(|| Known { seen: None, groups: Vec::new() });
        if !all && file.seen.is_some() && file.seen == now {
            continue;
        }
        let changed = file.seen != now;
        file.seen = now;
        match read(disk, &path) {
            Ok(groups) => {
                let mtime = file.seen.map_or(0, |seen| seen.modified_ns.div_euclid(1_000_000_000)) as f64;
                instruments.file_mtime.with(&[&path.display().to_string()]).set(mtime);
                file.groups = groups;
            }
            Err(reason) => {
                instruments.file_read_errors.inc();
                if changed {
                    tracing::error!(file = %path.display(), err = %reason, "cannot read discovery file: its former targets stay");
                }
            }
        }
    }
    if all {
        instruments.file_scan.observe(settings.clock.elapsed(begun).as_secs_f64());
    }
}

/// The files a pattern names.
pub fn matching(disk: &dyn Disk, pattern: &Path) -> Vec<PathBuf> {
    let pattern = pattern.to_string_lossy();
    glob(disk, &pattern)
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<TargetGroup>, String> {
    let metadata = disk.metadata(path).map_err(|e| e.to_string())?;
    // a pipe without a writer would hold up this thread for ever, a device would never end
    if metadata.kind != FileKind::File {
        return Err("it is not a regular file".to_owned());
    }
    let size = metadata.len;
    if size > FILE_MAX {
        return Err(format!("{size} bytes, limit {FILE_MAX}"));
    }
    let content = disk.read(path).map_err(|e| e.to_string())?;
    parse(path, &content)
}

/// The groups a file holds: a list of `{targets, labels}` in YAML or JSON, each with `__meta_filepath`.
pub(crate) fn parse(path: &Path, content: &[u8]) -> Result<Vec<TargetGroup>, String> {
    let text = std::str::from_utf8(content).map_err(|e| e.to_string())?;
    let name = path.display().to_string();
    let json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let blocks: Option<Vec<Option<StaticConfig>>> = match json {
        true => serde_json::from_str(text).map_err(|e| e.to_string())?,
        false if text.trim().is_empty() => None,
        false => serde_saphyr::from_str(text).map_err(|e| e.to_string())?,
    };
    let mut groups = Vec::new();
    for (n, block) in blocks.into_iter().flatten().enumerate() {
        let block = block.ok_or_else(|| format!("nil target group item found (index {n})"))?;
        let mut group = block.group(format!("{name}:{n}")).map_err(|e| e.to_string())?;
        let mut labels = group.labels.to_builder();
        labels.set("__meta_filepath", &name);
        group.labels = labels.build();
        groups.push(group);
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(file: &str, text: &str) -> Result<Vec<String>, String> {
        let groups = parse(Path::new(file), text.as_bytes())?;
        Ok(groups.iter().map(|g| format!("{} {:?} {}", g.source, g.targets, g.labels)).collect())
    }

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = "- targets: ['a:1', \"b:2\"]\n  labels: {env: prod, port: 80}\n- targets: []\n";
        let json = r#"[{"targets":["a:1","b:2"],"labels":{"env":"prod","port":"80"}},{"targets":[]}]"#;
        let expected = |file: &str| {
            vec![
                format!(
                    r#"{file}:0 [{{__address__="a:1"}}, {{__address__="b:2"}}] {{__meta_filepath="{file}", env="prod", port="80"}}"#
                ),
                format!(r#"{file}:1 [] {{__meta_filepath="{file}"}}"#),
            ]
        };
        assert_eq!(shown("t.yml", yaml), Ok(expected("t.yml")));
        assert_eq!(shown("t.json", json), Ok(expected("t.json")));
    }

    #[test]
    fn what_is_no_list_of_groups_is_refused() {
        for (file, text) in [
            ("t.yml", "- target: ['a:1']\n"),
            ("t.yml", "targets: ['a:1']\n"),
            ("t.json", r#"[{"targets":["a:1"]}"#),
            ("t.json", r#"[null]"#),
            ("t.yml", "- targets: {a: b}\n"),
        ] {
            assert!(shown(file, text).is_err(), "{text}");
        }
        assert_eq!(shown("t.yml", ""), Ok(vec![]));
    }
}
