//! The sessions of the caller.

use axum::extract::State;
use axum::response::Response;
use futures_util::stream;
use http::StatusCode;
use http::header::LINK;
use keyward_core::id::SessionId;
use keyward_core::sessions::{self, Sessions};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Error;
use super::caller::Caller;
use super::wire::SessionResponse;
use crate::error::{PROBLEM, Problem, ProblemDocument};
use crate::extract::id::PathId;
use crate::extract::query::{PageParameters, Query, next_link};
use crate::list::{self, ARRAY};
use crate::memory::MemoryAccount;
use crate::responses::{Guarded, Queries, Writes};
use crate::state::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(close))
}

/// Lists the open sessions of the caller, by id.
#[utoipa::path(
    get, path = "/api/v1/sessions", tag = "native", security(("bearer" = [])),
    params(PageParameters),
    responses(
        (status = 200, body = Vec<SessionResponse>, headers(("Link" = String, description = "rel=\"next\", where there is a next page"))),
        Guarded<Problem>, Queries<Problem>,
    ),
)]
async fn list(
    State(sessions): State<Sessions>,
    MemoryAccount(account): MemoryAccount,
    caller: Caller<Query>,
) -> Result<Response, Error> {
    let page = caller.head.page()?;
    let listed = sessions.list(Some(caller.account.id), page).await?;
    let shown = |session| SessionResponse::new(session, caller.session);
    let shown: Vec<SessionResponse> = listed.items.into_iter().map(shown).collect();
    let shown = stream::iter([Ok::<_, sessions::Error>(shown)]);
    let mut response = list::list(ARRAY, shown, &account).await?;
    let link = listed
        .next
        .and_then(|next| next_link("/api/v1/sessions", page.limit, next));
    if let Some(link) = link {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

/// Closes an open session of the caller. Its tokens are refused at once.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", tag = "native", security(("bearer" = [])),
    params(("id" = i64, Path, minimum = 1)),
    responses(
        (status = 204),
        (status = 404, description = "Not an open session of yours", body = ProblemDocument, content_type = PROBLEM),
        Guarded<Problem>, Writes<Problem>,
    ),
)]
async fn close(
    State(sessions): State<Sessions>,
    caller: Caller<PathId>,
) -> Result<StatusCode, Error> {
    let PathId(id) = caller.head;
    sessions.close_own(caller.account.id, SessionId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
