//! Keys as callers name them: what each text is taken for, and what it may verify.

use keyward_jose::{Algorithm, ForeignKey, HmacKey, KeyError, PublicKey, base64url};

use crate::support::{file, tagged, verifies};

const TOKENS: [&str; 5] = ["RS256", "RS512", "PS256", "ES256", "EdDSA"];

/// The algorithms of [`TOKENS`] that a key verifies.
fn verified_by(key: &ForeignKey) -> Vec<&'static str> {
    let verified = |name: &&str| verifies(key, file(&format!("{name}.token")).trim_end());
    TOKENS.into_iter().filter(verified).collect()
}

fn base64(pem_file: &str) -> String {
    file(pem_file)
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect()
}

fn der(pem_file: &str) -> Vec<u8> {
    base64_simd::STANDARD
        .decode_to_vec(base64(pem_file))
        .unwrap()
}

/// The RSA key of `rsa.pem` as a JWK with more members.
fn rsa_jwk(more: &str) -> String {
    let der = der("rsa_pkcs1.pem");
    // A sequence of a modulus of 257 bytes, the first zero, and the exponent 65537.
    let modulus = &der[9..9 + 256];
    format!(
        r#"{{"kty":"RSA","n":"{}","e":"AQAB"{more}}}"#,
        base64url::encode(modulus)
    )
}

#[test]
fn a_public_key_verifies_what_it_is_made_for() {
    let rsa = &["RS256", "RS512", "PS256"][..];
    for (name, verified) in [
        ("rsa.pem", rsa),
        ("rsa_pkcs1.pem", rsa),
        ("rsa_certificate.pem", rsa),
        ("ec.pem", &["ES256"]),
        ("ec_certificate.pem", &["ES256"]),
        ("ed.pem", &["EdDSA"]),
        ("ed_certificate.pem", &["EdDSA"]),
        ("weak.pem", &[]),
        ("k1.pem", &[]),
    ] {
        let key = ForeignKey::parse(&file(name)).unwrap();
        assert_eq!(verified_by(&key), verified, "{name}");
        assert_eq!(
            matches!(key, ForeignKey::Unusable),
            verified.is_empty(),
            "{name}"
        );
    }
}

#[test]
fn the_spelling_of_a_pem_may_vary() {
    let pem = file("rsa.pem");
    let one_line = {
        let mut lines = pem.lines();
        let (first, rest) = (lines.next().unwrap(), lines.collect::<Vec<_>>());
        let (last, body) = rest.split_last().unwrap();
        format!("{first}\n{}\n{last}", body.concat())
    };
    for text in [
        pem.trim_end().to_owned(),
        pem.replace('\n', "\r\n"),
        format!("\n\n{pem}\n\n"),
        format!("subject=CN = test\n{pem}"),
        format!("{pem}{}", file("ec.pem")),
        one_line,
    ] {
        let key = ForeignKey::parse(&text).unwrap();
        assert_eq!(verified_by(&key), ["RS256", "RS512", "PS256"], "{text}");
    }
}

#[test]
fn why_a_public_key_is_refused_is_told() {
    assert_eq!(
        PublicKey::from_pem(&file("weak.pem")).unwrap_err(),
        KeyError::WeakRsa
    );
    assert_eq!(
        PublicKey::from_pem(&file("k1.pem")).unwrap_err(),
        KeyError::Unsupported
    );
    let truncated = file("rsa.pem").replacen("MIIB", "", 1);
    assert_eq!(
        PublicKey::from_pem(&truncated).unwrap_err(),
        KeyError::Malformed
    );
    let request = file("rsa.pem").replace("PUBLIC KEY", "CERTIFICATE REQUEST");
    assert_eq!(
        PublicKey::from_pem(&request).unwrap_err(),
        KeyError::Unsupported
    );
    assert_eq!(
        PublicKey::from_pem("no pem").unwrap_err(),
        KeyError::Malformed
    );
}

