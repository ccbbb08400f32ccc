//! Closes sessions, even while the store cannot write.
//!
//! Invariant: an authorized request to close a session has closed it on this server before the response is sent, even
//! if the response is an error. The closure is written to the store as soon as the store accepts writes.

use super::{BATCH, Error, Reason, Rotate, Rotation, Sessions};
use crate::error::{Fault, chain};
use crate::id::{AccountId, SessionId};
use crate::page::Page;

impl Sessions {
    /// Rotates a refresh token. After a replay the session is closed when this returns.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn rotate(&self, rotate: Rotate) -> Result<Rotation, Error> {
        let rotation = match self.store.rotate_refresh_token(rotate).await {
            Ok(rotation) => rotation,
            Err(fault) => self.replayed_here(&rotate, fault).await?,
        };
        if let Rotation::Replayed(account) = rotation {
            self.closed_in_store(&[rotate.session], Reason::Replay);
            tracing::warn!(
                session = rotate.session.0,
                account = account.0,
                "a refresh token was presented twice: its session is closed"
            );
        }
        Ok(rotation)
    }

    /// Closes a session of any account. Returns whether it was open.
    ///
    /// # Errors
    /// [`Error::ClosedHere`].
    pub async fn close(&self, id: SessionId, reason: Reason) -> Result<bool, Error> {
        let now = self.clock.now();
        let closed = match self.store.close_session(id, reason, now).await {
            Ok(closed) => closed,
            Err(fault) => {
                self.close_here(&[id], reason, &fault);
                return Err(Error::ClosedHere(fault));
            }
        };
        if closed {
            self.closed_in_store(&[id], reason);
        } else {
            self.closed.insert(&[id]);
        }
        tracing::info!(
            session = id.0,
            reason = reason.name(),
            closed,
            "session closed"
        );
        Ok(closed)
    }

    /// Closes a session of `owner`.
    ///
    /// # Errors
    /// [`Error::Unknown`] when it is not an open session of that account, [`Error::Store`].
    pub async fn close_own(&self, owner: AccountId, id: SessionId) -> Result<(), Error> {
        let session = self.store.find_session(id).await?;
        let open_and_own = session.is_some_and(|s| s.account == owner && s.closed_at.is_none());
        if !open_and_own || !self.close(id, Reason::Logout).await? {
            return Err(Error::Unknown);
        }
        Ok(())
    }

    /// Adds to the set the sessions that the store has just closed for this process. The feed will show them.
    pub(super) fn closed_in_store(&self, ids: &[SessionId], reason: Reason) {
        self.measured.closed(ids.len(), reason);
        let moment = self.clock.monotonic();
        self.pending.written(&self.closed, ids, reason, moment);
    }

    /// Closes on this server the sessions that the store failed to close.
    pub(super) fn close_here(&self, ids: &[SessionId], reason: Reason, fault: &Fault) {
        self.measured.closed(ids.len(), reason);
        for &id in ids {
            self.pending.close(&self.closed, id, reason);
            tracing::warn!(
                session = id.0,
                reason = reason.name(),
                cause = chain(fault),
                "session closed on this server alone, until the database can be written"
            );
        }
    }

    /// Closes on this server the open sessions of an account, except `keep`. Called when the store failed to make a
    /// change of the account that closes them.
    pub(super) async fn close_all_here(
        &self,
        account: AccountId,
        keep: Option<SessionId>,
        reason: Reason,
        fault: Fault,
    ) -> Error {
        let mut page = Page {
            after: 0,
            limit: BATCH,
        };
        loop {
            let now = self.clock.now();
            // If the store cannot be read either, the sessions of the account are unknown.
            let Ok(open) = self.store.list_sessions(Some(account), now, page).await else {
                return fault.into();
            };
            let Some(last) = open.last() else {
                return Error::NotChanged(fault);
            };
            page.after = last.id.0;
            let ids = open.iter().map(|session| session.id);
            let ids: Vec<_> = ids.filter(|id| Some(*id) != keep).collect();
            self.close_here(&ids, reason, &fault);
        }
    }

    /// Checks for a replay after the store failed to rotate. Detecting it needs only a read, so the session of a
    /// replayed token is closed on this server even while the store cannot write.
    pub(super) async fn replayed_here(
        &self,
        rotate: &Rotate,
        fault: Fault,
    ) -> Result<Rotation, Fault> {
        let Ok(found) = self.store.find_session(rotate.session).await else {
            return Err(fault);
        };
        match found {
            Some(session) if session.closed_at.is_none() && rotate.replays(&session) => {
                self.close_here(&[session.id], Reason::Replay, &fault);
                Ok(Rotation::Replayed(session.account))
            }
            _ => Err(fault),
        }
    }
}
