//! From samples to figures: medians, spreads, and ratios of pairs.

use std::collections::BTreeMap;

use super::samples::{Run, Sample};
use super::workloads::{Case, Runner};

/// The median of some values and their quartiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub low: f64,
    pub high: f64,
    pub count: usize,
}

impl Spread {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Some(Spread {
            median: quantile(&values, 0.5)?,
            low: quantile(&values, 0.25)?,
            high: quantile(&values, 0.75)?,
            count: values.len(),
        })
    }

    /// The interquartile range as a part of the median.
    pub fn relative(&self) -> f64 {
        (self.high - self.low) / self.median
    }
}

/// Between two values, in proportion.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let position = share * (sorted.len().checked_sub(1)?) as f64;
    let (below, above) = (sorted[position.floor() as usize], sorted[position.ceil() as usize]);
    Some(below + (above - below) * position.fract())
}

/// All samples of a case.
pub struct Row<'a> {
    pub case: Case,
    pub samples: Vec<&'a Sample>,
    pub wall_seconds: Spread,
    /// To FFmpeg for this machine on one core, of the pairs of a round.
    pub ratio: Option<Spread>,
}

impl Row<'_> {
    pub fn spread(&self, value: impl Fn(&Sample) -> Option<f64>) -> Option<Spread> {
        Spread::of(self.samples.iter().filter_map(|sample| value(sample)))
    }

    pub fn guest_memory_peak_bytes(&self) -> f64 {
        let peak = self.spread(|sample| Some(sample.measured.guest_memory_peak_bytes? as f64));
        peak.map_or(0.0, |peak| peak.median)
    }

    /// Of the process, with what the runtime has beside its sandboxes.
    pub fn memory_peak_bytes(&self) -> f64 {
        let peak = self.spread(|sample| Some(sample.measured.memory_peak_bytes as f64));
        peak.map_or(0.0, |peak| peak.median)
    }

    pub fn output_bytes(&self) -> Option<u64> {
        Some(self.samples.first()?.output.as_ref()?.size_bytes)
    }
}

/// A row for each case, in the order in which they were first measured.
pub fn rows(run: &Run) -> Vec<Row<'_>> {
    let mut order: Vec<&Case> = Vec::new();
    let mut by_case: BTreeMap<&Case, Vec<&Sample>> = BTreeMap::new();
    for sample in &run.samples {
        let samples = by_case.entry(&sample.case).or_default();
        if samples.is_empty() {
            order.push(&sample.case);
        }
        samples.push(sample);
    }
    let row = |case: &Case| {
        let samples = by_case[case].clone();
        let wall_seconds = Spread::of(samples.iter().map(|sample| sample.measured.wall_seconds))?;
        Some(Row {
            case: case.clone(),
            ratio: Spread::of(ratios(run, case, &Runner::Native).into_values()),
            samples,
            wall_seconds,
        })
    };
    order.into_iter().filter_map(row).collect()
}

/// Round -> the ratio of its time to that of another runner in the same round.
pub fn ratios(run: &Run, case: &Case, runner: &Runner) -> BTreeMap<u32, f64> {
    let other = Case {
        runner: runner.clone(),
        ..case.clone()
    };
    let walls = |case: &Case| -> BTreeMap<u32, f64> {
        let of_case = run.samples.iter().filter(|sample| sample.case == *case);
        of_case
            .map(|sample| (sample.round, sample.measured.wall_seconds))
            .collect()
    };
    let other = walls(&other);
    let pair = |(round, wall): (u32, f64)| Some((round, wall / other.get(&round)?));
    walls(case).into_iter().filter_map(pair).collect()
}

/// A run's figures as text for a terminal.
pub fn table(run: &Run) -> String {
    let mut text = String::new();
    let mut series = "";
    let rows = rows(run);
    for row in &rows {
        if row.case.series != series {
            series = &row.case.series;
            text += &format!("{series}\n");
        }
        let ratio = row
            .ratio
            .map_or(String::new(), |ratio| format!("{:>7.2} x native", ratio.median));
        let seconds = row.wall_seconds;
        text += &format!(
            "  {:<46} {:<14} {:>9.3} s  ±{:>4.1} %{ratio}\n",
            row.case.work(),
            row.case.runner.name(),
            seconds.median,
            100.0 * seconds.relative() / 2.0
        );
    }
    for (case, reason) in &run.unable {
        text += &format!("cannot: {}: {reason}\n", case.describe());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_median_and_the_quartiles() {
        let spread = Spread::of([5.0, 1.0, 3.0, 2.0, 4.0]).unwrap();
        assert_eq!(
            (spread.median, spread.low, spread.high, spread.count),
            (3.0, 2.0, 4.0, 5)
        );
        assert_eq!(Spread::of([1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(Spread::of([]), None);
    }
}
