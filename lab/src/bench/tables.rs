//! Tables of docs/performance.md.

use std::collections::{BTreeMap, BTreeSet};

use super::figures::{self, Row, Spread};
use super::samples::{GuestProfile, Measured, ModuleSizes, Quality};
use super::selection::Selection;
use super::workloads::{Case, Part, Runner};
use xtask::blocks;

/// The folder of plots in relation to the page.
pub const PLOTS: &str = "performance";

/// Shorter samples are left out of the load of the machine, which the system counts in hundredths of a second.
const LOAD_SECONDS_MIN: f64 = 0.3;

/// The text of each block of the page.
pub fn all(selection: &Selection) -> BTreeMap<String, String> {
    let tables = [
        ("host", host(selection)),
        ("profiles", profiles(selection)),
        ("encodings", encodings(selection)),
        ("work", work(selection)),
        ("instances", instances(selection)),
        ("cores", cores(selection)),
        ("start", start(selection)),
        ("functions", functions(selection)),
        ("levers", levers(selection)),
        ("unable", unable(selection)),
        ("workloads", workloads(selection)),
    ];
    tables.map(|(name, table)| (name.to_owned(), table)).into()
}

/// Three significant digits.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

pub fn seconds(spread: Spread) -> String {
    match spread.count {
        1 => number(spread.median),
        _ => format!(
            "{} ± {}",
            number(spread.median),
            number((spread.high - spread.low) / 2.0)
        ),
    }
}

pub fn megabytes(bytes: f64) -> String {
    number(bytes / 1e6)
}

/// A cell, or a dash where nothing was measured.
fn cell<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or("–".into(), text)
}

fn wall(row: Option<&Row>) -> String {
    cell(row, |row| seconds(row.wall_seconds))
}

/// Titles, the first ones given and the others made.
fn titles<'a>(first: &[&'a str], others: &'a [String]) -> Vec<&'a str> {
    first.iter().copied().chain(others.iter().map(String::as_str)).collect()
}

fn host(selection: &Selection) -> String {
    let header = &selection.run.header;
    let host = &header.host;
    let shares: Vec<f64> = selection
        .run
        .samples
        .iter()
        .filter_map(|sample| others_share(selection, &sample.measured))
        .collect();
    let most = shares.iter().copied().fold(0.0, f64::max);
    let others = cell(Spread::of(shares), |share| {
        let [median, most] = [share.median, most].map(|share| 100.0 * share);
        format!("median {median:.1} % of the processor time, at most {most:.1} %")
    });
    let gibibytes = host.memory_bytes as f64 / f64::from(1 << 30);
    let mut rows = vec![
        [
            "processor".to_owned(),
            format!("{}, {} cores, {gibibytes:.0} GiB", host.processor, host.cores),
        ],
        [
            "system".to_owned(),
            format!("{} {}, {}", host.system, host.kernel, host.architecture),
        ],
        [
            "samples".to_owned(),
            format!("{} of {} cases", selection.run.samples.len(), selection.rows.len()),
        ],
        ["other processes".to_owned(), others],
    ];
    rows.extend(
        header
            .runners
            .iter()
            .map(|(name, text)| [format!("`{name}`"), text.clone()]),
    );
    blocks::table(&["", "measured"], rows.into_iter().map(Vec::from))
}

/// The share of the machine's processor time that other processes had during a sample.
fn others_share(selection: &Selection, measured: &Measured) -> Option<f64> {
    let before = measured.load_seconds.unwrap_or(0.0) + measured.compile_seconds.unwrap_or(0.0);
    let span = measured.wall_seconds + before;
    let share = measured.others_cpu_seconds? / (span * selection.run.header.host.cores as f64);
    (span > LOAD_SECONDS_MIN).then_some(share)
}

fn profiles(selection: &Selection) -> String {
    let works = selection.base_rows(Part::Profiles);
    let row = |(name, sizes): (&String, &ModuleSizes)| {
        let runner = Runner::Module(name.clone());
        let sizes = [sizes.size_bytes, sizes.gzip_bytes, sizes.brotli_bytes].map(|bytes| megabytes(bytes as f64));
        let times = works
            .iter()
            .map(|work| wall(selection.beside(Part::Profiles, work, &runner)));
        [name.clone()].into_iter().chain(sizes).chain(times).collect()
    };
    let modules = selection.run.header.modules.iter();
    let rows = modules.filter(|(name, _)| selection.shipped.contains(name)).map(row);
    let works: Vec<String> = works.iter().map(|row| format!("{}, s", row.case.work())).collect();
    blocks::figures(&titles(&["profile", "MB", "gzip, MB", "brotli, MB"], &works), rows)
}

