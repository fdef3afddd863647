//! The log's way out: lines are gathered and written many at a time by a thread of their own, so that no request waits for them.
//!
//! Never drops a line: when too many wait, whoever logs waits as well; warnings go at once, and an orderly end writes what is left.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// A line is written at the latest after this.
const GATHER: Duration = Duration::from_millis(20);
/// So much is written at once, without waiting for more.
const WRITE_BYTES: usize = 64 * 1024;
/// With so much waiting, who logs waits too.
const MAX_WAITING_BYTES: usize = 1024 * 1024;

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    urgent: bool,
    closing: bool,
    thread_waits: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
    room: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where lines are handed in.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

/// Held while the process logs; dropped, it writes what is left and ends the thread.
pub struct Writing {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Lines {
    /// Starts the thread that writes to `out`.
    pub(super) fn to(out: impl Write + Send + 'static) -> io::Result<(Self, Writing)> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("sekisho-log".to_owned()).spawn(move || write(&own, out))?;
        Ok((Self(Arc::clone(&shared)), Writing { shared, thread: Some(thread) }))
    }
}

fn write(shared: &Shared, mut out: impl Write) {
    let mut taken = Vec::new();
    loop {
        let mut state = shared.lock();
        while state.lines.is_empty() && !state.closing {
            state.thread_waits = true;
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.thread_waits = false;
        let more = |state: &mut State| !state.urgent && !state.closing && state.lines.len() < WRITE_BYTES;
        let gathered = shared.work.wait_timeout_while(state, GATHER, more);
        let mut state = gathered.unwrap_or_else(PoisonError::into_inner).0;
        state.urgent = false;
        let last = state.closing;
        std::mem::swap(&mut state.lines, &mut taken);
        drop(state);
        shared.room.notify_all();
        // Nobody is left to tell when the log itself cannot be written.
        let _ = out.write_all(&taken).and_then(|()| out.flush());
        taken.clear();
        if last {
            return;
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One line on its way.
pub(super) struct Line<'a> {
    lines: &'a Shared,
    urgent: bool,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: &self.0, urgent: false }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Line<'a> {
        Line { lines: &self.0, urgent: *meta.level() <= Level::WARN }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let full = |state: &mut State| state.lines.len() >= MAX_WAITING_BYTES && !state.closing;
        let state = self.lines.lock();
        let mut state = self.lines.room.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
        if state.closing {
            // After the last line was gathered there is no thread; what is said then goes straight out.
            return io::stderr().write(bytes);
        }
        let before = state.lines.len();
        state.lines.extend_from_slice(bytes);
        state.urgent |= self.urgent;
        let filled = before < WRITE_BYTES && state.lines.len() >= WRITE_BYTES;
        let wake = std::mem::take(&mut state.thread_waits) || self.urgent || filled;
        drop(state);
        if wake {
            self.lines.work.notify_one();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Hands each write over, and takes the next only when it was received.
    struct Out(mpsc::SyncSender<Vec<u8>>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_out_whole_and_in_order_and_an_orderly_end_loses_none() {
        let (out, written) = mpsc::sync_channel(1024);
        let (lines, writing) = Lines::to(Out(out)).unwrap();
        let said: Vec<String> = (0..500).map(|n| format!("line {n}\n")).collect();
        for line in &said {
            lines.make_writer().write_all(line.as_bytes()).unwrap();
        }
        drop(writing);
        let writes: Vec<Vec<u8>> = written.iter().collect();
        assert!(writes.len() < said.len(), "they share writes");
        assert_eq!(String::from_utf8(writes.concat()).unwrap(), said.concat());
    }

    #[test]
    fn who_logs_more_than_can_be_written_waits_and_loses_nothing() {
        let (out, written) = mpsc::sync_channel(0);
        let (lines, writing) = Lines::to(Out(out)).unwrap();
        let line = vec![b'x'; WRITE_BYTES];
        let times = 3 * MAX_WAITING_BYTES / WRITE_BYTES;
        let (hold, held) = mpsc::channel();
        let logging = std::thread::spawn(move || {
            (0..times).for_each(|_| lines.make_writer().write_all(&line).unwrap());
            hold.send(()).unwrap();
        });
        // Nothing is read yet, so not everything can have found room.
        assert!(held.try_recv().is_err());
        let reading = std::thread::spawn(move || written.iter().map(|write| write.len()).sum::<usize>());
        logging.join().unwrap();
        drop(writing);
        assert_eq!(reading.join().unwrap(), times * WRITE_BYTES);
    }
}
