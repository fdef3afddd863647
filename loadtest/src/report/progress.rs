//! Live progress on a terminal, plain lines everywhere else.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// One bar for the current run; lines above it stay.
pub struct Progress {
    bars: MultiProgress,
    bar: Option<ProgressBar>,
    terminal: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Draws on stderr when that is a terminal.
    pub fn new() -> Self {
        Self { bars: MultiProgress::new(), bar: None, terminal: std::io::stderr().is_terminal() }
    }

    /// Starts the bar of one run.
    pub fn begin(&mut self, what: &str, steps: u64) {
        self.end();
        if self.terminal {
            let style = ProgressStyle::with_template("{spinner} {msg} [{bar:32}] {pos}/{len} {elapsed}");
            let bar = self.bars.add(ProgressBar::new(steps));
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            self.bar = Some(bar);
        } else {
            eprintln!("{what} ...");
        }
    }

    /// A handle that counts steps from any task.
    pub fn step(&self) -> Step {
        Step(self.bar.clone())
    }

    /// A handle that shows a line from any thread: beside the bar on a terminal, as a plain line everywhere else.
    pub fn teller(&self) -> Teller {
        Teller(self.bar.clone())
    }

    /// Ends the bar.
    pub fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// A line of the result, on stdout, above the bar.
    pub fn say(&self, line: &str) {
        self.bars.suspend(|| println!("{line}"));
    }
}

/// Shows how far a run is.
#[derive(Clone)]
pub struct Teller(Option<ProgressBar>);

impl Teller {
    /// A line that stays.
    pub fn note(&self, line: &str) {
        match &self.0 {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// One more second.
    pub fn tell(&self, line: &str) {
        match &self.0 {
            Some(bar) => {
                bar.inc(1);
                bar.set_message(line.to_owned());
            }
            None => eprintln!("{line}"),
        }
    }
}

/// Counts steps of the current bar.
#[derive(Clone)]
pub struct Step(Option<ProgressBar>);

impl Step {
    /// One more.
    pub fn done(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// Counts for nobody.
    pub fn silent() -> Self {
        Self(None)
    }
}
