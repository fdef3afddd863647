//! The issuer's pooled connections to its renderers. Requests and replies carry no number: a reply belongs to whoever reads it.
//!
//! Right: a connection on which a request was cancelled is closed. Wrong (cancelled-request-reuse): it goes back into the pool with
//! the reply still to come, and every later reply on it is one off.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::chronicle::{Asked, Executing};
use super::held;
use super::machine::Image;
use super::paper::{Form, Scope};
use super::renderer::{self, Failure};
use super::world::World;

/// A request to a renderer.
pub(super) struct Order {
    pub(super) asked: Arc<Asked>,
    pub(super) form: Form,
    pub(super) scope: Scope,
    /// Ends when the renderer is done, whoever still waits.
    pub(super) _executing: Executing,
}

/// What comes back on the connection.
pub(super) struct Reply {
    pub(super) asked: Arc<Asked>,
    pub(super) outcome: Result<Arc<Image>, Failure>,
}

/// One connection: a renderer at its other end works off requests in order.
pub(super) struct Pipe {
    to: mpsc::Sender<Order>,
    from: mpsc::Receiver<Reply>,
    uses: usize,
}

/// A connection is closed after this many requests, as such products do; it bounds how long one stays off by one.
const MOST_USES: usize = 8;

/// Connections not in use; the last one given back is taken first.
#[derive(Default)]
pub(super) struct Pipes {
    idle: Mutex<Vec<Pipe>>,
}

impl Pipes {
    fn take(&self, world: &Arc<World>) -> Pipe {
        if let Some(pipe) = held(&self.idle).pop() {
            return pipe;
        }
        let (to, mut orders) = mpsc::channel::<Order>(16);
        let (replies, from) = mpsc::channel::<Reply>(16);
        let world = Arc::downgrade(world);
        tokio::spawn(async move {
            let mut worker = renderer::Worker::default();
            while let Some(order) = orders.recv().await {
                let Some(world) = world.upgrade() else { return };
                let asked = Arc::clone(&order.asked);
                let outcome = renderer::render(&world, &mut worker, &order).await;
                drop(order);
                if replies.send(Reply { asked, outcome }).await.is_err() {
                    return;
                }
            }
        });
        Pipe { to, from, uses: 0 }
    }

    fn give_back(&self, mut pipe: Pipe) {
        pipe.uses += 1;
        if pipe.uses < MOST_USES {
            held(&self.idle).push(pipe);
        }
    }

    pub(super) fn clear(&self) {
        held(&self.idle).clear();
    }

    /// Sends a request. The reply is read with [`Sent::reply`].
    pub(super) async fn send(&self, world: &Arc<World>, order: Order, keep_when_cancelled: bool) -> Option<Sent<'_>> {
        let pipe = self.take(world);
        let to = pipe.to.clone();
        let sent = Sent { pipes: self, pipe: Some(pipe), keep_when_cancelled };
        to.send(order).await.ok()?;
        Some(sent)
    }
}

/// A request under way. Dropped before the reply is read: cancelled.
pub(super) struct Sent<'a> {
    pipes: &'a Pipes,
    pipe: Option<Pipe>,
    keep_when_cancelled: bool,
}

impl Sent<'_> {
    /// The next reply on the connection.
    pub(super) async fn reply(mut self) -> Option<Reply> {
        let reply = self.pipe.as_mut()?.from.recv().await;
        let pipe = self.pipe.take()?;
        if reply.is_some() {
            self.pipes.give_back(pipe);
        }
        reply
    }
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        if let Some(pipe) = self.pipe.take()
            && self.keep_when_cancelled
        {
            self.pipes.give_back(pipe);
        }
    }
}
