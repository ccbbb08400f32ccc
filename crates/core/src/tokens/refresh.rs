//! Trading a refresh token for new tokens.

use super::verify::enabled;
use super::{Error, Issued, TokenSet, Tokens};
use crate::sessions::{Rotate, Rotation};

impl Tokens {
    /// Trades a refresh token for a new pair; presented again, it is a replay and ends its session
    /// (RFC 9700 §4.14.2).
    ///
    /// # Errors
    /// [`Error::Invalid`]; the store's.
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
