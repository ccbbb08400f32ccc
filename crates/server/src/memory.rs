//! Responses that count against the memory budget until the client has read them.
//!
//! Invariant: a reservation lives as long as its bytes, whichever buffer they are in.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::FromRequestParts;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http_body::{Frame, SizeHint};
use keyward_core::memory::{Account, Budget, FREE, Reservation};

use crate::address::{ClientAddress, TrustedProxies, networks};
use crate::error::Failure;
use crate::state::App;

/// The memory account of `address`. A proxy sends for many clients, so its account has no limit per address.
pub(crate) fn account(memory: &Arc<Budget>, proxies: &TrustedProxies, address: IpAddr) -> Account {
    memory.account((!proxies.contains(address)).then(|| networks(address).0))
}

/// An extractor of the [`Account`] that a request's client has in the memory budget.
pub(crate) struct MemoryAccount(pub(crate) Account);

impl FromRequestParts<App> for MemoryAccount {
    type Rejection = <ClientAddress as FromRequestParts<App>>::Rejection;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, app).await?;
        Ok(Self(app.account(address)))
    }
}

/// Marks a response that already counts against the budget.
#[derive(Clone)]
struct Held;

/// Whether a response must be [held](hold): it is complete, and larger than [`FREE`].
fn is_large(response: &Response) -> bool {
    let size = response.body().size_hint().exact().unwrap_or_default();
    size > FREE as u64 && response.extensions().get::<Held>().is_none()
}

/// Counts the response against the budget until the client has read it. Most responses are small and need no `account`.
pub(crate) fn hold(
    response: Response,
    account: impl FnOnce() -> Account,
) -> Result<Response, Failure> {
    if !is_large(&response) {
        return Ok(response);
    }
    let size = response.body().size_hint().exact().unwrap_or_default();
    let reservation = Arc::new(account().reserve(size)?);
    let mut response = response.map(|body| Body::new(HeldBody { body, reservation }));
    response.extensions_mut().insert(Held);
    Ok(response)
}

/// Returns `bytes` so that they keep `reservation` until all of them are written or dropped.
pub(crate) fn keep(bytes: impl Into<Bytes>, reservation: &Arc<Reservation>) -> Bytes {
    Bytes::from_owner(Kept {
        bytes: bytes.into(),
        _reservation: Arc::clone(reservation),
    })
}

struct Kept {
    bytes: Bytes,
    _reservation: Arc<Reservation>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body whose chunks keep a reservation.
struct HeldBody {
    body: Body,
    reservation: Arc<Reservation>,
}

impl HttpBody for HeldBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        frame.map_ok(|frame| frame.map_data(|bytes| keep(bytes, &self.reservation)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
