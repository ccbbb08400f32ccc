//! The ring of signing keys.

use std::time::Duration;

use async_trait::async_trait;
use keyward_core::clock::Timestamp;
use keyward_core::error::Fault;
use keyward_core::keys::{KeyChange, Kid, MasterId, Purpose, Sealed, Store, StoredKey, StoredRing};
use keyward_jose::Algorithm;
use rusqlite::{Connection, Row, params};

use super::{Sqlite, broken};

const FIND_VERSION: &str = "
    SELECT key, value FROM meta WHERE key IN ('keys', 'upgraded')";

const LIST: &str = "
    SELECT kid, purpose, algorithm, created_at, signs_from, signs_until, verifies_until, lifetime, master, sealed
    FROM keys";

const REPLACE_VERSION: &str = "
    UPDATE meta SET value = ?2 WHERE key = 'keys' AND value = ?1";

const PUT: &str = "
    INSERT OR REPLACE INTO keys
        (kid, purpose, algorithm, created_at, signs_from, signs_until, verifies_until, lifetime, master, sealed)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

const DELETE: &str = "
    DELETE FROM keys WHERE kid = ?1";

#[async_trait]
impl Store for Sqlite {
    async fn list_keys(&self) -> Result<StoredRing, Fault> {
        self.readers.scan(list).await
    }

    async fn change_keys(&self, from: i64, change: KeyChange) -> Result<bool, Fault> {
        self.writer
            .write(move |db| {
                let mut replace = db.prepare_cached(REPLACE_VERSION)?;
                if replace.execute([from, change.version])? == 0 {
                    return Ok(false);
                }
                for key in &change.put {
                    put(db, key)?;
                }
                for kid in &change.removed {
                    db.prepare_cached(DELETE)?.execute([kid.number()])?;
                }
                Ok(true)
            })
            .await
    }
}

pub(super) fn list(db: &Connection) -> rusqlite::Result<StoredRing> {
    let mut ring = StoredRing::default();
    let mut find = db.prepare_cached(FIND_VERSION)?;
    let mut found = find.query([])?;
    while let Some(row) = found.next()? {
        let (key, value): (String, i64) = (row.get(0)?, row.get(1)?);
        match key.as_str() {
            "keys" => ring.version = value,
            _ => ring.is_upgraded = true,
        }
    }
    let mut list = db.prepare_cached(LIST)?;
    ring.keys = list.query_map([], key)?.collect::<Result<_, _>>()?;
    Ok(ring)
}

fn put(db: &Connection, key: &StoredKey) -> rusqlite::Result<()> {
    let mut put = db.prepare_cached(PUT)?;
    put.execute(params![
        key.kid.number(),
        key.purpose.name(),
        key.algorithm.name(),
        key.created_at.micros(),
        key.signs_from.micros(),
        key.signs_until.map(Timestamp::micros),
        key.verifies_until.map(Timestamp::micros),
        Timestamp::default().plus(key.lifetime).micros(),
        key.sealed.master.number(),
        key.sealed.bytes,
    ])
    .map(drop)
}

fn key(row: &Row<'_>) -> rusqlite::Result<StoredKey> {
    let (purpose, algorithm): (String, String) = (row.get(1)?, row.get(2)?);
    let lifetime: i64 = row.get(7)?;
    Ok(StoredKey {
        kid: Kid::from_number(row.get(0)?),
        purpose: Purpose::from_name(&purpose)
            .ok_or_else(|| broken(1, "there is no such purpose"))?,
        algorithm: Algorithm::from_name(&algorithm)
            .ok_or_else(|| broken(2, "there is no such algorithm"))?,
        created_at: Timestamp::from_micros(row.get(3)?),
        signs_from: Timestamp::from_micros(row.get(4)?),
        signs_until: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_micros),
        verifies_until: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_micros),
        lifetime: Duration::from_micros(lifetime.unsigned_abs()),
        sealed: Sealed {
            master: MasterId::from_number(row.get(8)?),
            bytes: row.get(9)?,
        },
    })
}
