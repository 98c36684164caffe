//! Results in the forms that other tools read.

use super::Record;

/// As comma-separated values with a header, one sample on each line.
pub(crate) fn tidy(records: &[Record]) -> String {
    let mut text =
        "experiment,mechanism,program,metric,unit,size,seed,repetition,sample,value,note\n".to_owned();
    for Record { experiment, finding, mechanism, seed, repetition, .. } in records {
        let size = finding.size.map_or(String::new(), |size| size.to_string());
        let note = quoted(finding.note.as_deref().unwrap_or_default());
        let [mechanism, program] = [mechanism, &finding.program].map(|text| quoted(text));
        let (metric, unit) = (&finding.metric, &finding.unit);
        let start = format!("{experiment},{mechanism},{program},{metric},{unit},{size},{seed},{repetition}");
        for (position, value) in finding.samples.iter().enumerate() {
            text += &format!("{start},{},{value},{note}\n", position + 1);
        }
        if finding.samples.is_empty() {
            text += &format!("{start},,,{note}\n");
        }
    }
    text
}

/// A field in quotation marks, where it needs them.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// As ReBench's adapter `RebenchLog` reads it from an executor: whole numbers, a line for the metric, and one for the
/// total that ends a data point.
pub(crate) fn rebench(records: &[Record]) -> String {
    let mut text = String::new();
    for Record { experiment, finding, mechanism, .. } in records {
        let size = finding.size.map_or(String::new(), |size| format!("-{size}"));
        // Names are words there.
        let name = format!("{experiment}-{}{size}-{mechanism}", finding.program).replace([' ', ':'], "_");
        for value in &finding.samples {
            let (value, unit, total) = match &*finding.unit {
                "ns" => (*value, "ns", value / 1e3),
                "ratio" => (value * 1e6, "ppm", 0.0),
                unit => (*value, unit, 0.0),
            };
            let metric = &finding.metric;
            text +=
                &format!("{name}: {metric}: {value:.0}{unit}\n{name}: iterations=1 runtime: {total:.0}us\n");
        }
    }
    text
}
