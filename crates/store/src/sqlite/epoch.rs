//! Begins a new epoch, which ends every session. It deletes whole tables, so it runs only in a restore and in `session
//! close --all`.
//!
//! Invariant: no token issued before an epoch is valid in it. Tokens carry the tag of their database, and each epoch
//! has a new tag.

use keyward_core::sessions::Tag;
use rusqlite::Connection;

/// Begins an epoch at `floor`, or above the last one if that is greater, and deletes every session, in the current
/// transaction of `db`. Without a `tag`, the next process that opens the database draws one.
pub(super) fn begin(db: &Connection, floor: i64, tag: Option<Tag>) -> rusqlite::Result<i64> {
    db.execute_batch(
        "DELETE FROM session_closures; DELETE FROM sessions;
        DELETE FROM meta WHERE key IN ('tag', 'untagged')",
    )?;
    if let Some(tag) = tag {
        db.execute(
            "INSERT INTO meta (key, value) VALUES ('tag', ?1)",
            [tag.number()],
        )?;
    }
    db.query_row(
        "INSERT INTO meta (key, value) VALUES ('epoch', ?1)
        ON CONFLICT (key) DO UPDATE SET value = max(value + 1, excluded.value) RETURNING value",
        [floor],
        |row| row.get(0),
    )
}
