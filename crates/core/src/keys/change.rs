//! Changing the rows of a ring, and opening them.
//!
//! Invariant: a change is written only after every key that lives after it was opened. So a process without the right
//! master key changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use keyward_jose::Algorithm;
use zeroize::Zeroizing;

use super::key::Prepared;
use super::plan::{self, Wanted};
use super::ring::Keys;
use super::seal::Bound;
use super::{
    Chain, Error, Key, KeyChange, Kid, MasterKey, MasterKeys, Policy, Purpose, State, Store,
    StoredKey,
};
use crate::clock::{Clock, Timestamp};
use crate::error::Fault;
use crate::random::{self, Random};
use crate::secret::SecretText;

/// How often a change is tried again when other processes change the ring at the same time.
const TRIES: usize = 50;

/// What a ring works with.
pub struct Parts {
    /// The rows.
    pub store: Arc<dyn Store>,
    /// The master keys.
    pub master: Arc<dyn MasterKeys>,
    /// The settings.
    pub policy: Policy,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for keys and nonces.
    pub random: Arc<dyn Random>,
}

/// A row to write.
pub(super) enum Put {
    /// A row as it is.
    Row(StoredKey),
    /// A key with a random secret.
    Fresh(Wanted),
    /// A key of the version before, and when its successor signs, if it has one.
    Old(Wanted, Zeroizing<Vec<u8>>, Option<Timestamp>),
}

/// The rows of a ring while a change is decided and made.
pub(super) struct Draft<'a> {
    pub(super) rows: Vec<StoredKey>,
    pub(super) is_upgraded: bool,
    pub(super) now: Timestamp,
    changed: BTreeSet<Kid>,
    masters: Vec<MasterKey>,
    parts: &'a Parts,
}

impl Parts {
    /// Changes the rows as `decide` says, and opens those that live after it. `known` are the keys that this process
    /// had open: what the database lost of them is written to it again.
    pub(super) async fn change(
        &self,
        known: Option<&Keys>,
        mut decide: impl FnMut(&Draft<'_>) -> Result<Vec<Put>, Error>,
    ) -> Result<Keys, Error> {
        for _ in 0..TRIES {
            let now = self.clock.now();
            let stored = self.store.list_keys().await?;
            let known_rows = known.map_or(&[][..], |known| &known.rows);
            let (rows, lost) = plan::unite(known_rows, stored.keys, now);
            if !lost.is_empty() {
                let lost = lost.len();
                tracing::warn!(
                    lost,
                    "signing keys that the database had lost are written to it again"
                );
            }
            let mut draft = Draft {
                rows,
                is_upgraded: stored.is_upgraded,
                now,
                changed: lost.iter().copied().collect(),
                masters: self.master.read().await?,
                parts: self,
            };
            for put in decide(&draft)? {
                draft.put(put).await?;
            }
            for purpose in Purpose::ALL {
                let lifetime = self.policy.lifetime(purpose);
                for row in plan::shorter_than(&draft.rows, purpose, lifetime, now) {
                    draft.replace(row);
                }
            }
            let (removed, rest): (Vec<_>, Vec<_>) = draft
                .rows
                .drain(..)
                .partition(|key| plan::is_forgettable(key, now));
            draft.rows = rest;
            let changes = !draft.changed.is_empty() || !removed.is_empty();
            let version = match changes {
                true => i64::from_be_bytes(random::bytes(&*self.random)),
                false => stored.version,
            };
            let keys = draft.open(version, known)?;
            let change = KeyChange {
                version,
                put: draft.changed_rows(),
                removed: removed.iter().map(|key| key.kid).collect(),
            };
            if !changes || self.store.change_keys(stored.version, change).await? {
                return Ok(keys);
            }
        }
        Err(Error::Busy)
    }
}

impl Draft<'_> {
    /// The keys that are sealed by another master key than the first one.
    pub(super) fn sealed_by_others(&self) -> impl Iterator<Item = &StoredKey> {
        let first = self.masters.first().map(MasterKey::id);
        self.rows
            .iter()
            .filter(|key| key.state(self.now) != State::Ended)
            .filter(move |key| Some(key.sealed.master) != first)
    }

    /// The row of a key, sealed by the first master key.
    pub(super) fn resealed(&self, key: &StoredKey) -> Result<StoredKey, Error> {
        let secret = self.unseal(key)?;
        let mut resealed = key.clone();
        if let Some(first) = self.masters.first() {
            resealed.sealed = first.seal(Bound::of(key), &secret, &*self.parts.random)?;
        }
        Ok(resealed)
    }

