//! docs/performance.md and its plots, from samples: the words follow from the figures, so that they agree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};

use super::figures::{self, Row, Spread};
use super::plots::{self, Point};
use super::samples::{Quality, Run};
use super::workloads::{Runner, Workloads};
use xtask::cache::write_file;
use xtask::recipe::profile;

/// What is promised: a minute of reel in a minute, on one core.
const REEL_SECONDS_MAX: f64 = 60.0;
/// And a thumbnail, when compiled code is at hand.
const THUMBNAIL_SECONDS_MAX: f64 = 0.3;

/// A lever is worth pulling from here on.
const WORTH_IT: f64 = 1.05;

/// Where plots lie, seen from the report.
const PLOTS: &str = "performance";

/// Writes the report and its plots below docs/.
pub fn write(root: &Path, workloads: &Workloads, run: &Run) -> Result<()> {
    let docs = root.join("docs");
    for (name, text) in files(workloads, run, profile::shipped(root)?)? {
        let path = docs.join(&name);
        write_file(&path, text.as_bytes())?;
        println!("{}", path.display());
    }
    Ok(())
}

/// All files by their names below docs/.
fn files(workloads: &Workloads, run: &Run, shipped: Vec<String>) -> Result<BTreeMap<String, String>> {
    let rows = figures::rows(run);
    let is_module = |row: &&Row| matches!(row.case.runner, Runner::Module(_));
    let base = rows
        .iter()
        .find(is_module)
        .context("the samples are of no module")?
        .case
        .runner
        .clone();
    let report = Report {
        run,
        workloads,
        rows,
        base,
        shipped,
    };
    let mut files = report.plots()?;
    let text = [
        report.introduction(),
        report.in_short(),
        report.profiles(),
        report.encodings(),
        report.work(),
        report.instances(),
        report.start(),
        report.functions(),
        report.levers(),
        report.unable(),
    ]
    .concat();
    files.insert("performance.md".into(), text);
    Ok(files)
}

struct Report<'a> {
    run: &'a Run,
    workloads: &'a Workloads,
    rows: Vec<Row<'a>>,
    /// The first module that was measured, which stands for modules where they are not told apart.
    base: Runner,
    /// The profiles that are shipped; others are levers that were measured.
    shipped: Vec<String>,
}

fn table(titles: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|---|{}\n", titles.join(" | "), "--:|".repeat(titles.len() - 1));
    for row in rows {
        text += &format!("| {} |\n", row.join(" | "));
    }
    text + "\n"
}

/// Three digits that count.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

fn seconds(spread: Spread) -> String {
    match spread.count {
        1 => number(spread.median),
        _ => format!(
            "{} ± {}",
            number(spread.median),
            number((spread.high - spread.low) / 2.0)
        ),
    }
}

fn times(spread: Option<Spread>) -> String {
    spread.map_or("–".into(), |spread| format!("{} ×", number(spread.median)))
}

fn megabytes(bytes: f64) -> String {
    number(bytes / 1e6)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn met(seconds: f64, most: f64) -> &'static str {
    if seconds < most { "met" } else { "**not met**" }
}

