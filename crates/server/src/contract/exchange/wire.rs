//! The names of contract 3 on the wire.

use keyward_core::files::File;
use keyward_core::hex;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::extract::member::Member;
use crate::list::Row;

/// A username and a password, to sign up or to log in.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = ExchangeCredentials)]
pub(super) struct CredentialsRequest {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit.
    #[serde(default)]
    #[schema(value_type = String, example = "sbeve72")]
    pub(super) username: Member,
    /// 1 to 1,024 bytes.
    #[serde(default)]
    #[schema(value_type = String, example = "correct horse")]
    pub(super) password: Member,
}

/// A new operator or client.
#[derive(Serialize, ToSchema)]
#[schema(as = ExchangeSignedUp)]
pub(super) struct SignedUpResponse {
    /// What happened.
    #[schema(value_type = String)]
    pub(super) message: &'static str,
    /// Who signed up.
    #[schema(example = "sbeve72")]
    pub(super) username: String,
}

/// What happened.
#[derive(Serialize, ToSchema)]
#[schema(as = ExchangeMessage)]
pub(super) struct MessageResponse {
    /// In words.
    #[schema(value_type = String)]
    pub(super) message: &'static str,
}

/// The form of an upload.
#[derive(ToSchema)]
#[schema(as = ExchangeUploadForm)]
#[expect(dead_code, reason = "the form is read as a stream; this describes it")]
pub(super) struct UploadForm {
    /// The file, with its name and type.
    #[schema(value_type = String, format = Binary)]
    request_file: Vec<u8>,
}

/// A file that was stored.
#[derive(Serialize, ToSchema)]
#[schema(as = ExchangeUploaded)]
pub(super) struct UploadedResponse {
    /// What happened.
    #[schema(value_type = String)]
    message: &'static str,
    /// Its name.
    #[schema(example = "report.pdf")]
    file_name: String,
    /// Its length in bytes.
    size: u64,
    /// Its SHA-256 in lower-case hex.
    sha256: String,
    /// Its media type as uploaded.
    #[schema(example = "application/pdf")]
    content_type: String,
}

impl From<File> for UploadedResponse {
    fn from(file: File) -> Self {
        Self {
            message: "the file is stored",
            size: file.size,
            sha256: hex::encode(&file.sha256),
            file_name: file.name,
            content_type: file.content_type,
        }
    }
}

/// What the list of an operator's files begins and ends with.
pub(super) const FILES: [&str; 2] = [r#"{"files":["#, "]}"];

/// An operator's files, by the UTF-8 bytes of their names.
#[derive(ToSchema)]
#[schema(as = ExchangeFiles)]
#[expect(
    dead_code,
    reason = "the list is written row by row; this describes it"
)]
pub(super) struct FilesResponse {
    files: Vec<FileEntry>,
}

/// A file in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = ExchangeFile)]
pub(crate) struct FileEntry {
    /// Its name.
    #[schema(example = "report.pdf")]
    name: String,
    /// Its length in bytes.
    size: u64,
    /// Its SHA-256 in lower-case hex.
    sha256: String,
    /// Its media type as uploaded.
    #[schema(example = "application/pdf")]
    content_type: String,
    /// When it was uploaded: RFC 3339, UTC, milliseconds.
    #[schema(example = "2026-01-01T00:00:00.000Z")]
    uploaded_at: String,
}

impl Row for File {
    type Json = FileEntry;

    fn weight(&self) -> usize {
        let texts = [&self.name, &self.content_type].map(String::len);
        size_of::<Self>() + texts.iter().sum::<usize>() + self.blob.as_str().len()
    }

    fn into_json(self) -> FileEntry {
        self.into()
    }
}

impl From<File> for FileEntry {
    fn from(file: File) -> Self {
        Self {
            size: file.size,
            sha256: hex::encode(&file.sha256),
            uploaded_at: file.uploaded_at.rfc3339_millis(),
            name: file.name,
            content_type: file.content_type,
        }
    }
}
