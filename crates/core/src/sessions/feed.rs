//! The store of the revocation feed. Each method is atomic, and its effect is on disk when it returns.

use async_trait::async_trait;

use super::{Reason, Tag};
use crate::clock::Timestamp;
use crate::error::Fault;
use crate::id::SessionId;

/// The row of the feed after which a reader continues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its sequence number; 0 before the first row.
    pub seq: i64,
    /// The session that was closed.
    pub session: SessionId,
    /// When it was closed. If a number was given twice, this time tells the two closures apart.
    pub closed_at: Timestamp,
}

/// The identity of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The epoch, which is raised whenever all sessions end. Sessions with ids up to it are refused.
    pub epoch: i64,
    /// The tag that the tokens of this database carry; `None` if it has none yet.
    pub tag: Option<Tag>,
    /// The largest session id whose tokens may lack the tag, because they were issued before the database had one.
    pub untagged: i64,
    /// The version of the signing keys.
    pub keys: i64,
    /// Tokens issued up to this time may belong to sessions that the database has lost.
    pub doubtful_until: Option<Timestamp>,
}

/// Closures read from the feed, in the order of their sequence numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closures {
    /// The closed sessions.
    pub sessions: Vec<SessionId>,
    /// The last row read, after which the next reading continues.
    pub place: Place,
    /// Whether the row after which the reader continued still exists. It does unless the database went back or a new
    /// epoch began.
    pub follows: bool,
    /// The database, read after the rows.
    pub identity: Identity,
}

/// The bounds of the ended sessions that were deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Their tokens expired before this time.
    pub horizon: Timestamp,
    /// The largest id among them.
    pub last: SessionId,
}

/// The stored revocation feed.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Up to `limit` closures after `place`.
    ///
    /// Closures that are committed later have larger numbers than all returned ones, so none is missed.
    async fn list_closures(&self, place: Place, limit: u32) -> Result<Closures, Fault>;

    /// Closes the open ones among the sessions, in one commit, and returns them.
    async fn close_sessions(
        &self,
        ids: Vec<SessionId>,
        reason: Reason,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, Fault>;

    /// Stores `fresh` as the database's tag if it has none. Of concurrent calls, one succeeds.
    async fn keep_tag(&self, fresh: Tag) -> Result<(), Fault>;

    /// Begins a new epoch with a new tag, and deletes all sessions and closures, in one commit. The epoch is at least
    /// `floor` and above the last one. Returns it.
    async fn begin_epoch(&self, floor: i64, tag: Tag) -> Result<i64, Fault>;

    /// Records that tokens issued up to this time may belong to sessions that the database has lost.
    async fn remember_doubt(&self, until: Timestamp) -> Result<(), Fault>;

    /// Deletes up to `limit` sessions that ended before `horizon`, with their closures, and records their bounds, in
    /// one commit. Returns the deleted sessions. The last closure made before `settled` and all later ones stay, with
    /// their sessions, because readers continue after them.
    async fn forget_ended_sessions(
        &self,
        horizon: Timestamp,
        settled: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionId>, Fault>;

    /// The latest horizon before which [`forget_ended_sessions`](Feed::forget_ended_sessions) deleted something, and
    /// the greatest id that it deleted.
    async fn find_forgotten(&self) -> Result<Option<Forgotten>, Fault>;
}
