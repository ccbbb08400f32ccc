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

const INSERT: &str = "
    INSERT INTO files (owner, name, size, sha256, content_type, uploaded_at, blob)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (owner, name) DO NOTHING";

const FIND_BLOB: &str = "
    SELECT blob FROM files WHERE owner = $1 AND name = $2 FOR UPDATE";

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
    async fn finish_upload(&self, file: NewFile, overwrite: bool) -> Result<Finished, Fault> {
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
        if self.pool.execute(INSERT, row).await? == 1 {
            return Ok(Finished::Stored { replaced: None });
        }
        if !overwrite {
            return Ok(Finished::NameTaken);
        }
        self.pool
            .transaction(&row, |tx, row| replace(tx, row).boxed())
            .await
    }

    async fn find_file(&self, owner: AccountId, name: &str) -> Result<Option<File>, Fault> {
        // No stored text holds NUL, and the database refuses a question with one.
        if name.contains('\0') {
            return Ok(None);
        }
        self.pool.find(FIND, &[&owner.0, &name], file).await
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

/// Puts `row` in the place of the one of its owner and name, which is there: files are replaced, never deleted.
async fn replace(tx: &Transaction<'_>, row: Params<'_>) -> Result<Finished, Error> {
    let find = tx.prepare_cached(FIND_BLOB).await?;
    let replaced = blob(&tx.query_one(&find, &row[..2]).await?, 0)?;
    let replace = tx.prepare_cached(REPLACE).await?;
    tx.execute(&replace, row).await?;
    Ok(Finished::Stored {
        replaced: Some(replaced),
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
