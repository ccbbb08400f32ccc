//! Numbers and flags in a query string, parsed strictly. A repeated parameter, and an integer that is malformed or out
//! of bounds, is answered with 400.

use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use http::HeaderValue;
use http::request::Parts;
use keyward_core::page::Page;

use crate::error::Failure;

/// The decoded query of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl<A: Sync> FromRequestParts<A> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &A) -> Result<Self, Self::Rejection> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(
            form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        ))
    }
}

impl Query {
    /// The integer `name` within `bounds`, if present.
    pub(crate) fn integer<N>(
        &self,
        name: &str,
        bounds: RangeInclusive<N>,
    ) -> Result<Option<N>, Failure>
    where
        N: FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(text) = self.single(name)? else {
            return Ok(None);
        };
        let canonical = !text.starts_with('+');
        match text.parse() {
            Ok(number) if canonical && bounds.contains(&number) => Ok(Some(number)),
            _ => Err(Failure::bad_request(format!(
                "{name} must be an integer from {} to {}",
                bounds.start(),
                bounds.end()
            ))),
        }
    }

    /// The flag `name`: `true` or `false`, and false if absent.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.single(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Failure::bad_request(format!(
                "{name} must be true or false"
            ))),
        }
    }

    /// `limit`, 1 to 1,000 (100 if absent), and `after`, an id.
    pub(crate) fn page(&self) -> Result<Page, Failure> {
        Ok(Page {
            limit: self.integer("limit", 1..=1_000)?.unwrap_or(100),
            after: self.integer("after", 0..=i64::MAX)?.unwrap_or(0),
        })
    }

    fn single(&self, name: &str) -> Result<Option<&str>, Failure> {
        let mut values = self
            .0
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value);
        match (values.next(), values.next()) {
            (first, None) => Ok(first.map(String::as_str)),
            _ => Err(Failure::bad_request(format!(
                "{name} is given more than once"
            ))),
        }
    }
}

/// The parameters of [`Query::page`], for the OpenAPI document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`Query` reads it; this describes it")]
pub(crate) struct PageParameters {
    /// The most entries of a page.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 1_000, default = 100)]
    limit: (),
    /// Only entries with a greater id.
    #[param(value_type = i64, required = false, minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    after: (),
}

/// The `Link` to the next page of a list at `path` (RFC 8288).
pub(crate) fn next_link(path: &str, limit: u32, next: i64) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!(
        "<{path}?limit={limit}&after={next}>; rel=\"next\""
    ))
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query(
            form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    #[test]
    fn only_one_integer_within_bounds_is_taken() {
        let limit = |text| query(text).page().map(|page| page.limit).ok();
        assert_eq!(limit(""), Some(100));
        assert_eq!(limit("limit=1000&x=y"), Some(1_000));
        for text in [
            "limit=",
            "limit=0",
            "limit=1001",
            "limit=-1",
            "limit=+5",
            "limit=1e3",
            "limit=NaN",
            "limit=%205",
            "limit=9223372036854775808",
            "limit=1&limit=1",
            "limit[]=1&limit=x",
            "after=-1",
            "after=x",
        ] {
            assert!(query(text).page().is_err(), "{text}");
        }
    }

    #[test]
    fn a_flag_is_true_or_false() {
        assert!(query("overwrite=true").flag("overwrite").expect("flag"));
        assert!(!query("").flag("overwrite").expect("flag"));
        assert!(query("overwrite=1").flag("overwrite").is_err());
    }
}
