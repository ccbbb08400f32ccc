//! The program in which `bench/guard` counts the codec's instructions: `hot-paths PATH TIMES` runs one path that many
//! times. The guard counts two runs of different lengths and subtracts them, so that start-up does not count.

use std::hint::black_box;

use keyward_jose::claims::{Expected, Registered};
use keyward_jose::hmac::HmacKey;
use keyward_jose::jws::{self, Compact, EncodedHeader, Limits};
use keyward_jose::{Algorithm, SuppliedKey, base64url, json};

const CLAIMS: &str = r#"{"sub":"42","email":"ada@example.com","iat":1594212949,"exp":1594213549,"jti":"0123456789abcdef0123456789abcdef","sid":7}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: hot-paths PATH TIMES")?;
    let times: u32 = arguments.next().ok_or("no TIMES")?.parse()?;
    let header = EncodedHeader::new(r#"{"typ":"JWT","alg":"HS256"}"#)?;
    let key = HmacKey::new(Algorithm::HS256, &[b'k'; 64])?;
    let token = jws::sign(&key, &header, CLAIMS.as_bytes());
    let (message, signature) = token.rsplit_once('.').ok_or("no token")?;
    let tag = base64url::decode(signature)?;
    let limits = Limits::default();
    let expected = Expected {
        issuer: None,
        audience: None,
        now: 1_594_213_000,
        leeway: 5,
    };
    for _ in 0..times {
        let good = match path.as_str() {
            "sign" => !jws::sign(&key, &header, black_box(CLAIMS).as_bytes()).is_empty(),
            "verify" => jws::verify(black_box(&token), &key, &header, &limits).is_ok(),
            "hmac-sign" => !key.sign(black_box(message).as_bytes()).as_ref().is_empty(),
            "hmac-verify" => key.verifies(black_box(message).as_bytes(), &tag),
            "supplied-key" => SuppliedKey::parse(black_box("a secret as long as any")).is_ok(),
            "parse" => Compact::parse(black_box(&token), &limits).is_ok(),
            "json" => json::check_text(black_box(CLAIMS), 16).is_ok(),
            "claims" => {
                let claims: Registered<'_> = serde_json::from_str(black_box(CLAIMS))?;
                expected.check(&claims).is_ok()
            }
            "encode" => !base64url::encode(black_box(CLAIMS)).is_empty(),
            "decode" => !base64url::decode(black_box(signature))?.is_empty(),
            _ => return Err("no such path".into()),
        };
        if !good {
            return Err("a path went wrong".into());
        }
    }
    Ok(())
}
