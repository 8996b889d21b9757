//! Names that nobody else uses: of sessions and builds.

/// Random bytes in a name; BuildKit's own take 17.
const RANDOM_BYTES: usize = 16;

/// A new random name: lower-case letters and digits.
pub(super) fn new() -> String {
    let mut bytes = [0; RANDOM_BYTES];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        // Blocks until the kernel's generator is ready, then cannot fail but by a signal.
        if let Ok(more) = rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
            filled += more;
        }
    }
    hex(&bytes)
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
