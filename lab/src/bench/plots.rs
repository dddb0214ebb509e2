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

/// Points with a name each.
pub fn scatter(title: &str, x_title: &str, y_title: &str, points: &[Point]) -> Result<String> {
    draw(|area| {
        let x_most = most(points.iter().map(|point| point.x));
        let y_most = most(points.iter().map(|point| point.y));
        let mut chart = chart(area, title, (x_title, x_most * 1.25), (y_title, y_most))?;
        chart.draw_series(points.iter().map(|point| {
            EmptyElement::at((point.x, point.y))
                + Circle::new((0, 0), 4, COLORS[0].filled())
                + Text::new(point.name.clone(), (7, -6), (FONT, 13).into_font().color(&INK))
        }))?;
        Ok(())
    })
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
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .label_font((FONT, 13))
            .border_style(INK)
            .background_style(WHITE)
            .draw()?;
        Ok(())
    })
}

/// A bar for each name, the first at the top.
pub fn bars(title: &str, x_title: &str, values: &[(String, f64)]) -> Result<String> {
    let height = 90 + 22 * values.len() as u32;
    draw_sized((860, height), |area| {
        let mut chart = ChartBuilder::on(area)
            .caption(title, (FONT, 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(8)
            .build_cartesian_2d(
                0.0..most(values.iter().map(|value| value.1)) * 1.9,
                0.0..values.len() as f64,
            )?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_desc(x_title)
            .light_line_style(WHITE)
            .draw()?;
        let place = |position: usize| (values.len() - position) as f64;
        let rectangle = |(position, value): (usize, &(String, f64))| {
            let top = place(position);
            Rectangle::new([(0.0, top - 0.15), (value.1, top - 0.85)], COLORS[0].mix(0.8).filled())
        };
        chart.draw_series(values.iter().enumerate().map(rectangle))?;
        chart.draw_series(values.iter().enumerate().map(|(position, (name, value))| {
            EmptyElement::at((*value, place(position) - 0.5))
                + Text::new(
                    format!("{value:.2}  {name}"),
                    (6, -6),
                    (FONT, 13).into_font().color(&INK),
                )
        }))?;
        Ok(())
    })
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
