//! docs/performance.md from samples: fills its tables and draws its plots. The prose around them is written by hand.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

use super::figures::Row;
use super::plots::{self, Bars, Point};
use super::samples::Run;
use super::selection::Selection;
use super::tables;
use super::workloads::{Part, Runner, Workloads};
use xtask::blocks;
use xtask::cache::write_file;
use xtask::recipe::profile;

pub fn write(root: &Path, workloads: &Workloads, run: &Run) -> Result<()> {
    let selection = Selection::new(workloads, run, profile::shipped(root)?)?;
    let docs = root.join("docs");
    for (name, svg) in plots(&selection)? {
        let path = docs.join(tables::PLOTS).join(format!("{name}.svg"));
        write_file(&path, svg.as_bytes())?;
        println!("{}", path.display());
    }
    let page = docs.join("performance.md");
    blocks::fill(&page, &tables::all(&selection))?;
    println!("{}", page.display());
    Ok(())
}

/// SVG by the file's name.
fn plots(selection: &Selection) -> Result<BTreeMap<String, String>> {
    let base = selection.base.name();
    let mut plots = BTreeMap::new();
    if let Some((title, points)) = sizes_and_speeds(selection) {
        plots.insert(
            "size-and-speed".into(),
            plots::scatter(&title, "MB, gzip", "times native on one core", &points)?,
        );
    }
    let mut works = selection.base_rows(Part::Work);
    works.retain(|row| row.ratio.is_some());
    let names: Vec<_> = works.iter().map(|row| row.case.work()).collect();
    type Beside<'a> = &'a dyn Fn(&Row) -> Option<f64>;
    let ratio = |row: Option<&Row>| Some(row?.ratio?.median);
    let kinds: [(&str, Beside); 3] = [
        (base, &|row| ratio(Some(row))),
        ("its pack", &|row| ratio(selection.pack(Part::Work, row))),
        ("peer", &|row| ratio(selection.beside(Part::Work, row, &Runner::Peer))),
    ];
    let bars = kinds.map(|(kind, ratio)| Bars {
        kind: kind.to_owned(),
        values: works.iter().map(|row| ratio(row)).collect(),
    });
    let measured = |bars: &Bars| bars.values.iter().any(Option::is_some);
    let kinds: Vec<Bars> = bars.into_iter().filter(measured).collect();
    let title = "Time in relation to native FFmpeg on one core";
    let bars = plots::bars(title, "times native", &names, &kinds, Some(1.0))?;
    plots.insert("times-native".into(), bars);
    let rates = [&selection.base, &Runner::Native].map(|runner| {
        let points = selection
            .throughput(runner)
            .into_iter()
            .map(|(count, rate)| (count as f64, rate));
        (runner.name().to_owned(), points.collect())
    });
    let lines = plots::lines("Throughput against instances", "at a time", "jobs a second", &rates)?;
    plots.insert("instances".into(), lines);
    for profile in &selection.run.guest_profiles {
        let functions = || profile.functions.iter();
        let names: Vec<_> = functions().map(|function| function.name.clone()).collect();
        let shares = Bars {
            kind: base.to_owned(),
            values: functions().map(|function| Some(100.0 * function.share)).collect(),
        };
        let encoding = profile.encoding.iter().map(|encoding| format!(", {encoding}"));
        let title = format!("{}{} on {base}", profile.workload, encoding.collect::<String>());
        let bars = plots::bars(&title, "% of the module's time", &names, &[shares], None)?;
        plots.insert(format!("functions-{}", profile.workload), bars);
    }
    Ok(plots)
}

/// The work that stands for speed, and each module's size and time.
fn sizes_and_speeds(selection: &Selection) -> Option<(String, Vec<Point>)> {
    let rows = selection.rows_of(Part::SizeAndSpeed);
    let point = |row: &&Row| {
        let name = row.case.runner.name().to_owned();
        let sizes = selection.run.header.modules.get(&name)?;
        let (x, y) = (sizes.gzip_bytes as f64 / 1e6, row.ratio?.median);
        Some(Point { name, x, y })
    };
    let title = format!("Size against speed: {}", rows.first()?.case.work());
    Some((title, rows.iter().filter_map(point).collect()))
}
