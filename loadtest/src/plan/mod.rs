//! A load scenario as one TOML file: read whole, every mistake at its place, then frozen. Never half applied.

mod beside;
pub mod curve;
mod limits;
mod people;
mod quantity;
mod section;
mod source;
mod stage;
mod target;
#[cfg(test)]
mod tests;
pub mod threshold;

use std::time::Duration;

use toml::de::DeTable;

pub use beside::{Alongside, Change, Scheduled, Simulated, Trouble, Whose};
pub use limits::{Abort, Group, Thresholds};
pub use people::{Behaviour, Hot, Outcome, Population, Retry, kind, kind_name};
pub use quantity::{Between, Think, share};
pub use source::Mistake;
pub use stage::Stage;
pub use target::{Address, Target};

use section::Section;
use source::{Findings, NOWHERE, did_you_mean};

use crate::dialect::Dialect;

/// A longer file is refused unread.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// A load scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// What a reader should see.
    pub why: String,
    /// The same seed gives the same people, arrivals and faults.
    pub seed: u64,
    /// How its kiosks write.
    pub dialect: Dialect,
    /// Whom it loads.
    pub target: Target,
    /// What is started where it names no target.
    pub simulated: Simulated,
    /// Who comes.
    pub population: Population,
    /// How a person behaves.
    pub behaviour: Behaviour,
    /// How many come when.
    pub stages: Vec<Stage>,
    /// What goes on beside.
    pub alongside: Vec<Alongside>,
    /// What the backend does wrong, and when.
    pub faults: Vec<Scheduled>,
    /// What the run must have been like.
    pub thresholds: Thresholds,
}

impl Plan {
    /// From the first arrival to the end of the last stage.
    pub fn lasts(&self) -> Duration {
        self.stages.iter().map(|stage| stage.lasts).sum()
    }

    /// What a target given on the command line makes impossible. `Err` says what.
    pub fn aim(&mut self, url: &str) -> Result<(), String> {
        self.target.aim(url)?;
        if let Some(fault) = self.faults.first() {
            return Err(format!("the plan's fault `{}` can only be done by the simulated backend", fault.name));
        }
        if !self.alongside.is_empty() {
            return Err("the plan's [[alongside]] changes records, which is only done to simulated ones".to_owned());
        }
        if self.behaviour.household > 0.0 {
            return Err("[kiosk].household needs the simulated town, which knows who lives together".to_owned());
        }
        Ok(())
    }
}

/// Reads a plan; `Err` holds every mistake, in the order of their lines. Never panics on any text.
pub fn parse(text: &str) -> Result<Plan, Vec<Mistake>> {
    let mut found = Findings::new(text);
    if text.len() > MAX_FILE_BYTES {
        found.mistake(0, "file", format!("is longer than {MAX_FILE_BYTES} bytes"), "");
        return Err(found.into_sorted());
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        found.mistake(error.span().unwrap_or(NOWHERE).start, "toml", error.message().replace('\n', " "), "");
    }
    if !found.is_empty() {
        return Err(found.into_sorted());
    }
    let mut root = Section::new(root.get_ref(), String::new(), NOWHERE);
    let name = root.text(&mut found, "name", "month-start-peak").map_or("", |name| name.value);
    root.missing(&mut found, "name", "name = \"month-start-peak\"");
    let why = root.text(&mut found, "why", "What a reader should see.").map_or("", |why| why.value);
    root.missing(&mut found, "why", "why = \"What a reader should see.\"");
    let seed = root.count(&mut found, "seed", 0, usize::MAX).map_or(1, |seed| seed.value as u64);
    let dialect = dialect(&mut root, &mut found);
    let target = target::read(&mut root, &mut found);
    let has_target = target.url.is_some();
    let simulated = beside::simulated(&mut root, has_target, &mut found);
    let population = people::population(&mut root, has_target, &mut found);
    let behaviour = people::behaviour(&mut root, &mut found);
    if has_target && behaviour.household > 0.0 {
        let message = "needs the simulated town, which knows who lives together";
        found.mistake(root.place("kiosk"), "kiosk.household", message, "household = 0");
    }
    let stages = stage::read(&mut root, &population.cities, &mut found);
    let alongside = beside::alongside(&mut root, has_target, &mut found);
    let faults = beside::faults(&mut root, &stages, &population.cities, has_target, &mut found);
    let around = limits::Around { stages: &stages, cities: &population.cities, mix: &behaviour.mix };
    let thresholds = limits::read(&mut root, &around, &mut found);
    root.finish(&mut found);
    if !found.is_empty() {
        return Err(found.into_sorted());
    }
    let (name, why) = (name.to_owned(), why.to_owned());
    Ok(Plan {
        name,
        why,
        seed,
        dialect,
        target,
        simulated,
        population,
        behaviour,
        stages,
        alongside,
        faults,
        thresholds,
    })
}

/// Seam: directories of request templates come here.
fn dialect(root: &mut Section<'_>, found: &mut Findings<'_>) -> Dialect {
    let Some(written) = root.text(found, "dialect", "json") else { return Dialect::default() };
    let known = Dialect::ALL.into_iter().find(|dialect| dialect.name() == written.value);
    known.unwrap_or_else(|| {
        let words = Dialect::ALL.map(Dialect::name);
        let near = did_you_mean(written.value, words).map_or_else(|| words.join(", "), str::to_owned);
        written.wrong(found, format!("`{}` is not spoken by plans", written.value), near);
        Dialect::default()
    })
}
