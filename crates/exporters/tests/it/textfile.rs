//! The original's textfile fixtures: what several files, types and mistakes become.

use crate::page::{Page, fixtures, ours, parse};

fn shown(root: &str, directories: &[&str]) -> Page {
    let mut flags = vec!["--collector.disable-defaults".to_owned(), "--collector.textfile".to_owned()];
    flags.extend(
        directories.iter().map(|directory| format!("--collector.textfile.directory={root}/textfile/{directory}")),
    );
    let mut page = ours(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    for name in ["node_exporter_build_info", "node_scrape_collector_duration_seconds", "node_scrape_collector_success"]
    {
        page.remove(name);
    }
    page
}

#[test]
fn every_case_of_the_original() {
    let Some(dir) = fixtures("every_case_of_the_original") else { return };
    let root = dir.path().display().to_string();
    let cases = [
        ("client_side_timestamp", &["client_side_timestamp"][..]),
        ("different_metric_types", &["different_metric_types"]),
        ("glob_extra_dimension", &["*_extra_dimension"]),
        ("histogram", &["histogram"]),
        ("histogram_extra_dimension", &["histogram_extra_dimension"]),
        ("inconsistent_metrics", &["inconsistent_metrics"]),
        ("metrics_merge_different_help", &["metrics_merge_different_help"]),
        ("metrics_merge_empty_help", &["metrics_merge_empty_help"]),
        ("metrics_merge_no_help", &["metrics_merge_no_help"]),
        ("metrics_merge_same_help", &["metrics_merge_same_help"]),
        ("no_metric_files", &["no_metric_files"]),
        ("nonexistent_path", &["nonexistent_path"]),
        ("summary", &["summary"]),
        ("summary_extra_dimension", &["summary_extra_dimension"]),
        ("two_metric_files", &["two_metric_files/"]),
    ];
    for (name, directories) in cases {
        let expected = std::fs::read_to_string(format!("{root}/textfile/{name}.out")).unwrap();
        // the original ran where its fixtures are called so, and with a fixed time
        let expected = parse(&expected.replace("fixtures/textfile", &format!("{root}/textfile")));
        let mut page = shown(&root, directories);
        if let Some(mtimes) = page.get_mut("node_textfile_mtime_seconds") {
            mtimes.samples.values_mut().for_each(|value| "1".clone_into(value));
        }
        assert_eq!(page, expected, "{name}");
    }
}

#[test]
fn families_of_our_own_stand_and_changes_are_seen() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.prom");
    let flags = [
        "--collector.disable-defaults".to_owned(),
        "--collector.loadavg".to_owned(),
        "--collector.textfile".to_owned(),
        format!("--collector.textfile.directory={}", dir.path().display()),
    ];
    let exporter = crate::page::exporter(&flags.iter().map(String::as_str).collect::<Vec<_>>());
    let read = || {
        let mut out = Vec::new();
        exporter.gather_text(&mut out);
        parse(&String::from_utf8(out).unwrap())
    };
    std::fs::write(&file, "# TYPE node_load1 counter\nnode_load1 77\nnode_mine 1\n").unwrap();
    let page = read();
    assert_eq!((page["node_load1"].kind.as_str(), page["node_mine"].samples["node_mine"].as_str()), ("gauge", "1"));
    std::fs::write(&file, "node_mine 12\n").unwrap();
    assert_eq!(read()["node_mine"].samples["node_mine"], "12");
    std::fs::write(&file, "node_mine 13").unwrap();
    let page = read();
    assert_eq!(
        page["node_textfile_scrape_error"].samples["node_textfile_scrape_error"], "1",
        "no line end: half-written"
    );
    assert!(!page.contains_key("node_mine"));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(read()["node_textfile_scrape_error"].samples["node_textfile_scrape_error"], "0");
    // something that never ends
    std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
    assert_eq!(read()["node_textfile_scrape_error"].samples["node_textfile_scrape_error"], "1");
}
