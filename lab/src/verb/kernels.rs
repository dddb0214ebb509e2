//! `cargo xtask kernels`: how long SIMD kernels take beside the C code that they stand for, by each library's checkasm.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::bench::figures::Spread;
use xtask::blocks;
use xtask::build::execute::{Executor, Results};
use xtask::build::facts::Tools;
use xtask::data::read_toml;
use xtask::error::usage;
use xtask::flags::{self, Kernels};
use xtask::plan::ffmpeg::FATE_STEP;
use xtask::progress::Progress;
use xtask::project::Project;
use xtask::recipe::library::FFMPEG;

const FORMAT_VERSION: u32 = 1;

const PAGE: &str = "docs/performance/kernels.md";

/// One run of a program takes seconds: one that takes as long as this hangs.
const TIMEOUT: Duration = Duration::from_secs(300);

/// bench/kernels.toml, whose head explains the keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    format_version: u32,
    column: BTreeMap<String, Column>,
    block: Vec<Block>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Column {
    profile: String,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Version {
    C,
    Simd128,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    name: String,
    library: String,
    commands: Vec<String>,
    prints: Format,
    columns: Vec<String>,
    kernels: Vec<String>,
}

/// How a checkasm prints times.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Csv,
    Lines,
    Columns,
}

/// Nanoseconds of each function that was measured.
type Times = BTreeMap<(String, Version), f64>;

pub fn run(project: &Project, flags: &Kernels) -> Result<()> {
    let path = project.root.join("bench/kernels.toml");
    let tables: Tables = read_toml(&path)?;
    if let Some(fault) = tables.fault() {
        return Err(usage(format!("{}: {fault}", path.display())).into());
    }
    let page = project.root.join(PAGE);
    // Before minutes of building.
    blocks::check(&page, tables.block.iter().map(|block| block.name.as_str()))?;
    let measurer = Measurer {
        project,
        progress: Progress::new(),
        runs: flags.runs.get(),
        results: build(project, flags, &tables)?,
    };
    let mut texts = BTreeMap::new();
    for block in &tables.block {
        texts.insert(block.name.clone(), measurer.table(&tables, block)?);
    }
    blocks::fill(&page, &texts)?;
    println!("{}", page.display());
    Ok(())
}

/// The steps that make the programs, by profile.
fn build(project: &Project, flags: &Kernels, tables: &Tables) -> Result<BTreeMap<String, Results>> {
    let fetcher = project.fetcher(&flags.origins);
    let tools = Tools::find(project, &fetcher)?;
    let executor = Executor {
        project,
        fetcher: &fetcher,
        tools: &tools,
        jobs: flags::jobs(None)?,
    };
    let profiles: BTreeSet<&String> = tables.column.values().map(|column| &column.profile).collect();
    let built = profiles.into_iter().map(|profile| {
        let plan = project.fate_plan(profile, &tools.facts)?;
        Ok((profile.clone(), executor.run(&plan, &Progress::new())?))
    });
    built.collect()
}

impl Tables {
    fn fault(&self) -> Option<String> {
        if self.format_version != FORMAT_VERSION {
            return Some(format!(
                "format_version {} is not {FORMAT_VERSION}",
                self.format_version
            ));
        }
        self.block.iter().find_map(|block| {
            let unknown = block.columns.iter().find(|title| !self.column.contains_key(*title));
            unknown.map(|title| format!("block {}: there is no column \"{title}\"", block.name))
        })
    }
}

struct Measurer<'a> {
    project: &'a Project,
    progress: Progress,
    runs: usize,
    results: BTreeMap<String, Results>,
}

impl Measurer<'_> {
    fn table(&self, tables: &Tables, block: &Block) -> Result<String> {
        let columns: Vec<&Column> = block.columns.iter().map(|title| &tables.column[title]).collect();
        let mut times: BTreeMap<&str, Times> = BTreeMap::new();
        for column in &columns {
            if !times.contains_key(column.profile.as_str()) {
                let measured = self.measure(block, &column.profile);
                let measured = measured.with_context(|| format!("the block {} on {}", block.name, column.profile))?;
                times.insert(&column.profile, measured);
            }
        }
        let row = |kernel: &String| {
            let cell = |column: &&Column| {
                let time = times[column.profile.as_str()].get(&(kernel.clone(), column.version));
                let time = time.with_context(|| {
                    let (version, profile) = (column.version, &column.profile);
                    format!(
                        "the block {}: checkasm of {profile} has no time of {kernel}, {version:?}",
                        block.name
                    )
                })?;
                Ok(format!("{time:.1}"))
            };
            let cells = [Ok(kernel.clone())].into_iter().chain(columns.iter().map(cell));
            cells.collect::<Result<Vec<String>>>()
        };
        let rows: Vec<Vec<String>> = block.kernels.iter().map(row).collect::<Result<_>>()?;
        let titles: Vec<&str> = ["kernel"]
            .into_iter()
            .chain(block.columns.iter().map(String::as_str))
            .collect();
        Ok(blocks::figures(&titles, rows))
    }

    /// Medians of all runs.
    fn measure(&self, block: &Block, profile: &str) -> Result<Times> {
        let runtime = afmpeg::Runtime::from_file(self.program(block, profile)?)?;
        let mut samples: BTreeMap<(String, Version), Vec<f64>> = BTreeMap::new();
        let work = self.progress.start(&format!("kernels {} {profile}", block.name));
        for _ in 0..self.runs {
            for command in &block.commands {
                let argv = format!("checkasm {command}");
                let job = afmpeg::Job::new(argv.split_whitespace()).timeout(TIMEOUT);
                let output = runtime.run(job)?;
                if output.exit_code != 0 {
                    bail!("`{argv}` ended with {}: {}", output.exit_code, output.error_message());
                }
                for (function, time) in block.prints.times(&String::from_utf8_lossy(&output.stdout)) {
                    samples.entry(function).or_default().push(time);
                }
            }
        }
        work.finish("measured", None);
        let medians = samples
            .into_iter()
            .filter_map(|(function, times)| Some((function, Spread::of(times)?.median)));
        Ok(medians.collect())
    }

    /// The checkasm of a library, which its step has left.
    fn program(&self, block: &Block, profile: &str) -> Result<PathBuf> {
        let results = &self.results[profile];
        let libraries = &self.project.libraries;
        if block.library == FFMPEG {
            return Ok(results.folder(FATE_STEP)?.join(&libraries.ffmpeg.data.check.program));
        }
        let check = libraries.get(&block.library)?.check.as_ref();
        let check = check.with_context(|| format!("{} has no checkasm", block.library))?;
        Ok(results.folder(&block.library)?.join("tests").join(&check.program))
    }
}

