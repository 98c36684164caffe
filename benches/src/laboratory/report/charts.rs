//! Charts: lines over logarithmic axes, as SVG.

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// A line of a chart.
#[derive(Clone, Debug)]
pub(in crate::laboratory) struct Line {
    /// What it is of.
    pub(in crate::laboratory) name: String,
    /// Which colour it has.
    pub(in crate::laboratory) position: usize,
    /// Its points, ascending; all positive.
    pub(in crate::laboratory) points: Vec<(f64, f64)>,
}

/// Colours that can be told apart on light and on dark ground, also by the colour-blind (after Okabe and Ito).
const COLOURS: [RGBColor; 16] = [
    RGBColor(30, 125, 200),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(148, 103, 189),
    RGBColor(140, 140, 140),
    RGBColor(160, 120, 60),
    RGBColor(227, 74, 97),
    RGBColor(110, 160, 40),
    RGBColor(60, 170, 180),
    RGBColor(250, 140, 110),
    RGBColor(90, 110, 230),
    RGBColor(190, 60, 150),
    RGBColor(110, 200, 140),
];

/// Of a plot, in pixels, where it is not scaled.
const WIDTH: u32 = 720;
const HEIGHT: u32 = 400;
/// Of a line of the key.
const KEY_ROW: u32 = 18;

/// Of axes, their texts, and the mesh, on any ground.
const GREY: RGBColor = RGBColor(128, 128, 128);

/// The colour of the line at `position`.
pub(super) fn colour(position: usize) -> String {
    let RGBColor(red, green, blue) = COLOURS[position % COLOURS.len()];
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A chart with both axes logarithmic, for a page that has the key; none where there is nothing to draw.
pub(super) fn log_log(lines: &[Line], x: &str, y: &str) -> Option<String> {
    draw(lines, x, y).map(scalable)
}

/// The same as a file of its own, with its key below.
pub(in crate::laboratory) fn standalone(lines: &[Line], x: &str, y: &str) -> Option<String> {
    let key = |(row, line): (usize, &Line)| {
        let (y, colour, name) = (HEIGHT + 12 + KEY_ROW * row as u32, colour(line.position), &line.name);
        format!(
            "<circle cx=\"112\" cy=\"{y}\" r=\"4\" fill=\"{colour}\"/><text x=\"124\" y=\"{}\" \
             font-family=\"sans-serif\" font-size=\"14\" fill=\"#808080\">{name}</text>\n",
            y + 5
        )
    };
    let keys: String = lines.iter().enumerate().map(key).collect();
    let svg = draw(lines, x, y)?;
    let (plot, whole) = (HEIGHT.to_string(), (HEIGHT + 12 + KEY_ROW * lines.len() as u32).to_string());
    let svg = svg.replacen(&format!("height=\"{plot}\""), &format!("height=\"{whole}\""), 1);
    let svg = svg.replacen(
        &format!("viewBox=\"0 0 {WIDTH} {plot}\""),
        &format!("viewBox=\"0 0 {WIDTH} {whole}\""),
        1,
    );
    let body = svg.trim_end().strip_suffix("</svg>")?;
    Some(format!("{body}{keys}</svg>\n"))
}

fn draw(lines: &[Line], x: &str, y: &str) -> Option<String> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let range = |of: fn(&(f64, f64)) -> f64| {
        let (low, high) = points()
            .map(of)
            .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        (low > 0.0 && high > 0.0).then_some((low, high))
    };
    let ((left, right), (low, high)) = (range(|point| point.0)?, range(|point| point.1)?);
    let (left, right) = (left * 0.8, right * 1.25);
    let (bottom, top) = decades(low, high);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        let mut builder = ChartBuilder::on(&area);
        builder.margin(8).margin_right(40).x_label_area_size(48).y_label_area_size(104);
        let mut chart =
            builder.build_cartesian_2d((left..right).log_scale(), (bottom..top).log_scale()).ok()?;
        let style = ("sans-serif", 20).into_font().color(&GREY);
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(TRANSPARENT).bold_line_style(GREY.mix(0.25)).axis_style(GREY);
        mesh.label_style(style.clone()).axis_desc_style(style).x_desc(x).y_desc(y);
        mesh.x_label_formatter(&|count| count_text(*count)).y_label_formatter(&|time| time_text(*time));
        mesh.draw().ok()?;
        for line in lines {
            let colour = COLOURS[line.position % COLOURS.len()];
            chart.draw_series(LineSeries::new(line.points.iter().copied(), colour.stroke_width(2))).ok()?;
            let dots = line.points.iter().map(|&point| Circle::new(point, 3, colour.filled()));
            chart.draw_series(dots).ok()?;
        }
        area.present().ok()?;
    }
    Some(svg)
}

