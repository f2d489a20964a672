//! Frames: header and message, behind a length of four bytes on a byte stream.
//!
//! ```text
//! stream:  length (int32) | frame | length | frame | …
//! frame:   header | message                             what an in-memory connection passes
//! ```

use bytes::{Buf, Bytes, BytesMut};

use crate::{
    ApiKey, DecodeError, EncodeError, FrameError, Message, Reader, Request, RequestHeader, ResponseHeader,
    Str, Writer,
};

/// Bytes of the length before a frame on a byte stream.
pub const LENGTH_BYTES: usize = 4;

/// The length that `prefix` announces, in bytes, if it is not above `limit`.
///
/// To be asked before room is made for the frame.
pub fn frame_length(prefix: [u8; LENGTH_BYTES], limit: usize) -> Result<usize, FrameError> {
    let announced = i32::from_be_bytes(prefix);
    let length = usize::try_from(announced).map_err(|_| FrameError::Negative(announced))?;
    if length > limit { Err(FrameError::TooLarge { length, limit }) } else { Ok(length) }
}

/// What goes before a frame of `length` bytes on a byte stream.
pub fn length_prefix(length: usize) -> Result<[u8; LENGTH_BYTES], EncodeError> {
    i32::try_from(length).map(i32::to_be_bytes).map_err(|_| EncodeError::TooLong(length))
}

/// Cuts the first frame off what was received, without a copy; `None` when it is not complete yet.
pub fn split_frame(received: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, FrameError> {
    let Some(prefix) = received.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = frame_length(*prefix, limit)?;
    if received.len() - LENGTH_BYTES < length {
        return Ok(None);
    }
    received.advance(LENGTH_BYTES);
    Ok(Some(received.split_to(length).freeze()))
}

/// A frame with `request` in `version`, without the length before it.
pub fn encode_request<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<Str>,
) -> Result<Writer, EncodeError> {
    let mut writer = Writer::with_capacity(256);
    RequestHeader { api_key: R::API_KEY, api_version: version, correlation_id, client_id }
        .encode(&mut writer)?;
    request.encode(&mut writer, version)?;
    Ok(writer)
}

/// A frame that answers a request of `api_key` in `version` with `response`, without the length before it.
///
/// ApiVersions is answered with `version` 0 when the version asked for is unknown. To send records from
/// elsewhere, make the frame by hand: [`ResponseHeader::encode`], [`Writer::detach_records`],
/// [`Message::encode`].
pub fn encode_response<M: Message>(
    response: &M,
    api_key: ApiKey,
    version: i16,
    correlation_id: i32,
) -> Result<Writer, EncodeError> {
    let mut writer = Writer::with_capacity(256);
    ResponseHeader { correlation_id }.encode(&mut writer, api_key, version)?;
    response.encode(&mut writer, version)?;
    Ok(writer)
}

/// Header and request of a frame, when the API is already known to be `R`'s.
pub fn decode_request<R: Request>(frame: Bytes) -> Result<(RequestHeader, R), DecodeError> {
    let mut reader = Reader::new(frame);
    let header = RequestHeader::decode(&mut reader)?;
    if header.api_key != R::API_KEY {
        return Err(DecodeError::UnknownApi(header.api_key as i16));
    }
    let request = R::decode(&mut reader, header.api_version)?;
    Ok((header, request))
}

/// Correlation id and response of a frame that answers `R` in `version`.
pub fn decode_response<R: Request>(frame: Bytes, version: i16) -> Result<(i32, R::Response), DecodeError> {
    let mut reader = Reader::new(frame);
    let header = ResponseHeader::decode(&mut reader, R::API_KEY, version)?;
    let response = R::Response::decode(&mut reader, version)?;
    Ok((header.correlation_id, response))
}