impl Format {
    /// What a report says of times; other lines are of the comparison.
    fn times(self, report: &str) -> Times {
        report.lines().filter_map(|line| self.line(line)).flatten().collect()
    }

    fn line(self, line: &str) -> Option<Times> {
        match self {
            Format::Csv => {
                let cells: Vec<&str> = line.split(',').collect();
                let [name, version, .., nanoseconds] = cells[..] else {
                    return None;
                };
                one(name, version, nanoseconds.parse().ok()?)
            }
            Format::Lines => {
                let (function, tenths) = line.split_once(": ")?;
                let (name, version) = function.rsplit_once('_')?;
                one(name, version, tenths.parse::<f64>().ok()? / 10.0)
            }
            Format::Columns => {
                let mut words = line.split_whitespace();
                let name = words.next()?.to_owned();
                let times: Vec<f64> = words.map(str::parse).collect::<Result<_, _>>().ok()?;
                let versions = [Version::C, Version::Simd128].map(|version| (name.clone(), version));
                Some(versions.into_iter().zip(times).collect())
            }
        }
    }
}

fn one(name: &str, version: &str, nanoseconds: f64) -> Option<Times> {
    let version = match version {
        "c" => Version::C,
        "simd128" => Version::Simd128,
        _ => return None,
    };
    Some(Times::from([((name.to_owned(), version), nanoseconds)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(format: Format, report: &str) -> Vec<(String, Version, f64)> {
        let times = format.times(report).into_iter();
        times.map(|((name, version), time)| (name, version, time)).collect()
    }

    #[test]
    fn reports_of_each_checkasm_are_read() {
        let of = |name: &str, version, time| (name.to_owned(), version, time);
        assert_eq!(
            times(
                Format::Csv,
                "idct4_add_8bpp,c,20.1,1.5,18.6\nidct4_add_8bpp,simd128,5.2,0.1,5.0\n"
            ),
            [
                of("idct4_add_8bpp", Version::C, 18.6),
                of("idct4_add_8bpp", Version::Simd128, 5.0)
            ]
        );
        assert_eq!(
            times(Format::Lines, "nop: 352\nsad_16x16_c: 300\nsad_16x16_simd128: 156\n"),
            [
                of("sad_16x16", Version::C, 30.0),
                of("sad_16x16", Version::Simd128, 15.6)
            ]
        );
        let report = "nanoseconds                     C   kernel\nsad: 10 kernels [OK]\n\
                      sad_16x16                   135.0     14.8\nsad_8x4                      18.0\n";
        assert_eq!(
            times(Format::Columns, report),
            [
                of("sad_16x16", Version::C, 135.0),
                of("sad_16x16", Version::Simd128, 14.8),
                of("sad_8x4", Version::C, 18.0)
            ]
        );
    }

    #[test]
    fn the_page_has_the_tables_and_their_rows() {
        let root = xtask::project::root().unwrap();
        let mut tables: Tables = read_toml(&root.join("bench/kernels.toml")).unwrap();
        assert_eq!(tables.fault(), None);
        let page = root.join(PAGE);
        blocks::check(&page, tables.block.iter().map(|block| block.name.as_str())).unwrap();
        let page = std::fs::read_to_string(page).unwrap();
        for block in &tables.block {
            let (begin, end) = (
                format!("<!-- begin {} -->", block.name),
                format!("<!-- end {} -->", block.name),
            );
            let (_, text) = page.split_once(&begin).unwrap();
            let (text, _) = text.split_once(&end).unwrap();
            let cells = |line: &str| {
                line.trim_matches(['|', ' '])
                    .split(" | ")
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            let mut lines = text.trim().lines().map(cells);
            assert_eq!(lines.next().unwrap()[1..], block.columns, "{}", block.name);
            let rows: Vec<String> = lines.skip(1).map(|cells| cells[0].clone()).collect();
            assert_eq!(rows, block.kernels, "{}", block.name);
        }
        tables.block[0].columns.push("assembly".into());
        assert!(tables.fault().unwrap().contains("no column \"assembly\""));
    }
}
