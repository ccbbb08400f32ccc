//! The names of the exchange contract on the wire.

use std::borrow::Cow;

use keyward_core::files::File;
use keyward_core::hex;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::extract::member::Member;
use crate::list::Row;
use crate::schemas::{ExchangeUsername, Password};

/// A username and a password, to sign up or to log in.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = ExchangeCredentials)]
pub(super) struct CredentialsRequest {
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit.
    #[serde(default)]
    #[schema(value_type = ExchangeUsername, required = true)]
    pub(super) username: Member,
    /// 1 to 1,024 bytes.
    #[serde(default)]
    #[schema(value_type = Password, required = true)]
    pub(super) password: Member,
}

/// [`CredentialsRequest`] as `application/x-www-form-urlencoded`. Each field occurs once.
pub(super) struct CredentialsForm;

impl PartialSchema for CredentialsForm {
    fn schema() -> RefOr<Schema> {
        credentials(form()).into()
    }
}

impl ToSchema for CredentialsForm {
    fn name() -> Cow<'static, str> {
        "ExchangeCredentialsForm".into()
    }
}

/// [`CredentialsRequest`] as `multipart/form-data`.
pub(super) struct CredentialsMultipart;

impl PartialSchema for CredentialsMultipart {
    fn schema() -> RefOr<Schema> {
        credentials(multipart(PART)).into()
    }
}

impl ToSchema for CredentialsMultipart {
    fn name() -> Cow<'static, str> {
        "ExchangeCredentialsMultipart".into()
    }
}

fn credentials(form: ObjectBuilder) -> ObjectBuilder {
    form.property("username", Ref::from_schema_name(ExchangeUsername::name()))
        .property("password", Ref::from_schema_name(Password::name()))
        .required("username")
        .required("password")
}

/// A form. Other fields are read and ignored.
fn form() -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(Type::String);
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .additional_properties(Some(text))
}

/// The content of a part: anything, for example JSON (OpenAPI 3.1 §4.8.14.5).
const PART: [Type; 5] = [
    Type::String,
    Type::Object,
    Type::Number,
    Type::Boolean,
    Type::Null,
];

/// A form whose names travel in quotes in headers, so without control characters and not ending in the backslash that would
/// escape the closing quote, and which has at most 16 parts. Fields that are
/// not named here are one of `further`: an array would be a field that comes several times.
fn multipart(further: impl IntoIterator<Item = Type>) -> ObjectBuilder {
    let part = ObjectBuilder::new().schema_type(SchemaType::from_iter(further));
    let name = ObjectBuilder::new().schema_type(Type::String);
    let name = name.pattern(Some(
        r"^(?:[^\u0000-\u0008\u000a-\u001f\u007f]*[^\u0000-\u0008\u000a-\u001f\u007f\\])?$",
    ));
    form()
        .additional_properties(Some(part))
        .property_names(Some(name))
        .max_properties(Some(16))
}

/// A new operator or client.
#[derive(Serialize, ToSchema)]
#[schema(as = ExchangeSignedUp)]
pub(super) struct SignedUpResponse {
    /// What happened.
    #[schema(value_type = String)]
    pub(super) message: &'static str,
    /// The account that signed up.
    #[schema(example = "sbeve72")]
    pub(super) username: String,
}

/// What happened.
#[derive(Serialize, ToSchema)]
#[schema(as = ExchangeMessage)]
pub(super) struct MessageResponse {
    /// The message.
    #[schema(value_type = String)]
    pub(super) message: &'static str,
}

/// The form of an upload: one file, with its name and type, and at most 15 other parts. The other parts are ignored, so
/// their fields may be repeated.
pub(super) struct UploadForm;

impl PartialSchema for UploadForm {
    fn schema() -> RefOr<Schema> {
        let file = ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::Custom("binary".into())));
        multipart(PART.into_iter().chain([Type::Array]))
            .property("request_file", file)
            .required("request_file")
            .into()
    }
}

impl ToSchema for UploadForm {
    fn name() -> Cow<'static, str> {
        "ExchangeUploadForm".into()
    }
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

/// The text before and after the rows of an operator's files.
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
