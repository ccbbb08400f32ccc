//! Trading refresh tokens and ending sessions.

use super::{Error, Grant, Issued, Tokens};
use crate::id::SessionId;
use crate::sessions::{Reason, Rotate, Rotation};

impl Tokens {
    /// Trades a refresh token for a new pair; presented again, it is a replay and ends its session
    /// (RFC 9700 §4.14.2).
    ///
    /// # Errors
    /// [`Error::Invalid`]; the store's.
    pub async fn refresh(&self, token: &str) -> Result<Issued, Error> {
        let (session, counter) = self.verify_refresh(token)?;
        let policy = &self.0.policy;
        let rotate = Rotate {
            session,
            counter,
            now: self.0.clock.now(),
            ttl: policy.refresh_ttl,
            grace: policy.refresh_grace,
        };
        match self.0.sessions.rotate(rotate).await? {
            Rotation::Rotated(session) | Rotation::Repeated(session) => {
                let account = self
                    .0
                    .accounts
                    .find(session.account)
                    .await?
                    .ok_or(Error::Invalid)?;
                self.issue(account, &session, Grant::Pair)
            }
            Rotation::Replayed(_) | Rotation::Refused => Err(Error::Invalid),
        }
    }

    /// Closes the session of an access token of any realm.
    ///
    /// # Errors
    /// [`Error::Invalid`]; the store's.
    pub async fn log_out(&self, token: &str) -> Result<(), Error> {
        let (principal, _) = self.check(token)?;
        self.close(principal.session).await
    }

    /// Closes the session of an access or a refresh token.
    ///
    /// # Errors
    /// [`Error::Invalid`]; the store's.
    pub async fn log_out_by_either(&self, token: &str) -> Result<(), Error> {
        let session = match self.check(token) {
            Ok((principal, _)) => principal.session,
            Err(_) => self.verify_refresh(token)?.0,
        };
        self.close(session).await
    }

    /// Closes a session that stood when its token was checked; of two at once, the later finds it gone.
    async fn close(&self, session: SessionId) -> Result<(), Error> {
        match self.0.sessions.close(session, Reason::Logout).await? {
            true => Ok(()),
            false => Err(Error::Invalid),
        }
    }
}
