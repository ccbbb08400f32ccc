//! Whose request it is, by address: the socket's, unless a configured proxy vouches for another.
//!
//! A forwarded address is believed only as far as an unbroken chain of trusted proxies reaches,
//! read from the right, so that nothing a client writes itself can change how it is counted.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::FromRequestParts;
use http::header::{FORWARDED, HeaderName};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use ipnet::IpNet;

/// The other end of the connection; every request that `serve::run` hands on carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The networks whose forwarded headers are believed. Empty by default: no one's are.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

/// A text that is neither an address nor a network in CIDR form.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither an IP address nor a network such as 10.0.0.0/8")]
pub struct NotANetwork(String);

impl TrustedProxies {
    /// Reads addresses (`::1`) and networks (`10.0.0.0/8`).
    ///
    /// # Errors
    /// The first text that is neither.
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

    /// Whether `address` is one of the proxies; an IPv4-mapped IPv6 address counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether no one's headers are believed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a network is larger than any that one owner has (10.0.0.0/8, fc00::/7), so that clients are in it.
    #[must_use]
    pub fn is_everyone(&self) -> bool {
        self.0.iter().any(|network| match network {
            IpNet::V4(network) => network.prefix_len() < 8,
            IpNet::V6(network) => network.prefix_len() < 7,
        })
    }
}

/// The address that sent a request: `peer`, or what trusted proxies say is behind them.
///
/// The hops are read from the right and the first that is no trusted proxy is the client; a hop that
/// cannot be read ends the search at the last address that could be trusted. `X-Forwarded-For` alone
/// counts where it is present, otherwise `Forwarded` (RFC 7239): a proxy that writes only the latter
/// must remove the former.
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

/// The networks that limits count by: an IPv4 address itself; for an IPv6 address its /64, the least that one
/// subscriber has, and its /48, the most.
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

/// The client's address, as an extractor. The middleware leaves it with the request where it is not the
/// peer's; without a connection at all `0.0.0.0`, so that such requests share one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Self>().copied();
        Ok(known.unwrap_or_else(|| Self(peer_address(parts.extensions.get()))))
    }
}

/// The address of a connection's other end, `0.0.0.0` for a request that came by none.
pub(crate) fn peer_address(peer: Option<&Peer>) -> IpAddr {
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| {
        peer.0.ip().to_canonical()
    })
}

/// Walks `hops`, nearest first, while they are trusted proxies.
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
    // A line that is not ASCII is one hop that cannot be read.
    let line = line.to_str().unwrap_or("?");
    line.split(',')
        .rev()
        .map(str::trim)
        .filter(|hop| !hop.is_empty())
        .map(node)
}

/// The `for` of each element of a `Forwarded` line, last first; one unreadable hop for a line whose
/// quoting is broken, as nobody can tell whose words are in it.
fn forwarded(line: &HeaderValue) -> impl Iterator<Item = Option<IpAddr>> {
    let hops = line
        .to_str()
        .ok()
        .and_then(elements)
        .unwrap_or_else(|| vec![None]);
    hops.into_iter().rev()
}

/// Reads `forwarded-element *( "," forwarded-element )` (RFC 7239 §4).
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
                // Twice in one element is forbidden (§4) and says nothing to be relied on.
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

/// A token or quoted-string at the start of `text`, unescaped, and what follows it.
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

/// An address with or without a port, IPv6 with or without brackets.
///
/// Quotes around it, and the zone of an IPv6 address, have no place in `X-Forwarded-For`, but some proxies write them.
/// They are passed over: the proxy is believed anyway, and its own address in place of the client's would give all of
/// its clients one budget.
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
