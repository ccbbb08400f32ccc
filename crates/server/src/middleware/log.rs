//! The access log: one event a request, with nothing in it that the client could use to forge another.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, Request, StatusCode};

use super::RequestId;
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
            address = %self.address,
            method = self.method.as_str(),
            path = self.path.as_str(),
            status = status.as_u16(),
            micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
        );
    }
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
