//! The access log: one event for each request, whether its client waited for the answer or not, with nothing in it
//! that the client could use to forge another.

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

    /// Writes the line: `status` is none of a request that was given up before its answer, and `has_client` false where
    /// the client left before the answer.
    pub(super) fn write(&self, status: Option<StatusCode>, has_client: bool, id: &RequestId) {
        let code = status.map(|status| status.as_u16());
        let status: &dyn tracing::Value = match &code {
            Some(code) => code,
            None => &"-",
        };
        tracing::info!(
            target: "access",
            id = id.as_str(),
            address = %self.address,
            method = self.method.as_str(),
            path = self.path.as_str(),
            status,
            micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            client = (!has_client).then_some("left"),
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
