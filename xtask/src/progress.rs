//! What a person sees while a build runs, on standard error: a spinner on a terminal, lines elsewhere.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

pub struct Progress {
    is_terminal: bool,
}

impl Progress {
    pub fn new() -> Progress {
        Progress {
            is_terminal: stderr().is_terminal(),
        }
    }

    pub fn start(&self, label: &str) -> Work {
        let bar = self.is_terminal.then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg}") {
                bar.set_style(style);
            }
            bar.set_prefix(label.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Work {
            label: label.to_owned(),
            bar,
        }
    }
}

pub struct Work {
    label: String,
    bar: Option<ProgressBar>,
}

impl Work {
    pub fn doing(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None => eprintln!("{}: {what}", self.label),
        }
    }

    pub fn finish(self, result: &str, elapsed: Option<Duration>) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let time = elapsed
            .map(|elapsed| format!(" in {:.1} s", elapsed.as_secs_f64()))
            .unwrap_or_default();
        eprintln!("{}: {result}{time}", self.label);
    }
}