fn quality<'a>(selection: &Selection<'a>, row: &Row) -> Option<&'a Quality> {
    selection.run.quality.get(&row.samples.first()?.output.as_ref()?.sha256)
}

/// The length of the media in relation to the time.
fn realtime(selection: &Selection, row: &Row) -> String {
    let media = selection
        .workloads
        .workload
        .get(&row.case.workload)
        .and_then(|workload| workload.seconds);
    cell(media, |media| number(media / row.wall_seconds.median))
}

fn ratio(ratio: Option<Spread>) -> String {
    cell(ratio, |ratio| number(ratio.median))
}

fn times_native(row: Option<&Row>) -> String {
    ratio(row.and_then(|row| row.ratio))
}

fn encodings(selection: &Selection) -> String {
    let row = |row: &&Row| {
        let quality = quality(selection, row);
        vec![
            row.case.encoding.clone().unwrap_or_default(),
            seconds(row.wall_seconds),
            realtime(selection, row),
            times_native(Some(row)),
            times_native(selection.pack(Part::Encodings, row)),
            wall(selection.beside(Part::Encodings, row, &Runner::Peer)),
            cell(row.output_bytes(), |bytes| number(bytes as f64 / 1e3)),
            cell(quality, |quality| format!("{:.2}", quality.psnr_db)),
            cell(quality, |quality| format!("{:.4}", quality.ssim)),
            cell(quality.and_then(|quality| quality.vmaf), |vmaf| format!("{vmaf:.1}")),
        ]
    };
    let titles = [
        "encoding",
        "s",
        "× realtime",
        "× native",
        "pack, × native",
        "peer, s",
        "output, kB",
        "PSNR, dB",
        "SSIM",
        "VMAF",
    ];
    blocks::figures(&titles, selection.base_rows(Part::Encodings).iter().map(row))
}

fn work(selection: &Selection) -> String {
    let runners = [Runner::Native, Runner::NativeAll, Runner::NativeC, Runner::Peer];
    let row = |row: &&Row| {
        let own = [
            row.case.work(),
            seconds(row.wall_seconds),
            realtime(selection, row),
            times_native(Some(row)),
            times_native(selection.pack(Part::Work, row)),
            megabytes(row.guest_memory_peak_bytes()),
        ];
        let others = runners
            .iter()
            .map(|runner| wall(selection.beside(Part::Work, row, runner)));
        own.into_iter().chain(others).collect()
    };
    let others: Vec<String> = runners.iter().map(|runner| format!("{}, s", runner.name())).collect();
    let titles = titles(
        &["work", "s", "× realtime", "× native", "pack, × native", "memory, MB"],
        &others,
    );
    blocks::figures(&titles, selection.base_rows(Part::Work).iter().map(row))
}

fn instances(selection: &Selection) -> String {
    let (modules, native) = (
        selection.throughput(&selection.base),
        selection.throughput(&Runner::Native),
    );
    let rows = modules.iter().map(|(count, rate)| {
        vec![
            count.to_string(),
            number(*rate),
            cell(modules.get(&1), |one| number(rate / one)),
            cell(native.get(count), |rate| number(*rate)),
        ]
    });
    blocks::figures(
        &["at a time", "jobs a second", "× one at a time", "native, jobs a second"],
        rows,
    )
}

