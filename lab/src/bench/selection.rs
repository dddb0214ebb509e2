//! Samples as docs/performance.md asks for them: by the tables and plots that a series goes into.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};

use super::figures::{self, Row, Spread};
use super::samples::Run;
use super::workloads::{Part, Runner, Series, Workloads};
use xtask::error::usage;

pub struct Selection<'a> {
    pub run: &'a Run,
    pub workloads: &'a Workloads,
    pub rows: Vec<Row<'a>>,
    /// The first module that was measured, which stands for modules where they are not told apart.
    pub base: Runner,
    /// The profiles that are shipped; others differ from one of them in a lever.
    pub shipped: Vec<String>,
}

impl<'a> Selection<'a> {
    pub fn new(workloads: &'a Workloads, run: &'a Run, shipped: Vec<String>) -> Result<Selection<'a>> {
        let rows = figures::rows(run);
        let is_known = |row: &&Row| workloads.series.iter().any(|series| series.name == row.case.series);
        if let Some(row) = rows.iter().find(|row| !is_known(row)) {
            return Err(usage(format!("bench/workloads.toml has no series {}", row.case.series)).into());
        }
        let mut runners = rows.iter().map(|row| &row.case.runner);
        let base = runners.find(|runner| matches!(runner, Runner::Module(_)));
        let base = base.context("the samples are of no module")?.clone();
        Ok(Selection {
            run,
            workloads,
            rows,
            base,
            shipped,
        })
    }

    /// The rows of the series that go into a part of the report.
    pub fn rows_of(&self, part: Part) -> Vec<&Row<'a>> {
        let is_of = |series: &Series| series.report.contains(&part);
        let series: BTreeSet<&str> = self
            .workloads
            .series
            .iter()
            .filter(|one| is_of(one))
            .map(|one| &*one.name)
            .collect();
        self.rows
            .iter()
            .filter(|row| series.contains(&*row.case.series))
            .collect()
    }

    /// The rows of each series' first module, one for each work.
    pub fn base_rows(&self, part: Part) -> Vec<&Row<'a>> {
        let mut seen = BTreeSet::new();
        let mut rows = self.rows_of(part);
        rows.retain(|row| Some(&row.case.runner) == self.first_module(row) && seen.insert(row.case.work()));
        rows
    }

    fn first_module(&self, row: &Row) -> Option<&'a Runner> {
        let mut series = self.workloads.series.iter();
        let series = series.find(|series| series.name == row.case.series)?;
        series.runners.iter().find(|runner| matches!(runner, Runner::Module(_)))
    }

    /// The same work on another runner, of the same series if possible.
    pub fn beside(&self, part: Part, row: &Row, runner: &Runner) -> Option<&Row<'a>> {
        let mut rows = self.rows_of(part);
        rows.retain(|other| other.case.runner == *runner && other.case.work() == row.case.work());
        let of_series = rows.iter().find(|other| other.case.series == row.case.series);
        of_series.or(rows.first()).copied()
    }

    /// The same work on the pack of the same module.
    pub fn pack(&self, part: Part, row: &Row) -> Option<&Row<'a>> {
        self.beside(part, row, &row.case.runner.pack()?)
    }

    /// Ratios of a row's times to the base's in the same round.
    pub fn to_base(&self, row: &Row) -> Option<Spread> {
        Spread::of(figures::ratios(self.run, &row.case, &self.base).into_values())
    }

    /// The number of jobs at a time -> jobs a second.
    pub fn throughput(&self, runner: &Runner) -> BTreeMap<usize, f64> {
        let jobs = 2.0 * self.run.header.host.cores as f64;
        let rows = self
            .rows_of(Part::Instances)
            .into_iter()
            .filter(|row| row.case.runner == *runner);
        rows.filter_map(|row| Some((row.case.instances?, jobs / row.wall_seconds.median)))
            .collect()
    }
}
