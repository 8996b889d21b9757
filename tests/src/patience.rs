//! Waiting for what comes soon, with an end.

use std::time::{Duration, Instant};

/// What a test waits for at most, however busy the machine is; nothing is asserted about how long it took.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Looks again and again until `look` finds something, and panics with `what` after a minute.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < LIMIT, "waited {} s in vain: {what}", LIMIT.as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
}
