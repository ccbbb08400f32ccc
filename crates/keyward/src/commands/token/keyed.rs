//! `keyward token verify` and `mint` with keys that are given: any token of any issuer, without this server's data.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{ArgGroup, Args};
use keyward_core::clock::Timestamp;
use keyward_core::secret::SecretText;
use keyward_jose::claims::{ClaimError, Claims, Expectations};
use keyward_jose::json::{self, Shape};
use keyward_jose::jws::{self, Error};
use keyward_jose::{Algorithm, KeyError, KeySet, SigningKey, Skipped, VerifyingKey};
use serde_json::json;
use serde_json::value::RawValue;

use super::{LIMITS, key_set, standard_input};
use crate::exit::UsageError;
use crate::output;
use crate::settings::TextFile;

/// What a token is verified with, in place of this server's keys and sessions.
#[derive(Args)]
#[command(group(ArgGroup::new("given").args(["jwks", "key"])))]
pub(crate) struct GivenKeys {
    /// Verify with a JSON Web Key Set: a file, or an https URL
    #[arg(long, value_name = "FILE|URL")]
    jwks: Option<String>,
    /// Verify with a key: a PEM, a JWK or the text of a secret
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Issuer that the token must have
    #[arg(long, value_name = "ISSUER", requires = "given")]
    issuer: Option<String>,
    /// Audience that the token must be for
    #[arg(long, value_name = "AUDIENCE", requires = "given")]
    audience: Option<String>,
    /// Type that the token's header must have, such as at+jwt
    #[arg(long = "type", value_name = "TYP", requires = "given")]
    typ: Option<String>,
    /// Algorithm of the key, if the key does not name it; another one is refused
    #[arg(long, value_name = "ALG", value_parser = algorithm, requires = "given")]
    algorithm: Option<Algorithm>,
    /// Time at which the token must be valid, in seconds since 1970 [default: now]
    #[arg(long, value_name = "EPOCH", requires = "given")]
    now: Option<u32>,
}

/// What claims are signed with.
#[derive(Args)]
pub(crate) struct GivenClaims {
    /// Sign the claims in a file, or - to read them from standard input
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["account", "realm", "ttl"])]
    claims: Option<PathBuf>,
    /// Private key to sign with: a PEM, a JWK or the text of a secret
    #[arg(
        long,
        value_name = "FILE",
        requires = "claims",
        conflicts_with = "account"
    )]
    key: Option<PathBuf>,
    /// Type in the token's header [default: JWT]
    #[arg(
        long = "type",
        value_name = "TYP",
        requires = "claims",
        conflicts_with = "account"
    )]
    typ: Option<String>,
    /// Algorithm of the key, if the key does not name it
    #[arg(long, value_name = "ALG", value_parser = algorithm, requires = "claims", conflicts_with = "account")]
    algorithm: Option<Algorithm>,
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    Algorithm::from_name(name).ok_or_else(|| {
        let names = Algorithm::ALL.map(Algorithm::name);
        format!("must be one of {}", names.join(", "))
    })
}

impl GivenClaims {
    /// The token of the claims that are given. `None` if an account is named instead.
    pub(super) fn token(&self) -> anyhow::Result<Option<String>> {
        let (Some(claims), Some(file)) = (&self.claims, &self.key) else {
            return Ok(None);
        };
        let key = SigningKey::from_text(key_text(file)?.expose(), self.algorithm);
        let key = key.map_err(|error| unusable(file, error))?;
        let claims = if claims.as_os_str() == "-" {
            standard_input()?
        } else {
            read(claims)?
        };
        let claims = claims.trim();
        match json::check(claims.as_bytes(), LIMITS.depth) {
            Ok(Shape::Object) => {}
            Ok(_) => return Err(anyhow!("the claims are not a JSON object")),
            Err(error) => return Err(anyhow!(error).context("the claims are not strict JSON")),
        }
        let header = key.header(Some(self.typ.as_deref().unwrap_or("JWT")));
        Ok(Some(key.sign(&header, claims.as_bytes())?))
    }
}

impl GivenKeys {
    /// Whether keys are given. Otherwise the token is one of this server.
    pub(super) fn is_keyed(&self) -> bool {
        self.jwks.is_some() || self.key.is_some()
    }

    /// Verifies the token and prints its claims.
    pub(super) fn run(&self, token: &str, json: bool) -> anyhow::Result<()> {
        let verdict = match (&self.jwks, &self.key) {
            (Some(place), _) => {
                let text = key_set::read(place)?;
                let (set, skipped) = KeySet::from_jwks(&text, self.algorithm)
                    .with_context(|| format!("{place} cannot be used"))?;
                self.verdict(token, &set, &skipped)
            }
            (None, Some(file)) => {
                let key = VerifyingKey::from_text(key_text(file)?.expose(), self.algorithm);
                let key = key.map_err(|error| unusable(file, error))?;
                let set = KeySet::new([named_by(token, key)?])?;
                self.verdict(token, &set, &[])
            }
            (None, None) => return Err(UsageError("--jwks or --key is needed".into()).into()),
        };
        match verdict {
            Ok(verified) if json => {
                let header = jws::Compact::parse(token, &LIMITS)?
                    .header_json()
                    .to_owned();
                let (header, claims): (&RawValue, &RawValue) = (
                    serde_json::from_str(&header)?,
                    serde_json::from_str(verified.json())?,
                );
                output::json(&json!({"valid": true, "header": header, "claims": claims}))
            }
            Ok(verified) => Ok(output::line(verified.json())?),
            Err(why) => {
                if json {
                    output::json(&json!({"valid": false, "why": why}))?;
                }
                Err(anyhow!("the token is not valid: {why}"))
            }
        }
    }

