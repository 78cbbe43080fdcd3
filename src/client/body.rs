//! Answers, read within a bound.

use bytes::{Bytes, BytesMut};
use reqwest::Response;

use super::error::{Failure, cause};

/// Why an answer's body is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("the answer is larger than {max} bytes")]
    TooLarge { max: usize },
    #[error("the answer was cut off in the middle: {0}")]
    Cut(String),
    #[error("the answer did not end in time")]
    Timeout,
    #[error("the answer cannot be read: {0}")]
    Other(String),
}

impl From<reqwest::Error> for ReadError {
    fn from(error: reqwest::Error) -> ReadError {
        match Failure::of(&error) {
            Failure::Timeout => ReadError::Timeout,
            Failure::Malformed => ReadError::Other(cause(&error)),
            _ => ReadError::Cut(cause(&error)),
        }
    }
}

/// The whole body, decompressed, if it is no larger than this.
pub async fn read_bounded(mut response: Response, bytes_max: usize) -> Result<Bytes, ReadError> {
    let too_large = ReadError::TooLarge { max: bytes_max };
    let announced = response.content_length().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
    if announced > bytes_max {
        return Err(too_large);
    }
    let mut body = BytesMut::with_capacity(announced);
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > bytes_max {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
