//! Kafka's zigzag varints: at most 5 bytes for 32 bits, 10 for 64; what does not fit is an error.

/// Longest encoding of a 32-bit number, in bytes.
pub const VARINT_SIZE_MAX: usize = 5;
/// Longest encoding of a 64-bit number, in bytes.
pub const VARLONG_SIZE_MAX: usize = 10;

/// Why a varint could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VarintError {
    /// The bytes end before the number does.
    #[error("the bytes end within a varint")]
    Truncated,
    /// The number has more bits than its type.
    #[error("a varint is too long")]
    Overflow,
}

/// Bytes that `value` takes as a varint.
#[inline]
pub const fn varint_size(value: i32) -> usize {
    let zigzag = ((value << 1) ^ (value >> 31)) as u32;
    // 7 bits a byte; `| 1` gives zero its one byte.
    (38 - (zigzag | 1).leading_zeros() as usize) / 7
}

/// Bytes that `value` takes as a varlong.
#[inline]
pub const fn varlong_size(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    (70 - (zigzag | 1).leading_zeros() as usize) / 7
}

/// Writes `value` at the start of `target` and returns the bytes it took.
///
/// # Panics
/// When `target` is shorter than [`varlong_size`] of `value`.
#[inline]
pub fn write_varlong(target: &mut [u8], value: i64) -> usize {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    // Nearly every length and delta takes one byte.
    if zigzag < 0x80 {
        target[0] = zigzag as u8;
        return 1;
    }
    let mut length = 0;
    while zigzag >= 0x80 {
        target[length] = zigzag as u8 | 0x80;
        zigzag >>= 7;
        length += 1;
    }
    target[length] = zigzag as u8;
    length + 1
}

/// Writes `value` at the start of `target` and returns the bytes it took.
///
/// # Panics
/// When `target` is shorter than [`varint_size`] of `value`.
#[inline]
pub fn write_varint(target: &mut [u8], value: i32) -> usize {
    // The zigzag of a sign-extended 32-bit number is the same number.
    write_varlong(target, i64::from(value))
}

/// Takes a 32-bit number off the front of `source`.
#[inline(always)]
pub fn read_varint(source: &mut &[u8]) -> Result<i32, VarintError> {
    let zigzag = read_unsigned::<VARINT_SIZE_MAX, 32>(source)?;
    Ok(unzigzag(zigzag) as i32)
}

/// Takes a 64-bit number off the front of `source`.
#[inline(always)]
pub fn read_varlong(source: &mut &[u8]) -> Result<i64, VarintError> {
    read_unsigned::<VARLONG_SIZE_MAX, 64>(source).map(unzigzag)
}

/// The number whose zigzag encoding is `zigzag`.
#[inline]
pub const fn unzigzag(zigzag: u64) -> i64 {
    (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64)
}

#[inline(always)]
fn read_unsigned<const SIZE_MAX: usize, const BITS: u32>(source: &mut &[u8]) -> Result<u64, VarintError> {
    // One branch for each byte: the processor guesses the length and reads on. Without branches (eight bytes at
    // once) every field would wait for the length of the one before; measured, that halves the speed of reading.
    let mut value = 0u64;
    for index in 0..SIZE_MAX {
        let byte = *source.get(index).ok_or(VarintError::Truncated)?;
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * index as u32;
        if index == SIZE_MAX - 1 && (byte >= 0x80 || bits >> (BITS - shift) != 0) {
            return Err(VarintError::Overflow);
        }
        value |= bits << shift;
        if byte < 0x80 {
            *source = &source[index + 1..];
            return Ok(value);
        }
    }
    Err(VarintError::Overflow)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn overflow_and_truncation() {
        assert_eq!(read_varint(&mut &[0xff, 0xff, 0xff, 0xff, 0x0f][..]), Ok(i32::MIN));
        assert_eq!(read_varint(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]), Err(VarintError::Overflow));
        assert_eq!(read_varint(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0x00][..]), Err(VarintError::Overflow));
        assert_eq!(read_varint(&mut &[0x80, 0x80][..]), Err(VarintError::Truncated));
        assert_eq!(read_varint(&mut &[][..]), Err(VarintError::Truncated));
        let longest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(read_varlong(&mut &longest[..]), Ok(i64::MIN));
        let beyond = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(read_varlong(&mut &beyond[..]), Err(VarintError::Overflow));
    }

    proptest! {
        #[test]
        fn round_trip(value: i64, shift in 0u32..64, tail: Vec<u8>) {
            let value = value >> shift;
            let mut buffer = [0; VARLONG_SIZE_MAX];
            let length = write_varlong(&mut buffer, value);
            let mut bytes = buffer[..length].to_vec();
            prop_assert_eq!(bytes.len(), varlong_size(value));
            bytes.extend_from_slice(&tail);
            let mut source = bytes.as_slice();
            prop_assert_eq!(read_varlong(&mut source), Ok(value));
            prop_assert_eq!(source, tail.as_slice());

            let small = value as i32;
            let length = write_varint(&mut buffer, small);
            prop_assert_eq!(length, varint_size(small));
            prop_assert_eq!(read_varint(&mut &buffer[..length]), Ok(small));
        }
    }
}
