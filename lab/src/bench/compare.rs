//! Compares two runs: changes, and noise.
//!
//! What is compared of a case is its ratio to native FFmpeg in the same round, which a slower hour of the machine
//! leaves as it is; the time itself where there is no native pair. A change is real if all values of one run lie on the
//! same side of all values of the other, and if the medians differ by more than the two runs' own spread and by more
//! than `LEAST_CHANGE`. By the first condition alone, two runs of four rounds of the same module would seem different
//! in one of 35 cases (the rank test of Mann and Whitney at its extreme), two of three rounds in one of 10; the others
//! make it rare in a list of a hundred. A case with fewer than three values in either run is not judged.

use std::fmt::Write;

use super::figures::{self, Spread};
use super::samples::Run;
use super::workloads::{Case, Runner};

/// The smallest change that counts, as a part of the old median.
const LEAST_CHANGE: f64 = 0.03;

const VALUES_MIN: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Slower,
    Faster,
    Noise,
    /// Too few values.
    NotJudged,
}

pub struct Compared {
    pub case: Case,
    pub verdict: Verdict,
    /// The new median to the old one.
    pub change: f64,
}

pub fn judge(old: &[f64], new: &[f64]) -> Option<(Verdict, f64)> {
    let (was, is) = (Spread::of(old.iter().copied())?, Spread::of(new.iter().copied())?);
    let change = is.median / was.median;
    if was.count < VALUES_MIN || is.count < VALUES_MIN {
        return Some((Verdict::NotJudged, change));
    }
    let extremes = |values: &[f64]| {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        (least, values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    };
    let ((old_least, old_most), (new_least, new_most)) = (extremes(old), extremes(new));
    let apart = new_least > old_most || new_most < old_least;
    let noise = (was.high - was.low).max(is.high - is.low) / was.median;
    let verdict = match change > 1.0 {
        _ if !apart || (change - 1.0).abs() <= noise.max(LEAST_CHANGE) => Verdict::Noise,
        true => Verdict::Slower,
        false => Verdict::Faster,
    };
    Some((verdict, change))
}

/// The values of a case in both runs.
fn values(old: &Run, new: &Run, case: &Case) -> [Vec<f64>; 2] {
    let runs = [old, new];
    let is_paired = |run: &Run| !figures::ratios(run, case, &Runner::Native).is_empty();
    let paired = runs.iter().all(|run| is_paired(run));
    runs.map(|run| {
        if paired {
            return figures::ratios(run, case, &Runner::Native).into_values().collect();
        }
        let of_case = run.samples.iter().filter(|sample| sample.case == *case);
        of_case.map(|sample| sample.measured.wall_seconds).collect()
    })
}

/// What keeps two runs from being compared: the new one has fewer values of a module than the old one, and so few that
/// they can't be judged, as one that was interrupted has; or nothing at all can be judged.
pub fn faults(old: &Run, new: &Run, compared: &[Compared]) -> Vec<String> {
    let mut faults = Vec::new();
    let of_modules = figures::rows(old)
        .into_iter()
        .filter(|row| row.case.runner.profile().is_some());
    for row in of_modules {
        let [was, is] = values(old, new, &row.case);
        if is.len() < was.len().min(VALUES_MIN) {
            let reason = new.unable.get(&row.case);
            let reason = reason.map_or(String::new(), |reason| format!(": {reason}"));
            let case = row.case.describe();
            faults.push(format!("{case} has {} values and had {}{reason}", is.len(), was.len()));
        }
    }
    if compared.iter().all(|one| one.verdict == Verdict::NotJudged) {
        faults.push(format!("no case has {VALUES_MIN} values in both runs"));
    }
    faults
}

/// All cases that both runs have, and that are about a module.
pub fn compare(old: &Run, new: &Run) -> Vec<Compared> {
    let compared = |row: figures::Row| {
        // Only of modules and packs.
        row.case.runner.profile()?;
        let [was, is] = values(old, new, &row.case);
        let (verdict, change) = judge(&was, &is)?;
        Some(Compared {
            case: row.case,
            verdict,
            change,
        })
    };
    figures::rows(new).into_iter().filter_map(compared).collect()
}

/// Text for a terminal: changes of times, then of sizes.
pub fn text(old: &Run, new: &Run, compared: &[Compared]) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    if old.header.host != new.header.host {
        line("note: the two runs are of different machines".into());
    }
    for one in compared {
        let (word, change) = match one.verdict {
            Verdict::Slower => ("slower", one.change),
            Verdict::Faster => ("faster", one.change),
            Verdict::NotJudged if (one.change - 1.0).abs() > LEAST_CHANGE => ("not judged", one.change),
            Verdict::Noise | Verdict::NotJudged => continue,
        };
        line(format!(
            "{word:<11}{:>+7.1} %  {}",
            100.0 * (change - 1.0),
            one.case.describe()
        ));
    }
    for (profile, is) in &new.header.modules {
        if let Some(was) = old.header.modules.get(profile)
            && was.size_bytes != is.size_bytes
        {
            line(format!(
                "size       {:>+7.2} %  {profile}: {} bytes, were {}",
                100.0 * (is.size_bytes as f64 / was.size_bytes as f64 - 1.0),
                is.size_bytes,
                was.size_bytes
            ));
        }
    }
    let count = |verdict: Verdict| compared.iter().filter(|one| one.verdict == verdict).count();
    line(format!(
        "{} cases: {} slower, {} faster, {} the same within noise, {} with too few values",
        compared.len(),
        count(Verdict::Slower),
        count(Verdict::Faster),
        count(Verdict::Noise),
        count(Verdict::NotJudged)
    ));
    text
}
