//! Which partition of an internal topic coordinates a name: Java's `String.hashCode` modulo the partition count.
//!
//! Every client, tool and broker of Kafka agrees on this rule, and the data on disk is laid out by it.

/// Java's `String.hashCode`: over UTF-16 units, so that names beyond the basic plane hash as two surrogates.
pub fn java_string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The partition, in `0..partition_count`, that coordinates `name`. A count below one is read as one.
pub fn partition_for(name: &str, partition_count: i32) -> i32 {
    // Kafka's absolute value maps i32::MIN to 0 rather than to a negative number.
    let hash = java_string_hash(name).checked_abs().unwrap_or(0);
    hash % partition_count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_java_does() {
        // Values printed by java.lang.String.hashCode.
        assert_eq!(java_string_hash(""), 0);
        assert_eq!(java_string_hash("a"), 97);
        assert_eq!(java_string_hash("hello"), 99_162_322);
        assert_eq!(java_string_hash("polygenelubricants"), i32::MIN);
        assert_eq!(java_string_hash("\u{1F600}"), 1_772_899);
    }

    #[test]
    fn the_smallest_hash_lands_in_partition_zero() {
        assert_eq!(partition_for("polygenelubricants", 50), 0);
        assert_eq!(partition_for("hello", 50), 22);
        assert_eq!(partition_for("hello", 1), 0);
    }
}
