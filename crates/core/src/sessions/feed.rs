//! What a server needs of a store to follow the closed sessions. Each method is one atomic fact, on disk when it
//! returns.

use async_trait::async_trait;

use super::{Reason, Tag};
use crate::clock::Timestamp;
use crate::error::Fault;
use crate::id::SessionId;

/// A row of the feed of closed sessions, from which a reader goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its sequence number; 0 before the first row.
    pub seq: i64,
    /// The session that was closed.
    pub session: SessionId,
    /// When it was closed: a number that was given twice has two moments.
    pub closed_at: Timestamp,
}

/// What a database says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// A number that is raised whenever all sessions end. Sessions with ids up to it are not good.
    pub epoch: i64,
    /// What the tokens of this database carry; `None` where it was never given one.
    pub tag: Option<Tag>,
    /// The id up to which a session's tokens may be without the tag, since they were issued before there was one.
    pub untagged: i64,
    /// Tokens issued until then may be of sessions that the database has lost.
    pub doubtful_until: Option<Timestamp>,
}

/// Sessions closed, in the order of their sequence numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closures {
    /// The closed sessions.
    pub sessions: Vec<SessionId>,
    /// Where to go on from: the last row read.
    pub place: Place,
    /// Whether the row from which the reader went on is still there. It is while nothing has gone back, and no epoch
    /// has begun.
    pub follows: bool,
    /// The database, read after the rows.
    pub identity: Identity,
}

/// What was deleted of sessions that had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Their tokens end before it.
    pub horizon: Timestamp,
    /// The greatest id among them.
    pub last: SessionId,
}

/// The feed of closed sessions at rest.
#[async_trait]
pub trait Feed: Send + Sync {
    /// Up to `limit` closures after `place`.
    ///
    /// Whatever is committed later has a greater number than all that this returned: none is missed.
    async fn list_closures(&self, place: Place, limit: u32) -> Result<Closures, Fault>;

    /// Closes those of the sessions that are open, in one commit. Returns which.
    async fn close_sessions(
        &self,
        ids: Vec<SessionId>,
        reason: Reason,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, Fault>;

    /// Keeps `fresh` as the database's tag where it has none; of any number at once, one is kept.
    async fn keep_tag(&self, fresh: Tag) -> Result<(), Fault>;

    /// Begins another epoch, at `floor` or above the last one, under another tag, and deletes all sessions with their
    /// closures, in one commit. Returns the epoch.
    async fn begin_epoch(&self, floor: i64, tag: Tag) -> Result<i64, Fault>;

    /// Remembers that tokens issued until then may be of sessions that the database has lost.
    async fn remember_doubt(&self, until: Timestamp) -> Result<(), Fault>;

    /// Deletes up to `limit` sessions that ended before `horizon` with their closures, and remembers durably what
    /// they were, in one commit. Returns which it deleted. Of the closures, the last one made before `settled` and all
    /// after it stay, with their sessions: those are what readers go on from.
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
