//! `osr-bench transitions`, on as little as can be measured. Nothing depends on times.

mod support;

use serde_json::Value;
use support::osr_bench;

const FEW: [&str; 8] = ["transitions", "--depths", "3,40", "--live", "1,8", "--rounds", "3", "--quiet"];

fn few(options: &[&str]) -> support::Done {
    osr_bench(&[&FEW[..], options].concat())
}

#[test]
fn each_depth_number_of_values_and_destination_has_a_row_in_80_columns() {
    let done = few(&[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for destination in ["interpreter", "baseline", "optimized"] {
        let rows = done.stdout.lines().filter(|line| line.contains(destination));
        assert_eq!(rows.count(), 4, "{}", done.stdout);
    }
    let table = done.stdout.lines().filter(|line| line.contains(['│', '┆', '─']));
    assert!(table.map(|line| line.chars().count()).all(|width| width <= 80), "{}", done.stdout);
}

#[test]
fn samples_are_written_and_the_median_is_one_of_three() {
    let done = few(&["--format", "json", "--mixed", "--mechanism", "rebuild=at-once"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let found: Value = serde_json::from_str(&done.stdout).expect("it is JSON");
    assert_eq!(found["mechanism"], "rebuild=at-once");
    let rows = found["rows"].as_array().expect("a list");
    assert_eq!(rows.len(), 12);
    for row in rows {
        for metric in ["hijack", "return", "landing"] {
            let samples: Vec<f64> =
                row[metric]["samples"].as_array().expect("a list").iter().flat_map(Value::as_f64).collect();
            assert_eq!(samples.len(), 3, "{row}");
            assert!(samples.contains(&row[metric]["estimate"]["median"].as_f64().expect("a number")));
        }
    }
}

#[test]
fn samples_are_lines_and_a_plot_has_a_line_for_each_metric() {
    let csv = few(&["--format", "csv"]);
    assert_eq!(csv.stdout.lines().count(), 1 + 2 * 2 * 3 * 3 * 3, "{}", csv.stderr);
    assert!(csv.stdout.lines().skip(1).all(|line| line.starts_with("\"thread-2015\",")), "{}", csv.stdout);
    let svg = few(&["--format", "svg"]).stdout;
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
    assert!(svg.contains("hijack, 8 live"), "{svg}");
}

#[test]
fn mechanisms_that_hijack_nothing_are_refused() {
    few(&["--mechanism", "frames=run-out,release=epoch"]).refused(&["run out", "must be one that hijacks"]);
    few(&["--depths", "0"]).refused(&["0 is not in 1..=1000000"]);
}
