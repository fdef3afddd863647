//! The terminal view of a load run: what was heard last, drawn. Keeps no time and touches no terminal.

use std::collections::VecDeque;
use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Gauge, Paragraph, Row, Sparkline, Table};

use crate::run::{Glance, Second, Summary};

/// Seconds that the curves reach back; a wide terminal shows no more.
const REMEMBERED: usize = 240;
/// Notes that stay visible.
const NOTES: usize = 3;

/// What is shown.
#[derive(Debug, Clone)]
pub(super) struct Screen {
    name: String,
    lasts: Duration,
    notes: VecDeque<String>,
    recent: VecDeque<Second>,
    last: Option<Glance>,
}

impl Screen {
    /// Of a run that has not begun.
    pub(super) fn new(name: &str, lasts: Duration) -> Self {
        let (notes, recent) = (VecDeque::new(), VecDeque::new());
        Self { name: name.to_owned(), lasts, notes, recent, last: None }
    }

    /// A line that stays.
    pub(super) fn note(&mut self, line: &str) {
        if self.notes.len() == NOTES {
            self.notes.pop_front();
        }
        self.notes.push_back(line.to_owned());
    }

    /// One more second.
    pub(super) fn hear(&mut self, glance: &Glance) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(glance.second.clone());
        self.last = Some(glance.clone());
    }

    /// Draws the whole.
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let notes = self.notes.len() as u16;
        let [head, bar, rates, curves, ranks, harm, below, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Length(5),
            Constraint::Min(0),
            Constraint::Length(7),
            Constraint::Length(4),
            Constraint::Length(notes),
            Constraint::Length(1),
        ])
        .areas(frame.area());
        let Some(glance) = &self.last else {
            frame.render_widget(Line::from(format!("{}: standing everything up", self.name)), head);
            frame.render_widget(self.notes(), below);
            return;
        };
        frame.render_widget(self.head(glance), head);
        frame.render_widget(self.progress(glance), bar);
        frame.render_widget(rate_table(glance), rates);
        self.curves(frame, curves);
        frame.render_widget(rank_table(glance), ranks);
        frame.render_widget(harms(glance), harm);
        frame.render_widget(self.notes(), below);
        frame.render_widget(Line::from("Ctrl-C ends it; the report is written in any case").style(dim()), foot);
    }

    fn head(&self, glance: &Glance) -> Line<'static> {
        Line::from(vec![
            Span::styled(self.name.clone(), Style::new().add_modifier(Modifier::BOLD)),
            Span::raw(format!("  stage {}  {} at a kiosk", glance.stage, glance.second.in_flight)),
        ])
    }

    fn progress(&self, glance: &Glance) -> Gauge<'static> {
        let (gone, all) = (glance.second.at + 1, self.lasts.as_secs().max(1));
        let ratio = (gone as f64 / all as f64).clamp(0.0, 1.0);
        let label = match gone > all {
            true => format!("{} of {}, waiting for the last", clock(gone), clock(all)),
            false => format!("{} of {}", clock(gone), clock(all)),
        };
        Gauge::default().ratio(ratio).label(label).gauge_style(Style::new().fg(Color::Blue))
    }

    fn curves(&self, frame: &mut Frame<'_>, area: Rect) {
        let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
        let width = usize::from(left.width.saturating_sub(2));
        let from = self.recent.len().saturating_sub(width);
        let curve = |value: fn(&Second) -> u64| self.recent.iter().skip(from).map(value).collect::<Vec<u64>>();
        let draw = |title, value, colour| {
            Sparkline::default().data(curve(value)).style(Style::new().fg(colour)).block(Block::bordered().title(title))
        };
        frame.render_widget(draw("certificates /s", |second| second.papers, Color::Green), left);
        frame.render_widget(draw("p99 ms", |second| second.p99_ms as u64, Color::Yellow), right);
    }

    fn notes(&self) -> Paragraph<'static> {
        Paragraph::new(self.notes.iter().cloned().map(Line::from).collect::<Vec<_>>()).style(dim())
    }
}

fn dim() -> Style {
    Style::new().fg(Color::DarkGray)
}

fn bad(bad: bool) -> Style {
    if bad { Style::new().fg(Color::Red).add_modifier(Modifier::BOLD) } else { Style::new().fg(Color::Green) }
}

fn clock(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// A column of counts.
type Column = (&'static str, fn(&Second) -> u64);

fn rate_table(glance: &Glance) -> Table<'static> {
    const WHAT: [Column; 7] = [
        ("begun", |second| second.offered),
        ("good", |second| second.good),
        ("lost", |second| second.lost),
        ("paper", |second| second.papers),
        ("shed", |second| second.shed),
        ("withheld", |second| second.withheld),
        ("failed", |second| second.failed),
    ];
    let row = |name: &'static str, second: &Second| {
        let counts = WHAT.iter().map(|(_, of)| Cell::from(format!("{:>9}", of(second))));
        Row::new(std::iter::once(Cell::from(name)).chain(counts))
    };
    let head = std::iter::once(Cell::from("")).chain(WHAT.iter().map(|(name, _)| Cell::from(format!("{name:>9}"))));
    let rows = [row("a second", &glance.second), row("so far", &glance.totals)];
    let widths = std::iter::once(Constraint::Length(9)).chain(WHAT.iter().map(|_| Constraint::Length(9)));
    Table::new(rows, widths).header(Row::new(head).style(dim())).block(Block::bordered().title("rates"))
}