#[test]
fn the_members_of_a_jwk_bind_it() {
    let all = &["RS256", "RS512", "PS256"][..];
    for (more, verified) in [
        ("", all),
        (
            r#","use":"sig","key_ops":["verify"],"kid":"a","x5t":"ignored""#,
            all,
        ),
        (r#","key_ops":["verify","sign"]"#, all),
        (r#","alg":"RS256""#, &["RS256"]),
        (r#","alg":"PS256""#, &["PS256"]),
        (r#","alg":"ES256""#, &[]),
        (r#","alg":"HS256""#, &[]),
        (r#","alg":"none""#, &[]),
        (r#","alg":"rs256""#, &[]),
        (r#","alg":null"#, &[]),
        (r#","alg":["RS256"]"#, &[]),
        (r#","use":"enc""#, &[]),
        (r#","use":null"#, &[]),
        (r#","key_ops":["encrypt"]"#, &[]),
        (r#","key_ops":["verify","dance"]"#, &[]),
        (r#","key_ops":[]"#, &[]),
        (r#","key_ops":"verify""#, &[]),
        (r#","key_ops":null"#, &[]),
        (r#","e":"AQAB""#, &[]),
        (r#","\u0065":"AQAB""#, &[]),
    ] {
        let key = ForeignKey::parse(&rsa_jwk(more)).unwrap();
        assert_eq!(verified_by(&key), verified, "{more}");
    }
}

#[test]
fn weak_or_odd_rsa_numbers_are_refused() {
    for (from, to) in [
        (r#""e":"AQAB""#, r#""e":"Aw""#),
        (r#""e":"AQAB""#, r#""e":"AQAA""#),
        (r#""e":"AQAB""#, r#""e":"AQAC""#),
        (r#""e":"AQAB""#, r#""e":"AAEAAQ""#),
        (r#""e":"AQAB""#, r#""e":"AQAAAAE""#),
        (r#""e":"AQAB""#, r#""e":"""#),
        (r#""e":"AQAB""#, r#""e":65537"#),
        (r#""n":""#, r#""n":"AAAA"#),
        (r#""n":""#, r#""m":""#),
    ] {
        let jwk = rsa_jwk("").replacen(from, to, 1);
        assert!(
            matches!(ForeignKey::parse(&jwk), Ok(ForeignKey::Unusable)),
            "{to}"
        );
    }
}

#[test]
fn an_even_exponent_is_weak() {
    let jwk = rsa_jwk("").replacen("AQAB", "AQAC", 1);
    assert_eq!(PublicKey::from_jwk(&jwk).unwrap_err(), KeyError::WeakRsa);
}

#[test]
fn the_numbers_of_a_curve_key_have_their_one_length() {
    let spki = der("ec.pem");
    let (x, y) = spki[spki.len() - 64..].split_at(32);
    let jwk = |kty: &str, crv: &str, x: &[u8], y: &[u8]| {
        let (x, y) = (base64url::encode(x), base64url::encode(y));
        ForeignKey::parse(&format!(
            r#"{{"kty":"{kty}","crv":"{crv}","x":"{x}","y":"{y}"}}"#
        ))
    };
    assert_eq!(verified_by(&jwk("EC", "P-256", x, y).unwrap()), ["ES256"]);
    let ed = &der("ed.pem")[12..];
    assert_eq!(
        verified_by(&jwk("OKP", "Ed25519", ed, &[]).unwrap()),
        ["EdDSA"]
    );

    let shifted = [x, &y[..1]].concat();
    for key in [
        jwk("EC", "P-256", &shifted, &y[1..]),
        jwk("EC", "P-256", x, &[y, b"\0"].concat()),
        jwk("EC", "P-256", &[b"\0", x].concat(), y),
        jwk("EC", "P-256", x, x),
        jwk("EC", "P-384", x, y),
        jwk("EC", "secp256k1", x, y),
        jwk("EC", "p-256", x, y),
        jwk("OKP", "P-256", x, y),
        jwk("EC", "Ed25519", ed, y),
        jwk("OKP", "Ed25519", &ed[1..], &[]),
        jwk("OKP", "X25519", ed, &[]),
        jwk("RSA", "P-256", x, y),
    ] {
        assert!(matches!(key, Ok(ForeignKey::Unusable)), "{key:?}");
    }
}

#[test]
fn private_keys_are_told_as_such() {
    let (private, pem) = (
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        file("ec.pem"),
    );
    for text in [
        private.to_owned(),
        private.replace("PRIVATE", "RSA PRIVATE"),
        private.replace("PRIVATE", "EC PRIVATE"),
        private.replace("PRIVATE", "ENCRYPTED PRIVATE"),
        private.replace("PRIVATE", "OPENSSH PRIVATE"),
        private.replace("\nAAAA\n-----END PRIVATE KEY-----", ""),
        format!("{pem}{private}"),
        rsa_jwk(r#","d":"AQAB""#),
        rsa_jwk(r#","d":null"#),
        rsa_jwk(r#","alg":"HS256","p":"AQAB""#),
        format!(
            r#"{{"keys":[{{"kty":"oct","k":"AA"}},{}]}}"#,
            rsa_jwk(r#","d":"AQAB""#)
        ),
        r#"{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}"#.to_owned(),
    ] {
        assert_eq!(
            ForeignKey::parse(&text).unwrap_err(),
            KeyError::Private,
            "{text}"
        );
    }
}

#[test]
fn a_secret_verifies_as_its_bytes() {
    for secret in [
        "s",
        "a secret",
        "ключ",
        "text before {\"kty\"}",
        "{\"key\":1}",
        "M",
        "MIIB",
    ] {
        let key = ForeignKey::parse(secret).unwrap();
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            assert!(
                verifies(&key, &hmac_token(algorithm, secret.as_bytes())),
                "{secret}"
            );
            assert!(
                !verifies(&key, &hmac_token(algorithm, b"other")),
                "{secret}"
            );
        }
        assert_eq!(verified_by(&key), [""; 0]);
    }
}

#[test]
fn an_oct_jwk_is_the_secret_in_its_k() {
    let verified = |jwk: &str| {
        let key = ForeignKey::parse(jwk).unwrap();
        [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512]
            .map(|algorithm| verifies(&key, &hmac_token(algorithm, b"secret")))
    };
    let k = base64url::encode("secret");
    let all = [true, true, true];
    let nothing = [false, false, false];
    assert_eq!(verified(&format!(r#"{{"kty":"oct","k":"{k}"}}"#)), all);
    assert_eq!(
        verified(&format!(" {{\"k\":\"{k}\",\"\\u006bty\":\"oct\"}}\n")),
        all
    );
    let bound = format!(r#"{{"kty":"oct","k":"{k}","alg":"HS384","use":"sig"}}"#);
    assert_eq!(verified(&bound), [false, true, false]);
    for refused in [
        format!(r#"{{"kty":"oct","k":"{k}","alg":"RS256"}}"#),
        format!(r#"{{"kty":"oct","k":"{k}","alg":"A256KW"}}"#),
        format!(r#"{{"kty":"oct","k":"{k}","use":"enc"}}"#),
        format!(r#"{{"kty":"oct","k":"{k}","key_ops":["sign"]}}"#),
        format!(r#"{{"kty":"oct","k":"{k}","k":"{k}"}}"#),
        format!(r#"{{"kty":"oct","k":"{k}="}}"#),
        format!(r#"{{"kty":"Oct","k":"{k}"}}"#),
        format!(r#"{{"keys":[{{"kty":"oct","k":"{k}"}}]}}"#),
        r#"{"kty":"oct","k":""}"#.to_owned(),
        r#"{"kty":"oct"}"#.to_owned(),
    ] {
        assert!(
            matches!(ForeignKey::parse(&refused), Ok(ForeignKey::Unusable)),
            "{refused}"
        );
        assert_eq!(verified(&refused), nothing, "{refused}");
    }
}

#[test]
fn no_spelling_of_a_public_key_is_an_hmac_secret() {
    let mut texts = vec![
        rsa_jwk(""),
        rsa_jwk(r#","kty":"oct""#),
        rsa_jwk("").replace("kty", "\\u006bty"),
        rsa_jwk("")[..100].to_owned(),
        format!("[{}]", rsa_jwk("")),
        format!(r#"{{"keys":[{}]}}"#, rsa_jwk("")),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI test".to_owned(),
    ];
    for name in [
        "rsa.pem",
        "ec.pem",
        "ed.pem",
        "k1.pem",
        "weak.pem",
        "rsa_certificate.pem",
    ] {
        let pem = file(name);
        texts.extend([
            pem.trim_end().to_owned(),
            pem.replace('\n', ""),
            pem.replace('\n', "\\n"),
        ]);
        texts.extend([pem[..60].to_owned(), pem]);
    }
    for name in ["rsa.pem", "ec.pem", "ed.pem", "k1.pem", "weak.pem"] {
        texts.push(base64(name));
    }
    for text in texts {
        let key = ForeignKey::parse(&text).unwrap();
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            assert!(
                !verifies(&key, &hmac_token(algorithm, text.as_bytes())),
                "{text}"
            );
            assert!(
                !verifies(&key, &hmac_token(algorithm, text.trim_end().as_bytes())),
                "{text}"
            );
        }
    }
}

#[test]
fn debug_shows_no_key() {
    for text in [
        "visible",
        r#"{"kty":"oct","k":"dmlzaWJsZQ"}"#,
        &file("ec.pem"),
    ] {
        let shown = format!("{:?}", ForeignKey::parse(text).unwrap());
        assert!(
            shown.len() < 80 && !shown.contains("visible") && !shown.contains("105"),
            "{shown}"
        );
    }
}

/// A token of an empty object, signed with any secret.
fn hmac_token(algorithm: Algorithm, secret: &[u8]) -> String {
    let header = format!(r#"{{"alg":"{}"}}"#, algorithm.name());
    let key = HmacKey::of_any_length(algorithm, secret).unwrap();
    tagged(&key, &format!("{}.e30", base64url::encode(header)))
}
