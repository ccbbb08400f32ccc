//! Schemas of texts that many requests share, for the OpenAPI document.
//!
//! Invariant: what a pattern admits is taken. Lengths in bytes and PRECIS (RFC 8265) have no words in JSON Schema, so there
//! a pattern admits a little less than the server does. A date of birth is the one exception: a pattern that excluded
//! the future would be wrong on a later day, so [`BirthDate`] admits every day, and its description names the rule.

use std::borrow::Cow;

use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::openapi::{Object, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// Letters of widely used scripts that PRECIS does not change.
macro_rules! letters {
    () => {
        concat!(
            r"\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u012f\u0134-\u013e\u0141-\u0148\u014a-\u017e",
            r"\u0388-\u038a\u038e-\u03a1\u03a3-\u03ce\u0400-\u0481\u048a-\u0523",
            r"\u3041-\u3096\u30a1-\u30fa\u3400-\u4db5\u4e00-\u9fbb\uac00-\ud7a3"
        )
    };
}

/// A part between the dots of the local part, or of the domain, of an e-mail address.
macro_rules! atom {
    ($lengths:literal) => {
        concat!(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{", $lengths, "}")
    };
}
macro_rules! label {
    () => {
        r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    };
}

/// A text of `least` to `most` characters.
fn text(least: usize, most: usize, pattern: &str, example: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(least))
        .max_length(Some(most))
        .pattern(Some(pattern))
        .examples([example])
}

macro_rules! texts {
    ($( $(#[doc = $doc:literal])+ $Name:ident = $schema:expr; )+) => {$(
        $(#[doc = $doc])+
        pub(crate) struct $Name;

        impl PartialSchema for $Name {
            fn schema() -> RefOr<Schema> {
                let doc = concat!($($doc, "\n"),+);
                $schema.description(Some(doc.trim())).into()
            }
        }

        impl ToSchema for $Name {
            fn name() -> Cow<'static, str> {
                stringify!($Name).into()
            }
        }
    )+};
}

texts! {
    /// 1 to 1,024 bytes of UTF-8, exactly as sent.
    Password = text(1, 1_024, r"^(?:[\u0000-\u007f]{1,1024}|[\s\S]{1,256})$", "correct horse");
    /// At most 254 bytes: letters, digits and punctuation without spaces, by PRECIS UsernameCaseMapped (RFC 8265).
    Username = text(1, 254, concat!("^(?:[!-~]{1,254}|[!-~", letters!(), "]{1,63})$"), "new_user");
    /// `local@domain`, at most 254 bytes, without quoted local parts and address literals (RFC 5321 §4.1.2).
    EmailAddress = text(
        3,
        254,
        concat!(
            "^(?:", atom!("1,64"),
            "|", atom!("1,31"), r"\.", atom!("1,32"),
            "|", atom!("1,20"), r"\.", atom!("1,20"), r"\.", atom!("1,20"),
            ")@", label!(), r"(?:\.", label!(), "){0,3}$"
        ),
        "test@gmail.com",
    );
    /// 1 to 64 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit.
    ExchangeUsername = text(1, 64, "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", "sbeve72");
    /// 1 to 255 characters, not blank and without NUL.
    DisplayName = text(
        1,
        255,
        concat!(
            r"^[^\u0000]*[^\u0000\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
            r"[^\u0000]*$"
        ),
        "Test User",
    );
    /// 1 to 255 characters without NUL.
    CustomerName = text(1, 255, r"^[^\u0000]*$", "Ada Lovelace");
    /// A day that exists, as `YYYY-MM-DD`. A day after today, in UTC, is refused with 400.
    BirthDate = text(
        10,
        10,
        concat!(
            "^(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])",
            "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))$",
            "|^(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29$"
        ),
        "1815-12-10",
    )
    .format(Some(SchemaFormat::Custom("date".into())));
}

/// The schema of `null`.
pub(crate) fn null() -> Object {
    ObjectBuilder::new().schema_type(Type::Null).build()
}
