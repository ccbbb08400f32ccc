//! JSON lists. A short list is one text; a long one is streamed in rows as the client reads it.
//!
//! Invariant: only one batch of rows and the unsent text of a long list are in memory, and both count against the
//! memory budget until the client has read the text.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::vec;

use axum::body::Body;
use axum::response::Response;
use futures_util::stream::{self, Stream, StreamExt};
use keyward_core::error::chain;
use keyward_core::memory::{Account, Reservation};
use keyward_core::page::BATCH;
use serde::Serialize;

use crate::answer;
use crate::error::Failure;
use crate::memory::{hold, keep};

/// The beginning and the end of a response that is only a list.
pub(crate) const ARRAY: [&str; 2] = ["[", "]"];
/// The length, in bytes, from which a list is streamed.
const SHORT: usize = 64 << 10;
/// The size of a chunk of a long list, in bytes.
const CHUNK: usize = 16 << 10;
/// The memory reserved for the text of a long list, in bytes: the beginning, or the buffer of the connection and one
/// chunk.
const TEXT: usize = 80 << 10;
/// The minimum reserved for the rows, in bytes: a batch of the largest rows.
const ROWS: usize = BATCH as usize * 1_280;

/// An entry of a list.
pub(crate) trait Row: Send + 'static {
    /// The JSON form.
    type Json: Serialize;

    /// The approximate memory of the row, in bytes.
    fn weight(&self) -> usize;

    /// The JSON form.
    fn into_json(self) -> Self::Json;
}

/// A response 200 with the rows of `batches` between the two texts of `frame`.
///
/// # Errors
/// An error before the response starts. A later error is logged and breaks off the response.
pub(crate) async fn list<T, E>(
    frame: [&'static str; 2],
    batches: impl Stream<Item = Result<Vec<T>, E>> + Send + 'static,
    account: &Account,
) -> Result<Response, Failure>
where
    T: Row,
    E: StdError + Into<Failure> + Send + Sync + 'static,
{
    let [begin, end] = frame;
    let mut text = begin.as_bytes().to_vec();
    let mut lines = Lines {
        batches: Box::pin(batches),
        rows: Vec::new().into_iter(),
        is_first: true,
        end,
    };
    if lines.write(&mut text, SHORT).await.map_err(Into::into)? {
        return hold(answer::json(text), || account.clone());
    }
    let rows: usize = lines.rows.as_slice().iter().map(Row::weight).sum();
    let reservation = Arc::new(account.reserve((TEXT + rows.max(ROWS)) as u64)?);
    let first = keep(text, &reservation);
    let rest = stream::try_unfold(Some(lines), move |lines| {
        chunk(lines, Arc::clone(&reservation))
    });
    let chunks = stream::iter([Ok(first)]).chain(rest);
    Ok(answer::json(Body::from_stream(chunks)))
}

/// The next chunk of a long list, and the rest of the list. `None` after the last chunk.
async fn chunk<T: Row, E: StdError + 'static>(
    lines: Option<Lines<T, E>>,
    reservation: Arc<Reservation>,
) -> Result<Option<(bytes::Bytes, Option<Lines<T, E>>)>, E> {
    let Some(mut lines) = lines else {
        return Ok(None);
    };
    let mut text = Vec::with_capacity(CHUNK + CHUNK / 8);
    match lines.write(&mut text, CHUNK).await {
        Ok(is_last) => Ok(Some((
            keep(text, &reservation),
            (!is_last).then_some(lines),
        ))),
        Err(error) => {
            tracing::error!(
                error = chain(&error),
                "a list broke off while it was being sent"
            );
            Err(error)
        }
    }
}

type Batches<T, E> = Pin<Box<dyn Stream<Item = Result<Vec<T>, E>> + Send>>;

/// The rows of a list that are not written yet.
struct Lines<T, E> {
    batches: Batches<T, E>,
    rows: vec::IntoIter<T>,
    is_first: bool,
    end: &'static str,
}

impl<T: Row, E> Lines<T, E> {
    /// Appends rows to `text` until it is `length` bytes long or more. Returns whether the list is complete.
    async fn write(&mut self, text: &mut Vec<u8>, length: usize) -> Result<bool, E> {
        loop {
            for row in self.rows.by_ref() {
                if !std::mem::take(&mut self.is_first) {
                    text.push(b',');
                }
                // Rows always serialize, and writing to memory does not fail.
                let _ = serde_json::to_writer(&mut *text, &row.into_json());
                if text.len() >= length {
                    return Ok(false);
                }
            }
            let Some(batch) = self.batches.next().await else {
                text.extend_from_slice(self.end.as_bytes());
                return Ok(true);
            };
            self.rows = batch?.into_iter();
        }
    }
}
