//! The id at the end of a path. A text that is not the canonical form of an integer names nothing, so the response is
//! 404.

use axum::extract::{FromRequestParts, Path};
use http::StatusCode;
use http::request::Parts;

use crate::error::{Failure, Problem, Shaped};

/// The only parameter of a path, parsed as an id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PathId(pub(crate) i64);

impl<A: Send + Sync> FromRequestParts<A> for PathId {
    type Rejection = Shaped<Problem>;

    async fn from_request_parts(parts: &mut Parts, state: &A) -> Result<Self, Self::Rejection> {
        let text = Path::<String>::from_request_parts(parts, state).await.ok();
        let id = text.and_then(|Path(text)| parse(&text));
        let missing = || Failure::new(StatusCode::NOT_FOUND, "there is nothing with this id");
        Ok(Self(id.ok_or_else(missing)?))
    }
}

fn parse(text: &str) -> Option<i64> {
    text.parse().ok().filter(|id: &i64| id.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        assert_eq!(parse("9223372036854775807"), Some(i64::MAX));
        for text in [
            "",
            "+1",
            "01",
            "-0",
            " 1",
            "1.0",
            "1e3",
            "9223372036854775808",
            "١",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
