//! The ring of signing keys, and the unsealed keys of 0.1.0.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use futures_util::FutureExt;
use keyward_core::clock::Timestamp;
use keyward_core::error::Fault;
use keyward_core::keys::{
    KeyChange, Kid, Legacy, LegacyKeys, MasterId, Purpose, Sealed, Store, StoredKey, StoredRing,
};
use keyward_core::secret::SecretText;
use keyward_jose::Algorithm;
use tokio_postgres::Row;

use super::Postgres;
use super::error::Error;

const FIND_VERSION: &str = "
    SELECT key, value FROM meta WHERE key IN ('keys', 'upgraded')";

const LIST: &str = "
    SELECT kid, purpose, algorithm, created_at, signs_from, signs_until, verifies_until, lifetime, master, sealed
    FROM keys";

const REPLACE_VERSION: &str = "
    UPDATE meta SET value = $2 WHERE key = 'keys' AND value = $1";

const PUT: &str = "
    INSERT INTO keys
        (kid, purpose, algorithm, created_at, signs_from, signs_until, verifies_until, lifetime, master, sealed)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (kid) DO UPDATE SET signs_from = excluded.signs_from, signs_until = excluded.signs_until,
        verifies_until = excluded.verifies_until, lifetime = excluded.lifetime, master = excluded.master,
        sealed = excluded.sealed";

const DELETE: &str = "
    DELETE FROM keys WHERE kid = $1";

/// Every server that follows the closures also follows the keys.
const TELL: &str = "
    SELECT pg_notify('keyward_closures', '0')";

const LIST_UNSEALED: &str = "
    SELECT purpose, key FROM signing_keys";

const DELETE_UNSEALED: &str = "
    DELETE FROM signing_keys";

#[async_trait]
impl Store for Postgres {
    async fn list_keys(&self) -> Result<StoredRing, Fault> {
        // Read before the keys: a change between the two readings is then found by the next reading.
        let found = self
            .pool
            .list(FIND_VERSION, &[], |row| {
                Ok((row.try_get::<_, String>(0)?, row.try_get::<_, i64>(1)?))
            })
            .await?;
        let mut ring = StoredRing::default();
        for (key, value) in found {
            match key.as_str() {
                "keys" => ring.version = value,
                _ => ring.is_upgraded = true,
            }
        }
        ring.keys = self.pool.list(LIST, &[], key).await?;
        Ok(ring)
    }

    async fn change_keys(&self, from: i64, change: KeyChange) -> Result<bool, Fault> {
        let change = (from, change, self.tells);
        self.pool
            .transaction(&change, |tx, change| apply(tx, change).boxed())
            .await
    }
}

#[async_trait]
impl Legacy for Postgres {
    async fn find(&self) -> Result<LegacyKeys, Fault> {
        let rows = self
            .pool
            .list(LIST_UNSEALED, &[], |row| {
                let key = SecretText::new(row.try_get(1)?);
                Ok((row.try_get::<_, String>(0)?, key))
            })
            .await?;
        let mut left = LegacyKeys::default();
        for (purpose, key) in rows {
            match purpose.as_str() {
                "login" => left.login = Some(key),
                _ => left.notary = Some(key),
            }
        }
        Ok(left)
    }

    async fn remove(&self) -> Result<(), Fault> {
        self.pool.execute(DELETE_UNSEALED, &[]).await.map(drop)
    }
}

async fn apply(
    tx: &Transaction<'_>,
    (from, change, tells): &(i64, KeyChange, bool),
) -> Result<bool, Error> {
    let replace = tx.prepare_cached(REPLACE_VERSION).await?;
    if tx.execute(&replace, &[from, &change.version]).await? == 0 {
        return Ok(false);
    }
    let put = tx.prepare_cached(PUT).await?;
    for key in &change.put {
        tx.execute(
            &put,
            &[
                &key.kid.number(),
                &key.purpose.name(),
                &key.algorithm.name(),
                &key.created_at.micros(),
                &key.signs_from.micros(),
                &key.signs_until.map(Timestamp::micros),
                &key.verifies_until.map(Timestamp::micros),
                &Timestamp::default().plus(key.lifetime).micros(),
                &key.sealed.master.number(),
                &key.sealed.bytes,
            ],
        )
        .await?;
    }
    let delete = tx.prepare_cached(DELETE).await?;
    for kid in &change.removed {
        tx.execute(&delete, &[&kid.number()]).await?;
    }
    if *tells {
        let tell = tx.prepare_cached(TELL).await?;
        tx.execute(&tell, &[]).await?;
    }
    Ok(true)
}

fn key(row: &Row) -> Result<StoredKey, Error> {
    let lifetime: i64 = row.try_get(7)?;
    Ok(StoredKey {
        kid: Kid::from_number(row.try_get(0)?),
        purpose: Purpose::from_name(row.try_get(1)?)
            .ok_or(Error::Broken("there is no such purpose"))?,
        algorithm: Algorithm::from_name(row.try_get(2)?)
            .ok_or(Error::Broken("there is no such algorithm"))?,
        created_at: Timestamp::from_micros(row.try_get(3)?),
        signs_from: Timestamp::from_micros(row.try_get(4)?),
        signs_until: row
            .try_get::<_, Option<i64>>(5)?
            .map(Timestamp::from_micros),
        verifies_until: row
            .try_get::<_, Option<i64>>(6)?
            .map(Timestamp::from_micros),
        lifetime: Duration::from_micros(lifetime.unsigned_abs()),
        sealed: Sealed {
            master: MasterId::from_number(row.try_get(8)?),
            bytes: row.try_get(9)?,
        },
    })
}