fn cores(selection: &Selection) -> String {
    let row = |one: &&Row| {
        let beside = |runner: Option<Runner>| selection.beside(Part::Cores, one, &runner?);
        let all = beside(one.case.runner.all());
        let (native, native_all) = (beside(Some(Runner::Native)), beside(Some(Runner::NativeAll)));
        let times = |slower: Option<&Row>, faster: Option<&Row>| {
            let (slower, faster) = slower.zip(faster)?;
            let ratios = figures::ratios(selection.run, &slower.case, &faster.case.runner);
            Spread::of(ratios.into_values())
        };
        let bytes = all
            .zip(Some(one))
            .and_then(|(all, one)| Some((all.output_bytes()?, one.output_bytes()?)));
        vec![
            one.case.work(),
            seconds(one.wall_seconds),
            wall(all),
            ratio(times(Some(one), all)),
            wall(native),
            wall(native_all),
            ratio(times(native, native_all)),
            ratio(times(all, native_all)),
            megabytes(one.memory_peak_bytes()),
            cell(all, |all| megabytes(all.memory_peak_bytes())),
            cell(bytes, |(all, one)| number(all as f64 / one as f64)),
        ]
    };
    let titles = [
        "work",
        "one core, s",
        "all, s",
        "times faster",
        "native, one core, s",
        "native, all, s",
        "times faster",
        "all, × native",
        "one core, MB",
        "all, MB",
        "size, all to one",
    ];
    blocks::figures(&titles, selection.base_rows(Part::Cores).iter().map(row))
}

fn start(selection: &Selection) -> String {
    let milliseconds = |row: Option<&Row>, value: fn(&Measured) -> Option<f64>| {
        let spread = row.and_then(|row| row.spread(|sample| value(&sample.measured)));
        cell(spread, |spread| number(1000.0 * spread.median))
    };
    let row = |cold: &Row| {
        let is_warm = |row: &&Row| {
            let (case, cold) = (&row.case, &cold.case);
            !case.cold && case.instances.is_none() && case.work() == cold.work() && case.runner == cold.runner
        };
        let warm = selection.rows.iter().find(is_warm);
        vec![
            cold.case.runner.name().to_owned(),
            cell(cold.spread(|sample| sample.measured.compile_seconds), seconds),
            milliseconds(warm, |measured| measured.load_seconds),
            milliseconds(warm, |measured| measured.instantiate_seconds),
            wall(warm),
        ]
    };
    let rows = selection.rows_of(Part::Start).into_iter().map(row);
    blocks::figures(
        &[
            "runner",
            "compile, s",
            "load compiled code, ms",
            "sandbox, ms",
            "run, s",
        ],
        rows,
    )
}

fn functions(selection: &Selection) -> String {
    let profile = |profile: &GuestProfile| {
        let name = &profile.workload;
        format!("![{name}]({PLOTS}/functions-{name}.svg)\n")
    };
    let plots: Vec<String> = selection.run.guest_profiles.iter().map(profile).collect();
    plots.join("\n")
}

/// Modules that differ from the base in a lever, beside it.
fn levers(selection: &Selection) -> String {
    let works = selection.base_rows(Part::Levers);
    let mut runners: Vec<&Runner> = Vec::new();
    for row in selection.rows_of(Part::Levers) {
        if row.case.runner != selection.base && !runners.contains(&&row.case.runner) {
            runners.push(&row.case.runner);
        }
    }
    let size = |runner: &Runner| Some(selection.run.header.modules.get(runner.name())?.size_bytes as f64);
    let rows = runners.into_iter().map(|runner| {
        let sizes = size(runner).zip(size(&selection.base));
        let size = cell(sizes, |(size, base)| number(size / base));
        let ratio = |work: &&Row| selection.to_base(selection.beside(Part::Levers, work, runner)?);
        let times = works.iter().map(|work| cell(ratio(work), seconds));
        [runner.name().to_owned(), size].into_iter().chain(times).collect()
    });
    let works: Vec<String> = works.iter().map(|row| row.case.work()).collect();
    blocks::figures(&titles(&["profile", "size"], &works), rows)
}

fn unable(selection: &Selection) -> String {
    let row = |(case, reason): (&Case, &String)| vec![case.runner.name().to_owned(), case.work(), reason.clone()];
    blocks::table(&["runner", "work", "why"], selection.run.unable.iter().map(row))
}

fn workloads(selection: &Selection) -> String {
    let measured: BTreeSet<&str> = selection.rows.iter().map(|row| &*row.case.workload).collect();
    let workloads = selection
        .workloads
        .workload
        .iter()
        .filter(|(name, _)| measured.contains(name.as_str()));
    let rows = workloads.map(|(name, workload)| vec![name.clone(), workload.title.clone()]);
    blocks::table(&["work", "what"], rows)
}
