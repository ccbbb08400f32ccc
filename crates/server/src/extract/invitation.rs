//! The code of an invitation to sign up, from the header `X-Invitation`, since the bodies of the contracts have no
//! member for it.

use axum::extract::FromRequestParts;
use http::request::Parts;

/// The header that carries the code.
const HEADER: &str = "x-invitation";
/// The longest code accepted, in bytes.
const LONGEST: usize = 128;

/// The code that a request sends, if any.
#[derive(Clone)]
pub(crate) struct Invitation(Option<String>);

impl Invitation {
    /// The code.
    pub(crate) fn code(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl<A: Sync> FromRequestParts<A> for Invitation {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &A) -> Result<Self, Self::Rejection> {
        let mut fields = parts.headers.get_all(HEADER).iter();
        let (Some(field), None) = (fields.next(), fields.next()) else {
            return Ok(Self(None));
        };
        let code = field.to_str().ok().map(str::trim);
        Ok(Self(
            code.filter(|code| (1..=LONGEST).contains(&code.len()))
                .map(str::to_owned),
        ))
    }
}
