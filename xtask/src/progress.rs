//! What a person sees while a build runs, on standard error: a spinner on a terminal, lines elsewhere.

use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

#[derive(Debug)]
pub struct Progress {
    is_terminal: bool,
    /// What goes on at once, a line each.
    bars: MultiProgress,
}

impl Default for Progress {
    fn default() -> Progress {
        Progress::new()
    }
}

impl Progress {
    pub fn new() -> Progress {
        Progress {
            is_terminal: stderr().is_terminal(),
            bars: MultiProgress::new(),
        }
    }

    pub fn start(&self, label: &str) -> Work {
        let bar = self.is_terminal.then(|| {
            let bar = self.bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(label.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Work {
            label: label.to_owned(),
            bars: self.bars.clone(),
            bar,
            told: Mutex::new(Instant::now()),
        }
    }
}

/// How far a long row of like things has come: a bar on a terminal, a line now and then elsewhere.
#[derive(Debug)]
pub struct Counter {
    label: String,
    bar: ProgressBar,
    is_terminal: bool,
    started: Instant,
    told: Mutex<Instant>,
}

const TOLD_EVERY: Duration = Duration::from_secs(15);

impl Progress {
    pub fn count(&self, label: &str, total: usize, done: usize) -> Counter {
        let bar = ProgressBar::hidden();
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        if self.is_terminal {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{prefix} {elapsed} [{wide_bar}] {pos}/{len}") {
                bar.set_style(style);
            }
            bar.set_prefix(label.to_owned());
        } else {
            eprintln!("{label}: {done} of {total} done before");
        }
        Counter {
            label: label.to_owned(),
            bar,
            is_terminal: self.is_terminal,
            started: Instant::now(),
            told: Mutex::new(Instant::now()),
        }
    }
}

impl Counter {
    /// One more is done, and may be worth a line.
    pub fn one(&self, note: Option<String>) {
        self.bar.inc(1);
        match note {
            Some(note) if self.is_terminal => self.bar.println(note),
            Some(note) => eprintln!("{note}"),
            None => {}
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_terminal && told.elapsed() > TOLD_EVERY {
            *told = Instant::now();
            eprintln!("{}: {}", self.label, self.state());
        }
    }

    fn state(&self) -> String {
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
        format!("{done} of {total} in {:.0} s", self.started.elapsed().as_secs_f64())
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
        eprintln!("{}: {}", self.label, self.state());
    }
}

#[derive(Debug)]
pub struct Work {
    label: String,
    bars: MultiProgress,
    bar: Option<ProgressBar>,
    told: Mutex<Instant>,
}

impl Work {
    /// Says nothing: for one of many that a counter tells of.
    pub fn silent() -> Work {
        Work {
            label: String::new(),
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
            bar: Some(ProgressBar::hidden()),
            told: Mutex::new(Instant::now()),
        }
    }

    pub fn doing(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None => {
                *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                eprintln!("{}: {what}", self.label);
            }
        }
    }

    /// Says that something goes on: at once on a terminal, now and then elsewhere.
    pub fn moves(&self, state: &str) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match &self.bar {
            Some(bar) => bar.set_message(state.to_owned()),
            None if told.elapsed() > TOLD_EVERY => {
                *told = Instant::now();
                eprintln!("{}: {state}", self.label);
            }
            None => {}
        }
    }

    pub fn finish(self, result: &str, elapsed: Option<Duration>) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let time = elapsed
            .map(|elapsed| format!(" in {:.1} s", elapsed.as_secs_f64()))
            .unwrap_or_default();
        self.bars.suspend(|| eprintln!("{}: {result}{time}", self.label));
    }
}
