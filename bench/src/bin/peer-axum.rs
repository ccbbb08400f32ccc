//! A peer for comparison: the endpoints of the notary and the vector generator, with axum and the `jsonwebtoken` crate.
//! Usage: `peer-axum PORT`.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Judge {
    #[serde(rename = "Token")]
    token: String,
    #[serde(rename = "Signing_key")]
    key: String,
}

#[derive(Deserialize)]
struct Text {
    user_data: String,
}

#[derive(Serialize)]
struct Answer {
    #[serde(rename = "Header")]
    header: Header,
    #[serde(rename = "Claims")]
    claims: Value,
    #[serde(rename = "Signature Verification")]
    verified: bool,
}

type Outcome = Result<Json<Value>, StatusCode>;

fn main() -> anyhow::Result<()> {
    let port = std::env::args().nth(1).context("usage: peer-axum PORT")?;
    let router = Router::new()
        .route("/verifyToken", get(verify))
        .route("/generateToken", post(generate))
        .route("/generate_array", post(array));
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
        Ok(axum::serve(listener, router).await?)
    })
}

async fn verify(Json(body): Json<Judge>) -> Result<Json<Answer>, StatusCode> {
    let token = body.token.as_str();
    let header = jsonwebtoken::decode_header(token).map_err(|_| StatusCode::BAD_REQUEST)?;
    let key = DecodingKey::from_secret(body.key.as_bytes());
    let mut rules = Validation::new(Algorithm::HS512);
    rules.required_spec_claims.clear();
    rules.validate_exp = false;
    let good = jsonwebtoken::decode::<Value>(token, &key, &rules);
    let verified = good.is_ok();
    let claims = match good {
        Ok(token) => token.claims,
        Err(_) => {
            jsonwebtoken::dangerous::insecure_decode::<Value>(token)
                .map_err(|_| StatusCode::BAD_REQUEST)?
                .claims
        }
    };
    Ok(Json(Answer {
        header,
        claims,
        verified,
    }))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a peer reads the clock directly, as such services do"
)]
async fn generate(Json(body): Json<Text>) -> Outcome {
    let key = EncodingKey::from_secret(&[b'k'; 64]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let claims = json!({
        "iat": now.unwrap_or_default().as_secs(),
        "jti": "00000000000000000000000000000000",
        "payload": {"data": body.user_data, "date": "2026-11-21"},
    });
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims, &key);
    let token = token.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(Json(json!({ "JWT Token": token })))
}

async fn array(headers: HeaderMap, Json(_): Json<Value>) -> Result<Json<Vec<f64>>, StatusCode> {
    let token = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .ok_or(StatusCode::UNAUTHORIZED)?;
    let key = DecodingKey::from_secret(&[b'k'; 64]);
    let rules = Validation::new(Algorithm::HS256);
    jsonwebtoken::decode::<Value>(token, &key, &rules).map_err(|_| StatusCode::UNAUTHORIZED)?;
    let mut bytes = vec![0; 500 * 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let floats = bytes.chunks_exact(8).map(|chunk| {
        let draw = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        f64::from_bits((draw >> 12) | 0x3ff0_0000_0000_0000) - 1.0
    });
    Ok(Json(floats.collect()))
}
