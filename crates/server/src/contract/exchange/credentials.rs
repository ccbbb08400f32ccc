//! A username and a password, as a form or as JSON, equally strictly read: no name twice, only UTF-8, and
//! every byte of a password as it was sent.

use std::collections::HashSet;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode;

use super::error::Error;
use super::form::Form;
use super::wire::CredentialsRequest;
use crate::error::Failure;
use crate::extract::json::{LARGEST, collect, parse};
use crate::extract::media_type::declared;
use crate::extract::member::Member;
use crate::state::App;

/// The credentials of a request, each perhaps absent.
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
            Encoding::UrlEncoded => url_encoded(&collect(request, LARGEST, app).await?.bytes)?,
            Encoding::Multipart => {
                let headers = request.headers().clone();
                let body = collect(request, LARGEST, app).await?;
                multipart(&headers, body.bytes.clone()).await?
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

async fn multipart(headers: &HeaderMap, body: Bytes) -> Result<CredentialsRequest, Failure> {
    let mut form = Form::read(headers, Body::from(body), u64::MAX)?;
    let mut fields = Fields::default();
    while let Some(part) = form.next().await? {
        let name = part.name().to_owned();
        fields.put(name, part.small().await?)?;
    }
    Ok(fields.known)
}

/// Reads `application/x-www-form-urlencoded` as the URL standard does, but for what is not UTF-8: that is
/// refused rather than replaced, as it might be part of a password.
fn url_encoded(body: &[u8]) -> Result<CredentialsRequest, Failure> {
    let mut fields = Fields::default();
    for pair in body
        .split(|&byte| byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        let mut halves = pair.splitn(2, |&byte| byte == b'=');
        let mut half = || decode(halves.next().unwrap_or_default());
        let (name, value) = (half(), half());
        fields.put(text(name)?, value)?;
    }
    Ok(fields.known)
}

fn decode(encoded: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = encoded
        .iter()
        .map(|&b| if b == b'+' { b' ' } else { b })
        .collect();
    percent_decode(&spaced).collect()
}

fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|_| Failure::bad_request("the form must be UTF-8"))
}

/// What was found in a form so far.
#[derive(Default)]
struct Fields {
    names: HashSet<String>,
    known: CredentialsRequest,
}

impl Fields {
    fn put(&mut self, name: String, value: Vec<u8>) -> Result<(), Failure> {
        let value = Member::Text(text(value)?);
        match name.as_str() {
            "username" => self.known.username = value,
            "password" => self.known.password = value,
            _ => {}
        }
        match self.names.insert(name) {
            true => Ok(()),
            false => Err(Failure::bad_request("the form has a field twice")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(text: &str) -> Member {
        Member::Text(text.to_owned())
    }

    #[test]
    fn a_url_encoded_form_keeps_every_byte_of_a_password() {
        for (body, password) in [
            ("username=a&password=b", "b"),
            ("&username=a&&password=+b%20%2B%26%3D=&", " b +&=="),
            ("username=a&password=50%off%", "50%off%"),
            ("username=a&pass%77ord=%c3%a9é", "éé"),
            ("username=a&password=", ""),
        ] {
            let read = url_encoded(body.as_bytes()).expect(body);
            assert_eq!(
                (read.username, read.password),
                (member("a"), member(password)),
                "{body}"
            );
        }
        let read = url_encoded(b"username").expect("form");
        assert_eq!((read.username, read.password), (member(""), Member::Absent));
    }

    #[test]
    fn a_field_twice_or_bytes_that_are_no_text_are_refused() {
        for body in [
            &b"username=a&password=b&username=a"[..],
            b"password=b&pass%77ord=c",
            b"x=1&x=2&username=a&password=b",
            b"username=a&password=%ff",
            b"username=a&password=\xff",
            b"%ff=a",
        ] {
            assert!(
                url_encoded(body).is_err(),
                "{}",
                String::from_utf8_lossy(body)
            );
        }
    }
}
