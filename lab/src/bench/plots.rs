//! Plots as SVG text: the same figures, the same bytes, on any machine.

use anyhow::{Result, anyhow};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(60, 60, 60);
const COLORS: [RGBColor; 4] = [
    RGBColor(31, 119, 180),
    RGBColor(214, 90, 20),
    RGBColor(44, 140, 60),
    RGBColor(130, 80, 170),
];

/// A point with its name.
pub struct Point {
    pub name: String,
    pub x: f64,
    pub y: f64,
}

/// Points with a name each; a line where y is 1, which is native.
pub fn scatter(title: &str, x_title: &str, y_title: &str, points: &[Point]) -> Result<String> {
    draw(|area| {
        let x_most = most(points.iter().map(|point| point.x));
        let y_most = most(points.iter().map(|point| point.y));
        let mut chart = chart(area, title, (x_title, x_most), (y_title, y_most))?;
        chart.draw_series(LineSeries::new([(0.0, 1.0), (x_most, 1.0)], INK.stroke_width(1)))?;
        chart.draw_series(
            points
                .iter()
                .map(|point| Circle::new((point.x, point.y), 4, COLORS[0].filled())),
        )?;
        let pixels = points.iter().map(|point| chart.backend_coord(&(point.x, point.y)));
        let names = points.iter().map(|point| point.name.as_str());
        let (width, _) = area.dim_in_pixel();
        for ((x, y), name) in place_names(&pixels.collect::<Vec<_>>(), &names.collect::<Vec<_>>(), width as i32) {
            area.draw(&Text::new(
                name.to_owned(),
                (x, y),
                (FONT, NAME_SIZE).into_font().color(&INK),
            ))?;
        }
        Ok(())
    })
}

const NAME_SIZE: i32 = 13;

/// More than the widest letters of usual fonts have on the average: a reader's font is not known.
const LETTER_WIDTH: i32 = 8;

/// The upper left corners of names of points, in pixels: each beside its point, where it covers no other name and no point.
fn place_names<'a>(points: &[(i32, i32)], names: &[&'a str], width: i32) -> Vec<((i32, i32), &'a str)> {
    let meets = |a: [i32; 4], b: [i32; 4]| a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
    let mut taken: Vec<[i32; 4]> = points.iter().map(|(x, y)| [x - 5, y - 5, x + 5, y + 5]).collect();
    let mut placed = Vec::new();
    for (&(x, y), &name) in points.iter().zip(names) {
        let length = name.chars().count() as i32 * LETTER_WIDTH;
        // Farther and farther away, on the right first.
        let places = (0..20).flat_map(|step| {
            let down = |rows: i32| y - NAME_SIZE / 2 + rows * NAME_SIZE;
            [1, -1]
                .map(|side| down(side * step))
                .map(|y| [(x + 9, y), (x - 9 - length, y)])
        });
        let area = |(x, y): (i32, i32)| [x, y, x + length, y + NAME_SIZE];
        let is_free = |place: &(i32, i32)| {
            let area = area(*place);
            area[0] >= 0 && area[2] <= width && area[1] >= 0 && !taken.iter().any(|other| meets(area, *other))
        };
        let place = places.flatten().find(is_free).unwrap_or((x + 9, y));
        taken.push(area(place));
        placed.push((place, name));
    }
    placed
}

/// Lines, each with a name and its points.
pub fn lines(title: &str, x_title: &str, y_title: &str, all: &[(String, Vec<(f64, f64)>)]) -> Result<String> {
    draw(|area| {
        let points = || all.iter().flat_map(|(_, points)| points);
        let x_most = most(points().map(|point| point.0));
        let y_most = most(points().map(|point| point.1));
        let mut chart = chart(area, title, (x_title, x_most), (y_title, y_most))?;
        for ((name, points), color) in all.iter().zip(COLORS.iter().cycle()) {
            let color = *color;
            chart
                .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(4))?
                .label(name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
        }
        legend(&mut chart)?;
        Ok(())
    })
}

/// Bars of one kind, each beside a name; there may be none.
pub struct Bars {
    pub kind: String,
    pub values: Vec<Option<f64>>,
}

