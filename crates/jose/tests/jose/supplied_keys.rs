//! Supplied keys: how each text is parsed, and which algorithms it may verify.

use keyward_jose::{Algorithm, HmacKey, KeyError, PublicKey, SuppliedKey, base64url};

use crate::support::{file, tagged, verifies};

const TOKENS: [&str; 5] = ["RS256", "RS512", "PS256", "ES256", "EdDSA"];

/// The algorithms of [`TOKENS`] that a key verifies.
fn verified_by(key: &SuppliedKey) -> Vec<&'static str> {
    let verified = |name: &&str| verifies(key, file(&format!("{name}.token")).trim_end());
    TOKENS.into_iter().filter(verified).collect()
}

fn der(pem_file: &str) -> Vec<u8> {
    let text = file(pem_file);
    let base64: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    base64_simd::STANDARD.decode_to_vec(base64).unwrap()
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
        let key = SuppliedKey::parse(&file(name)).unwrap();
        assert_eq!(verified_by(&key), verified, "{name}");
        assert_eq!(
            matches!(key, SuppliedKey::Unusable),
            verified.is_empty(),
            "{name}"
        );
    }
}

/// The text with something before, between and behind its lines.
fn disturbed(pem: &str, [before, behind, end]: [&str; 3]) -> String {
    let line = |line: &str| format!("{before}{line}{behind}{end}");
    pem.lines().map(line).collect()
}

#[test]
fn white_space_in_a_pem_is_ignored() {
    for (name, verified) in [
        ("rsa.pem", &["RS256", "RS512", "PS256"][..]),
        ("rsa_pkcs1.pem", &["RS256", "RS512", "PS256"]),
        ("rsa_certificate.pem", &["RS256", "RS512", "PS256"]),
        ("ec.pem", &["ES256"]),
        ("ed_certificate.pem", &["EdDSA"]),
    ] {
        let pem = file(name);
        let mut texts: Vec<_> = [
            ["", "  ", "\n"],
            ["  ", "", "\n"],
            ["\t", "\t", "\n"],
            ["", "", "\r"],
            ["", "", "\r\n"],
            ["", " ", "\r\n\r\n"],
            ["", "", "\n\n"],
            ["\u{b}", "\u{c}", "\n"],
            ["", "", "\n \t\u{b}\u{c}\n"],
            ["", "", " "],
            ["", "", ""],
            ["", "", "\\n"],
            ["", "", "\\r\\n"],
        ]
        .map(|parts| disturbed(&pem, parts))
        .into();
        texts.extend([
            pem.trim_end().to_owned(),
            format!("\n\n{pem}\n\n"),
            format!("\u{feff}{pem}"),
            format!("subject=CN = test\nissuer=CN = test\n{pem}and text behind it -----"),
            format!("{pem}{}", file("k1.pem")),
            format!("\"{}\"", pem.replace('\n', "\\n")),
            pem.replace("KEY-----\n", "KEY----- \t \n"),
            pem.replace("MII", "M\n I\tI"),
        ]);
        for text in texts {
            let key = SuppliedKey::parse(&text).unwrap();
            assert_eq!(verified_by(&key), verified, "{text:?}");
        }
    }
}

#[test]
fn a_pem_that_breaks_the_grammar_is_not_read() {
    let pem = file("rsa.pem");
    for text in [
        pem.replace("-----END PUBLIC KEY-----", ""),
        pem.replace("-----END PUBLIC KEY-----", "-----END RSA PUBLIC KEY-----"),
        pem.replace("-----END PUBLIC KEY-----", "-----END PUBLIC KEY"),
        pem.replace("-----END PUBLIC KEY-----", "-----END PUBLIC KEY----"),
        pem.replace("-----END PUBLIC KEY-----", "-----FINI PUBLIC KEY-----"),
        pem.replace("-----BEGIN PUBLIC KEY-----", "-----BEGIN PUBLIC KEY----"),
        pem.replace("-----BEGIN PUBLIC KEY-----", "-----BEGINPUBLIC KEY-----"),
        pem.replace("MIIB", "MIIB-"),
        pem.replace("MIIB", "MII\u{a0}B"),
        pem.replace("MIIB", "MIIB\\t"),
        pem.replace("MIIB", "MIIB=="),
        pem.replace("KEY-----\nMIIB", "KEY-----\nProc-Type: 4\n\nMIIB"),
        pem.replace("PUBLIC KEY", &"A".repeat(60)),
    ] {
        let error = PublicKey::from_pem(&text).unwrap_err();
        assert_eq!(error, KeyError::Malformed, "{text}");
        assert!(
            matches!(SuppliedKey::parse(&text), Ok(SuppliedKey::Unusable)),
            "{text}"
        );
    }
}

