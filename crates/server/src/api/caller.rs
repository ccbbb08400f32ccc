//! The caller of the native API: a valid access token of any realm, and its account.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::Response;
use keyward_core::accounts::{Account, Realm};
use keyward_core::id::SessionId;

use crate::error::Problem;
use crate::extract::guard::{Authorized, NoBody, Scope, refuse};
use crate::state::App;

/// The scope of the native API: accounts of every realm.
pub(super) struct Native;

impl Scope for Native {
    type Shape = Problem;
    const REALMS: &'static [Realm] = &Realm::ALL;
}

/// The account of the caller, read after the body has arrived, with the values extracted from the request's head and
/// body.
pub(super) struct Caller<P = (), B = NoBody> {
    /// The account.
    pub(super) account: Account,
    /// The session of the token presented.
    pub(super) session: SessionId,
    /// The value extracted from the head.
    pub(super) head: P,
    /// The value extracted from the body.
    pub(super) body: B,
}

impl<P, B> FromRequest<App> for Caller<P, B>
where
    P: FromRequestParts<App> + Send,
    B: FromRequest<App> + Send,
{
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let authorized = Authorized::<Native, P, B>::from_request(request, app).await?;
        let account = app.tokens.account(&authorized.principal).await;
        Ok(Self {
            account: account.map_err(|error| refuse::<Native>(error.into()))?,
            session: authorized.principal.session,
            head: authorized.head,
            body: authorized.body,
        })
    }
}
