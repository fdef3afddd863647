//! The view of a load run while it goes on: the screen on a terminal, plain lines everywhere else. Whatever ends the run, the terminal is
//! given back as it was.

use std::io::{IsTerminal, Stderr, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};

use super::load_text::load_line;
use super::screen::Screen;
use crate::run::Glance;

/// A smaller terminal gets lines.
const LEAST: (u16, u16) = (60, 20);

/// Shows a run from any thread. The last one that is dropped gives the terminal back.
#[derive(Clone)]
pub struct Live(Option<Arc<Mutex<Shown>>>);

struct Shown {
    screen: Screen,
    terminal: Terminal<CrosstermBackend<Stderr>>,
}

impl Live {
    /// Takes the terminal, if standard error is one.
    pub fn begin(name: &str, lasts: Duration) -> Self {
        let shown = Shown::begin(Screen::new(name, lasts));
        if shown.is_none() {
            eprintln!("{name} ...");
        }
        Self(shown.map(|shown| Arc::new(Mutex::new(shown))))
    }

    /// A line that stays.
    pub fn note(&self, line: &str) {
        self.show(|screen| screen.note(line), || line.to_owned());
    }

    /// One more second.
    pub fn tell(&self, glance: &Glance) {
        self.show(|screen| screen.hear(glance), || load_line(glance));
    }

    /// Gives the terminal back, whoever still wants to show something.
    pub fn end(&self) {
        restore();
    }

    fn show(&self, change: impl FnOnce(&mut Screen), line: impl FnOnce() -> String) {
        let Some(shown) = &self.0 else { return eprintln!("{}", line()) };
        let Shown { screen, terminal } = &mut *shown.lock().unwrap_or_else(PoisonError::into_inner);
        change(screen);
        if TAKEN.load(Ordering::SeqCst) {
            // A terminal that cannot be written to shows nothing; the run goes on.
            let _ = terminal.draw(|frame| screen.draw(frame));
        }
    }
}

impl Shown {
    fn begin(screen: Screen) -> Option<Self> {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if dumb || !stderr().is_terminal() {
            return None;
        }
        let mut terminal = Terminal::new(CrosstermBackend::new(stderr())).ok()?;
        let size = terminal.size().ok()?;
        if size.width < LEAST.0 || size.height < LEAST.1 {
            return None;
        }
        restore_at_a_panic();
        execute!(stderr(), EnterAlternateScreen, Hide).ok()?;
        TAKEN.store(true, Ordering::SeqCst);
        let _ = terminal.draw(|frame| screen.draw(frame));
        Some(Self { screen, terminal })
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        restore();
    }
}

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);

fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // Nobody is left to be told.
        let _ = execute!(stderr(), LeaveAlternateScreen, Show);
    }
}

/// What a panic says must be readable, and on the screen that the shell goes on with.
fn restore_at_a_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
    });
}