    async fn put(&mut self, put: Put) -> Result<(), Error> {
        let (wanted, secret, successor) = match put {
            Put::Row(row) => {
                self.replace(row);
                return Ok(());
            }
            // 128 hexadecimal characters, whose ASCII bytes are the HMAC key, as in the notary contract.
            Put::Fresh(wanted) => {
                let secret = random::hex::<64>(&*self.parts.random);
                (wanted, Zeroizing::new(secret.into_bytes()), None)
            }
            Put::Old(wanted, secret, successor) => (wanted, secret, successor),
        };
        let kid = Kid::random(&*self.parts.random);
        let Wanted {
            purpose,
            algorithm,
            signs_from,
            lifetime,
        } = wanted;
        let bound = Bound {
            kid,
            purpose,
            algorithm,
        };
        let master = self.first_master().await?;
        let row = StoredKey {
            kid,
            purpose,
            algorithm,
            created_at: self.now,
            signs_from,
            signs_until: None,
            verifies_until: None,
            lifetime,
            sealed: master.seal(bound, &secret, &*self.parts.random)?,
        };
        self.replace(match successor {
            Some(from) => plan::succeeded(&row, from),
            None => row,
        });
        Ok(())
    }

    /// The master key that seals. It is made if nothing was sealed yet.
    async fn first_master(&mut self) -> Result<MasterKey, Error> {
        if let Some(first) = self.masters.first() {
            return Ok(first.clone());
        }
        if let Some(key) = self
            .rows
            .iter()
            .find(|key| key.state(self.now) != State::Ended)
        {
            self.unseal(key)?;
        }
        let fresh = MasterKey::random(&*self.parts.random);
        let made = self.parts.master.create(fresh).await?;
        self.masters.push(made.clone());
        Ok(made)
    }

    fn replace(&mut self, row: StoredKey) {
        self.changed.insert(row.kid);
        match self.rows.iter_mut().find(|old| old.kid == row.kid) {
            Some(old) => *old = row,
            None => self.rows.push(row),
        }
    }

    fn changed_rows(&self) -> Vec<StoredKey> {
        let changed = self
            .rows
            .iter()
            .filter(|row| self.changed.contains(&row.kid));
        changed.cloned().collect()
    }

    /// Opens every key that has not ended. Keys in `known` are open already.
    fn open(&self, version: i64, known: Option<&Keys>) -> Result<Keys, Error> {
        let [access, refresh, notary, limits] =
            Purpose::ALL.map(|purpose| self.chain(purpose, known));
        let (access, notary) = (access?, notary?);
        if access.shares_a_secret_with(&notary) {
            return Err(Error::Same);
        }
        Ok(Keys {
            version,
            rows: self.rows.clone(),
            access,
            refresh: refresh?,
            notary,
            limits: limits?,
        })
    }

    fn chain(&self, purpose: Purpose, known: Option<&Keys>) -> Result<Chain, Error> {
        let policy = &self.parts.policy;
        if let Some(given) = policy.of_settings(purpose) {
            let secret = given.expose().as_bytes();
            return Ok(Chain::of_settings(Prepared::new(
                purpose,
                policy.algorithm(purpose),
                secret,
            )?));
        }
        let living = plan::living(&self.rows, purpose, self.now).map(|row| {
            let open =
                known.and_then(|keys| keys.of(purpose).iter().find(|key| key.kid == row.kid));
            let secret = match open {
                Some(key) => key.secret.clone(),
                None => Arc::new(Prepared::new(purpose, row.algorithm, &self.unseal(row)?)?),
            };
            Ok(Key {
                kid: row.kid,
                signs_from: row.signs_from,
                verifies_until: row.verifies_until,
                secret,
            })
        });
        let keys = living.collect::<Result<Vec<_>, Error>>()?;
        Chain::new(keys).ok_or_else(|| {
            let purpose = purpose.name();
            Fault::Internal(format!("the database has no {purpose} key").into()).into()
        })
    }

    fn unseal(&self, key: &StoredKey) -> Result<Zeroizing<Vec<u8>>, Error> {
        key.unseal(&self.masters, || self.parts.master.place())
    }
}

/// The key from which 0.1.0 derived that of refresh tokens, turned into the secret of that key.
pub(super) fn derived_refresh_key(
    algorithm: Algorithm,
    login: &SecretText,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let login = keyward_jose::HmacKey::new(algorithm, login.expose().as_bytes())
        .map_err(|weak| Error::Weak(Purpose::Access, weak))?;
    let mut secret = Zeroizing::new(vec![0; 64]);
    let derived = login.sign(b"keyward refresh token key v1");
    secret[..derived.as_ref().len()].copy_from_slice(derived.as_ref());
    Ok(secret)
}