/// The whole decades around what is from `low` to `high`: their lines are the ones that have labels.
fn decades(low: f64, high: f64) -> (f64, f64) {
    let decade = |time: f64, round: fn(f64) -> f64| 10.0_f64.powf(round(time.log10()));
    (decade(low, f64::floor), decade(high * 1.01, f64::ceil))
}

/// Events on a line of time, one row for each kind, logarithmic; none where nothing happened.
pub(super) fn timeline(rows: &[(String, Vec<f64>)]) -> Option<String> {
    let times = || rows.iter().flat_map(|(_, times)| times.iter().copied()).filter(|time| *time > 0.0);
    let (low, high) =
        times().fold((f64::INFINITY, 0.0_f64), |(low, high), time| (low.min(time), high.max(time)));
    if high <= 0.0 {
        return None;
    }
    let mut svg = String::new();
    {
        let height = 60 + 34 * rows.len() as u32;
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let mut builder = ChartBuilder::on(&area);
        builder.margin(8).margin_right(40).x_label_area_size(48).y_label_area_size(104);
        let vertical: std::ops::Range<f64> = -0.5..rows.len() as f64 - 0.5;
        let vertical: RangedCoordf64 = vertical.into();
        let (begin, end) = decades(low, high);
        let mut chart = builder.build_cartesian_2d((begin..end).log_scale(), vertical).ok()?;
        let style = ("sans-serif", 20).into_font().color(&GREY);
        let name = |row: &f64| {
            let position = rows.len() as f64 - 1.0 - row;
            let is_row = position.fract() == 0.0 && position >= 0.0;
            let found = if is_row { rows.get(position as usize) } else { None };
            found.map_or(String::new(), |(name, _)| name.clone())
        };
        let mut mesh = chart.configure_mesh();
        mesh.light_line_style(TRANSPARENT).bold_line_style(GREY.mix(0.25)).axis_style(GREY);
        mesh.label_style(style.clone()).axis_desc_style(style).x_desc("time since the invalidation");
        mesh.x_label_formatter(&|time| time_text(*time)).y_labels(rows.len() + 1).y_label_formatter(&name);
        mesh.draw().ok()?;
        for (position, (_, times)) in rows.iter().enumerate() {
            let (row, colour) = ((rows.len() - 1 - position) as f64, COLOURS[position % COLOURS.len()]);
            let dots = times.iter().filter(|time| **time > 0.0);
            chart
                .draw_series(dots.map(|&time| Circle::new((time, row), 4, colour.mix(0.6).filled())))
                .ok()?;
        }
        area.present().ok()?;
    }
    Some(scalable(svg))
}

/// The picture, as wide as there is room.
fn scalable(svg: String) -> String {
    let (head, rest) = svg.split_once('>').unwrap_or(("", &svg));
    let attribute = |name: &str| {
        let (_, rest) = head.split_once(&format!(" {name}=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    let (width, height) = (attribute("width").unwrap_or_default(), attribute("height").unwrap_or_default());
    format!("<div class=\"wide\"><svg role=\"img\" viewBox=\"0 0 {width} {height}\">{rest}</div>")
}

fn count_text(count: f64) -> String {
    match count {
        1e6.. => format!("{:.0}M", count / 1e6),
        1e3.. => format!("{:.0}k", count / 1e3),
        _ => format!("{count:.0}"),
    }
}

/// Of a whole decade; the lines between have no label.
fn time_text(time: f64) -> String {
    let decade = time.log10();
    if (decade - decade.round()).abs() > 1e-6 {
        return String::new();
    }
    match time {
        1e9.. => format!("{:.0} s", time / 1e9),
        1e6.. => format!("{:.0} ms", time / 1e6),
        1e3.. => format!("{:.0} µs", time / 1e3),
        1.0.. => format!("{time:.0} ns"),
        _ => format!("{time:.1} ns"),
    }
}
