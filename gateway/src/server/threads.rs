//! The threads that serve kiosks. Each has a runtime of its own, so that a request is served where it arrived and wakes no other
//! thread on its way. Knows nothing of requests.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

type Job = Box<dyn FnOnce() + Send>;

/// The threads of one listener. Dropped, they end with whatever is still on them.
pub struct Threads(Vec<Thread>);

struct Thread {
    /// Taken when it shall end.
    jobs: Option<UnboundedSender<Job>>,
    /// What was put on it and has not ended.
    busy: Arc<AtomicUsize>,
    handle: Option<JoinHandle<()>>,
}

impl Threads {
    /// Starts `count` of them.
    pub fn start(count: usize) -> io::Result<Arc<Self>> {
        let threads = (0..count.max(1)).map(Thread::start).collect::<io::Result<_>>()?;
        Ok(Arc::new(Self(threads)))
    }

    /// As many as the machine has cores for us.
    pub fn usual() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// Runs what `make` makes on the thread that has the least to do, and all of it there.
    pub fn spawn<F>(&self, make: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let idlest = self.0.iter().min_by_key(|thread| thread.busy.load(Ordering::Relaxed));
        let Some((thread, jobs)) = idlest.and_then(|thread| Some((thread, thread.jobs.as_ref()?))) else { return };
        let place = Busy::take(&thread.busy);
        let job = Box::new(move || {
            let work = make();
            tokio::spawn(async move {
                work.await;
                drop(place);
            });
        });
        // A thread takes jobs until this is dropped.
        let _ = jobs.send(job);
    }
}

impl Thread {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (jobs, mut waiting) = unbounded_channel::<Job>();
        let run = move || {
            runtime.block_on(async {
                while let Some(job) = waiting.recv().await {
                    job();
                }
            });
        };
        let handle = std::thread::Builder::new().name(format!("sekisho-kiosk-{number}")).spawn(run)?;
        Ok(Self { jobs: Some(jobs), busy: Arc::default(), handle: Some(handle) })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|thread| thread.jobs = None);
        for handle in self.0.iter_mut().filter_map(|thread| thread.handle.take()) {
            // One that drops the last of these from its own task cannot wait for itself.
            if handle.thread().id() != std::thread::current().id() && handle.join().is_err() {
                tracing::error!("a thread that served kiosks had panicked");
            }
        }
    }
}

/// One unit of work on a thread, counted.
struct Busy(Arc<AtomicUsize>);

impl Busy {
    fn take(busy: &Arc<AtomicUsize>) -> Self {
        busy.fetch_add(1, Ordering::Relaxed);
        Self(busy.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread::ThreadId;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn work_goes_to_the_thread_that_has_least_and_stays_there() {
        let threads = Threads::start(2).unwrap();
        let (seen, mut at) = unbounded_channel::<(ThreadId, ThreadId)>();
        let mut ends = Vec::new();
        for _ in 0..4 {
            let (end, ended) = oneshot::channel::<()>();
            ends.push(end);
            let seen = seen.clone();
            threads.spawn(move || async move {
                let here = std::thread::current().id();
                let inner = tokio::spawn(async { std::thread::current().id() }).await.unwrap();
                seen.send((here, inner)).unwrap();
                let _ = ended.await;
            });
        }
        let mut on = Vec::new();
        for _ in 0..4 {
            let (here, inner) = at.recv().await.unwrap();
            assert_eq!(here, inner, "what it spawns stays with it");
            on.push(here);
        }
        let each = on.iter().collect::<HashSet<_>>();
        assert_eq!(each.len(), 2);
        assert!(each.iter().all(|thread| on.iter().filter(|other| other == thread).count() == 2), "{on:?}");
    }

    #[tokio::test]
    async fn what_is_left_when_they_end_is_dropped() {
        let threads = Threads::start(1).unwrap();
        let (held, dropped) = oneshot::channel::<()>();
        threads.spawn(move || async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        drop(threads);
        assert!(dropped.await.is_err());
    }
}
