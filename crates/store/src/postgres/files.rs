//! The rows of files, which name blobs.

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use futures_util::FutureExt;
use keyward_core::clock::Timestamp;
use keyward_core::error::Fault;
use keyward_core::files::{BlobId, File, Finished, Namespace, NewFile, Room, Store, Usage};
use keyward_core::id::AccountId;
use tokio_postgres::Row;

use super::Postgres;
use super::error::Error;
use super::pool::Params;

// The uploads of one owner finish one at a time. A transaction that closes the session or disables the account either
// waits for this one or commits before it.
const LOCK_UPLOADER: &str = "
    SELECT a.id FROM accounts a JOIN sessions s ON s.account_id = a.id
    WHERE a.id = $1 AND s.id = $2 AND a.disabled_at IS NULL AND s.closed_at IS NULL
    FOR NO KEY UPDATE OF a FOR SHARE OF s";

const INSERT: &str = "
    INSERT INTO files (owner, name, size, sha256, content_type, uploaded_at, blob)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

const FIND_SPELLED: &str = "
    SELECT name, size, sha256, content_type, uploaded_at, blob
    FROM files WHERE owner = $1 AND name = ANY ($2::TEXT[])
    ORDER BY array_position($2::TEXT[], name) LIMIT 1";

const MEASURE: &str = "
    SELECT count(*), coalesce(sum(size), 0)::BIGINT FROM files WHERE owner = $1";

const MEASURE_ALL: &str = "
    SELECT count(*), coalesce(sum(size), 0)::BIGINT FROM files";

// The times of the two files lie in different seconds, as `Store::finish_upload` promises.
const REPLACE: &str = "
    UPDATE files SET size = $3, sha256 = $4, content_type = $5, blob = $7,
        uploaded_at = greatest($6, (uploaded_at / 1000000 + 1) * 1000000)
    WHERE owner = $1 AND name = $2";

const FIND: &str = "
    SELECT name, size, sha256, content_type, uploaded_at, blob
    FROM files WHERE owner = $1 AND name = $2";

const LIST: &str = "
    SELECT name, size, sha256, content_type, uploaded_at, blob
    FROM files WHERE owner = $1 AND name > $2 ORDER BY name LIMIT $3";

const LIST_UNNAMED: &str = "
    SELECT blob FROM unnest($1::TEXT[]) AS asked (blob)
    WHERE NOT EXISTS (SELECT 1 FROM files WHERE files.blob = asked.blob)";

const INSERT_NAMESPACE: &str = "
    INSERT INTO meta (key, value) VALUES ('namespace', $1) ON CONFLICT (key) DO NOTHING";

const FIND_NAMESPACE: &str = "
    SELECT value FROM meta WHERE key = 'namespace'";

#[async_trait]
impl Store for Postgres {
    async fn finish_upload(
        &self,
        file: NewFile,
        overwrite: bool,
        room: Room,
    ) -> Result<Finished, Fault> {
        self.pool
            .transaction(&(file, overwrite, room), |tx, (file, overwrite, room)| {
                finish(tx, file, *overwrite, *room).boxed()
            })
            .await
    }

    async fn find_file(&self, owner: AccountId, name: &str) -> Result<Option<File>, Fault> {
        // No stored text contains NUL, and PostgreSQL refuses a query with one.
        if name.contains('\0') {
            return Ok(None);
        }
        self.pool.find(FIND, &[&owner.0, &name], file).await
    }

    async fn measure_files(&self, owner: AccountId) -> Result<Usage, Fault> {
        let measured = self.pool.find(MEASURE, &[&owner.0], usage).await?;
        Ok(measured.unwrap_or_default())
    }

    async fn measure_all_files(&self) -> Result<Usage, Fault> {
        let measured = self.pool.find(MEASURE_ALL, &[], usage).await?;
        Ok(measured.unwrap_or_default())
    }

