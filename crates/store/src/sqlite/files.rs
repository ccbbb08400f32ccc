//! Which files exist, and which stored bytes they name.

use async_trait::async_trait;
use keyward_core::clock::Timestamp;
use keyward_core::error::Fault;
use keyward_core::files::{BlobId, File, Finished, Namespace, NewFile, Store};
use keyward_core::id::AccountId;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Sqlite, broken};

const FIND_BLOB: &str = "
    SELECT blob FROM files WHERE owner = ?1 AND name = ?2";

const PUT: &str = "
    INSERT INTO files (owner, name, size, sha256, content_type, uploaded_at, blob)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (owner, name) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256,
        content_type = excluded.content_type, uploaded_at = excluded.uploaded_at,
        blob = excluded.blob";

const FIND: &str = "
    SELECT name, size, sha256, content_type, uploaded_at, blob
    FROM files WHERE owner = ?1 AND name = ?2";

const LIST: &str = "
    SELECT name, size, sha256, content_type, uploaded_at, blob
    FROM files WHERE owner = ?1 ORDER BY name";

const COUNT: &str = "
    SELECT count(*) FROM files WHERE owner = ?1";

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
        most: u32,
    ) -> Result<Finished, Fault> {
        self.writer
            .write(move |db| finish(db, &file, overwrite, most))
            .await
    }

    async fn find_file(&self, owner: AccountId, name: &str) -> Result<Option<File>, Fault> {
        self.readers.look_up(|db| {
            db.prepare_cached(FIND)?
                .query_row(params![owner.0, name], file)
                .optional()
        })
    }

    async fn count_files(&self, owner: AccountId) -> Result<u32, Fault> {
        self.readers.scan(move |db| count(db, owner)).await
    }

    async fn list_files(&self, owner: AccountId) -> Result<Vec<File>, Fault> {
        self.readers
            .scan(move |db| {
                db.prepare_cached(LIST)?
                    .query_map([owner.0], file)?
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

fn count(db: &Connection, owner: AccountId) -> rusqlite::Result<u32> {
    db.prepare_cached(COUNT)?
        .query_row([owner.0], |row| row.get(0))
}

fn finish(
    db: &Connection,
    new: &NewFile,
    overwrite: bool,
    most: u32,
) -> rusqlite::Result<Finished> {
    let NewFile { owner, file } = new;
    let replaced = db
        .prepare_cached(FIND_BLOB)?
        .query_row(params![owner.0, file.name], |row| blob(row, 0))
        .optional()?;
    if replaced.is_some() && !overwrite {
        return Ok(Finished::NameTaken);
    }
    if replaced.is_none() && count(db, *owner)? >= most {
        return Ok(Finished::TooMany);
    }
    let size = i64::try_from(file.size).map_err(|_| broken(2, "the size is out of range"))?;
    db.prepare_cached(PUT)?.execute(params![
        owner.0,
        file.name,
        size,
        file.sha256,
        file.content_type,
        file.uploaded_at.micros(),
        file.blob.as_str(),
    ])?;
    Ok(Finished::Stored { replaced })
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
    BlobId::parse(text).ok_or_else(|| broken(column, "this is not the id of stored bytes"))
}
