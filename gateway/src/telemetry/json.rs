//! How a line looks: one flat JSON object, written straight into the line. Says what the log's own JSON would say, in the same words.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Time, level, the event's fields, target. No spans: nobody opens one.
pub(super) struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        line.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut line)?;
        write!(line, "\",\"level\":\"{}\"", event.metadata().level())?;
        let mut fields = Fields { line: &mut line, written: Ok(()) };
        event.record(&mut fields);
        fields.written?;
        line.write_str(",\"target\":\"")?;
        Escaped(&mut line).write_str(event.metadata().target())?;
        line.write_str("\"}\n")
    }
}

/// Writes each field behind a comma.
struct Fields<'l, 'w> {
    line: &'l mut Writer<'w>,
    written: fmt::Result,
}

impl Fields<'_, '_> {
    fn field(&mut self, field: &Field, quoted: bool, value: fmt::Arguments<'_>) {
        self.written = self.written.and_then(|()| {
            let quote = if quoted { "\"" } else { "" };
            self.line.write_str(",\"")?;
            Escaped(self.line).write_str(field.name())?;
            self.line.write_str("\":")?;
            self.line.write_str(quote)?;
            match value.as_str() {
                Some(text) => Escaped(self.line).write_str(text)?,
                None => Escaped(self.line).write_fmt(value)?,
            }
            self.line.write_str(quote)
        });
    }
}

impl Visit for Fields<'_, '_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, false, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, false, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, false, format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        match value.is_finite() {
            true => self.field(field, false, format_args!("{value:?}")),
            false => self.field(field, false, format_args!("null")),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, true, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field, true, format_args!("{value:?}"));
    }
}

/// The inside of a JSON text (RFC 8259, 7).
struct Escaped<'l, 'w>(&'l mut Writer<'w>);

impl Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let must = |c: char| c < ' ' || c == '"' || c == '\\';
        for piece in text.split_inclusive(must) {
            let last = piece.chars().next_back().filter(|c| must(*c));
            self.0.write_str(last.map_or(piece, |c| piece.strip_suffix(c).unwrap_or(piece)))?;
            match last {
                None => {}
                Some(c @ ('"' | '\\')) => write!(self.0, "\\{c}")?,
                Some('\n') => self.0.write_str("\\n")?,
                Some(c) => write!(self.0, "\\u{:04x}", u32::from(c))?,
            }
        }
        Ok(())
    }
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

    fn say_everything() {
        let error = io::Error::other("\"no\" \\ way");
        tracing::info!(target: "sekisho::request", request = %"01-ab", n = 7_u64, below = -7, "request");
        tracing::warn!(%error, why = ?Some("a\u{1}b\r\n\t\u{7f}髙"), good = true, half = 0.5, whole = 2.0, none = f64::NAN, "said {}", 1);
        tracing::error!(text = "", big = u128::MAX, error = &error as &dyn std::error::Error);
    }

    #[test]
    fn a_line_says_what_the_logs_own_json_says() {
        let (ours, theirs) = (Said::default(), Said::default());
        let into = ours.clone();
        let own = tracing_subscriber::fmt().event_format(Json).with_writer(move || into.clone()).finish();
        tracing::subscriber::with_default(own, say_everything);
        let into = theirs.clone();
        let json = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || into.clone()).finish();
        tracing::subscriber::with_default(json, say_everything);
        let read = |said: Said| -> Vec<serde_json::Value> {
            let text = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
            let timeless = |line| {
                let mut line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
                assert!(line["timestamp"].take().is_string());
                line
            };
            text.lines().map(timeless).collect()
        };
        let ours = read(ours);
        assert_eq!(ours.len(), 3);
        assert_eq!(ours, read(theirs));
    }
}
