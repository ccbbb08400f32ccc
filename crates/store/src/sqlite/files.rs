//! The rows of files, which name blobs.

use async_trait::async_trait;
use keyward_core::clock::Timestamp;
use keyward_core::error::Fault;
use keyward_core::files::{BlobId, File, Finished, Namespace, NewFile, Room, Store, Usage};
use keyward_core::id::AccountId;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Sqlite, broken};

const FIND_UPLOADER: &str = "
    SELECT 1 FROM sessions s JOIN accounts a ON a.id = s.account_id
    WHERE s.id = ?1 AND a.id = ?2 AND s.closed_at IS NULL AND a.disabled_at IS NULL";

const INSERT: &str = "
    INSERT INTO files (owner, name, size, sha256, content_type, uploaded_at, blob)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

// The times of the two files lie in different seconds, as `Store::finish_upload` promises.
const REPLACE: &str = "
    UPDATE files SET size = ?3, sha256 = ?4, content_type = ?5, blob = ?7,
        uploaded_at = max(?6, (uploaded_at / 1000000 + 1) * 1000000)
    WHERE owner = ?1 AND name = ?2";

const FIND: &str = "
    SELECT name, size, sha256, content_type, uploaded_at, blob
    FROM files WHERE owner = ?1 AND name = ?2";

const LIST: &str = "
    SELECT name, size, sha256, content_type, uploaded_at, blob
    FROM files WHERE owner = ?1 AND name > ?2 ORDER BY name LIMIT ?3";

const MEASURE: &str = "
    SELECT count(*), coalesce(sum(size), 0) FROM files WHERE owner = ?1";

const MEASURE_ALL: &str = "
    SELECT count(*), coalesce(sum(size), 0) FROM files";

const FIND_NAMED: &str = "
    SELECT 1 FROM files WHERE blob = ?1";

const INSERT_NAMESPACE: &str = "
    INSERT INTO meta (key, value) VALUES ('namespace', ?1) ON CONFLICT (key) DO NOTHING";

const FIND_NAMESPACE: &str = "
    SELECT value FROM meta WHERE key = 'namespace'";

#[async_trait]
impl Store for Sqlite {
    async fn finish_upload(
        &self,
        file: NewFile,
        overwrite: bool,
        room: Room,
    ) -> Result<Finished, Fault> {
        self.writer
            .write(move |db| finish(db, &file, overwrite, room))
            .await
    }

    async fn find_file(&self, owner: AccountId, name: &str) -> Result<Option<File>, Fault> {
        self.readers.look_up(|db| find(db, owner, name))
    }

    async fn measure_files(&self, owner: AccountId) -> Result<Usage, Fault> {
        self.readers.scan(move |db| measure(db, owner)).await
    }

    async fn measure_all_files(&self) -> Result<Usage, Fault> {
        let measure = |db: &Connection| db.prepare_cached(MEASURE_ALL)?.query_row([], usage);
        self.readers.scan(measure).await
    }

    async fn list_files(
        &self,
        owner: AccountId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<File>, Fault> {
        let after = after.to_owned();
        self.readers
            .scan(move |db| {
                db.prepare_cached(LIST)?
                    .query_map(params![owner.0, after, limit], file)?
                    .collect()
            })
            .await
    }

    async fn list_unnamed_blobs(&self, blobs: Vec<BlobId>) -> Result<Vec<BlobId>, Fault> {
        self.readers
            .scan(move |db| {
                let mut find = db.prepare_cached(FIND_NAMED)?;
                let mut unnamed = Vec::new();
                for blob in blobs {
                    if !find.exists([blob.as_str()])? {
                        unnamed.push(blob);
                    }
                }
                Ok(unnamed)
            })
            .await
    }

    async fn find_or_create_namespace(&self, fresh: Namespace) -> Result<Namespace, Fault> {
        self.writer
            .write(move |db| {
                db.prepare_cached(INSERT_NAMESPACE)?
                    .execute([fresh.number()])?;
                Ok(find_namespace(db)?.unwrap_or(fresh))
            })
            .await
    }
}

fn find(db: &Connection, owner: AccountId, name: &str) -> rusqlite::Result<Option<File>> {
    db.prepare_cached(FIND)?
        .query_row(params![owner.0, name], file)
        .optional()
}

fn measure(db: &Connection, owner: AccountId) -> rusqlite::Result<Usage> {
    db.prepare_cached(MEASURE)?.query_row([owner.0], usage)
}

fn usage(row: &Row<'_>) -> rusqlite::Result<Usage> {
    let bytes: i64 = row.get(1)?;
    Ok(Usage {
        files: row.get(0)?,
        bytes: bytes
            .try_into()
            .map_err(|_| broken(1, "the size of all files is negative"))?,
    })
}

fn finish(
    db: &Connection,
    new: &NewFile,
    overwrite: bool,
    room: Room,
) -> rusqlite::Result<Finished> {
    let NewFile { owner, file, .. } = new;
    if !db
        .prepare_cached(FIND_UPLOADER)?
        .exists([new.session.0, owner.0])?
    {
        return Ok(Finished::Unauthorized);
    }
    let mut replaced = None;
    for spelling in &new.spellings {
        replaced = find(db, *owner, spelling)?;
        if replaced.is_some() {
            break;
        }
    }
    if replaced.is_some() && !overwrite {
        return Ok(Finished::NameTaken);
    }
    let old_size = replaced.as_ref().map(|old| old.size);
    if let Err(no_room) = room.check(measure(db, *owner)?, old_size, file.size) {
        return Ok(Finished::NoRoom(no_room));
    }
    let (name, replaced) = match replaced {
        Some(old) => (old.name, Some(old.blob)),
        None => (file.name.clone(), None),
    };
    let size = i64::try_from(file.size).map_err(|_| broken(2, "the size is out of range"))?;
    let row = params![
        owner.0,
        name,
        size,
        file.sha256,
        file.content_type,
        file.uploaded_at.micros(),
        file.blob.as_str(),
    ];
    match replaced {
        Some(_) => db.prepare_cached(REPLACE)?.execute(row)?,
        None => db.prepare_cached(INSERT)?.execute(row)?,
    };
    Ok(Finished::Stored { name, replaced })
}

fn file(row: &Row<'_>) -> rusqlite::Result<File> {
    Ok(File {
        name: row.get(0)?,
        size: row
            .get::<_, i64>(1)?
            .try_into()
            .map_err(|_| broken(1, "the size is negative"))?,
        sha256: row.get(2)?,
        content_type: row.get(3)?,
        uploaded_at: Timestamp::from_micros(row.get(4)?),
        blob: blob(row, 5)?,
    })
}

pub(super) fn find_namespace(db: &Connection) -> rusqlite::Result<Option<Namespace>> {
    db.prepare_cached(FIND_NAMESPACE)?
        .query_row([], |row| row.get(0).map(Namespace::from_number))
        .optional()
}

pub(super) fn blob(row: &Row<'_>, column: usize) -> rusqlite::Result<BlobId> {
    let text = row.get_ref(column)?.as_str()?;
    BlobId::parse(text).ok_or_else(|| broken(column, "this is not the id of a blob"))
}
