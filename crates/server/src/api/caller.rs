//! Whoever calls the native API: a good access token of any realm, and the account behind it.

use axum::extract::FromRequestParts;
use http::request::Parts;
use keyward_core::accounts::Account;
use keyward_core::id::SessionId;

use super::Error;
use crate::extract::bearer::{Refused, bearer, count, require};
use crate::state::App;

/// The account that calls. As the first extractor it comes before any look at the rest of the
/// request.
pub(super) struct Caller {
    /// Who it is.
    pub(super) account: Account,
    /// The session of the token presented.
    pub(super) session: SessionId,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let credential = bearer(&parts.headers);
        let verified = app.tokens.verify_any(require(&credential)?).await;
        let principal = verified.map_err(Refused::from)?;
        count(&principal, &app.limits).await?;
        let account = app.tokens.account(&principal).await?;
        Ok(Self {
            account,
            session: principal.session,
        })
    }
}
