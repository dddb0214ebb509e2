//! Samples of the package for npm and of @ffmpeg/core, and the tables of docs/performance/javascript.md.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::figures::Spread;
use super::host::Host;
use super::samples::ModuleSizes;
use super::tables::{megabytes, number, seconds};
use xtask::error::usage;

pub const FORMAT_VERSION: u32 = 1;

const OURS: &str = "ours";
const CORE: &str = "core";

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    Header(Box<Header>),
    Sample(Sample),
    /// The part of the processor time that other processes had just before, where the system tells it.
    Load {
        other_share: f64,
    },
    Unable {
        case: String,
        runner: String,
        round: u32,
        reason: String,
    },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Header {
    pub format_version: u32,
    pub host: Host,
    pub profile: String,
    pub module: ModuleSizes,
    pub core: String,
    pub browser: String,
    pub node: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Sample {
    pub case: String,
    pub runner: String,
    pub round: u32,
    /// By names that end with the unit.
    #[serde(flatten)]
    pub values: BTreeMap<String, f64>,
}

#[derive(Debug)]
pub struct Run {
    header: Header,
    samples: Vec<Sample>,
    other_share: Option<f64>,
    /// Case, runner and reason.
    pub unable: Vec<(String, String, String)>,
}

/// A row of a table: what it is, the case, and its value in a sample.
struct Measure {
    title: &'static str,
    case: &'static str,
    value: fn(&Sample) -> Option<f64>,
    unit: Unit,
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    Seconds,
    Milliseconds,
    Megabytes,
    /// Of one thing by another: the larger the better.
    Times,
}

const BROWSER: [Measure; 10] = [
    row(
        "load the module, s",
        "transcode",
        |sample| sample.get("load_seconds"),
        Unit::Seconds,
    ),
    row(
        "transcode, first, s",
        "transcode",
        |sample| sample.get("first_seconds"),
        Unit::Seconds,
    ),
    row(
        "transcode, again, s",
        "transcode",
        |sample| sample.get("warm_seconds"),
        Unit::Seconds,
    ),
    row(
        "two at once, × one after the other",
        "transcode",
        two_at_once,
        Unit::Times,
    ),
    row(
        "from opening the page to the first result, s",
        "cold",
        |sample| sample.get("cold_seconds"),
        Unit::Seconds,
    ),
    row(
        "probe a File of 1 GB, first, ms",
        "probe",
        |sample| sample.get("probe_first_seconds"),
        Unit::Milliseconds,
    ),
    row(
        "probe a File of 1 GB, again, ms",
        "probe",
        |sample| sample.get("probe_warm_seconds"),
        Unit::Milliseconds,
    ),
    row(
        "read for the two probes, MB",
        "probe-reads",
        |sample| sample.get("read_bytes"),
        Unit::Megabytes,
    ),
    row(
        "remux a File of 250 MB, s",
        "remux",
        |sample| sample.get("remux_seconds"),
        Unit::Seconds,
    ),
    row(
        "memory of the page's process in it, MB",
        "remux",
        |sample| sample.get("page_memory_peak_bytes"),
        Unit::Megabytes,
    ),
];

const BROWSER_MORE: [Measure; 3] = [
    row(
        "more memory of all of the browser in it, MB",
        "remux",
        grown,
        Unit::Megabytes,
    ),
    row(
        "longest block of the page, ms: load and transcode",
        "transcode",
        |sample| sample.get("block_seconds"),
        Unit::Milliseconds,
    ),
    row(
        "longest block of the page, ms: remux",
        "remux",
        |sample| sample.get("block_seconds"),
        Unit::Milliseconds,
    ),
];

const NODE: [Measure; 3] = [
    row(
        "load the module, s",
        "node",
        |sample| sample.get("load_seconds"),
        Unit::Seconds,
    ),
    row(
        "transcode, first, s",
        "node",
        |sample| sample.get("first_seconds"),
        Unit::Seconds,
    ),
    row(
        "transcode, again, s",
        "node",
        |sample| sample.get("warm_seconds"),
        Unit::Seconds,
    ),
];

const fn row(title: &'static str, case: &'static str, value: fn(&Sample) -> Option<f64>, unit: Unit) -> Measure {
    Measure {
        title,
        case,
        value,
        unit,
    }
}

fn two_at_once(sample: &Sample) -> Option<f64> {
    Some(2.0 * sample.get("alone_seconds")? / sample.get("two_seconds")?)
}

fn grown(sample: &Sample) -> Option<f64> {
    Some(sample.get("memory_peak_bytes")? - sample.get("memory_before_bytes")?)
}

impl Sample {
    fn get(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }
}

impl Run {
    pub fn read(text: &str) -> Result<Run> {
        let mut lines = text.lines();
        let first = lines
            .next()
            .ok_or_else(|| usage("there are no samples: measure first"))?;
        let Line::Header(header) = serde_json::from_str(first).context("the header of the samples")? else {
            return Err(usage("the samples have no header: measure anew").into());
        };
        if header.format_version != FORMAT_VERSION {
            return Err(usage("the samples are of another version: measure anew").into());
        }
        let mut run = Run {
            header: *header,
            samples: Vec::new(),
            other_share: None,
            unable: Vec::new(),
        };
        for line in lines {
            match serde_json::from_str(line).with_context(|| format!("a line of samples: {line}"))? {
                Line::Sample(sample) => run.samples.push(sample),
                Line::Load { other_share } => run.other_share = Some(other_share),
                Line::Unable {
                    case, runner, reason, ..
                } => run.unable.push((case, runner, reason)),
                Line::Header(_) => return Err(usage("the samples have two headers: measure anew").into()),
            }
        }
        Ok(run)
    }

    fn spread(&self, measure: &Measure, runner: &str) -> Option<Spread> {
        let of_case = self
            .samples
            .iter()
            .filter(|sample| sample.case == measure.case && sample.runner == runner);
        Spread::of(of_case.filter_map(measure.value))
    }

    /// Of core's to ours in the same round, so that a larger one is better.
    fn ratio(&self, measure: &Measure) -> Option<f64> {
        let value = |runner: &str, round: u32| {
            let is_it =
                |sample: &&Sample| sample.case == measure.case && sample.runner == runner && sample.round == round;
            self.samples.iter().find(is_it).and_then(measure.value)
        };
        let rounds = self.samples.iter().map(|sample| sample.round).max()?;
        let pairs = (0..=rounds).filter_map(|round| Some(value(CORE, round)? / value(OURS, round)?));
        Some(Spread::of(pairs)?.median)
    }

    /// The text of each block of the page.
    pub fn tables(&self) -> BTreeMap<String, String> {
        let browser: Vec<&Measure> = BROWSER.iter().chain(&BROWSER_MORE).collect();
        let node: Vec<&Measure> = NODE.iter().collect();
        let tables = [
            ("host", self.host()),
            ("browser", self.table(&browser)),
            ("node", self.table(&node)),
        ];
        tables.map(|(name, text)| (name.to_owned(), text)).into()
    }

    fn host(&self) -> String {
        let Header {
            host,
            profile,
            module,
            core,
            browser,
            node,
            ..
        } = &self.header;
        let rounds = self.samples.iter().map(|sample| sample.round + 1).max().unwrap_or(0);
        let memory = host.memory_bytes as f64 / f64::from(1 << 30);
        let other = self.other_share.map_or("–".into(), |share| {
            format!("{:.1} % of the processor time, just before", 100.0 * share)
        });
        format!(
            "|  | measured |\n|---|---|\n\
            | processor | {}, {} cores, {memory:.0} GiB |\n\
            | system | {} {}, {} |\n\
            | browser | {browser} |\n\
            | server | {node} |\n\
            | ours | `{profile}`, {} MB, with gzip {} MB |\n\
            | core | {core}, one thread |\n\
            | rounds | {rounds} |\n\
            | other processes | {other} |\n",
            host.processor,
            host.cores,
            host.system,
            host.kernel,
            host.architecture,
            megabytes(module.size_bytes as f64),
            megabytes(module.gzip_bytes as f64),
        )
    }

    fn table(&self, measures: &[&Measure]) -> String {
        let mut text = String::from("|  | ours | core | core / ours |\n|---|--:|--:|--:|\n");
        for measure in measures {
            let cell = |runner| {
                self.spread(measure, runner)
                    .map_or("–".into(), |spread| shown(spread, measure.unit))
            };
            let ratio = match measure.unit {
                Unit::Times => None,
                _ => self.ratio(measure),
            };
            let ratio = ratio.map_or("–".into(), number);
            let line = format!("| {} | {} | {} | {ratio} |\n", measure.title, cell(OURS), cell(CORE));
            text += &line;
        }
        text
    }

    /// The medians as text for a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for measure in BROWSER.iter().chain(&BROWSER_MORE).chain(&NODE) {
            let cell = |runner| self.spread(measure, runner).map(|spread| shown(spread, measure.unit));
            if let (ours, core) = (cell(OURS), cell(CORE))
                && (ours.is_some() || core.is_some())
            {
                let none = || "–".to_owned();
                let place = if measure.case == "node" { "node" } else { "page" };
                let (ours, core) = (ours.unwrap_or_else(none), core.unwrap_or_else(none));
                let _ = writeln!(text, "{place}: {:<50} ours {ours:>16}  core {core:>16}", measure.title);
            }
        }
        text
    }
}

