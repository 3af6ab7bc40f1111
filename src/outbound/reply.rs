//! Answers, counted while they arrive.

use super::{Fault, Timeouts, one_line};
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Response, StatusCode};

/// An error answer is read this far: enough for the one line that is quoted.
const ERROR_BYTES_MAX: usize = 4 << 10;

/// The head of an answer; the body is still to come.
#[derive(Debug)]
pub struct Reply {
    response: Response,
    timeouts: Timeouts,
}

impl Reply {
    pub(super) fn new(response: Response, timeouts: Timeouts) -> Self {
        Self { response, timeouts }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// A header in visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = self.response.headers().get(name)?;
        value.to_str().ok()
    }

    /// The first line that an error answer says, made harmless; possibly empty.
    pub async fn words(mut self) -> String {
        let mut body = Vec::new();
        // The status is the fact; a body that breaks off only shortens the quote.
        while let Ok(Some(chunk)) = self.response.chunk().await
            && body.len() < ERROR_BYTES_MAX
        {
            body.extend_from_slice(&chunk);
        }
        body.truncate(ERROR_BYTES_MAX);
        one_line(&body)
    }

    /// The body, if it is of one of the media types, to be read up to `limit` bytes.
    ///
    /// # Errors
    /// [`Fault::Media`] for another type.
    pub fn body(self, media: &[&str], limit: usize) -> Result<Body, Fault> {
        let header = self.response.headers().get(CONTENT_TYPE);
        let found = header.map_or(&b""[..], HeaderValue::as_bytes);
        let essence = found.split(|b| *b == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii();
        let Some(index) = media
            .iter()
            .position(|media| essence.eq_ignore_ascii_case(media.as_bytes()))
        else {
            return Err(Fault::Media(one_line(essence)));
        };
        Ok(Body {
            reply: self,
            media: index,
            limit,
            left: limit,
        })
    }
}

/// A body on its way.
#[derive(Debug)]
pub struct Body {
    reply: Reply,
    media: usize,
    limit: usize,
    left: usize,
}

impl Body {
    /// Which of the media types it is: the index in the list that was given.
    #[must_use]
    pub fn media(&self) -> usize {
        self.media
    }

    /// The next piece, `None` at the end.
    ///
    /// # Errors
    /// [`Fault::TooLarge`] beyond the limit, [`Fault::Transport`] if the body stops half way.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        let timeouts = self.reply.timeouts;
        let piece = self.reply.response.chunk().await;
        let piece = piece.map_err(|error| Fault::transport(&error, timeouts))?;
        if let Some(piece) = &piece {
            let left = self.left.checked_sub(piece.len());
            self.left = left.ok_or(Fault::TooLarge(self.limit))?;
        }
        Ok(piece)
    }

    /// All of it.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn whole(mut self) -> Result<Vec<u8>, Fault> {
        let mut body = Vec::new();
        while let Some(piece) = self.next().await? {
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }
}
