//! The allocator's habits, for processes that must stay small.

/// Makes large blocks leave the process as soon as they are freed, whatever sizes came before.
/// Source: mallopt(3), M_MMAP_THRESHOLD, M_TRIM_THRESHOLD.
pub fn stay_small() {
    const SMALL_BYTES: libc::c_int = 32 * 1024;
    // SAFETY: mallopt(3) changes the allocator's parameters under its own lock.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, SMALL_BYTES) };
    // SAFETY: as above.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, SMALL_BYTES) };
}

/// Gives free memory back to the kernel now. Source: malloc_trim(3).
pub fn trim() {
    // SAFETY: malloc_trim(3) works under the allocator's lock.
    unsafe { libc::malloc_trim(0) };
}
