//! What stays up after the demonstration: a town with one fault, a gateway in front of it, and lines to paste.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::cluster::{Gateway, Site, Town, TownPlan, protecting};
use crate::legacy::resident::PersonNo;
use crate::legacy::{Fault, FaultPlan, Form};

/// A running town and gateway.
pub struct StandingDemo {
    town: Town,
    site: Site,
    gateway: Gateway,
    _dir: tempfile::TempDir,
}

impl StandingDemo {
    /// Starts both. Tax certificates of the first municipality find their person by reading, birth date and sex.
    pub async fn start(program: &Path, seed: u64) -> anyhow::Result<Self> {
        let town = Town::start(TownPlan::usual(seed)).await?;
        town.faults(&FaultPlan::in_city(Fault::InsuranceWeakMatch, town.code(0), 1.0));
        let dir = tempfile::tempdir()?;
        let site = Site::prepare(program, dir.path(), &protecting(&town)?)?;
        let gateway = site.start().await?;
        Ok(Self { town, site, gateway, _dir: dir })
    }

    /// What to type.
    pub fn instructions(&self) -> anyhow::Result<String> {
        let resident = *self.town.can_ask_for(0, Form::ResidentRecord).first().context("nobody lives here")?;
        let mistakable =
            self.town.can_ask_for(0, Form::Tax).into_iter().find(|person| self.town.is_mistakable(*person));
        let mistakable = mistakable.context("nobody can be mistaken for another")?;
        let (gateway, backend) = (self.gateway.kiosk_side, self.town.issuer());
        let mut text = String::new();
        let mut line = |line: &str| {
            let _ = writeln!(text, "{line}");
        };
        line(&format!(
            "Gateway http://{gateway}   backend http://{backend}   metrics http://{}/metrics",
            self.gateway.metrics
        ));
        line("\nA resident's certificate through the gateway:\n");
        line(&self.visit(gateway, resident, Form::ResidentRecord, "certificate.pdf"));
        line(
            "The backend finds people for tax certificates by reading, birth date and sex. Straight at it, this card gets",
        );
        line("another person's paper; through the gateway it gets a no:\n");
        line(&self.visit(backend, mistakable, Form::Tax, "straight.pdf"));
        line(&self.visit(gateway, mistakable, Form::Tax, "protected.json"));
        line("The mismatch has suspended that kind of that municipality, until a person clears it:\n");
        let program = std::env::current_exe()?;
        let config = self.site.configuration();
        line(&format!("  {} gateway latch list --config {}\n", program.display(), config.display()));
        line("Ctrl-C ends it.");
        Ok(text)
    }

    fn visit(&self, at: SocketAddr, person: PersonNo, form: Form, file: &str) -> String {
        let (card, city) = (self.town.card(person), self.town.city_code(person));
        format!(
            "  S=$(curl -s http://{at}/sessions -H 'X-Terminal: K9001' -H 'Content-Type: application/json' \\\n\
             \x20   -d '{{\"terminal\":\"K9001\",\"cardSerial\":\"{card}\",\"cityCode\":\"{city}\"}}' \\\n\
             \x20   | sed 's/.*\"sessionId\":\"\\([^\"]*\\)\".*/\\1/')\n\
             \x20 curl -sD- -o {file} http://{at}/certificates/{} -H 'X-Terminal: K9001' -H \"X-Session: $S\" \\\n\
             \x20   -H 'Content-Type: application/json' -d '{{\"copies\":\"1\",\"scope\":\"self\"}}'\n",
            form.path()
        )
    }

    /// Ends both.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.gateway.process.terminate(Duration::from_secs(10)).await?;
        Ok(())
    }
}