fn shown(spread: Spread, unit: Unit) -> String {
    let factor = match unit {
        Unit::Seconds | Unit::Times => 1.0,
        Unit::Milliseconds => 1e3,
        Unit::Megabytes => 1e-6,
    };
    let Spread {
        median,
        low,
        high,
        count,
    } = spread;
    seconds(Spread {
        median: factor * median,
        low: factor * low,
        high: factor * high,
        count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"kind":"header","format_version":1,"host":{"architecture":"x86_64","system":"Linux",
"kernel":"6.1.0","processor":"one","cores":2,"memory_bytes":1073741824},"profile":"o3-gpl","module":{"sha256":"00",
"size_bytes":30000000,"gzip_bytes":10000000,"brotli_bytes":8000000},"core":"@ffmpeg/core 0.12.10",
"browser":"Chromium 156","node":"node v20"}"#;

    fn text(lines: &[&str]) -> String {
        [&HEADER.replace('\n', "")[..], &lines.join("\n")].join("\n")
    }

    #[test]
    fn the_tables_have_medians_and_ratios_of_rounds() {
        let run = Run::read(&text(&[
            r#"{"kind":"sample","case":"node","runner":"ours","round":0,"first_seconds":1,"load_seconds":0.5}"#,
            r#"{"kind":"sample","case":"node","runner":"core","round":0,"first_seconds":3,"load_seconds":0.5}"#,
            r#"{"kind":"sample","case":"node","runner":"ours","round":1,"first_seconds":2,"load_seconds":0.5}"#,
            r#"{"kind":"sample","case":"node","runner":"core","round":1,"first_seconds":4,"load_seconds":0.5}"#,
            r#"{"kind":"sample","case":"transcode","runner":"ours","round":0,"alone_seconds":1,"two_seconds":1.25}"#,
        ]))
        .unwrap();
        let tables = run.tables();
        let has = |block: &str, line: &str| assert!(tables[block].lines().any(|it| it == line), "{}", tables[block]);
        has("node", "| transcode, first, s | 1.50 ± 0.250 | 3.50 ± 0.250 | 2.50 |");
        has("browser", "| two at once, × one after the other | 1.60 | – | – |");
        has("host", "| ours | `o3-gpl`, 30.0 MB, with gzip 10.0 MB |");
        has("host", "| rounds | 2 |");
    }

    #[test]
    fn a_file_without_its_header_and_a_case_that_failed_are_told_of() {
        assert!(Run::read("").is_err());
        assert!(Run::read(r#"{"kind":"sample","case":"node","runner":"ours","round":0}"#).is_err());
        let failed = r#"{"kind":"unable","case":"cold","runner":"core","round":0,"reason":"no"}"#;
        let run = Run::read(&text(&[failed])).unwrap();
        assert_eq!(run.unable, [("cold".into(), "core".into(), "no".into())]);
    }
}
