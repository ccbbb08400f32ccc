//! The ring: the keys of a database as one process has them open, and the changes of them.
//!
//! Invariant: each change is a compare-and-set on the version of the ring. A process that learns of another version
//! reads the rows again before it relies on them.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::change::{Draft, Parts, Put, derived_refresh_key};
use super::plan::{self, Wanted};
use super::{Chain, Error, Kid, Legacy, LegacyKeys, Policy, Purpose, State, StoredKey};
use crate::clock::Timestamp;
use crate::secret::SecretText;

/// How long the first server with a ring goes on signing refresh tokens with the key of the version before, so that
/// servers of that version beside it accept them.
const UPGRADE: Duration = Duration::from_secs(3_600);

/// The keys of a database.
pub struct Ring {
    parts: Parts,
    keys: ArcSwap<Keys>,
    /// Held while the rows are read and changed.
    changing: Mutex<()>,
}

/// The open keys at one moment.
#[derive(Debug)]
pub struct Keys {
    pub(super) version: i64,
    pub(super) rows: Vec<StoredKey>,
    pub(super) access: Chain,
    pub(super) refresh: Chain,
    pub(super) notary: Chain,
    pub(super) limits: Chain,
}

impl Keys {
    /// The keys of access tokens.
    #[must_use]
    pub fn access(&self) -> &Chain {
        &self.access
    }

    /// The keys of refresh tokens.
    #[must_use]
    pub fn refresh(&self) -> &Chain {
        &self.refresh
    }

    /// The keys of the notary, HS512.
    #[must_use]
    pub fn notary(&self) -> &Chain {
        &self.notary
    }

    /// The keys of the shared limits.
    #[must_use]
    pub fn limits(&self) -> &Chain {
        &self.limits
    }

    pub(super) fn of(&self, purpose: Purpose) -> &Chain {
        match purpose {
            Purpose::Access => &self.access,
            Purpose::Refresh => &self.refresh,
            Purpose::Notary => &self.notary,
            Purpose::Limits => &self.limits,
        }
    }

    /// The rows of the keys, without those that the settings give.
    #[must_use]
    pub fn rows(&self) -> &[StoredKey] {
        &self.rows
    }
}

impl Ring {
    /// Opens the keys of a database, and makes those that it lacks. The keys in `legacy` come first; they are removed
    /// once the ring has them.
    ///
    /// # Errors
    /// [`Error::Weak`] and [`Error::Same`] for keys that must not be used, [`Error::Locked`] and [`Error::Altered`] for
    /// keys that cannot be opened, [`Error::Store`].
    pub async fn open(parts: Parts, legacy: &dyn Legacy) -> Result<Self, Error> {
        let left = legacy.find().await?;
        let keys = parts
            .change(None, |draft| complete(draft, &parts.policy, &left))
            .await?;
        if left.login.is_some() || left.notary.is_some() {
            legacy.remove().await?;
        }
        Ok(Self::of(parts, keys))
    }

    /// Ends every key of a database, and makes new ones. For a master key that is lost: the old keys are not opened.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Busy`].
    pub async fn replace_all(parts: Parts) -> Result<Self, Error> {
        let keys = parts
            .change(None, |draft| {
                let ended = draft.rows.iter().map(|key| plan::ended(key, draft.now));
                let mut put: Vec<Put> = ended.map(Put::Row).collect();
                let purposes = Purpose::ALL.into_iter();
                put.extend(
                    purposes
                        .filter(|purpose| parts.policy.of_settings(*purpose).is_none())
                        .map(|purpose| Wanted::new(&parts.policy, purpose, draft.now))
                        .map(Put::Fresh),
                );
                Ok(put)
            })
            .await?;
        Ok(Self::of(parts, keys))
    }

    fn of(parts: Parts, keys: Keys) -> Self {
        Self {
            parts,
            keys: ArcSwap::from_pointee(keys),
            changing: Mutex::default(),
        }
    }

    /// The keys as this process knows them.
    #[must_use]
    pub fn keys(&self) -> Guard<Arc<Keys>> {
        self.keys.load()
    }

    /// The version of the keys as this process knows them.
    pub(crate) fn version(&self) -> i64 {
        self.keys.load().version
    }

    /// What each key does now, and the keys that ended lately.
    #[must_use]
    pub fn list(&self) -> Vec<(StoredKey, State)> {
        let now = self.parts.clock.now();
        let mut rows = self.keys.load().rows.clone();
        rows.sort_unstable_by_key(|key| (key.purpose, std::cmp::Reverse(key.signs_from), key.kid));
        rows.into_iter()
            .map(|key| {
                let state = key.state(now);
                (key, state)
            })
            .collect()
    }

