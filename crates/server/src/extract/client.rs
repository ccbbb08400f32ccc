//! The client of a request: its address, which rate limits use, and its `User-Agent`.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::header::USER_AGENT;
use http::request::Parts;

use crate::address::ClientAddress;

/// The client of a request.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// The address, from the socket or a trusted proxy.
    pub(crate) address: IpAddr,
    /// The `User-Agent`, cut to 200 characters, without control characters.
    pub(crate) user_agent: Option<String>,
}

impl<A> FromRequestParts<A> for Client
where
    A: Send + Sync,
    ClientAddress: FromRequestParts<A>,
{
    type Rejection = <ClientAddress as FromRequestParts<A>>::Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &A) -> Result<Self, Self::Rejection> {
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, state).await?;
        let user_agent = parts
            .headers
            .get(USER_AGENT)
            .and_then(|value| value.to_str().ok());
        let shorten = |text: &str| text.chars().filter(|c| !c.is_control()).take(200).collect();
        Ok(Self {
            address,
            user_agent: user_agent.map(shorten),
        })
    }
}
