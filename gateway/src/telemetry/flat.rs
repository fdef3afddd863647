//! How a line looks: one flat JSON object, made whole by the crates that write JSON and handed over in one piece.

use std::fmt;

use serde::Serializer as _;
use serde::ser::SerializeMap;
use tracing::{Event, Subscriber};
use tracing_serde::SerdeMapVisitor;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Room that is made for a line at once.
const USUAL_BYTES: usize = 512;

/// Time, level, the event's fields, target. No spans: nobody opens one.
pub(super) struct Flat;

impl<S, N> FormatEvent<S, N> for Flat
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let line = line(&time, event).map_err(|_| fmt::Error)?;
        // Checked once: piece by piece, in the middle of writing, it costs as much as the writing.
        out.write_str(std::str::from_utf8(&line).map_err(|_| fmt::Error)?)
    }
}

fn line(time: &str, event: &Event<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = Vec::with_capacity(USUAL_BYTES);
    let mut json = serde_json::Serializer::new(&mut line);
    let mut map = json.serialize_map(None)?;
    map.serialize_entry("timestamp", time)?;
    map.serialize_entry("level", event.metadata().level().as_str())?;
    let mut fields = SerdeMapVisitor::new(map);
    event.record(&mut fields);
    let mut map = fields.take_serializer()?;
    map.serialize_entry("target", event.metadata().target())?;
    map.end()?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Said(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Said {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines of two events, without their times.
    fn said(subscriber: impl Subscriber + Send + Sync, said: &Said) -> Vec<serde_json::Value> {
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "sekisho::request", request = %"01-ab", n = 7_u64, below = -7, good = true, "request");
            tracing::warn!(error = %io::Error::other("\"no\" \\ way"), why = ?Some("a\u{1}b\r\n髙"), half = 0.5, "said {}", 1);
        });
        let text = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
        let timeless = |line| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert!(line["timestamp"].take().is_string());
            line
        };
        text.lines().map(timeless).collect()
    }

    #[test]
    fn a_line_says_what_the_logs_own_json_says() {
        let (ours, theirs) = (Said::default(), Said::default());
        let into = ours.clone();
        let flat = tracing_subscriber::fmt().event_format(Flat).with_writer(move || into.clone()).finish();
        let into = theirs.clone();
        let json = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || into.clone()).finish();
        let lines = said(flat, &ours);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines, said(json, &theirs));
    }
}
