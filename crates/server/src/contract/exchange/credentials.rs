//! A username and a password, as a form or as JSON. Both are read strictly: no member twice, UTF-8 only, and every byte of a
//! password as it was sent.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, StatusCode};

use super::error::Error;
use super::wire::CredentialsRequest;
use crate::error::Failure;
use crate::extract::form::multipart::Form;
use crate::extract::form::{Fields, urlencoded};
use crate::extract::json::{LARGEST, collect, parse};
use crate::extract::media_type::declared;
use crate::extract::member::Member;
use crate::state::App;

/// The credentials of a request. Each may be absent.
pub(super) struct Credentials {
    pub(super) username: Member,
    pub(super) password: Member,
}

impl FromRequest<App> for Credentials {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        let encoding = Encoding::of(request.headers())?;
        let read = match encoding {
            Encoding::Json => parse(&collect(request, LARGEST, app).await?.bytes)?,
            Encoding::UrlEncoded => {
                let body = collect(request, LARGEST, app).await?;
                of_form(urlencoded::parse(&body.bytes)?)
            }
            Encoding::Multipart => {
                let headers = request.headers().clone();
                let body = collect(request, LARGEST, app).await?;
                let form = Form::read(&headers, Body::from(body.bytes.clone()), u64::MAX)?;
                of_form(form.fields().await?)
            }
        };
        let CredentialsRequest { username, password } = read;
        Ok(Self { username, password })
    }
}

enum Encoding {
    Json,
    UrlEncoded,
    Multipart,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let known = [
            ("application/json", Self::Json),
            ("application/x-www-form-urlencoded", Self::UrlEncoded),
            ("multipart/form-data", Self::Multipart),
        ];
        let declared = declared(headers)?;
        let encoding = declared.and_then(|declared| {
            let mut known = known.into_iter();
            known.find_map(|(essence, encoding)| declared.is(essence).then_some(encoding))
        });
        let message = "send a form or JSON, with its Content-Type";
        encoding.ok_or_else(|| Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
    }
}

fn of_form(mut fields: Fields) -> CredentialsRequest {
    CredentialsRequest {
        username: fields.take("username"),
        password: fields.take("password"),
    }
}
