//! Sets of responses that many operations share, for the OpenAPI document.
//!
//! Invariant: a set lists exactly the statuses that its extractor or its kind of work can cause, in the shape of the
//! contract. An operation names its sets, and lists only responses that are in none of them.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::error::Shape;

macro_rules! sets {
    ($( $(#[doc = $doc:literal])+ $Set:ident { $($status:literal: $description:literal,)+ } )+) => {$(
        $(#[doc = $doc])+
        pub(crate) struct $Set<S>(PhantomData<S>);

        impl<S: Shape> IntoResponses for $Set<S> {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$( ($status.to_owned(), failure::<S>($status, $description).into()) ),+].into()
            }
        }
    )+};
}

sets! {
    /// Of an operation that reads a body of any type.
    Reads {
        "400": "The request is not well formed or breaks a rule",
        "408": "The body came too slowly, or took too long",
        "413": "The body, or one of its fields, is larger than allowed",
        "503": "The server is busy",
    }
    /// Of an operation that reads a body of certain types.
    Takes {
        "400": "The request is not well formed or breaks a rule",
        "408": "The body came too slowly, or took too long",
        "413": "The body, or one of its fields, is larger than allowed",
        "415": "The body is of a type or an encoding that is not taken here",
        "503": "The server is busy",
    }
    /// Of an operation that reads numbers from its query.
    Queries {
        "400": "A parameter is missing or out of its bounds",
    }
    /// Of an operation on one thing.
    Finds {
        "404": "There is no such thing",
    }
    /// Of an operation with a precondition (RFC 9110 §13).
    Conditional {
        "412": "A precondition of the request does not hold",
    }
    /// Of an operation that needs a token: its guard.
    Guarded {
        "401": "No token, or one that is not accepted here",
        "429": "Too many requests of this account",
        "503": "The server is busy, or cannot check now whether the session is open",
    }
    /// Of an operation that reads a token itself, without the guard.
    Presents {
        "401": "No token, or one that is not accepted here",
    }
    /// Of an operation that anyone may call, but not too often.
    Limited {
        "429": "Too many requests",
    }
    /// Of an operation that writes to the database.
    Writes {
        "503": "The database does not answer now",
        "507": "The server has no room left, or the account has none",
    }
}

/// A failure in the shape of `S`, with the headers that all shapes share.
fn failure<S: Shape>(status: &str, description: &str) -> Response {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name(S::Body::name())));
    let response = ResponseBuilder::new()
        .description(description)
        .content(S::MEDIA_TYPE, body.build());
    let header = |schema_type: Type, description: &str| {
        let schema = ObjectBuilder::new().schema_type(SchemaType::new(schema_type));
        let header = HeaderBuilder::new().schema(Some(schema.build()));
        header.description(Some(description)).build()
    };
    match status {
        "401" => response.header(
            "WWW-Authenticate",
            header(Type::String, "Bearer (RFC 6750)"),
        ),
        "429" | "503" => response.header("Retry-After", header(Type::Integer, "Seconds to wait")),
        _ => response,
    }
    .build()
}