    /// The secret of a key, for an operator.
    ///
    /// # Errors
    /// [`Error::Unknown`], and those of [`Self::open`].
    pub async fn reveal(&self, kid: Kid) -> Result<Zeroizing<Vec<u8>>, Error> {
        let keys = self.keys.load_full();
        let row = keys.rows.iter().find(|key| key.kid == kid);
        let row = row.ok_or(Error::Unknown(kid))?;
        let master = &self.parts.master;
        row.unseal(&master.read().await?, || master.place())
    }

    /// Reads the rows again if their version is no longer the one that this process read.
    ///
    /// # Errors
    /// Errors of the store, and those of [`Self::open`] for new keys.
    pub async fn catch_up(&self, version: i64) -> Result<(), Error> {
        match self.keys.load().version == version {
            true => Ok(()),
            false => self.read_again().await,
        }
    }

    /// Asks the database whether another process changed the keys, and reads them again then.
    ///
    /// # Errors
    /// Those of [`Self::catch_up`].
    pub async fn ask(&self) -> Result<(), Error> {
        let version = self.parts.store.list_keys().await?.version;
        self.catch_up(version).await
    }

    /// Reads the rows again, and deletes those of keys that ended long ago.
    ///
    /// # Errors
    /// Those of [`Self::catch_up`].
    pub async fn read_again(&self) -> Result<(), Error> {
        self.change(|_| Ok(Vec::new())).await
    }

    /// Makes a key that follows the present one of `purpose`, and signs once it was published for the time that the
    /// settings give. If a successor is announced already, nothing is changed.
    ///
    /// # Errors
    /// [`Error::OfSettings`], [`Error::TooMany`], and those of [`Self::catch_up`].
    pub async fn rotate(&self, purpose: Purpose) -> Result<(), Error> {
        if self.parts.policy.of_settings(purpose).is_some() {
            return Err(Error::OfSettings(purpose));
        }
        self.change(|draft| succeed(draft, &self.parts.policy, purpose))
            .await
    }

    /// Rotates the keys that are older than the settings allow, and deletes the rows of keys that ended long ago.
    ///
    /// # Errors
    /// Those of [`Self::rotate`].
    pub async fn keep_schedule(&self) -> Result<(), Error> {
        let due = |rows: &[StoredKey], now| self.due(rows, now);
        let now = self.parts.clock.now();
        let keys = self.keys.load_full();
        let is_tidy = !keys.rows.iter().any(|key| plan::is_forgettable(key, now));
        if is_tidy && due(&keys.rows, now).is_empty() {
            return Ok(());
        }
        self.change(|draft| {
            // Another process may have rotated meanwhile.
            let mut put = Vec::new();
            for purpose in due(&draft.rows, draft.now) {
                tracing::info!(purpose = purpose.name(), "the schedule rotates the key");
                put.extend(succeed(draft, &self.parts.policy, purpose)?);
            }
            Ok(put)
        })
        .await
    }

    /// Ends a key at once: what it signed is refused from now on. If it signs or will sign, a new key takes its place.
    ///
    /// # Errors
    /// [`Error::Unknown`], and those of [`Self::catch_up`].
    pub async fn retire(&self, kid: Kid) -> Result<(), Error> {
        self.change(|draft| {
            let key = draft.rows.iter().find(|key| key.kid == kid);
            let key = key.ok_or(Error::Unknown(kid))?;
            let (purpose, now) = (key.purpose, draft.now);
            let mut put = vec![Put::Row(plan::ended(key, now))];
            let others = || plan::living(&draft.rows, purpose, now).filter(|key| key.kid != kid);
            let signs = others().any(|key| key.state(now) == State::Active);
            if !signs || others().all(|key| key.signs_until.is_some()) {
                put.push(Put::Fresh(Wanted::new(&self.parts.policy, purpose, now)));
            }
            Ok(put)
        })
        .await
    }

    /// Lets the keys that sign for `purpose` verify tokens that live this long.
    ///
    /// # Errors
    /// Those of [`Self::catch_up`].
    pub async fn allow_lifetime(&self, purpose: Purpose, lifetime: Duration) -> Result<(), Error> {
        self.change(|draft| {
            let rows = plan::shorter_than(&draft.rows, purpose, lifetime, draft.now);
            Ok(rows.into_iter().map(Put::Row).collect())
        })
        .await
    }

