//! Going down in order: not ready, accept nothing, finish what is in flight, within a bound. Never cuts a reply before it.

use tokio::sync::watch;

/// Whether the process is going down; everybody holds the same one.
#[derive(Debug, Clone)]
pub struct Drain(watch::Sender<bool>);

impl Default for Drain {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Drain {
    /// Says that it is; cannot be taken back.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Whether it is.
    pub fn begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves when it is.
    pub fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut begun = self.0.subscribe();
        async move {
            // The sender lives in every holder of this value, so an error means that everybody is gone.
            let _ = begun.wait_for(|begun| *begun).await;
        }
    }
}
