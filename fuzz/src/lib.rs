//! What every target shares: the bound on memory. It counts what the target itself holds, which is why it can be exact:
//! libFuzzer allocates through C and is not in it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The most that may be allocated at once, by all threads together. Beyond it an allocation fails, which ends the run as a crash.
pub const MAX_LIVE_BYTES: usize = 64 << 20;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static SAID_MIB: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static BOUNDED: Bounded = Bounded;

struct Bounded;

// SAFETY: every call goes to the system's allocator unchanged; a null pointer is the documented way to refuse.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        let memory = if live > MAX_LIVE_BYTES { std::ptr::null_mut() } else { unsafe { System.alloc(layout) } };
        if memory.is_null() {
            LIVE.fetch_sub(layout.size(), Relaxed);
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) };
        LIVE.fetch_sub(layout.size(), Relaxed);
    }
}

/// Runs `read` on one input and says whenever the most ever held has grown by a whole MiB.
pub fn bounded(read: impl FnOnce()) {
    read();
    let peak_mib = PEAK.load(Relaxed).div_ceil(1 << 20);
    if SAID_MIB.fetch_max(peak_mib, Relaxed) < peak_mib {
        eprintln!("held at most {peak_mib} MiB so far, of {} allowed", MAX_LIVE_BYTES >> 20);
    }
}
