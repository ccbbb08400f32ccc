//! Whoever may call the customers API: a good access token of realm `default`.

use axum::extract::FromRequestParts;
use http::request::Parts;
use keyward_core::accounts::Realm;

use super::Error;
use crate::extract::bearer::{bearer, guard};
use crate::state::App;

/// Proof that the request passed the guard. As the first extractor it comes before any look at the
/// rest of the request.
pub(super) struct Caller;

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        guard(
            &bearer(&parts.headers),
            Realm::Default,
            &app.tokens,
            &app.limits,
        )
        .await?;
        Ok(Self)
    }
}