    async fn list_files(
        &self,
        owner: AccountId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<File>, Fault> {
        let limit = i64::from(limit);
        self.pool
            .list(LIST, &[&owner.0, &after, &limit], file)
            .await
    }

    async fn list_unnamed_blobs(&self, blobs: Vec<BlobId>) -> Result<Vec<BlobId>, Fault> {
        let blobs: Vec<&str> = blobs.iter().map(BlobId::as_str).collect();
        self.pool
            .list(LIST_UNNAMED, &[&blobs], |row| blob(row, 0))
            .await
    }

    async fn find_or_create_namespace(&self, fresh: Namespace) -> Result<Namespace, Fault> {
        self.pool
            .execute(INSERT_NAMESPACE, &[&fresh.number()])
            .await?;
        let found = self.pool.find(FIND_NAMESPACE, &[], |row| {
            Ok(Namespace::from_number(row.try_get(0)?))
        });
        found
            .await?
            .ok_or_else(|| Fault::Internal("the namespace was removed while it was made".into()))
    }
}

/// Adds a file, or replaces the one that is stored under one of its spellings.
async fn finish(
    tx: &Transaction<'_>,
    new: &NewFile,
    overwrite: bool,
    room: Room,
) -> Result<Finished, Error> {
    let NewFile { owner, file, .. } = new;
    let lock = tx.prepare_cached(LOCK_UPLOADER).await?;
    let uploader = tx.query_opt(&lock, &[&owner.0, &new.session.0]).await?;
    if uploader.is_none() {
        return Ok(Finished::Unauthorized);
    }
    let find = tx.prepare_cached(FIND_SPELLED).await?;
    let found = tx.query_opt(&find, &[&owner.0, &new.spellings]).await?;
    let replaced = found.map(|row| self::file(&row)).transpose()?;
    if replaced.is_some() && !overwrite {
        return Ok(Finished::NameTaken);
    }
    let measure = tx.prepare_cached(MEASURE).await?;
    let usage = usage(&tx.query_one(&measure, &[&owner.0]).await?)?;
    if let Err(no_room) = room.check(usage, replaced.as_ref().map(|old| old.size), file.size) {
        return Ok(Finished::NoRoom(no_room));
    }
    let (put, name, replaced) = match replaced {
        Some(old) => (REPLACE, old.name, Some(old.blob)),
        None => (INSERT, file.name.clone(), None),
    };
    let size = i64::try_from(file.size)
        .map_err(|_| Error::Broken("the size of a file is out of range"))?;
    let put = tx.prepare_cached(put).await?;
    let row: Params<'_> = &[
        &owner.0,
        &name,
        &size,
        &file.sha256.as_slice(),
        &file.content_type,
        &file.uploaded_at.micros(),
        &file.blob.as_str(),
    ];
    tx.execute(&put, row).await?;
    Ok(Finished::Stored { name, replaced })
}

fn usage(row: &Row) -> Result<Usage, Error> {
    let (files, bytes): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    let broken = |_| Error::Broken("the count or the size of files is out of range");
    Ok(Usage {
        files: files.try_into().map_err(broken)?,
        bytes: bytes.try_into().map_err(broken)?,
    })
}

fn file(row: &Row) -> Result<File, Error> {
    Ok(File {
        name: row.try_get(0)?,
        size: row
            .try_get::<_, i64>(1)?
            .try_into()
            .map_err(|_| Error::Broken("the size of a file is negative"))?,
        sha256: row
            .try_get::<_, &[u8]>(2)?
            .try_into()
            .map_err(|_| Error::Broken("the hash of a file does not have 32 bytes"))?,
        content_type: row.try_get(3)?,
        uploaded_at: Timestamp::from_micros(row.try_get(4)?),
        blob: blob(row, 5)?,
    })
}

fn blob(row: &Row, column: usize) -> Result<BlobId, Error> {
    BlobId::parse(row.try_get(column)?).ok_or(Error::Broken("the id of a blob is malformed"))
}