    /// Seals every key by the first master key. Returns how many were sealed by another one.
    ///
    /// # Errors
    /// [`Error::Locked`] when a master key is missing, and those of [`Self::catch_up`].
    pub async fn reseal(&self) -> Result<usize, Error> {
        let mut resealed = 0;
        self.change(|draft| {
            let old = draft.sealed_by_others();
            let put = old.map(|key| draft.resealed(key).map(Put::Row));
            let put: Vec<Put> = put.collect::<Result<_, _>>()?;
            resealed = put.len();
            Ok(put)
        })
        .await?;
        Ok(resealed)
    }

    async fn change(
        &self,
        decide: impl FnMut(&Draft<'_>) -> Result<Vec<Put>, Error>,
    ) -> Result<(), Error> {
        let _changing = self.changing.lock().await;
        let known = self.keys.load_full();
        let keys = self.parts.change(Some(&known), decide).await?;
        self.keys.store(Arc::new(keys));
        Ok(())
    }

    /// The purposes whose key is due for rotation.
    fn due(&self, rows: &[StoredKey], now: Timestamp) -> Vec<Purpose> {
        let policy = &self.parts.policy;
        let Some(age) = policy.rotate_every else {
            return Vec::new();
        };
        let is_due = |purpose: &Purpose| {
            let last = plan::last(rows, *purpose, now);
            purpose.is_scheduled()
                && policy.of_settings(*purpose).is_none()
                && last.is_some_and(|key| key.signs_from.plus(age) <= now)
        };
        Purpose::ALL.into_iter().filter(is_due).collect()
    }
}

/// A successor for the key of `purpose`, unless one is announced.
fn succeed(draft: &Draft<'_>, policy: &Policy, purpose: Purpose) -> Result<Vec<Put>, Error> {
    let now = draft.now;
    let Some(last) = plan::last(&draft.rows, purpose, now) else {
        return Ok(vec![Put::Fresh(Wanted::new(policy, purpose, now))]);
    };
    if last.state(now) == State::Announced {
        return Ok(Vec::new());
    }
    plan::refuse_too_many(&draft.rows, purpose, now)?;
    let from = now.plus(policy.announce);
    Ok(vec![
        Put::Row(plan::succeeded(last, from)),
        Put::Fresh(Wanted::new(policy, purpose, from)),
    ])
}

/// The keys that a ring lacks.
fn complete(draft: &Draft<'_>, policy: &Policy, left: &LegacyKeys) -> Result<Vec<Put>, Error> {
    let mut put = Vec::new();
    for purpose in Purpose::ALL {
        if policy.of_settings(purpose).is_some() {
            continue;
        }
        let wanted = Wanted::new(policy, purpose, draft.now);
        match plan::last(&draft.rows, purpose, draft.now) {
            None => put.extend(first(wanted, draft, policy, left)?),
            Some(last) if last.algorithm != wanted.algorithm => {
                let algorithm = wanted.algorithm.name();
                tracing::info!(
                    algorithm,
                    "the settings name another algorithm: its key is announced"
                );
                put.extend(succeed(draft, policy, purpose)?);
            }
            Some(_) => {}
        }
    }
    Ok(put)
}

/// The first keys of a purpose.
fn first(
    wanted: Wanted,
    draft: &Draft<'_>,
    policy: &Policy,
    left: &LegacyKeys,
) -> Result<Vec<Put>, Error> {
    let old =
        |secret: Option<&SecretText>| secret.map(|secret| secret.expose().as_bytes().to_vec());
    let old = match wanted.purpose {
        Purpose::Access => old(left.login.as_ref()),
        Purpose::Notary => old(left.notary.as_ref()),
        Purpose::Limits => None,
        Purpose::Refresh => {
            let login = policy.access.as_ref().or(left.login.as_ref());
            let login = login.filter(|_| draft.is_upgraded);
            let derived = login.map(|login| derived_refresh_key(policy.algorithm, login));
            return Ok(match derived.transpose()? {
                None => vec![Put::Fresh(wanted)],
                Some(secret) => {
                    let from = wanted.signs_from.plus(UPGRADE);
                    let successor = Wanted {
                        signs_from: from,
                        ..wanted
                    };
                    vec![Put::Old(wanted, secret, Some(from)), Put::Fresh(successor)]
                }
            });
        }
    };
    Ok(vec![match old {
        Some(secret) => Put::Old(wanted, Zeroizing::new(secret), None),
        None => Put::Fresh(wanted),
    }])
}
