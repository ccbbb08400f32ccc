//! Logging out: closing a session revokes every token that was issued for it.

use super::{Error, Principal, Tokens};
use crate::id::SessionId;
use crate::sessions::Reason;

impl Tokens {
    /// Closes the session of a principal.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the session is already closed, and errors of the store.
    pub async fn log_out(&self, principal: &Principal) -> Result<(), Error> {
        self.close(principal.session).await
    }

    /// Closes the session of an access or a refresh token.
    ///
    /// # Errors
    /// [`Error::Invalid`], and errors of the store.
    pub async fn log_out_by_either(&self, token: &str) -> Result<(), Error> {
        let session = match self.check(token) {
            Ok(principal) => principal.session,
            Err(_) => self.verify_refresh(token)?.0,
        };
        self.close(session).await
    }

    /// Closes a session that was open when its token was checked. The later of two concurrent calls finds it closed.
    async fn close(&self, session: SessionId) -> Result<(), Error> {
        match self.0.sessions.close(session, Reason::Logout).await? {
            true => Ok(()),
            false => Err(Error::Invalid),
        }
    }
}
