//! Doors for `fuzz/` to decoders that nobody else may use. Only built with `--cfg fuzzing`.

/// Reads bytes as every strategy reads what a member tells of itself, and as an assignment.
pub fn group_protocol(bytes: &[u8]) {
    crate::consumer::read_group_bytes(bytes);
}
