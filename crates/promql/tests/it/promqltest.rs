//! Prometheus' own scripts (3.14) against the model store.
//!
//! How "touches no native histogram" is decided stands in `testkit::promqltest`. The ten files without native histograms pass
//! whole; of the others every evaluation that touches none is run, and those that fail are listed here by file and line.
#![expect(clippy::disallowed_methods, reason = "reads the conformance data")]

use crate::conformance;
use testkit::model_store::ModelStore;
use testkit::promqltest::{Outcome, run, test_engine};

/// Evaluations that touch no native histogram must pass at least this often in all.
const PASSED_MIN: usize = 1250;

/// Files that pass whole: none of their evaluations is left out.
const WHOLE: [&str; 10] = [
    "at_modifier",
    "collision",
    "duration_expression",
    "fill-modifier",
    "literals",
    "name_label_dropping",
    "selectors",
    "staleness",
    "trig_functions",
    "type_and_unit",
];

#[test]
fn upstreams_scripts_pass() {
    let Some(folder) = conformance::find("upstreams_scripts_pass", "prometheus/promql/promqltest/testdata") else {
        return;
    };
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder is readable")
        .map(|entry| entry.expect("the folder is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "test"))
        .collect();
    files.sort();
    let mut failures = Vec::new();
    let mut totals = (0, 0, 0, 0);
    for file in &files {
        let name = file.file_stem().expect("a file name").to_string_lossy().into_owned();
        let script = std::fs::read_to_string(file).expect("the file is readable");
        let report =
            run(&script, &test_engine(), &|| Box::new(ModelStore::new())).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (passed, failed, native) = report.counts();
        println!(
            "{name}: {passed} passed, {failed} failed, {native} touch native histograms, {} native series left out",
            report.native_series
        );
        totals = (totals.0 + passed, totals.1 + failed, totals.2 + native, totals.3 + report.native_series);
        for (line, query, outcome) in &report.evals {
            if let Outcome::Failed(difference) = outcome {
                failures.push(format!("{name}:{line}: {query}\n    {difference}"));
            }
        }
        if WHOLE.contains(&name.as_str()) {
            assert_eq!((failed, native), (0, 0), "{name} passes whole\n{}", failures.join("\n"));
        }
    }
    let (passed, failed, native, series) = totals;
    println!(
        "all: {passed} passed, {failed} failed, {native} touch native histograms, {series} native series left out"
    );
    assert!(passed >= PASSED_MIN, "{passed} passed\n{}", failures.join("\n"));
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}