    fn verdict(
        &self,
        token: &str,
        set: &KeySet,
        skipped: &[Skipped],
    ) -> Result<jws::Verified, String> {
        let verified = set
            .verify_signature(token, self.typ.as_deref(), &LIMITS)
            .map_err(|error| why_unsigned(&error, token, set, skipped))?;
        let claims: Claims<'_> = serde_json::from_str(verified.json())
            .map_err(|error| format!("a claim has the wrong type: {error}"))?;
        let expected = Expectations {
            typ: self.typ.as_deref(),
            issuer: self.issuer.as_deref(),
            audience: self.audience.as_deref(),
            leeway: 0,
        };
        let now = self
            .now
            .map_or_else(|| crate::commands::clock().now().seconds(), i64::from);
        match expected.check(&claims, now) {
            Ok(()) => Ok(verified),
            Err(error) => Err(why_refused(error, &claims)),
        }
    }
}

/// The key, under the name that the token gives it, unless it has a name of its own.
fn named_by(token: &str, key: VerifyingKey) -> anyhow::Result<VerifyingKey> {
    let named = |header: &jws::Header<'_>| header.kid.as_deref().map(str::to_owned);
    match jws::peek(token, &LIMITS, named) {
        Ok(Some(kid)) if key.kid() == key.thumbprint() => {
            Ok(key.clone().with_kid(&kid).unwrap_or(key))
        }
        _ => Ok(key),
    }
}

/// Why a token is not signed by a key of the set.
fn why_unsigned(error: &Error, token: &str, set: &KeySet, skipped: &[Skipped]) -> String {
    if *error != Error::UnknownKey {
        return format!("{:#}", anyhow!(error.clone()));
    }
    let kid = jws::peek(token, &LIMITS, |header| {
        header.kid.as_deref().map(str::to_owned)
    });
    let Ok(Some(kid)) = kid else {
        return error.to_string();
    };
    if let Some(skipped) = skipped.iter().find(|key| key.kid.as_deref() == Some(&kid)) {
        return format!(
            "it names the key {kid:?}, which cannot be used: {}",
            skipped.why
        );
    }
    let known: Vec<_> = set.iter().map(|key| format!("{:?}", key.kid())).collect();
    match &*known {
        [] => format!("it names the key {kid:?}, and there is no key that can be used"),
        known => format!(
            "it names the key {kid:?}, and the keys are {}",
            known.join(", ")
        ),
    }
}

/// Why claims that are rightly signed are refused.
fn why_refused(error: ClaimError, claims: &Claims<'_>) -> String {
    let time = |seconds: Option<i64>| {
        let time = seconds.map(|seconds| Timestamp::from_seconds(seconds).rfc3339_millis());
        time.unwrap_or_default()
    };
    match error {
        ClaimError::Expired => format!("it expired at {}", time(claims.exp)),
        ClaimError::NotYetValid => format!("it is not valid before {}", time(claims.nbf)),
        ClaimError::IssuedInFuture => {
            format!("it was issued in the future, at {}", time(claims.iat))
        }
        ClaimError::Issuer => match &claims.iss {
            Some(issuer) => format!("its issuer is {issuer:?}"),
            None => "it names no issuer".to_owned(),
        },
        ClaimError::Audience => match &claims.aud {
            Some(audiences) => {
                let all: Vec<_> = audiences.iter().map(|one| format!("{one:?}")).collect();
                format!("it is for {}", all.join(", "))
            }
            None => "it is for nobody in particular: it names no audience".to_owned(),
        },
        error => error.to_string(),
    }
}

/// The text of a key file, without the line break at its end, which is no part of a secret.
fn key_text(file: &Path) -> anyhow::Result<SecretText> {
    let text = SecretText::new(read(file)?);
    let line = text.expose();
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    Ok(SecretText::new(line.to_owned()))
}

/// The text of a file.
pub(super) fn read(file: &Path) -> anyhow::Result<String> {
    let read =
        TextFile::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(read.text)
}

/// That a key cannot be used, and what to do.
fn unusable(file: &Path, error: KeyError) -> anyhow::Error {
    let advice = match error {
        KeyError::NoAlgorithm => ". Name it with --algorithm",
        KeyError::IsSet => ". To verify with a set, give it with --jwks",
        _ => "",
    };
    anyhow!("{} cannot be used: {error}{advice}", file.display())
}
