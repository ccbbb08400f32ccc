//! The access log: one event a request, with nothing in it that the client could use to forge another.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, Request, StatusCode};

use super::id::RequestId;
use super::templates::Templates;

/// Of a path that no route matched, this many characters are logged.
const LONGEST_PATH: usize = 128;

/// What is known of a request when it comes.
#[derive(Debug)]
pub(super) struct Entry {
    started: Instant,
    method: Method,
    path: Path,
    address: IpAddr,
}

impl Entry {
    pub(super) fn new<B>(request: &Request<B>, address: IpAddr, templates: &Templates) -> Self {
        let path = request.uri().path();
        let template = templates.find(path);
        let path = template.map_or_else(|| Path::raw(path), Path::Template);
        Self {
            started: Instant::now(),
            method: request.method().clone(),
            path,
            address,
        }
    }

    pub(super) fn write(&self, status: StatusCode, id: &RequestId) {
        tracing::info!(
            target: "access",
            id = id.as_str(),
            address = shown(self.address).as_str(),
            method = self.method.as_str(),
            path = self.path.as_str(),
            status = status.as_u16(),
            micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
        );
    }
}

/// The address as text; of IPv4 digit by digit, as a formatter takes a hundredth of a fast request for it.
fn shown(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else {
        return address.to_string();
    };
    let mut text = String::with_capacity("255.255.255.255".len());
    for octet in address.octets() {
        if !text.is_empty() {
            text.push('.');
        }
        for place in [100, 10, 1] {
            if octet >= place || place == 1 {
                text.push(char::from(b'0' + octet / place % 10));
            }
        }
    }
    text
}

/// The route's template where there is one, as it groups and holds no one's data; else the path, cut
/// and escaped. Never the query.
#[derive(Debug)]
enum Path {
    Template(Arc<str>),
    Raw(String),
}

impl Path {
    fn as_str(&self) -> &str {
        match self {
            Self::Template(path) => path,
            Self::Raw(path) => path,
        }
    }

    fn raw(path: &str) -> Self {
        Self::Raw(
            path.chars()
                .take(LONGEST_PATH)
                .flat_map(char::escape_default)
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_usual() {
        for octet in 0..=255 {
            for address in [[octet, 0, 10, 255], [9, octet, octet, 100]] {
                assert_eq!(shown(address.into()), IpAddr::from(address).to_string());
            }
        }
        assert_eq!(shown(IpAddr::from([0_u16; 8])), "::");
    }
}