impl<'a> Report<'a> {
    fn of_series(&self, series: &str) -> impl Iterator<Item = &Row<'a>> {
        self.rows.iter().filter(move |row| row.case.series == series)
    }

    /// The row of the same work on another runner.
    fn beside(&self, row: &Row, runner: &Runner) -> Option<&Row<'a>> {
        let mut case = row.case.clone();
        case.runner = runner.clone();
        self.rows.iter().find(|other| other.case == case)
    }

    /// How long a module takes beside another, in the series that compares builds.
    fn builds_ratio(&self, series: &str, profile: &str, other: &str) -> Option<f64> {
        let median = |name: &str| {
            let runner = Runner::Module(name.to_owned());
            let row = self.of_series(series).find(|row| row.case.runner == runner)?;
            Some(row.wall_seconds.median)
        };
        Some(median(profile)? / median(other)?)
    }

    fn introduction(&self) -> String {
        let header = &self.run.header;
        let host = &header.host;
        let spans = self.run.samples.iter().filter_map(|sample| {
            let measured = &sample.measured;
            let span =
                measured.wall_seconds + measured.load_seconds.unwrap_or(0.0) + measured.compile_seconds.unwrap_or(0.0);
            // The system counts in hundredths of a second.
            (span > 0.3).then_some(measured.others_cpu_seconds? / (span * host.cores as f64))
        });
        let shares: Vec<f64> = spans.collect();
        let most = shares.iter().copied().fold(0.0, f64::max);
        let busy = Spread::of(shares).map_or(
            "It is not known how busy the machine was with other work.".into(),
            |busy| {
                format!(
                    "Meanwhile other processes took {} of the machine in the middle, {} at most.",
                    percent(busy.median),
                    percent(most)
                )
            },
        );
        let runners: String = header
            .runners
            .iter()
            .map(|(name, text)| format!("- `{name}`: {text}\n"))
            .collect();
        format!(
            "# Performance\n\n\
             Generated by `cargo xtask bench --report` from bench/results/full.jsonl: do not edit. Every figure, in words too, comes\n\
             from those samples; `cargo xtask bench` takes them again, and bench/workloads.toml says what they are of.\n\n\
             {}, {} cores, {:.0} GiB, {} {}, {}. {} samples of {} cases. {busy}\n\n\
             - Seconds are medians, ± half of what the middle half of the samples spans; without ± there is one sample.\n\
             - × native is the median of ratios within a round, to FFmpeg built for this machine from the same sources with assembly\n\
             \x20 and held to one core.\n\
             - A module's seconds are its sandbox and its run; compiling and loading it stand under [Start](#start). A program's are its\n\
             \x20 process from start to end, the peer's its call without loading.\n\
             - Quality is that of the output against the source, by FFmpeg's psnr and ssim.\n\n\
             {runners}\n",
            host.processor,
            host.cores,
            host.memory_bytes as f64 / f64::from(1 << 30),
            host.system,
            host.kernel,
            host.architecture,
            self.run.samples.len(),
            self.rows.len(),
        )
    }

    fn thumbnail(&self) -> Option<(f64, &Row<'a>)> {
        let row = self
            .rows
            .iter()
            .find(|row| row.case.workload == "thumbnail" && row.case.runner == self.base && !row.case.cold)?;
        let whole = row.spread(|sample| Some(sample.measured.load_seconds? + sample.measured.wall_seconds))?;
        Some((whole.median, row))
    }

    fn in_short(&self) -> String {
        let base = self.base.name();
        let mut text = "## In short\n\n".to_owned();
        for row in self.of_series("reel").filter(|row| row.case.runner == self.base) {
            let wall = row.wall_seconds.median;
            text += &format!(
                "- A reel of 60 s, 720p, {}, on one core: {} s; under {REEL_SECONDS_MAX} s is {}.\n",
                row.case.encoding.as_deref().unwrap_or_default(),
                number(wall),
                met(wall, REEL_SECONDS_MAX)
            );
        }
        if let Some((whole, _)) = self.thumbnail() {
            text += &format!(
                "- A thumbnail from a warm start, loading included: {} ms; under {:.0} ms is {}.\n",
                number(1000.0 * whole),
                1000.0 * THUMBNAIL_SECONDS_MAX,
                met(whole, THUMBNAIL_SECONDS_MAX)
            );
        }
        let mut seen = BTreeSet::new();
        let mut ratios: Vec<(f64, &Row)> = self
            .rows
            .iter()
            .filter(|row| row.case.runner == self.base && row.case.instances.is_none())
            .filter_map(|row| Some((row.ratio?.median, row)))
            .filter(|(_, row)| seen.insert(row.case.work()))
            .collect();
        ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let (Some(least), Some(most), Some(middle)) = (
            ratios.first(),
            ratios.last(),
            Spread::of(ratios.iter().map(|ratio| ratio.0)),
        ) {
            text += &format!(
                "- {base} takes {} times native's time in the middle of {} pieces of work, {} at best ({}) and {} at worst ({}).\n",
                number(middle.median),
                ratios.len(),
                number(least.0),
                least.1.case.work(),
                number(most.0),
                most.1.case.work()
            );
        }
        text + "\n"
    }

    fn profiles(&self) -> String {
        let mut text = "## Which profile\n\n".to_owned();
        let of_modules = |name: &str, series: &str, workload: &str| {
            let runner = Runner::Module(name.to_owned());
            let mut rows = self.of_series(series);
            rows.find(|row| row.case.runner == runner && row.case.workload == workload)
                .map_or("–".into(), |row| seconds(row.wall_seconds))
        };
        let shipped = self
            .run
            .header
            .modules
            .iter()
            .filter(|(name, _)| self.shipped.contains(name));
        let rows = shipped.map(|(name, sizes)| {
            vec![
                name.clone(),
                megabytes(sizes.size_bytes as f64),
                megabytes(sizes.gzip_bytes as f64),
                megabytes(sizes.brotli_bytes as f64),
                of_modules(name, "builds-x264", "transcode-360p"),
                of_modules(name, "builds-openh264", "transcode-360p"),
                of_modules(name, "builds-decode", "decode-h264"),
                of_modules(name, "builds-decode", "thumbnail"),
            ]
        });
        text += &table(
            &[
                "profile",
                "MB",
                "gzip, MB",
                "brotli, MB",
                "to 360p, x264 veryfast, s",
                "to 360p, openh264, s",
                "decode 720p, s",
                "thumbnail, s",
            ],
            rows,
        );
        text += "![Size against speed](performance/size-and-speed.svg)\n\n";
        let series = "builds-openh264";
        let mut by_speed: Vec<(&str, f64)> = self
            .of_series(series)
            .filter_map(|row| match &row.case.runner {
                Runner::Module(name) => Some((name.as_str(), row.wall_seconds.median)),
                _ => None,
            })
            .collect();
        by_speed.sort_by(|a, b| a.1.total_cmp(&b.1));
        let gzip = |name: &str| {
            self.run
                .header
                .modules
                .get(name)
                .map_or(u64::MAX, |sizes| sizes.gzip_bytes)
        };
        for (license, whom) in [
            ("-gpl", "Who encodes with x264 and may ship under the GPL"),
            ("-lgpl", "Who must ship nothing under the GPL"),
        ] {
            let of_license: Vec<_> = by_speed.iter().filter(|(name, _)| name.ends_with(license)).collect();
            let (Some(fastest), Some(smallest)) =
                (of_license.first(), of_license.iter().min_by_key(|(name, _)| gzip(name)))
            else {
                continue;
            };
            text += &format!("- {whom}: `{}` is the fastest on openh264", fastest.0);
            if smallest.0 != fastest.0 {
                text += &format!(
                    "; `{}` is the smallest, {} MB instead of {} compressed with gzip, and takes {} times as long",
                    smallest.0,
                    megabytes(gzip(smallest.0) as f64),
                    megabytes(gzip(fastest.0) as f64),
                    number(smallest.1 / fastest.1)
                );
                if let Some(ratio) = self.builds_ratio("builds-x264", smallest.0, fastest.0) {
                    text += &format!(" ({} with x264)", number(ratio));
                }
            }
            text += ".\n";
        }
        if let Some(ratio) = self.builds_ratio(series, "o3-gpl-scalar", "o3-gpl") {
            text += &format!(
                "- Whose engine lacks SIMD: `o3-gpl-scalar`, which takes {} times as long as `o3-gpl`.\n",
                number(ratio)
            );
        }
        text + "\n"
    }

    fn quality(&self, row: &Row) -> Option<&Quality> {
        self.run.quality.get(&row.samples.first()?.output.as_ref()?.sha256)
    }

    fn encodings(&self) -> String {
        let rows: Vec<&Row> = self
            .of_series("effort")
            .filter(|row| row.case.runner == self.base)
            .collect();
        if rows.is_empty() {
            return String::new();
        }
        let mut text = format!(
            "## Which encoder and preset\n\n{} on {}; presets at crf 23. FFmpeg hands none of openh264's complexity levels\n\
             through, so its entropy coder and its rate are varied.\n\n",
            self.workloads
                .workload
                .get(&rows[0].case.workload)
                .map_or("", |workload| &workload.title),
            self.base.name()
        );
        let media = self
            .workloads
            .workload
            .get(&rows[0].case.workload)
            .and_then(|workload| workload.seconds);
        let titles = [
            "encoding",
            "s",
            "× realtime",
            "× native",
            "peer, s",
            "output, kB",
            "PSNR, dB",
            "SSIM",
        ];
        let row = |row: &&Row| {
            let quality = self.quality(row);
            vec![
                row.case.encoding.clone().unwrap_or_default(),
                seconds(row.wall_seconds),
                media.map_or("–".into(), |media| number(media / row.wall_seconds.median)),
                times(row.ratio),
                self.beside(row, &Runner::Peer)
                    .map_or("–".into(), |peer| seconds(peer.wall_seconds)),
                row.output_bytes()
                    .map_or("–".into(), |bytes| number(bytes as f64 / 1e3)),
                quality.map_or("–".into(), |quality| format!("{:.2}", quality.psnr_db)),
                quality.map_or("–".into(), |quality| format!("{:.4}", quality.ssim)),
            ]
        };
        text += &table(&titles, rows.iter().map(row));
        let measures = |row: &Row| Some((row.wall_seconds.median, row.output_bytes()?, self.quality(row)?.ssim));
        let beats = |a: &Row, b: &Row| {
            let (Some(a), Some(b)) = (measures(a), measures(b)) else {
                return false;
            };
            a != b && a.0 <= b.0 && a.1 <= b.1 && a.2 >= b.2
        };
        let name = |row: &Row| format!("`{}`", row.case.encoding.as_deref().unwrap_or_default());
        let mut good = Vec::new();
        for row in &rows {
            match rows.iter().find(|other| beats(other, row)) {
                Some(better) => {
                    text += &format!(
                        "- {} has no use here: {} is no slower, no larger and no worse.\n",
                        name(row),
                        name(better)
                    )
                }
                None => good.push(*row),
            }
        }
        good.sort_by(|a, b| a.wall_seconds.median.total_cmp(&b.wall_seconds.median));
        text += &format!(
            "- Each of the others is best at something, from the fastest to the slowest: {}.\n",
            good.iter().map(|row| name(row)).collect::<Vec<_>>().join(", ")
        );
        let is_x264 = |row: &&&Row| row.case.encoding.as_ref().is_some_and(|name| name.starts_with("x264"));
        if let (Some(fastest), Some(slowest)) = (good.iter().find(is_x264), good.iter().rfind(is_x264))
            && fastest.case != slowest.case
            && let (Some(fast), Some(slow)) = (measures(fastest), measures(slowest))
        {
            text += &format!(
                "- {} takes {} times as long as {}, for a file of {} of its size at an SSIM of {:.4} instead of {:.4}.\n",
                name(slowest),
                number(slow.0 / fast.0),
                name(fastest),
                percent(slow.1 as f64 / fast.1 as f64),
                slow.2,
                fast.2
            );
        }
        text + "\n"
    }

    fn work(&self) -> String {
        let text = format!(
            "## What work takes\n\n{} and what it is compared with; memory is the most that the program in the sandbox had.\n\n\
             ![Times native](performance/times-native.svg)\n\n",
            self.base.name()
        );
        let titles = [
            "work",
            "s",
            "× native",
            "CPU, s",
            "memory, MB",
            "native, s",
            "native, all cores, s",
            "native without assembly, s",
            "peer, s",
        ];
        let mut seen = BTreeSet::new();
        let mut rows = Vec::new();
        for row in &self.rows {
            let is_shown = row.case.runner == self.base && row.case.instances.is_none() && !row.case.cold;
            if !is_shown || !seen.insert(row.case.work()) {
                continue;
            }
            let beside = |runner: Runner| {
                self.beside(row, &runner)
                    .map_or("–".to_owned(), |other| seconds(other.wall_seconds))
            };
            let cpu = row.spread(|sample| Some(sample.measured.cpu_seconds));
            rows.push(vec![
                row.case.work(),
                seconds(row.wall_seconds),
                times(row.ratio),
                cpu.map_or("–".into(), |cpu| number(cpu.median)),
                megabytes(row.guest_memory_peak_bytes()),
                beside(Runner::Native),
                beside(Runner::NativeAll),
                beside(Runner::NativeC),
                beside(Runner::Peer),
            ]);
        }
        text + &table(&titles, rows)
    }

    /// Jobs a second, by how many run at a time.
    fn throughput(&self, runner: &Runner) -> Vec<(usize, f64)> {
        let jobs = 2.0 * self.run.header.host.cores as f64;
        let rows = self.of_series("instances").filter(|row| row.case.runner == *runner);
        rows.filter_map(|row| Some((row.case.instances?, jobs / row.wall_seconds.median)))
            .collect()
    }

    fn instances(&self) -> String {
        let modules = self.throughput(&self.base);
        let Some(one) = modules.iter().find(|point| point.0 == 1) else {
            return String::new();
        };
        let native: BTreeMap<usize, f64> = self.throughput(&Runner::Native).into_iter().collect();
        let rows = modules.iter().map(|(count, rate)| {
            vec![
                count.to_string(),
                number(*rate),
                format!("{} ×", number(rate / one.1)),
                native.get(count).map_or("–".into(), |rate| number(*rate)),
            ]
        });
        let titles = ["at a time", "jobs a second", "against one", "native, jobs a second"];
        format!(
            "## Instances at a time\n\nA batch of jobs in one process, {} on {}.\n\n{}![Throughput](performance/instances.svg)\n\n",
            self.of_series("instances")
                .next()
                .map_or(String::new(), |row| row.case.workload.clone()),
            self.base.name(),
            table(&titles, rows)
        )
    }

    fn start(&self) -> String {
        let titles = [
            "runner",
            "compile, s",
            "load compiled, ms",
            "sandbox, ms",
            "one thumbnail, s",
        ];
        let mut rows = Vec::new();
        for cold in self.of_series("start") {
            let warm = self.of_series("builds-decode");
            let warm = warm
                .filter(|row| row.case.workload == cold.case.workload)
                .find(|row| row.case.runner == cold.case.runner);
            let milliseconds = |row: Option<&Row>, value: fn(&super::samples::Measured) -> Option<f64>| {
                let spread = row.and_then(|row| row.spread(|sample| value(&sample.measured)));
                spread.map_or("–".into(), |spread| number(1000.0 * spread.median))
            };
            let compile = cold.spread(|sample| sample.measured.compile_seconds);
            rows.push(vec![
                cold.case.runner.name().to_owned(),
                compile.map_or("–".into(), seconds),
                milliseconds(warm, |measured| measured.load_seconds),
                milliseconds(warm, |measured| measured.instantiate_seconds),
                warm.map_or("–".into(), |warm| seconds(warm.wall_seconds)),
            ]);
        }
        if rows.is_empty() {
            return String::new();
        }
        format!(
            "## Start\n\nA cold start compiles and runs, a warm one loads compiled code and runs, and a service that keeps its runtime only\n\
             runs. Compiling takes all cores. The peer compiles each time, while it loads and runs.\n\n{}",
            table(&titles, rows)
        )
    }

    fn functions(&self) -> String {
        let mut text = "## Where the time goes\n\n".to_owned();
        if self.run.guest_profiles.is_empty() {
            return text + "Not measured in this run.\n\n";
        }
        text += "Of the work that is furthest behind native, the share of each function, by node's profiler on the same code with its\n\
                 names; functions that the build has inlined count as their callers.\n\n";
        for profile in &self.run.guest_profiles {
            let name = &profile.workload;
            text += &format!("![{name}](performance/functions-{name}.svg)\n\n");
            let most: f64 = profile.functions.iter().map(|function| function.share).sum();
            text += &format!(
                "{name}{}: these {} functions are {} of it.\n\n",
                profile
                    .encoding
                    .as_ref()
                    .map_or(String::new(), |encoding| format!(", {encoding}")),
                profile.functions.len(),
                percent(most)
            );
        }
        text
    }

    fn levers(&self) -> String {
        let go = |gain: Option<f64>, what: &dyn Fn(String) -> String| match gain {
            Some(gain) if gain >= WORTH_IT => ("go".to_owned(), what(number(gain))),
            Some(gain) => ("no-go".to_owned(), what(number(gain))),
            None => ("–".to_owned(), "not measured".to_owned()),
        };
        let throughput: BTreeMap<usize, f64> = self.throughput(&self.base).into_iter().collect();
        let cores = self.run.header.host.cores;
        let parallel = throughput
            .get(&cores)
            .zip(throughput.get(&1))
            .map(|(all, one)| all / one);
        let flags = self.builds_ratio("builds-x264", "oz-gpl", "o3-gpl");
        let level = self.builds_ratio("builds-x264", "o2-gpl", "o3-gpl");
        let simd = self.builds_ratio("builds-x264", "o3-gpl-scalar", "o3-gpl");
        let effort = |encoding: &str| {
            let mut rows = self.of_series("effort").filter(|row| row.case.runner == self.base);
            rows.find(|row| row.case.encoding.as_deref() == Some(encoding))
                .map(|row| row.wall_seconds.median)
        };
        let preset = effort("x264 medium")
            .zip(effort("x264 ultrafast"))
            .map(|(medium, fast)| medium / fast);
        let of_builds = |runner: &Runner| {
            let mut rows = self.of_series("builds-x264");
            rows.find(|row| row.case.runner == *runner)
                .map(|row| row.wall_seconds.median)
        };
        let native_c = of_builds(&Runner::NativeC);
        let assembly = native_c
            .zip(of_builds(&Runner::Native))
            .map(|(without, with)| without / with);
        let left = of_builds(&self.base)
            .zip(native_c)
            .map(|(module, native_c)| module / native_c);
        let levers = [
            (
                "instance parallelism",
                go(parallel, &|gain| {
                    format!("{cores} at a time do {gain} times the work of one")
                }),
            ),
            (
                "build flags: -O3 instead of -Oz",
                go(flags, &|gain| format!("-Oz takes {gain} times as long with x264")),
            ),
            (
                "build flags: -O3 instead of -O2",
                go(level, &|gain| format!("-O2 takes {gain} times as long with x264")),
            ),
            (
                "SIMD",
                go(simd, &|gain| format!("without it x264 takes {gain} times as long")),
            ),
            (
                "encoder and preset",
                go(preset, &|gain| {
                    format!("x264 medium takes {gain} times as long as ultrafast, in exchange for size and quality")
                }),
            ),
            (
                "hand-written kernels",
                go(assembly, &|gain| {
                    let left = left.map_or(String::new(), |left| {
                        format!(
                            "; the module as it is takes {} times native's time without assembly",
                            number(left)
                        )
                    });
                    format!(
                        "native x264 gains {gain} times by its assembly, which is what kernels may win at most{left}"
                    )
                }),
            ),
        ];
        let levers = levers.map(|(lever, (verdict, why))| vec![lever.to_owned(), verdict, why]);
        let by_hand = self.workloads.trial.iter().map(|(lever, result)| {
            let (verdict, why) = result.split_once(": ").unwrap_or(("–", result));
            [lever, verdict, why].map(str::to_owned).to_vec()
        });
        let rows = levers.into_iter().chain(self.trials()).chain(by_hand);
        let text = table(&["lever", "go or no-go", "why"], rows);
        format!(
            "## Levers\n\nA lever that gains less than {} is none.\n\n{}",
            percent(WORTH_IT - 1.0),
            text.replace("--:|", "---|")
        )
    }

    /// What profiles that are built to be measured gain, by the works of their series together.
    fn trials(&self) -> Vec<Vec<String>> {
        let mut gains: BTreeMap<&str, Vec<(Spread, String)>> = BTreeMap::new();
        for row in &self.rows {
            let name = row.case.runner.name();
            let times = Spread::of(figures::ratios(self.run, &row.case, &self.base).into_values());
            if let Some(times) = times
                && matches!(row.case.runner, Runner::Module(_))
                && !self.shipped.iter().any(|shipped| shipped == name)
            {
                let text = format!("{} times as long for {}", seconds(times), row.case.work());
                gains.entry(name).or_default().push((times, text));
            }
        }
        let row = |(name, gains): (&str, Vec<(Spread, String)>)| {
            // Short work is disturbed easily, so what counts is what the middle half of the pairs agrees on.
            let gains_somewhere = gains.iter().any(|(times, _)| times.high <= 1.0 / WORTH_IT);
            let loses_nowhere = gains.iter().all(|(times, _)| times.low < WORTH_IT);
            let verdict = match gains_somewhere && loses_nowhere {
                true => "go",
                false => "no-go",
            };
            let size = |name: &str| Some(self.run.header.modules.get(name)?.size_bytes as f64);
            let larger = size(name).zip(size(self.base.name()));
            let larger = larger.map_or(String::new(), |(size, base)| {
                format!("; the module has {} times the size", number(size / base))
            });
            let works: Vec<String> = gains.into_iter().map(|gain| gain.1).collect();
            vec![
                format!("`{name}`"),
                verdict.to_owned(),
                format!("it takes {}{larger}", works.join(", ")),
            ]
        };
        gains.into_iter().map(row).collect()
    }

    fn unable(&self) -> String {
        let row = |runner: &str, work: &str, reason: &str| {
            vec![runner.to_owned(), work.to_owned(), reason.replace('|', "\\|")]
        };
        let absent = self
            .workloads
            .absent
            .iter()
            .map(|(work, reason)| row("all", work, reason));
        let unable = self.run.unable.iter();
        let rows = absent.chain(unable.map(|(case, reason)| row(case.runner.name(), &case.work(), reason)));
        let text = table(&["runner", "work", "why"], rows);
        format!("## What could not be done\n\n{}", text.replace("--:|", "---|"))
    }

    fn plots(&self) -> Result<BTreeMap<String, String>> {
        let mut plots = BTreeMap::new();
        let mut put = |name: &str, svg: String| drop(plots.insert(format!("{PLOTS}/{name}.svg"), svg));
        let sizes = &self.run.header.modules;
        let point = |row: &Row<'a>| {
            let sizes = sizes.get(row.case.runner.name())?;
            Some(Point {
                name: row.case.runner.name().to_owned(),
                x: sizes.gzip_bytes as f64 / 1e6,
                y: row.wall_seconds.median,
            })
        };
        let points: Vec<Point> = self.of_series("builds-openh264").filter_map(point).collect();
        put(
            "size-and-speed",
            plots::scatter(
                "Size against speed: 720p to 360p by openh264",
                "MB, gzip",
                "seconds",
                &points,
            )?,
        );
        let mut seen = BTreeSet::new();
        let multiples = self.rows.iter().filter_map(|row| {
            let is_shown = row.case.runner == self.base && row.case.instances.is_none();
            (is_shown && seen.insert(row.case.work())).then_some((row.case.work(), row.ratio?.median))
        });
        let multiples: Vec<_> = multiples.collect();
        put(
            "times-native",
            plots::bars(
                &format!("{}, times native on one core", self.base.name()),
                "times native",
                &multiples,
            )?,
        );
        let line = |runner: &Runner| {
            let points = self
                .throughput(runner)
                .into_iter()
                .map(|(count, rate)| (count as f64, rate));
            (runner.name().to_owned(), points.collect::<Vec<_>>())
        };
        let rates = [line(&self.base), line(&Runner::Native)];
        put(
            "instances",
            plots::lines("Throughput against instances", "at a time", "jobs a second", &rates)?,
        );
        for profile in &self.run.guest_profiles {
            let shares = profile
                .functions
                .iter()
                .map(|function| (function.name.clone(), 100.0 * function.share));
            let svg = plots::bars(
                &format!("{} on {}", profile.workload, profile.runner.name()),
                "% of the module's time",
                &shares.collect::<Vec<_>>(),
            )?;
            put(&format!("functions-{}", profile.workload), svg);
        }
        Ok(plots)
    }
}
