//! `keyward token inspect`: shows every part of a token and what is wrong with it. Nothing is verified.

use anyhow::anyhow;
use keyward_core::clock::Timestamp;
use keyward_jose::json::{self, Shape};
use keyward_jose::jws::{Compact, Header};
use keyward_jose::{Algorithm, base64url};
use serde::Serialize;
use serde_json::value::RawValue;

use super::LIMITS;
use crate::output;

/// The header parameters that carry a key or say where one is (RFC 7515 §4.1).
const KEY_PARAMETERS: [&str; 4] = ["jwk", "jku", "x5c", "x5u"];

/// How many segments are looked at: one more than an encrypted token has.
const MOST_SEGMENTS: usize = 6;

/// The least time, in seconds, that is taken for one in milliseconds: the year 5138.
const MILLISECONDS: i64 = 100_000_000_000;

#[derive(Serialize)]
struct Inspected<'a> {
    verified: bool,
    header: Option<&'a RawValue>,
    claims: Option<&'a RawValue>,
    signature_bytes: Option<usize>,
    problems: &'a [String],
}

/// Prints what the text says. A text that is no well-formed JWT is an error.
pub(super) fn inspect(text: &str, json: bool) -> anyhow::Result<()> {
    output::remark("NOT VERIFIED: anyone can have written this. See `keyward token verify`.");
    let parts = Parts::of(text, crate::commands::clock().now().seconds());
    if json {
        parts.print_json()?;
    } else {
        parts.print()?;
    }
    Compact::parse(text, &LIMITS).map(|_| ()).map_err(|error| {
        let error = anyhow::Error::from(error);
        anyhow!("this is no well-formed JWT: {error:#}. Give the three segments and nothing else")
    })
}

/// The parts of a token that can be read, and what is wrong.
struct Parts {
    header: Option<String>,
    claims: Option<String>,
    signature: Option<Vec<u8>>,
    problems: Vec<String>,
}

impl Parts {
    fn of(text: &str, now: i64) -> Self {
        let mut problems = Vec::new();
        let segments: Vec<&str> = text.split('.').take(MOST_SEGMENTS).collect();
        match segments.len() {
            3 => {}
            5 => problems.push("five segments: this is an encrypted token (JWE)".to_owned()),
            MOST_SEGMENTS => problems.push("more than five segments".to_owned()),
            number => problems.push(format!("the number of segments is {number}, not 3")),
        }
        let mut part = |index: usize, name| decoded(segments.get(index)?, name, &mut problems);
        let header = part(0, "header");
        let payload = part(1, "payload");
        let signature = part(2, "signature");
        let header = header.and_then(|bytes| object(bytes, "header", &mut problems));
        let claims = payload.and_then(|bytes| object(bytes, "payload", &mut problems));
        if let Ok(compact) = Compact::parse(text, &LIMITS) {
            let header = compact.header();
            check_header(&header, compact.header_json(), &mut problems);
            check_signature(header.algorithm, compact.signature(), &mut problems);
        }
        if let Some(claims) = &claims {
            check_claims(claims, now, &mut problems);
        }
        Self {
            header,
            claims,
            signature,
            problems,
        }
    }

    fn print(&self) -> anyhow::Result<()> {
        for (name, text) in [("header", &self.header), ("claims", &self.claims)] {
            if let Some(text) = text {
                output::line(&format!("{name} (not verified): {text}"))?;
            }
        }
        if let Some(signature) = &self.signature {
            let length = signature.len();
            output::line(&format!("signature (not verified): {length} bytes"))?;
        }
        for problem in &self.problems {
            output::line(&format!("problem: {problem}"))?;
        }
        Ok(())
    }

    fn print_json(&self) -> anyhow::Result<()> {
        // As it was written: numbers and the order of members are part of what is inspected.
        let header = self.header.as_deref().map(serde_json::from_str);
        let claims = self.claims.as_deref().map(serde_json::from_str);
        output::json(&Inspected {
            verified: false,
            header: header.transpose()?,
            claims: claims.transpose()?,
            signature_bytes: self.signature.as_ref().map(Vec::len),
            problems: &self.problems,
        })
    }
}

/// The bytes of a segment.
fn decoded(segment: &str, name: &str, problems: &mut Vec<String>) -> Option<Vec<u8>> {
    if let Ok(bytes) = base64url::decode(segment) {
        return Some(bytes);
    }
    let why = if segment.contains(char::is_whitespace) {
        "contains white space: is it one token, without `Bearer`?"
    } else if segment.contains('=') {
        "has padding, which a JWT has not"
    } else if segment.contains(['+', '/']) {
        "is base64; a JWT has base64url"
    } else {
        "is not canonical base64url"
    };
    problems.push(format!("the {name} {why}"));
    None
}

