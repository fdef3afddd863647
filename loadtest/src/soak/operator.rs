//! The scripted operator: looks at every latch and clears it, but not before it is 100 ms old.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::cluster::Admin;

/// Nobody reads a report faster.
const READS_FOR: Duration = Duration::from_millis(100);

/// Clears latches until `over`; gives how many.
pub(super) async fn clear_latches(mut admin: Admin, over: Arc<AtomicBool>) -> anyhow::Result<u64> {
    let mut first_seen: HashMap<String, Instant> = HashMap::new();
    let mut clock = tokio::time::interval(Duration::from_millis(25));
    let mut cleared = 0;
    while !over.load(Ordering::Relaxed) {
        clock.tick().await;
        let open = admin.open_latches().await?;
        first_seen.retain(|id, _| open.iter().any(|latch| latch.id == *id));
        for latch in &open {
            let seen = *first_seen.entry(latch.id.clone()).or_insert_with(Instant::now);
            if seen.elapsed() >= READS_FOR {
                admin.clear(latch, "soak operator", "looked at the evidence; the fault is a simulated one").await?;
                cleared += 1;
            }
        }
    }
    Ok(cleared)
}
