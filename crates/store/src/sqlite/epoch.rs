//! Epochs of session ids: their beginning, which reads and deletes whole tables, and so is not of everyday.
//!
//! Invariant: ids up to the epoch are never good again, and those given from then on are greater.

use keyward_core::id::SessionId;
use rusqlite::{Connection, OptionalExtension};

/// Begins an epoch where no session was ever opened nor one begun, in the transaction that `db` is in.
pub(super) fn begin_first(db: &Connection, epoch: SessionId) -> rusqlite::Result<()> {
    match last_given(db)? {
        None => begin(db, epoch).map(drop),
        Some(_) => Ok(()),
    }
}

/// Begins an epoch at `floor` or the last id that was given, and deletes every session, in the transaction that `db`
/// is in.
pub(super) fn begin(db: &Connection, floor: SessionId) -> rusqlite::Result<SessionId> {
    let epoch = floor.0.max(last_given(db)?.unwrap_or_default());
    db.execute_batch(
        "DELETE FROM session_closures; DELETE FROM sessions;
        DELETE FROM sqlite_sequence WHERE name = 'sessions'",
    )?;
    db.execute(
        "INSERT INTO sqlite_sequence (name, seq) VALUES ('sessions', ?1)",
        [epoch],
    )?;
    db.execute(
        "INSERT INTO meta (key, value) VALUES ('epoch', ?1)
        ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)",
        [epoch],
    )?;
    Ok(SessionId(epoch))
}

/// The id that the last session was given, or the epoch where none was since; nothing where there was neither.
fn last_given(db: &Connection) -> rusqlite::Result<Option<i64>> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'sessions'";
    db.query_row(sql, [], |row| row.get(0)).optional()
}
