//! What is recorded is what is written.

use std::collections::BTreeSet;

use keyward_core::metrics::{Kind, Metric, counter, gauge, histogram};

use super::recorder::Recorder;

const COUNTED: Metric = counter("test_total", &["kind"], "Counted.");
const GAUGED: Metric = gauge("test_bytes", &[], "Gauged.");
const OBSERVED: Metric = histogram("test_seconds", &[0.25, 1.0], &["route"], "Observed.");
const UNUSED: Metric = histogram("test_unused", &[1.0], &[], "Unused.");

#[test]
fn counters_gauges_and_histograms_are_written_with_help_and_type() {
    let (recorder, renderer) = Recorder::new([&COUNTED, &GAUGED, &OBSERVED, &UNUSED]);
    metrics::with_local_recorder(&recorder, || {
        COUNTED.counter(["a"]).increment(2);
        COUNTED.counter(["a"]).increment(1);
        let _ = COUNTED.counter(["b"]);
        GAUGED.gauge([]).set(1.5);
        // A bound is the highest value of its bucket.
        for value in [0.25, 0.2, 0.3, 7.0] {
            OBSERVED.histogram(["/a\"b".into()]).record(value);
        }
    });
    let text = renderer.render();
    let expected = [
        "# HELP test_total Counted.",
        "# TYPE test_total counter",
        "test_total{kind=\"a\"} 3",
        "test_total{kind=\"b\"} 0",
        "# TYPE test_bytes gauge",
        "test_bytes 1.5",
        "# HELP test_seconds Observed.",
        "# TYPE test_seconds histogram",
        "test_seconds_bucket{route=\"/a\\\"b\",le=\"0.25\"} 2",
        "test_seconds_bucket{route=\"/a\\\"b\",le=\"1\"} 3",
        "test_seconds_bucket{route=\"/a\\\"b\",le=\"+Inf\"} 4",
        "test_seconds_sum{route=\"/a\\\"b\"} 7.75",
        "test_seconds_count{route=\"/a\\\"b\"} 4",
    ];
    for line in expected {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("test_unused"), "{text}");
}

#[test]
fn names_follow_the_conventions_and_are_used_once() {
    let mut names = Vec::new();
    for metric in super::metrics() {
        let Metric { name, kind, .. } = *metric;
        assert!(!names.contains(&name), "{name} is there twice");
        names.push(name);
        assert!(
            name.starts_with("keyward_") || name.starts_with("process_"),
            "{name}"
        );
        assert_eq!(name.ends_with("_total"), kind == Kind::Counter, "{name}");
        if let Kind::Histogram(bounds) = kind {
            assert!(bounds.is_sorted(), "{name}");
        }
        assert!(metric.help.ends_with('.'), "{name}");
    }
}

/// The list of metrics for operators.
const DOCUMENT: &str = include_str!("../../../../docs/metrics.md");

#[test]
fn the_document_lists_every_metric_with_its_type_and_labels_and_no_other() {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("| `"));
    let documented: BTreeSet<_> = rows
        .map(|row| {
            let mut cells = row.split('|').skip(1).map(str::trim);
            let cells = [cells.next(), cells.next(), cells.next()].map(Option::unwrap_or_default);
            cells.map(|cell| cell.replace('`', ""))
        })
        .collect();
    let measured = super::metrics().map(|metric| {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        [
            metric.name.to_owned(),
            kind.to_owned(),
            metric.labels.join(", "),
        ]
    });
    let measured: BTreeSet<_> = measured.collect();
    let (missing, surplus) = (&measured - &documented, &documented - &measured);
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "docs/metrics.md lacks {missing:?} and lists {surplus:?}"
    );
}