fn rank_table(glance: &Glance) -> Table<'static> {
    const HEAD: [&str; 8] = ["", "answers", "shed %", "p50 ms", "p99 ms", "max ms", "no p50", "no p99"];
    let right = |text: String| Cell::from(format!("{text:>9}"));
    let time = |summary: &Summary, ms: f64| if summary.count == 0 { "-".to_owned() } else { format!("{ms:.1}") };
    let rows = glance.ranks.iter().map(|rank| {
        let shed = rank.shed as f64 / (rank.answers as f64).max(1.0) * 100.0;
        let (latency, no) = (&rank.latency, &rank.time_to_no);
        Row::new([
            Cell::from(rank.rank),
            right(rank.answers.to_string()),
            right(format!("{shed:.2}")),
            right(time(latency, latency.p50)),
            right(time(latency, latency.p99)),
            right(time(latency, latency.max)),
            right(time(no, no.p50)),
            right(time(no, no.p99)),
        ])
    });
    let head = HEAD.iter().map(|name| Cell::from(format!("{name:>9}")));
    Table::new(rows, HEAD.map(|_| Constraint::Length(9)))
        .header(Row::new(head).style(dim()))
        .block(Block::bordered().title("ranks so far: latency from the intended begin, noes from the first byte sent"))
}

fn harms(glance: &Glance) -> Paragraph<'static> {
    let mut words: Vec<Span<'static>> = Vec::new();
    for (name, count) in &glance.harms {
        words.push(Span::styled(format!("{name} {count}   "), bad(*count > 0)));
    }
    let generator = Line::from(vec![
        Span::raw(format!("start error p99.9 {:.2} ms   ", glance.start_error.p999)),
        Span::styled(format!("starts without a kiosk {}", glance.dropped), bad(glance.dropped > 0)),
    ]);
    Paragraph::new(vec![Line::from(words), generator]).block(Block::bordered().title("mismatches and the generator"))
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::run::RankLine;

    fn glance(at: u64) -> Glance {
        let summary = Summary { count: 9, p50: 101.5, p90: 130.0, p99: 250.5, p999: 0.75, max: 300.0 };
        let second = Second { at, offered: 40, papers: 12, shed: 25, in_flight: 7, p99_ms: 250.5, ..Second::default() };
        let rank = |rank, answers, shed, latency| RankLine { rank, answers, shed, latency, time_to_no: summary };
        Glance {
            stage: "hold".to_owned(),
            totals: Second { offered: 400, papers: 120, ..second.clone() },
            second,
            ranks: vec![rank("new", 50, 25, Summary::default()), rank("started", 30, 0, summary)],
            harms: vec![("wrong_person", 0), ("stale", 0)],
            harmful: 0,
            start_error: summary,
            dropped: 0,
        }
    }

    fn shown(screen: &Screen, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let cells = buffer.content.chunks(usize::from(width));
        cells.map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect::<String>()).collect()
    }

    fn line_with<'a>(lines: &'a [String], word: &str) -> &'a str {
        lines.iter().find(|line| line.contains(word)).unwrap_or_else(|| panic!("{word} in\n{}", lines.join("\n")))
    }

    #[test]
    fn progress_rates_ranks_latency_and_mismatches_are_there() {
        let mut screen = Screen::new("spike-10x", Duration::from_secs(90));
        screen.hear(&glance(29));
        let lines = shown(&screen, 100, 30);
        assert!(line_with(&lines, "spike-10x").contains("stage hold  7 at a kiosk"));
        assert!(line_with(&lines, " of ").contains("0:30 of 1:30"));
        let words =
            |word| line_with(&lines, word).replace('│', " ").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words("a second")[2..8], ["40", "0", "0", "12", "25", "0"]);
        assert_eq!(words("so far ")[2..6], ["400", "0", "0", "120"]);
        assert_eq!(words("new ")[0..6], ["new", "50", "50.00", "-", "-", "-"], "nobody new was served yet");
        assert_eq!(words("started ")[0..8], ["started", "30", "0.00", "101.5", "250.5", "300.0", "101.5", "250.5"]);
        assert!(line_with(&lines, "wrong_person 0").contains("stale 0"));
        assert!(line_with(&lines, "start error p99.9 0.75 ms").contains("kiosk 0"));
    }

    #[test]
    fn a_mismatch_cannot_be_overlooked() {
        let mut screen = Screen::new("smoke", Duration::from_secs(9));
        screen.hear(&Glance { harms: vec![("wrong_person", 2)], harmful: 2, ..glance(3) });
        let mut terminal = Terminal::new(TestBackend::new(100, 30)).unwrap();
        terminal.draw(|frame| screen.draw(frame)).unwrap();
        let cells = &terminal.backend().buffer().content;
        let at =
            cells.windows(12).position(|some| some.iter().map(|c| c.symbol()).collect::<String>() == "wrong_person");
        assert_eq!(cells[at.unwrap()].fg, Color::Red);
    }

    #[test]
    fn after_its_time_it_says_that_the_last_are_waited_for_and_notes_stay() {
        let mut screen = Screen::new("smoke", Duration::from_secs(9));
        assert!(shown(&screen, 80, 24)[0].contains("standing everything up"));
        (0..5).for_each(|n| screen.note(&format!("note {n}")));
        screen.hear(&glance(10));
        let lines = shown(&screen, 80, 30);
        assert!(line_with(&lines, "0:11 of 0:09").contains("waiting for the last"));
        assert!(line_with(&lines, "note 4").starts_with("note 4") && !lines.concat().contains("note 1"));
    }

    #[test]
    fn no_terminal_is_too_small_to_be_drawn_on() {
        let mut screen = Screen::new("smoke", Duration::from_secs(9));
        (0..300).for_each(|at| screen.hear(&glance(at)));
        for (width, height) in [(1, 1), (20, 5), (80, 10), (400, 100)] {
            shown(&screen, width, height);
        }
    }
}
