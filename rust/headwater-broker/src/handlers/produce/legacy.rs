//! Produce versions 0 to 2, which are advertised and refused.
//!
//! librdkafka up to 2.11 compresses only if the broker's range begins at 0, and then uses a newer version
//! all the same. Whoever really sends one of these is told UNSUPPORTED_VERSION for each partition. The
//! protocol crate does not know these versions, so the few fields are read and written here.
//!
//! ```text
//! request   acks i16 | timeout i32 | [ topic string | [ partition i32 | records bytes ] ]
//! response  [ topic string | [ partition i32 | error i16 | offset i64 | v2: append time i64 ] ] | v1: throttle i32
//! ```

use headwater_env::Env;
use headwater_protocol::{DecodeError, ErrorCode, Reader, Str};

use super::super::HandlerResult;
use crate::context::Call;
use crate::reply::{HandlerError, Reply};

/// The fewest bytes of an element of either list.
const ELEMENT_BYTES_MIN: usize = 6;

/// Reads which partitions are meant and refuses them all.
pub(crate) fn refuse<E: Env>(call: &Call<E>, mut reader: Reader) -> HandlerResult<E> {
    let acks = reader.int16()?;
    let topics = partitions(&mut reader)?;
    if acks == 0 {
        return Err(HandlerError::Disconnect("a produce request of an unsupported version"));
    }
    let mut writer = Reply::<E>::begin(&call.context)?;
    writer.put_int32(i32::try_from(topics.len()).unwrap_or(i32::MAX));
    for (name, indexes) in topics {
        writer.put_string(false, &name)?;
        writer.put_int32(i32::try_from(indexes.len()).unwrap_or(i32::MAX));
        for index in indexes {
            writer.put_int32(index);
            writer.put_int16(ErrorCode::UnsupportedVersion.code());
            writer.put_int64(-1);
            if call.version() >= 2 {
                writer.put_int64(-1);
            }
        }
    }
    if call.version() >= 1 {
        writer.put_int32(call.throttle_ms());
    }
    Ok(Reply::from_writer(writer, call.throttle_ms()))
}

fn partitions(reader: &mut Reader) -> Result<Vec<(Str, Vec<i32>)>, DecodeError> {
    reader.int32()?;
    let mut topics = Vec::new();
    for _ in 0..count(reader)? {
        let name = reader.string(false)?;
        let mut indexes = Vec::new();
        for _ in 0..count(reader)? {
            indexes.push(reader.int32()?);
            reader.nullable_bytes(false)?;
        }
        topics.push((name, indexes));
    }
    Ok(topics)
}

/// The length of a list, compared with what the remaining bytes can hold.
fn count(reader: &mut Reader) -> Result<usize, DecodeError> {
    let count = reader.int32()?;
    let count = usize::try_from(count).map_err(|_| DecodeError::Length(count))?;
    let remaining = reader.remaining();
    if count > remaining / ELEMENT_BYTES_MIN {
        return Err(DecodeError::Count { count, remaining });
    }
    Ok(count)
}
