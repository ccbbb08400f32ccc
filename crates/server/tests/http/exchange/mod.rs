//! The file exchange.

mod accounts;
mod connection;
mod download;
mod form;
mod room;
mod tokens;
mod upload;

use axum::body::Body;
use http::StatusCode;
use serde_json::Value;

use crate::app::{Answer, Options, TestApp};

/// What separates the parts of the forms here.
pub(crate) const BOUNDARY: &str = "7f3a-b0undary";
/// SHA-256 of `hello`.
pub(crate) const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

/// A server with an operator `sbeve72` and a client of the same name.
pub(crate) struct Exchange {
    pub(crate) app: TestApp,
    pub(crate) ops: String,
    pub(crate) client: String,
}

impl Exchange {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let app = TestApp::with(options).await;
        let ops = app.exchange_user("ops", "sbeve72").await;
        let client = app.exchange_user("client", "sbeve72").await;
        Self { app, ops, client }
    }

    /// Uploads a body of that form as the operator.
    pub(crate) async fn upload_body(&self, body: impl Into<Body>) -> Answer {
        self.upload_to("/ops/upload", body).await
    }

    pub(crate) async fn upload_to(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.app
            .post(path)
            .bearer(&self.ops)
            .body(&content_type(), body)
            .send()
            .await
    }

    /// Uploads `content` under `name`, which must be new.
    pub(crate) async fn upload(&self, name: &str, content: &[u8]) -> Answer {
        let answer = self.upload_body(form(&[file(name, content)])).await;
        answer.expect(StatusCode::CREATED)
    }

    /// The path of the operator's file of that name, which must be safe in a path.
    pub(crate) fn path(name: &str) -> String {
        format!("/client/files/sbeve72/{name}")
    }

    /// Fetches a file of the operator as the client.
    pub(crate) async fn fetch(&self, name: &str) -> Answer {
        self.app
            .get(&Self::path(name))
            .bearer(&self.client)
            .send()
            .await
    }

    /// The names of the operator's files.
    pub(crate) async fn names(&self) -> Vec<String> {
        let list = self
            .app
            .get("/client/files/sbeve72")
            .bearer(&self.client)
            .send()
            .await;
        let list = list.expect(StatusCode::OK).json();
        let name = |file: &Value| file["name"].as_str().expect("name").to_owned();
        list["files"]
            .as_array()
            .expect("files")
            .iter()
            .map(name)
            .collect()
    }

    /// How many files lie in the folder of uploads, whatever they are.
    pub(crate) fn stored(&self) -> usize {
        count_files(&self.app.folder.path().join("files"))
    }
}

fn count_files(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("folder");
    let count = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.expect("entry").path();
        if path.is_dir() { count_files(&path) } else { 1 }
    };
    entries.map(count).sum()
}

pub(crate) fn content_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

/// A part with these headers.
pub(crate) fn part(headers: &str, content: &[u8]) -> Vec<u8> {
    [headers.as_bytes(), b"\r\n\r\n", content].concat()
}

/// The part of a file without a type; `name` goes between the quotes as it is.
pub(crate) fn file(name: &str, content: &[u8]) -> Vec<u8> {
    let disposition = "Content-Disposition: form-data; name=\"request_file\"";
    part(&format!("{disposition}; filename=\"{name}\""), content)
}

/// The part of another field.
pub(crate) fn field(name: &str, content: &[u8]) -> Vec<u8> {
    part(
        &format!("Content-Disposition: form-data; name=\"{name}\""),
        content,
    )
}

/// A form of these parts.
pub(crate) fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(format!("--{BOUNDARY}\r\n").as_bytes());
        body.extend_from_slice(part);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}
