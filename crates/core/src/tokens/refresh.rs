//! Exchanging a refresh token for new tokens.

use super::verify::enabled;
use super::{Error, Issued, TokenSet, Tokens};
use crate::sessions::{Rotate, Rotation};

impl Tokens {
    /// Exchanges a refresh token for a new access token and a new refresh token. Presenting a used refresh token is a
    /// replay and closes its session (RFC 9700 §4.14.2).
    ///
    /// # Errors
    /// [`Error::Invalid`], and errors of the store.
    pub async fn refresh(&self, token: &str) -> Result<Issued, Error> {
        let rotated = self.rotate(token).await;
        self.0.measured.refreshed(&rotated);
        match rotated? {
            Rotation::Rotated(session) | Rotation::Repeated(session) => {
                let account = enabled(self.0.accounts.find(session.account).await?)?;
                self.issue(account, &session, TokenSet::AccessAndRefresh)
            }
            Rotation::Replayed(_) | Rotation::Refused => Err(Error::Invalid),
        }
    }

    async fn rotate(&self, token: &str) -> Result<Rotation, Error> {
        let (session, counter) = self.verify_refresh(token)?;
        let policy = &self.0.policy;
        let rotate = Rotate {
            session,
            counter,
            now: self.0.clock.now(),
            ttl: policy.refresh_ttl,
            grace: policy.refresh_grace,
        };
        Ok(self.0.sessions.rotate(rotate).await?)
    }
}