#[test]
fn a_certificate_must_be_whole() {
    let der = der("ec_certificate.pem");
    let read = |der: &[u8]| {
        let base64 = base64_simd::STANDARD.encode_to_string(der);
        PublicKey::from_pem(&format!(
            "-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----"
        ))
    };
    assert!(read(&der).is_ok());
    for end in [0, 1, 4, 100, der.len() - 1] {
        assert_eq!(read(&der[..end]).unwrap_err(), KeyError::Malformed, "{end}");
    }
    assert_eq!(
        read(&[&der[..], &[0]].concat()).unwrap_err(),
        KeyError::Malformed
    );
    // Each byte before the key: tags and lengths matter, values do not.
    let mut refused = 0;
    for at in 0..40 {
        let mut der = der.clone();
        der[at] ^= 0x20;
        refused += u32::from(read(&der).is_err());
    }
    assert!(refused > 8, "{refused}");
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
        let key = SuppliedKey::parse(&rsa_jwk(more)).unwrap();
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
            matches!(SuppliedKey::parse(&jwk), Ok(SuppliedKey::Unusable)),
            "{to}"
        );
    }
}

/// A JWK of any modulus and exponent.
fn numbers(modulus: &[u8], exponent: &[u8]) -> Result<PublicKey, KeyError> {
    let (n, e) = (base64url::encode(modulus), base64url::encode(exponent));
    PublicKey::from_jwk(&format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#))
}

/// An odd number of so many bytes that begins with `first`.
fn odd(first: u8, length: usize) -> Vec<u8> {
    let mut number = vec![0x5B; length];
    number[0] = first;
    number
}

#[test]
fn an_rsa_modulus_has_2048_to_8192_bits() {
    let read = |modulus: &[u8]| numbers(modulus, &[1, 0, 1]).map(drop);
    assert_eq!(read(&odd(0x80, 256)), Ok(()));
    assert_eq!(read(&odd(0x7F, 256)), Err(KeyError::WeakRsa));
    assert_eq!(read(&odd(0xFF, 255)), Err(KeyError::WeakRsa));
    assert_eq!(read(&odd(0xFF, 1024)), Ok(()));
    assert_eq!(read(&odd(0x01, 1025)), Err(KeyError::Malformed));
    assert_eq!(read(&odd(0x00, 257)), Err(KeyError::Malformed));
}

#[test]
fn an_rsa_exponent_is_odd_and_at_least_65537() {
    let read = |exponent: &[u8]| numbers(&odd(0x80, 256), exponent).map(drop);
    for good in [
        &[1, 0, 1][..],
        &[1, 0, 3],
        &[1, 0, 0, 1],
        &[0x7F, 0xFF, 0xFF, 0xFF],
    ] {
        assert_eq!(read(good), Ok(()), "{good:?}");
    }
    for weak in [
        &[1][..],
        &[3],
        &[17],
        &[0xFF, 0xFF],
        &[1, 0, 0],
        &[1, 0, 2],
        &[1, 0, 0, 0, 1],
    ] {
        assert_eq!(read(weak), Err(KeyError::WeakRsa), "{weak:?}");
    }
    assert_eq!(read(&[0, 1, 0, 1]), Err(KeyError::Malformed));
    assert_eq!(read(&[]), Err(KeyError::Malformed));
}

#[test]
fn a_modulus_of_the_generator_of_cve_2017_15361_is_weak() {
    // A power of 65537, as the primes of that generator are modulo every small prime.
    let mut power = vec![1_u8];
    for _ in 0..128 {
        let shifted = [&power[..], &[0, 0]].concat();
        let mut sum = [vec![0; 2], power].concat();
        let mut carry = 0;
        for (digit, other) in sum.iter_mut().rev().zip(shifted.iter().rev()) {
            let total = u16::from(*digit) + u16::from(*other) + carry;
            *digit = total.to_le_bytes()[0];
            carry = total >> 8;
        }
        power = if carry == 1 {
            [&[1], &sum[..]].concat()
        } else {
            sum
        };
    }
    assert_eq!(numbers(&power, &[1, 0, 1]).unwrap_err(), KeyError::WeakRsa);
    // One more is no power of it.
    let last = power.len() - 2;
    power[last] ^= 1;
    assert!(numbers(&power, &[1, 0, 1]).is_ok());
}

#[test]
fn every_private_member_makes_a_key_private_and_no_other_does() {
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth"] {
        let jwk = rsa_jwk(&format!(r#","{member}":"AQAB""#));
        assert_eq!(
            SuppliedKey::parse(&jwk).unwrap_err(),
            KeyError::Private,
            "{member}"
        );
    }
    for member in ["k", "x", "y", "crv", "x5c", "D", "dd"] {
        let key = SuppliedKey::parse(&rsa_jwk(&format!(r#","{member}":"AQAB""#))).unwrap();
        assert!(matches!(key, SuppliedKey::Public(_)), "{member}");
    }
}

#[test]
fn every_registered_operation_may_stand_beside_verify() {
    let registered = [
        "sign",
        "encrypt",
        "decrypt",
        "wrapKey",
        "unwrapKey",
        "deriveKey",
        "deriveBits",
    ];
    for operation in registered {
        let key = SuppliedKey::parse(&rsa_jwk(&format!(r#","key_ops":["{operation}","verify"]"#)));
        assert!(matches!(key, Ok(SuppliedKey::Public(_))), "{operation}");
        let key = SuppliedKey::parse(&rsa_jwk(&format!(r#","key_ops":["{operation}"]"#)));
        assert!(matches!(key, Ok(SuppliedKey::Unusable)), "{operation}");
    }
}

#[test]
fn an_object_with_the_numbers_of_a_key_is_one_without_its_kind_too() {
    for (jwk, is_key) in [
        (r#"{"n":"AQAB","e":"AQAB"}"#, true),
        (r#"{"crv":"P-256"}"#, true),
        (r#"{"keys":[]}"#, true),
        (r#"{"kty":"unknown"}"#, true),
        (r#"{"n":"AQAB"}"#, false),
        (r#"{"e":"AQAB"}"#, false),
        (r#"{"x":"AQAB","y":"AQAB"}"#, false),
        ("{}", false),
    ] {
        let key = SuppliedKey::parse(jwk).unwrap();
        assert_eq!(matches!(key, SuppliedKey::Unusable), is_key, "{jwk}");
        assert_eq!(matches!(key, SuppliedKey::Secret(_)), !is_key, "{jwk}");
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
        SuppliedKey::parse(&format!(
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
        assert!(matches!(key, Ok(SuppliedKey::Unusable)), "{key:?}");
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
            SuppliedKey::parse(&text).unwrap_err(),
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
        let key = SuppliedKey::parse(secret).unwrap();
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
        let key = SuppliedKey::parse(jwk).unwrap();
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
            matches!(SuppliedKey::parse(&refused), Ok(SuppliedKey::Unusable)),
            "{refused}"
        );
        assert_eq!(verified(&refused), nothing, "{refused}");
    }
}

#[test]
fn debug_shows_no_key() {
    for text in ["visible", r#"{"kty":"oct","k":"dmlzaWJsZQ"}"#] {
        let shown = format!("{:?}", SuppliedKey::parse(text).unwrap());
        assert_eq!(shown, "Secret(Secret { .. })");
    }
    let shown = format!("{:?}", SuppliedKey::parse(&file("ec.pem")).unwrap());
    assert_eq!(shown, "Public(PublicKey { algorithms: [ES256], .. })");
}

/// A token of an empty object, signed with any secret.
fn hmac_token(algorithm: Algorithm, secret: &[u8]) -> String {
    let header = format!(r#"{{"alg":"{}"}}"#, algorithm.name());
    let key = HmacKey::of_any_length(algorithm, secret).unwrap();
    tagged(&key, &format!("{}.e30", base64url::encode(header)))
}
