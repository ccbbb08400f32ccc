//! The frames that a client sends, of which only the kinds and lengths are read here.
//!
//! Invariant: a connection whose client asks for nothing idles, whatever else its client sends. The blocks of header
//! fields that are larger than what any connection may hold are in the memory budget until they are complete.

use std::io;

use keyward_core::memory::{Account, FREE, Reservation};

use super::super::io::{Meter, reserve};
use super::super::pace::Pace;
use super::super::timeouts::{ConnectionState, Wait};

const PREFACE: u32 = 24;
/// Length (3 bytes), kind, flags, and the stream's number (RFC 9113 §4.1).
const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// A position in the frames of a client.
#[derive(Debug)]
pub(super) struct Http2Meter {
    /// The head of the next frame, as far as it was read.
    head: [u8; FRAME_HEAD],
    filled: usize,
    /// How much of the present frame, or of the preface, is still to come.
    left: u32,
    /// Whether the present frame is the last of a block of header fields.
    is_last: bool,
    /// How long the present block of header fields is; the preface is taken for one.
    block: Option<usize>,
    has_begun: bool,
    account: Account,
    /// How many bytes a block of header fields may take.
    most: u64,
    held: Option<Reservation>,
}

impl Http2Meter {
    pub(super) fn new(account: Account, most: usize) -> Self {
        Self {
            head: [0; FRAME_HEAD],
            filled: 0,
            left: PREFACE,
            is_last: true,
            block: None,
            has_begun: false,
            account,
            most: most as u64,
            held: None,
        }
    }

    fn begin_frame(&mut self, state: &ConnectionState) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.filled = 0;
        self.left = u32::from_be_bytes([0, high, middle, low]);
        if kind == HEADERS {
            self.begin_block(state);
        }
        self.is_last = matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0;
    }

    fn begin_block(&mut self, state: &ConnectionState) {
        self.block = Some(0);
        state.end(Wait::Idle);
        state.begin(Wait::Head);
    }

    fn lengthen_block(&mut self, state: &ConnectionState, bytes: usize) -> io::Result<()> {
        let Some(block) = &mut self.block else {
            return Ok(());
        };
        *block += bytes;
        if *block > FREE && self.held.is_none() {
            self.held = Some(reserve(&self.account, self.most, state)?);
        }
        Ok(())
    }

    fn end_block(&mut self, state: &ConnectionState) {
        if self.block.take().is_some() {
            self.held = None;
            state.end(Wait::Head);
        }
    }
}

impl Meter for Http2Meter {
    fn read(&mut self, mut bytes: &[u8], state: &ConnectionState, _: &mut Pace) -> io::Result<()> {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.begin_block(state);
        }
        while !bytes.is_empty() {
            if self.left > 0 {
                let skipped = bytes.len().min(self.left as usize);
                bytes = &bytes[skipped..];
                self.left -= u32::try_from(skipped).unwrap_or(self.left);
                self.lengthen_block(state, skipped)?;
            } else {
                let more = bytes.len().min(FRAME_HEAD - self.filled);
                self.head[self.filled..self.filled + more].copy_from_slice(&bytes[..more]);
                self.filled += more;
                bytes = &bytes[more..];
                if self.filled == FRAME_HEAD {
                    self.begin_frame(state);
                }
            }
            if self.left == 0 && self.is_last {
                self.end_block(state);
            }
        }
        Ok(())
    }

    fn written(&self, _: &ConnectionState) {
        // No stream idles before its client has taken all of its response. What is written later answers no request.
    }
}
