//! The address of the client: that of the socket, unless a trusted proxy forwards another.
//!
//! Invariant: forwarded addresses are read from the right, and only as far as the chain of trusted proxies is unbroken.
//! So no header that a client writes changes the address by which it is limited.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::FromRequestParts;
use http::header::{FORWARDED, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

/// The peer of the connection, which `serve::run` attaches to every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The networks of trusted proxies, whose forwarding headers are used. Empty by default.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// A text that is neither an address nor a network in CIDR form.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither an IP address nor a network such as 10.0.0.0/8")]
pub struct NotANetwork(String);

impl TrustedProxies {
    /// Parses addresses (`::1`) and networks (`10.0.0.0/8`).
    ///
    /// # Errors
    /// The first text that is neither an address nor a network.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, NotANetwork> {
        let network = |text: T| {
            let text = text.as_ref().trim();
            let parsed = text
                .parse::<IpAddr>()
                .map(|one| IpNet::from(one.to_canonical()));
            parsed
                .or_else(|_| text.parse())
                .map_err(|_| NotANetwork(text.to_owned()))
        };
        texts
            .into_iter()
            .map(network)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether `address` is that of a trusted proxy. An IPv4-mapped IPv6 address counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether there are no trusted proxies.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a network is so large that it must contain clients too: larger than 10.0.0.0/8 or fc00::/7.
    #[must_use]
    pub fn includes_clients(&self) -> bool {
        self.0.iter().any(|network| match network {
            IpNet::V4(network) => network.prefix_len() < 8,
            IpNet::V6(network) => network.prefix_len() < 7,
        })
    }
}

/// The address of a request's client: `peer`, or the address that trusted proxies forward.
///
/// The hops are read from the right, and the first one that is not a trusted proxy is the client. A malformed hop ends
/// the search at the last trusted address. If `X-Forwarded-For` is present, `Forwarded` (RFC 7239) is ignored, so a
/// proxy that writes only `Forwarded` must remove `X-Forwarded-For`.
#[must_use]
pub fn client_address(peer: IpAddr, headers: &HeaderMap, proxies: &TrustedProxies) -> IpAddr {
    const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    let peer = peer.to_canonical();
    if !proxies.contains(peer) {
        return peer;
    }
    if headers.contains_key(X_FORWARDED_FOR) {
        let lines = headers.get_all(X_FORWARDED_FOR).into_iter().rev();
        follow(peer, proxies, lines.flat_map(x_forwarded_for))
    } else {
        let lines = headers.get_all(FORWARDED).into_iter().rev();
        follow(peer, proxies, lines.flat_map(forwarded))
    }
}

/// The networks under which limits count an address: an IPv4 address itself; for an IPv6 address its /64, the smallest
/// network of a subscriber, and its /48, the largest.
#[must_use]
pub fn networks(address: IpAddr) -> (IpAddr, Option<IpAddr>) {
    match address.to_canonical() {
        four @ IpAddr::V4(_) => (four, None),
        IpAddr::V6(six) => {
            let network =
                |bits: u32| Ipv6Addr::from_bits(six.to_bits() & (u128::MAX << (128 - bits))).into();
            (network(64), Some(network(48)))
        }
    }
}

/// An extractor of the client's address. The middleware attaches it to the request if it is not the peer's. Without a
/// connection it is `0.0.0.0`, so that such requests share one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Self>().copied();
        Ok(known.unwrap_or_else(|| Self(peer_address(parts.extensions.get()))))
    }
}

/// The address of the peer; `0.0.0.0` for a request without a connection.
pub(crate) fn peer_address(peer: Option<&Peer>) -> IpAddr {
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| {
        peer.0.ip().to_canonical()
    })
}

/// Follows `hops`, nearest first, as long as they are trusted proxies.
fn follow(
    peer: IpAddr,
    proxies: &TrustedProxies,
    hops: impl Iterator<Item = Option<IpAddr>>,
) -> IpAddr {
    let mut reached = peer;
    for hop in hops {
        let Some(hop) = hop else { return reached };
        reached = hop;
        if !proxies.contains(hop) {
            return reached;
        }
    }
    reached
}

fn x_forwarded_for(line: &HeaderValue) -> impl Iterator<Item = Option<IpAddr>> {
    // A line that is not ASCII counts as one malformed hop.
    let line = line.to_str().unwrap_or("?");
    line.split(',')
        .rev()
        .map(str::trim)
        .filter(|hop| !hop.is_empty())
        .map(node)
}

/// The `for` of each element of a `Forwarded` line, last first. A line with broken quoting counts as one malformed hop,
/// since its elements cannot be separated.
fn forwarded(line: &HeaderValue) -> impl Iterator<Item = Option<IpAddr>> {
    let hops = line
        .to_str()
        .ok()
        .and_then(elements)
        .unwrap_or_else(|| vec![None]);
    hops.into_iter().rev()
}

/// Parses `forwarded-element *( "," forwarded-element )` (RFC 7239 §4).
fn elements(line: &str) -> Option<Vec<Option<IpAddr>>> {
    let mut hops = Vec::new();
    let mut rest = line;
    let mut hop = None;
    loop {
        let pair = rest.trim_start();
        if let Some(equals) = pair
            .find(['=', ',', ';'])
            .filter(|&at| pair[at..].starts_with('='))
        {
            let (value, after) = value(&pair[equals + 1..])?;
            if pair[..equals].eq_ignore_ascii_case("for") {
                // A parameter must not occur twice in an element (§4), so a repeated `for` is not used.
                hop = Some(if hop.is_none() { node(&value) } else { None });
            }
            rest = after.trim_start();
        } else {
            rest = pair;
        }
        let mut characters = rest.chars();
        match characters.next() {
            Some(';') => {}
            separator @ (Some(',') | None) => {
                hops.push(hop.take().flatten());
                if separator.is_none() {
                    return Some(hops);
                }
            }
            Some(_) => return None,
        }
        rest = characters.as_str();
    }
}

/// The unescaped token or quoted string at the start of `text`, and the rest.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ';', '"', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut plain = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some((plain, characters.as_str())),
            '\\' => plain.push(characters.next()?),
            other => plain.push(other),
        }
    }
}

/// Parses an address with or without a port, IPv6 with or without brackets.
///
/// Quotes and the zone of an IPv6 address do not belong in `X-Forwarded-For`, but some proxies write them, and they are
/// ignored. If they were refused, the address of the proxy would be used instead, and all of its clients would share
/// one limit.
fn node(text: &str) -> Option<IpAddr> {
    let inside = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let text = inside.unwrap_or(text);
    let Some((start, zone)) = text.split_once('%') else {
        return address(text);
    };
    let end = zone.find(']').unwrap_or(zone.len());
    let of_six = address(&[start, &zone[end..]].concat()).filter(IpAddr::is_ipv6);
    of_six.filter(|_| end > 0)
}

fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare
        .parse()
        .or_else(|_| text.parse().map(|socket: SocketAddr| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests;
