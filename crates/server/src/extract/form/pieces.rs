//! Feeds a body to the parser of multipart forms.
//!
//! The parser takes all bytes that are ready, keeps them until it has a result, and searches all of them again when
//! more arrive. Invariant: it is fed at most [`MOST_AHEAD`] bytes between two results, so its memory is bounded. Each
//! piece is at least half as long as the bytes it keeps, so its work is linear in the body, however small the pieces
//! are that arrive.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http::StatusCode;

use crate::error::Failure;

/// The size of a piece, in bytes.
const PIECE: usize = 32 * 1024;
/// How many bytes the parser may take without a result. This bounds the headers of a part.
const MOST_AHEAD: usize = 64 * 1024;
/// The memory of the parser and of the pieces waiting for it, in bytes.
pub(crate) const MEMORY: u64 = (MOST_AHEAD + 2 * PIECE) as u64;

/// The reason why the parser gets no more bytes.
#[derive(Debug, thiserror::Error)]
pub(super) enum PiecesError {
    /// The body is too large.
    #[error("the body is larger than allowed")]
    TooLarge,
    /// The parser has taken too many bytes without a result.
    #[error("the headers of a part are larger than allowed")]
    TooFarAhead,
    /// The body broke off, or arrived too slowly.
    #[error("the body cannot be read to its end")]
    Body(#[source] axum::Error),
}

impl From<PiecesError> for Failure {
    fn from(refusal: PiecesError) -> Self {
        let status = match refusal {
            PiecesError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            PiecesError::TooFarAhead => StatusCode::BAD_REQUEST,
            PiecesError::Body(error) => return Self::of_body(&error),
        };
        Self::new(status, refusal.to_string())
    }
}

/// The number of bytes that the parser has taken since its last result.
#[derive(Clone, Debug, Default)]
pub(super) struct Ahead(Arc<AtomicUsize>);

impl Ahead {
    /// Records a result.
    pub(super) fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// The pieces of a body. Each poll returns at most one.
pub(super) struct Pieces {
    body: BodyDataStream,
    ready: BytesMut,
    left: u64,
    ahead: Ahead,
    resting: bool,
    ended: bool,
}

impl Pieces {
    /// The pieces of a body of at most `largest` bytes.
    pub(super) fn new(body: Body, largest: u64) -> (Self, Ahead) {
        let ahead = Ahead::default();
        let pieces = Self {
            body: body.into_data_stream(),
            ready: BytesMut::new(),
            left: largest,
            ahead: ahead.clone(),
            resting: false,
            ended: false,
        };
        (pieces, ahead)
    }

    fn take(&mut self, chunk: Bytes) -> Result<(), PiecesError> {
        let left = self.left.checked_sub(chunk.len() as u64);
        self.left = left.ok_or(PiecesError::TooLarge)?;
        if self.ready.is_empty() {
            // Does not copy a chunk that has no other owner.
            self.ready = BytesMut::from(chunk);
        } else {
            self.ready.extend_from_slice(&chunk);
        }
        Ok(())
    }
}

impl Stream for Pieces {
    type Item = Result<Bytes, PiecesError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The parser polls until nothing is ready, so this makes it search the bytes it has first.
        if std::mem::take(&mut self.resting) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let ahead = self.ahead.0.load(Ordering::Relaxed);
        let wanted = (ahead / 2).clamp(1, PIECE);
        while self.ready.len() < wanted && !self.ended {
            match ready!(Pin::new(&mut self.body).poll_next(context)) {
                None => self.ended = true,
                Some(Err(error)) => return Poll::Ready(Some(Err(PiecesError::Body(error)))),
                Some(Ok(chunk)) => {
                    if let Err(refusal) = self.take(chunk) {
                        return Poll::Ready(Some(Err(refusal)));
                    }
                }
            }
        }
        if self.ready.is_empty() {
            return Poll::Ready(None);
        }
        if ahead >= MOST_AHEAD {
            return Poll::Ready(Some(Err(PiecesError::TooFarAhead)));
        }
        let length = self.ready.len().min(PIECE);
        self.ahead.0.fetch_add(length, Ordering::Relaxed);
        self.resting = true;
        Poll::Ready(Some(Ok(self.ready.split_to(length).freeze())))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};

    use super::*;

    /// How many bytes a parser without results searches in a body of `length` bytes that arrive one by one.
    async fn searched(length: usize) -> u64 {
        let bytes = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(b"x")));
        let (mut pieces, _ahead) = Pieces::new(Body::from_stream(bytes.take(length)), u64::MAX);
        let (mut kept, mut searched) = (0, 0);
        while let Some(piece) = pieces.next().await {
            kept += piece.expect("a piece").len() as u64;
            searched += kept;
        }
        assert_eq!(kept, length as u64);
        searched
    }

    #[tokio::test]
    async fn the_work_of_the_parser_grows_no_faster_than_the_body_however_that_arrives() {
        let mut before = searched(1_000).await;
        for length in [8_000, 64_000] {
            let work = searched(length).await;
            assert!(work <= 12 * before, "{length} bytes: {work} after {before}");
            assert!(work <= 8 * length as u64, "{length} bytes: {work}");
            before = work;
        }
    }

    #[tokio::test]
    async fn what_has_no_end_is_fed_no_further() {
        let chunk = || Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 10_000]));
        let (mut pieces, ahead) =
            Pieces::new(Body::from_stream(stream::repeat_with(chunk)), 200_000);
        let mut taken = 0;
        let mut refused = None;
        while refused.is_none() {
            match pieces.next().await.expect("it has no end") {
                Ok(piece) => taken += piece.len(),
                Err(refusal) => refused = Some(refusal),
            }
        }
        assert!(
            matches!(refused, Some(PiecesError::TooFarAhead)),
            "{refused:?}"
        );
        assert!(taken < MOST_AHEAD + PIECE, "{taken}");
        // With results in between, the parser is fed until the body is too large.
        let refused = loop {
            ahead.clear();
            if let Err(refusal) = pieces.next().await.expect("it has no end") {
                break refusal;
            }
        };
        assert!(matches!(refused, PiecesError::TooLarge), "{refused:?}");
    }
}
