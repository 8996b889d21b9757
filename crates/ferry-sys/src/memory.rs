//! A process' memory, for those of which there are many and that mostly wait.

use std::ptr;

/// Makes large blocks leave the process as soon as they are freed, whatever sizes came before.
/// Source: mallopt(3), M_MMAP_THRESHOLD, M_TRIM_THRESHOLD.
pub fn stay_small() {
    const SMALL_BYTES: libc::c_int = 32 * 1024;
    // SAFETY: mallopt(3) changes the allocator's parameters under its own lock.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, SMALL_BYTES) };
    // SAFETY: as above.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, SMALL_BYTES) };
}

/// Gives back what a process that will wait does not need: free heap, stack below the caller,
/// and its hold on the program's own pages, which come back from the page cache when touched.
pub fn rest() {
    // SAFETY: malloc_trim(3) works under the allocator's lock.
    unsafe { libc::malloc_trim(0) };
    release_stack();
    release_program();
}

/// The stack that deeper calls have used and that nobody uses now.
fn release_stack() {
    /// Room for this call, a signal frame and the red zone.
    const KEPT_BYTES: usize = 16 * 1024;
    const RELEASED_BYTES: usize = 512 * 1024;
    let here = 0_u8;
    let top = page_floor(ptr::from_ref(&here).addr() - KEPT_BYTES);
    discard(top - RELEASED_BYTES, top);
}

/// Code and constants, which are never written: the linker is told not to relocate them.
fn release_program() {
    unsafe extern "C" {
        /// The program's first byte and the end of its code. Source: ld(1), end(3).
        static __executable_start: u8;
        static etext: u8;
    }
    let first = (&raw const __executable_start).addr();
    let last = (&raw const etext).addr();
    if cfg!(target_feature = "crt-static") && first < last {
        discard(page_floor(first), page_floor(last));
    }
}

fn page_floor(address: usize) -> usize {
    const PAGE_BYTES: usize = 4096;
    address & !(PAGE_BYTES - 1)
}

/// Drops pages, of which the stack's read as zero afterwards and the program's as in its file.
/// Parts that are not mapped are left alone. Source: madvise(2), MADV_DONTNEED.
fn discard(from: usize, to: usize) {
    let start = ptr::without_provenance_mut::<libc::c_void>(from);
    // SAFETY: the caller's ranges are stack below every live frame, and private file mappings that
    // were never written, so that no live value changes.
    unsafe { libc::madvise(start, to - from, libc::MADV_DONTNEED) };
}