/// A row for each name, the first at the top, with a bar of each kind; and a line at a value that all are compared with.
pub fn bars(title: &str, x_title: &str, names: &[String], kinds: &[Bars], line: Option<f64>) -> Result<String> {
    let rows = names.len() as f64;
    let row_height = 8 + 14 * kinds.len() as u32;
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let names_width = 16 + longest as i32 * LETTER_WIDTH;
    let values = || kinds.iter().flat_map(|bars| &bars.values).flatten();
    // With room for the last number.
    let x_most = most(values().copied().chain(line)) * 1.06;
    draw_sized((860, 100 + row_height * names.len() as u32), |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, (FONT, 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(names_width)
            .build_cartesian_2d(0.0..x_most, 0.0..rows)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_desc(x_title)
            .light_line_style(WHITE)
            .draw()?;
        for (index, (bars, color)) in kinds.iter().zip(COLORS).enumerate() {
            // From the top of a row, as shares of it.
            let thick = 0.8 / kinds.len() as f64;
            let top = |position: usize| rows - position as f64 - 0.1 - thick * index as f64;
            let all = || {
                bars.values
                    .iter()
                    .enumerate()
                    .filter_map(|(row, value)| Some((row, (*value)?)))
            };
            let rectangles = all().map(|(row, value)| {
                Rectangle::new([(0.0, top(row)), (value, top(row) - thick)], color.mix(0.8).filled())
            });
            let drawn = chart.draw_series(rectangles)?;
            if kinds.len() > 1 {
                drawn
                    .label(&bars.kind)
                    .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 18, y + 5)], color.mix(0.8).filled()));
            }
            chart.draw_series(all().map(|(row, value)| {
                EmptyElement::at((value, top(row) - thick / 2.0))
                    + Text::new(format!("{value:.2}"), (5, -6), (FONT, 12).into_font().color(&INK))
            }))?;
        }
        if let Some(line) = line {
            chart.draw_series(LineSeries::new([(line, 0.0), (line, rows)], INK.stroke_width(1)))?;
        }
        for (row, name) in names.iter().enumerate() {
            let (x, y) = chart.backend_coord(&(0.0, rows - row as f64 - 0.5));
            let style = (FONT, NAME_SIZE).into_font().color(&INK);
            area.draw(&Text::new(
                name.clone(),
                (x - names_width + 8, y - NAME_SIZE / 2),
                style,
            ))?;
        }
        if kinds.len() > 1 {
            legend(&mut chart)?;
        }
        Ok(())
    })
}

/// What the colours mean, at the lower right.
fn legend<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>) -> Result<(), Box<dyn std::error::Error>> {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .label_font((FONT, 13))
        .border_style(INK)
        .background_style(WHITE)
        .draw()?;
    Ok(())
}

fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::MIN_POSITIVE, f64::max) * 1.1
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// An empty chart; each axis has its title and its end.
fn chart<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    x: (&str, f64),
    y: (&str, f64),
) -> Result<Chart<'a, 'b>, Box<dyn std::error::Error>> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..x.1, 0.0..y.1)?;
    chart
        .configure_mesh()
        .x_desc(x.0)
        .y_desc(y.0)
        .light_line_style(WHITE)
        .draw()?;
    Ok(chart)
}

fn draw(plot: impl FnOnce(&Area) -> Result<(), Box<dyn std::error::Error>>) -> Result<String> {
    draw_sized((860, 480), plot)
}

fn draw_sized(size: (u32, u32), plot: impl FnOnce(&Area) -> Result<(), Box<dyn std::error::Error>>) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let drawn = area.fill(&WHITE).map_err(Into::into).and_then(|()| plot(&area));
        drawn
            .and_then(|()| Ok(area.present()?))
            .map_err(|error| anyhow!("a plot: {error}"))?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cover_neither_each_other_nor_points() {
        let points = [(100, 100), (103, 101), (101, 104), (98, 99), (400, 50), (404, 52)];
        let names = ["o3-gpl", "o2-gpl", "o3-lgpl", "oz-gpl", "a long name", "peer"];
        let placed = place_names(&points, &names, 480);
        let area = |((x, y), name): &((i32, i32), &str)| [*x, *y, x + name.len() as i32 * LETTER_WIDTH, y + NAME_SIZE];
        let areas: Vec<_> = placed.iter().map(area).collect();
        for (index, one) in areas.iter().enumerate() {
            assert!(one[0] >= 0 && one[2] <= 480, "{placed:?}");
            for other in &areas[index + 1..] {
                let apart = one[2] <= other[0] || other[2] <= one[0] || one[3] <= other[1] || other[3] <= one[1];
                assert!(apart, "{placed:?}");
            }
        }
    }
}
