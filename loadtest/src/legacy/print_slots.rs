//! Print slots: a print-order lock, a printer that takes its time, and a tray where the image arrives.
//!
//! Right: when the print wait is over, the whole issuance ends. Wrong (yokohama): only the print order is given back, and the job
//! goes on waiting at the tray, where it gets the next image: that of the job which has the order now.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::held;
use super::tray::Tray;

/// The printers of one municipality.
pub(super) struct PrintSlots<T> {
    permits: Semaphore,
    free: Mutex<Vec<Arc<Tray<T>>>>,
}

/// The print order: while it is held, nobody else may print in that slot.
struct Order<'a, T> {
    slots: &'a PrintSlots<T>,
    tray: Arc<Tray<T>>,
    _permit: tokio::sync::SemaphorePermit<'a>,
}

impl<T> Drop for Order<'_, T> {
    fn drop(&mut self) {
        held(&self.slots.free).push(Arc::clone(&self.tray));
    }
}

/// How one job prints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Printing {
    /// How long the printer takes.
    pub(super) takes: Duration,
    /// The time limit.
    pub(super) wait: Duration,
    /// The time-out gives back only the print order.
    pub(super) keeps_waiting: bool,
}

impl<T> PrintSlots<T> {
    pub(super) fn new(count: usize) -> Self {
        Self { permits: Semaphore::new(count), free: Mutex::new((0..count).map(|_| Arc::default()).collect()) }
    }

    async fn order(&self) -> Option<Order<'_, T>> {
        let permit = self.permits.acquire().await.ok()?;
        let tray = held(&self.free).pop()?;
        Some(Order { slots: self, tray, _permit: permit })
    }

    /// Prints and brings the image back; `None` when the time limit ended the issuance.
    pub(super) async fn print(&self, image: T, how: Printing) -> Option<T> {
        let order = self.order().await?;
        if !how.keeps_waiting {
            // Whatever an earlier mishap left is thrown away by a product that ends the whole issuance.
            order.tray.clear();
        }
        let printed = async {
            if !how.takes.is_zero() {
                tokio::time::sleep(how.takes).await;
            }
            image
        };
        if let Ok(image) = tokio::time::timeout(how.wait, printed).await {
            order.tray.put(image);
            // Printed: there has to be an image. If somebody else took it, this issuance fails.
            return tokio::time::timeout(how.wait, order.tray.next()).await.ok().flatten();
        }
        if !how.keeps_waiting {
            return None;
        }
        // The order goes back (and with it what was being printed for it), the job stays.
        let tray = Arc::clone(&order.tray);
        drop(order);
        tokio::time::timeout(how.wait * 4, tray.next()).await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(50);

    async fn two_jobs(keeps_waiting: bool) -> (Option<&'static str>, Option<&'static str>) {
        let slots = PrintSlots::new(1);
        let late = Printing { takes: WAIT * 2, wait: WAIT, keeps_waiting };
        let prompt = Printing { takes: WAIT / 2, wait: WAIT, keeps_waiting };
        tokio::join!(slots.print("first", late), slots.print("second", prompt))
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_out_that_gives_back_only_the_order_hands_out_the_next_image() {
        assert_eq!(two_jobs(true).await, (Some("second"), None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_out_that_ends_the_issuance_harms_nobody() {
        assert_eq!(two_jobs(false).await, (None, Some("second")));
    }
}
