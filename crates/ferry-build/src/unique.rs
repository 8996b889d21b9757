//! Names that no other step has, on this machine and after a crash.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A new name of letters and digits: random, and counted where the kernel gives no randomness.
pub(crate) fn name() -> String {
    let mut random = [0u8; 8];
    if rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()) != Ok(8) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        random = now.map_or(0, |now| now.as_nanos() as u64).to_le_bytes();
    }
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}{count:x}", u64::from_le_bytes(random))
}
