//! What stands before a request or a response: [`RequestHeader`] and [`ResponseHeader`].
//!
//! The header's own version follows from API and version, see [`ApiKey::request_header_version`].

use crate::messages::header as wire;
use crate::{ApiKey, DecodeError, EncodeError, Message, Reader, Str, Writer};

/// The header of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API.
    pub api_key: ApiKey,
    /// The version of the request, which may be one that the message does not have.
    pub api_version: i16,
    /// A number that the response repeats.
    pub correlation_id: i32,
    /// How the client calls itself.
    pub client_id: Option<Str>,
}

impl RequestHeader {
    /// Takes the header off the beginning of a frame.
    ///
    /// An API that is not known is [`DecodeError::UnknownApi`]; the version is not judged here, because a
    /// request of ApiVersions in an unknown version has to be answered.
    pub fn decode(reader: &mut Reader) -> Result<RequestHeader, DecodeError> {
        let mut ahead = reader.clone();
        let number = ahead.int16()?;
        let api_version = ahead.int16()?;
        let api_key = ApiKey::from_i16(number).ok_or(DecodeError::UnknownApi(number))?;
        let header = wire::RequestHeader::decode(reader, api_key.request_header_version(api_version))?;
        Ok(RequestHeader {
            api_key,
            api_version,
            correlation_id: header.correlation_id,
            client_id: header.client_id,
        })
    }

    /// Puts the header at the beginning of a frame.
    pub fn encode(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        let header = wire::RequestHeader {
            request_api_key: self.api_key as i16,
            request_api_version: self.api_version,
            correlation_id: self.correlation_id,
            client_id: self.client_id.clone(),
        };
        header.encode(writer, self.api_key.request_header_version(self.api_version))
    }
}

/// The header of a response. Its version is the request's, so API and version have to be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHeader {
    /// The number that came with the request.
    pub correlation_id: i32,
}

impl ResponseHeader {
    /// Takes the header off the beginning of a frame that answers `api_key` in `api_version`.
    pub fn decode(
        reader: &mut Reader,
        api_key: ApiKey,
        api_version: i16,
    ) -> Result<ResponseHeader, DecodeError> {
        let version = api_key.response_header_version(api_version);
        let correlation_id = wire::ResponseHeader::decode(reader, version)?.correlation_id;
        Ok(ResponseHeader { correlation_id })
    }

    /// Puts the header at the beginning of a frame that answers `api_key` in `api_version`.
    pub fn encode(&self, writer: &mut Writer, api_key: ApiKey, api_version: i16) -> Result<(), EncodeError> {
        let header = wire::ResponseHeader { correlation_id: self.correlation_id };
        header.encode(writer, api_key.response_header_version(api_version))
    }
}
