//! Which files exist, and which stored bytes they name.

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use futures_util::FutureExt;
use keyward_core::clock::Timestamp;
use keyward_core::error::Fault;
use keyward_core::files::{BlobId, File, Finished, Namespace, NewFile, Store};
use keyward_core::id::AccountId;
use tokio_postgres::Row;

use super::Postgres;
use super::error::Error;
use super::pool::Params;

// Of the uploads of one owner, one finishes at a time.
const LOCK_OWNER: &str = "
    SELECT id FROM accounts WHERE id = $1 FOR UPDATE";

const INSERT: &str = "
    INSERT INTO files (owner, name, size, sha256, content_type, uploaded_at, blob)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

const FIND_BLOB: &str = "
    SELECT blob FROM files WHERE owner = $1 AND name = $2";

const COUNT: &str = "
    SELECT count(*) FROM files WHERE owner = $1";

const REPLACE: &str = "
    UPDATE files SET size = $3, sha256 = $4, content_type = $5, uploaded_at = $6, blob = $7
    WHERE owner = $1 AND name = $2";

const FIND: &str = "
    SELECT name, size, sha256, content_type, uploaded_at, blob
    FROM files WHERE owner = $1 AND name = $2";

const LIST: &str = "
    SELECT name, size, sha256, content_type, uploaded_at, blob
    FROM files WHERE owner = $1 ORDER BY name";

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
        most: u32,
    ) -> Result<Finished, Fault> {
        let NewFile { owner, file } = file;
        let size = i64::try_from(file.size)
            .map_err(|_| Fault::Internal("the size of a file is out of range".into()))?;
        let row: Params<'_> = &[
            &owner.0,
            &file.name,
            &size,
            &file.sha256.as_slice(),
            &file.content_type,
            &file.uploaded_at.micros(),
            &file.blob.as_str(),
        ];
        let finish = (row, overwrite, most);
        self.pool
            .transaction(&finish, |tx, finish| self::finish(tx, *finish).boxed())
            .await
    }

    async fn find_file(&self, owner: AccountId, name: &str) -> Result<Option<File>, Fault> {
        // No stored text holds NUL, and the database refuses a question with one.
        if name.contains('\0') {
            return Ok(None);
        }
        self.pool.find(FIND, &[&owner.0, &name], file).await
    }

    async fn count_files(&self, owner: AccountId) -> Result<u32, Fault> {
        let counted = self.pool.find(COUNT, &[&owner.0], count).await?;
        Ok(counted.unwrap_or_default())
    }

    async fn list_files(&self, owner: AccountId) -> Result<Vec<File>, Fault> {
        self.pool.list(LIST, &[&owner.0], file).await
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

/// Adds `row`, or puts it in the place of the one of its owner and name.
async fn finish(
    tx: &Transaction<'_>,
    (row, overwrite, most): (Params<'_>, bool, u32),
) -> Result<Finished, Error> {
    let lock = tx.prepare_cached(LOCK_OWNER).await?;
    tx.execute(&lock, &row[..1]).await?;
    let find = tx.prepare_cached(FIND_BLOB).await?;
    let found = tx.query_opt(&find, &row[..2]).await?;
    let replaced = found.map(|found| blob(&found, 0)).transpose()?;
    let put = match &replaced {
        Some(_) if overwrite => REPLACE,
        Some(_) => return Ok(Finished::NameTaken),
        None => {
            let count = tx.prepare_cached(COUNT).await?;
            if self::count(&tx.query_one(&count, &row[..1]).await?)? >= most {
                return Ok(Finished::TooMany);
            }
            INSERT
        }
    };
    let put = tx.prepare_cached(put).await?;
    tx.execute(&put, row).await?;
    Ok(Finished::Stored { replaced })
}

fn count(row: &Row) -> Result<u32, Error> {
    let count: i64 = row.try_get(0)?;
    u32::try_from(count).map_err(|_| Error::Broken("the count of files is out of range"))
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
            .map_err(|_| Error::Broken("the hash of a file is not of 32 bytes"))?,
        content_type: row.try_get(3)?,
        uploaded_at: Timestamp::from_micros(row.try_get(4)?),
        blob: blob(row, 5)?,
    })
}

fn blob(row: &Row, column: usize) -> Result<BlobId, Error> {
    BlobId::parse(row.try_get(column)?)
        .ok_or(Error::Broken("the name of stored bytes is not one of ours"))
}
