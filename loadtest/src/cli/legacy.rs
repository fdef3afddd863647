//! `sekisho-loadtest legacy`: the simulated backend on real sockets, for trying things with curl.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;

use crate::dialect::Dialect;
use crate::legacy::{self, FaultPlan, ServiceTime, World, WorldConfig};

/// Options of the simulated legacy backend.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where kiosks (or the gateway) reach the issuer; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the resident-record system answers; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8081")]
    records: SocketAddr,
    /// The protocol that the examples are printed in; the backend always speaks them all: json, soap (Shift_JIS), or form (EUC-JP, certificates are jobs).
    #[arg(long, default_value_t = Dialect::Json)]
    dialect: Dialect,
    /// Faults, as `yokohama-lock-timeout=0.05,late-duplicate@991015,slow@records=0.1,all=0.01`. Without a rate: one that suits it.
    #[arg(long, default_value = "none")]
    faults: FaultPlan,
    /// The same seed makes the same residents and the same fault draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many municipalities (1 to 6).
    #[arg(long, default_value_t = 3)]
    municipalities: usize,
    /// Residents of each.
    #[arg(long, default_value_t = 240)]
    residents: usize,
    /// Median time for one certificate, in milliseconds; 0 answers at once.
    #[arg(long, default_value_t = 2)]
    service_ms: u64,
    /// Concurrent requests of a municipality beyond which everything gets slower.
    #[arg(long, default_value_t = 32)]
    knee: usize,
    /// Print every kind of difficult resident, not only the first few of each municipality.
    #[arg(long)]
    list: bool,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(serve(args))
}

async fn serve(args: Args) -> anyhow::Result<ExitCode> {
    let service = match args.service_ms {
        0 => ServiceTime::INSTANT,
        ms => ServiceTime { median: Duration::from_millis(ms), knee: args.knee, ..ServiceTime::default() },
    };
    let world = World::new(WorldConfig {
        seed: args.seed,
        municipalities: args.municipalities,
        residents_each: args.residents,
        service,
        faults: args.faults.clone(),
        ..WorldConfig::default()
    });
    let running = legacy::serve(world.clone(), args.listen, args.records).await.context("cannot listen")?;
    println!("issuer   http://{}", running.issuer);
    println!("records  http://{}", running.records);
    for (fault, scope, rate) in &args.faults.entries {
        println!("fault    {fault} {scope:?} {rate}");
    }
    for municipality in world.municipalities() {
        println!("\n{} {} ({:?})", municipality.code, municipality.name, municipality.style);
        let everybody = world.samples(&municipality.code, false);
        let shown: Vec<_> = if args.list {
            everybody.iter().collect()
        } else {
            let refused = everybody.iter().filter(|s| s.refusal.is_some()).take(2);
            let weak = everybody.iter().filter(|s| s.weak_match).take(1);
            everybody.iter().filter(|s| s.refusal.is_none()).take(3).chain(weak).chain(refused).collect()
        };
        for sample in shown {
            let note = sample.refusal.unwrap_or(if sample.weak_match { "read like an earlier resident" } else { "" });
            println!(
                "  resident {} card {} household of {} {} {note}",
                sample.resident, sample.card, sample.household, sample.name
            );
        }
    }
    let first = || world.city_codes().first().and_then(|code| world.samples(code, true).into_iter().next());
    if let (Dialect::Soap, Some(sample)) = (args.dialect, first()) {
        let message = |header: &str, body: &str| {
            format!(
                "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:j=\"urn:example:juki:1\"><s:Header>{header}</s:Header><s:Body>{body}</s:Body></s:Envelope>"
            )
        };
        let terminal = "<j:Terminal>K-0001</j:Terminal>";
        let open = format!("<j:Open><j:CardNo>{}</j:CardNo><j:City>{}</j:City></j:Open>", sample.card, sample.city);
        println!(
            "\ntry:\n  curl -s http://{0}/juki/Open -d '{1}'\n  curl -s http://{0}/juki/Issue -d '{2}'",
            running.issuer,
            message(terminal, &open),
            message(&format!("{terminal}<j:Seq>(SessionId)</j:Seq>"), "<j:Issue><j:Kind>01</j:Kind></j:Issue>"),
        );
    } else if let (Dialect::Form, Some(sample)) = (args.dialect, first()) {
        println!(
            "\ntry:\n  curl -s http://{0}/cgi-bin/open.cgi -d 'terminal=K-0001&card={1}&city={2}'\n  \
             curl -s http://{0}/cgi-bin/issue.cgi -d 'terminal=K-0001&session=(session)&kind=01&scope=self&copies=1'\n  \
             curl -s http://{0}/cgi-bin/status.cgi -d 'job=(job)'\n  curl -s http://{0}/cgi-bin/output.cgi -d 'job=(job)' -o certificate.pdf",
            running.issuer, sample.card, sample.city
        );
    } else if let Some(sample) =
        world.city_codes().first().and_then(|code| world.samples(code, true).into_iter().next())
    {
        println!(
            "\ntry:\n  curl -s http://{0}/sessions -d '{{\"terminal\":\"K-0001\",\"cardSerial\":\"{1}\",\"cityCode\":\"{2}\"}}'\n  \
             curl -s http://{0}/certificates/resident-record -H 'X-Session: (sessionId)' -H 'X-Terminal: K-0001' -d '{{\"copies\":\"1\",\"scope\":\"household\"}}' -o certificate.pdf\n  \
             curl -s http://{3}/v2/residents/{4}",
            running.issuer, sample.card, sample.city, running.records, sample.resident
        );
    }
    println!("\nThe people are made up. Ctrl-C ends it.");
    tokio::signal::ctrl_c().await?;
    println!();
    for (fault, count) in world.chronicle().counts().into_iter().filter(|(_, count)| count.triggers + count.harms > 0) {
        println!("{:<26} fired {:>6}  harmed {:>6}", fault.name(), count.triggers, count.harms);
    }
    Ok(ExitCode::SUCCESS)
}