/// The JSON object that the bytes are.
fn object(bytes: Vec<u8>, name: &str, problems: &mut Vec<String>) -> Option<String> {
    let problem = match json::check(&bytes, LIMITS.depth) {
        Ok(Shape::Object) => return String::from_utf8(bytes).ok(),
        Ok(_) => format!("the {name} is not a JSON object"),
        Err(error) => format!("the {name} is not strict JSON: {error}"),
    };
    problems.push(problem);
    None
}

fn check_header(header: &Header<'_>, text: &str, problems: &mut Vec<String>) {
    match (&header.alg, header.algorithm) {
        (_, Some(_)) => {}
        (Some(alg), None) if alg.eq_ignore_ascii_case("none") => {
            problems.push("alg is none: the token is not signed".to_owned());
        }
        (Some(alg), None) => problems.push(format!("alg {alg:?} is not known")),
        (None, None) => problems.push("the header has no alg that is a string".to_owned()),
    }
    if header.mistyped {
        problems.push("one of alg, typ and kid is not a string".to_owned());
    }
    if header.critical {
        problems.push("the header has crit or b64, which Keyward does not support".to_owned());
    }
    let _ = json::visit_members(text, LIMITS.depth, |name, _| {
        if KEY_PARAMETERS.contains(&name) {
            problems.push(format!(
                "the header has {name}: a key that a token brings along proves nothing, and is not used"
            ));
        }
    });
}

fn check_signature(algorithm: Option<Algorithm>, signature: &[u8], problems: &mut Vec<String>) {
    let Some(algorithm) = algorithm else {
        return;
    };
    let expected = match algorithm {
        Algorithm::HS256 => 32,
        Algorithm::HS384 => 48,
        Algorithm::HS512 | Algorithm::ES256 | Algorithm::EdDSA | Algorithm::Ed25519 => 64,
        Algorithm::ES384 => 96,
        Algorithm::ES512 => 132,
        // The length is that of the key, of which 2,048 bits are the least.
        _ => signature.len().max(256),
    };
    let name = algorithm.name();
    match signature {
        [] => problems.push("the signature is empty".to_owned()),
        [0x30, ..] if name.starts_with("ES") && signature.len() != expected => problems.push(
            format!("the signature is in DER; {name} has {expected} bytes, the two numbers one after the other"),
        ),
        _ if signature.len() != expected => problems.push(format!(
            "the signature has {} bytes, and one of {name} has {expected}",
            signature.len()
        )),
        _ => {}
    }
}

fn check_claims(claims: &str, now: i64, problems: &mut Vec<String>) {
    let mut has_expiry = false;
    let _ = json::visit_members(claims, LIMITS.depth, |name, value| match name {
        "iss" | "sub" | "jti" if json::string(value).is_none() => {
            problems.push(format!("{name} is not a string"));
        }
        "aud" => {
            let is_list = serde_json::from_str::<Vec<String>>(value).is_ok();
            if !is_list && json::string(value).is_none() {
                problems.push("aud is neither a string nor an array of strings".to_owned());
            }
        }
        "exp" | "nbf" | "iat" => {
            has_expiry |= name == "exp";
            check_time(name, value, now, problems);
        }
        _ => {}
    });
    if !has_expiry {
        problems.push("there is no exp: the token never expires, and is not accepted".to_owned());
    }
}

fn check_time(name: &str, value: &str, now: i64, problems: &mut Vec<String>) {
    let Some(seconds) = value.parse::<i64>().ok().filter(|seconds| *seconds >= 0) else {
        problems.push(format!(
            "{name} is not a whole number of seconds since 1970"
        ));
        return;
    };
    if seconds >= MILLISECONDS {
        problems.push(format!(
            "{name} is too large for seconds: is it in milliseconds?"
        ));
        return;
    }
    let at = Timestamp::from_seconds(seconds).rfc3339_millis();
    match name {
        "exp" if seconds <= now => problems.push(format!("the token expired at {at}")),
        "nbf" if seconds > now => problems.push(format!("the token is not valid before {at}")),
        "iat" if seconds > now => {
            problems.push(format!("the token was issued in the future, at {at}"));
        }
        _ => {}
    }
}
