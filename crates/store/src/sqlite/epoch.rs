//! Epochs: their beginning, which ends every session. It deletes whole tables, so it runs in a restore and in
//! `session close --all` alone.
//!
//! Invariant: no token from before an epoch is good in it, since tokens carry the tag of their database and the epoch
//! has another.

use keyward_core::sessions::Tag;
use rusqlite::Connection;

/// Begins an epoch at `floor` or above the last one, and deletes every session, in the transaction that `db` is in.
/// Without a `tag`, whoever opens the database next draws one.
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
