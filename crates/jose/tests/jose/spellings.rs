//! No form of a public key is used as an HMAC secret; every real secret is.

use keyward_jose::{Algorithm, HmacKey, KeyError, SuppliedKey, base64url};
use proptest::prelude::*;
use proptest::sample::select;

use crate::pairs::{PAIRS, pem};
use crate::support::{CLAIMS, file, tagged, verifies};

const HMAC: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

/// Whether the text is used as a secret: a token signed with its bytes verifies.
fn is_secret(text: &str) -> bool {
    let signed = |algorithm: &Algorithm, secret: &str| {
        let header = format!(r#"{{"alg":"{}"}}"#, algorithm.name());
        let input = format!(
            "{}.{}",
            base64url::encode(header),
            base64url::encode(CLAIMS)
        );
        tagged(
            &HmacKey::of_any_length(*algorithm, secret.as_bytes()).unwrap(),
            &input,
        )
    };
    let Ok(key) = SuppliedKey::parse(text) else {
        return false;
    };
    let verdicts = HMAC.map(|algorithm| verifies(&key, &signed(&algorithm, text)));
    assert!(verdicts == [true; 3] || verdicts == [false; 3], "{text}");
    let trimmed = HMAC.map(|algorithm| verifies(&key, &signed(&algorithm, text.trim())));
    verdicts[0] || trimmed != [false; 3]
}

fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hexadecimal with something between the bytes.
fn hex_by(bytes: &[u8], between: &str) -> String {
    let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(between)
}

fn lines(text: &str, length: usize) -> String {
    let lines = text.as_bytes().chunks(length);
    let lines: Vec<_> = lines
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    lines.join("\n")
}

/// A body of `file`, one of `tests/jose/keys`.
fn der(name: &str) -> Vec<u8> {
    let text = file(name);
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    base64_simd::STANDARD.decode_to_vec(body).unwrap()
}

/// The binary encodings of public keys.
fn binary_keys() -> Vec<Vec<u8>> {
    let mut keys: Vec<_> = [
        "rsa.pem",
        "rsa_pkcs1.pem",
        "ec.pem",
        "ed.pem",
        "k1.pem",
        "weak.pem",
        "rsa_certificate.pem",
        "ec_certificate.pem",
        "ed_certificate.pem",
    ]
    .map(der)
    .into();
    for pair in &*PAIRS {
        keys.extend([pair.spki(), pair.openssh_blob()]);
        if pair.raw().len() > 32 {
            keys.push(pair.raw());
        }
    }
    keys
}

/// The spellings of bytes as a text.
fn encodings(bytes: &[u8]) -> Vec<String> {
    let plain = base64(bytes);
    let unpadded = plain.trim_end_matches('=').to_owned();
    vec![
        lines(&plain, 64),
        lines(&plain, 76).replace('\n', "\r\n"),
        lines(&plain, 20),
        lines(&plain, 64).replace('\n', "\\n"),
        base64url::encode(bytes),
        format!("{}=", base64url::encode(bytes)),
        unpadded,
        plain.replace('/', "\\/"),
        hex(bytes),
        hex(bytes).to_uppercase(),
        hex_by(bytes, ":"),
        hex_by(bytes, ":").to_uppercase(),
        hex_by(bytes, " "),
        hex_by(bytes, "-"),
        lines(&hex(bytes), 64),
        format!("0x{}", hex(bytes)),
        format!("0x{}", hex_by(bytes, ", 0x")),
        format!("\\x{}", hex_by(bytes, "\\x")),
        base64(plain.as_bytes()),
        base64(hex(bytes).as_bytes()),
        hex(plain.as_bytes()),
        plain,
    ]
}

/// The texts that are public keys as they stand.
fn texts() -> Vec<String> {
    let mut texts = Vec::new();
    for pair in &*PAIRS {
        let (jwk, blob) = (pair.jwk(""), base64(&pair.openssh_blob()));
        let name = String::from_utf8(pair.openssh_blob()[4..][..11].to_vec()).unwrap();
        let name = name.split('\0').next().unwrap();
        texts.extend([
            pem("PUBLIC KEY", &pair.spki()),
            pem("public key", &pair.spki()).replace("-----BEGIN", "----begin"),
            pem("PUBLIC KEY", &pair.spki()).replace('-', ""),
            pem("PUBLIC KEY", &pair.spki()).replace('\n', "\\n"),
            pem("PUBLIC KEY", &pair.spki()).replace('\n', "%0A").replace('-', "%2D"),
            format!("{name} {blob} somebody@example.com"),
            format!(" \t{name} {blob}"),
            format!("no-pty,command=\"ls\" {name} {blob}"),
            format!("sk-{name}@openssh.com {blob}"),
            format!(
                "---- BEGIN SSH2 PUBLIC KEY ----\nComment: \"me\"\n{}\n---- END SSH2 PUBLIC KEY ----",
                lines(&blob, 70)
            ),
            format!("[{jwk}]"),
            format!("{{\"keys\":[{jwk}]}}"),
            format!("key = {jwk}"),
            jwk.replace('"', "\\\""),
            jwk.replace('"', "'"),
            jwk.replace('"', "").replace(':', ": ").replace(',', "\n"),
            jwk.replace('"', "%22").replace('{', "%7B").replace(':', "%3A"),
            jwk.replace("kty", "\\u006bty"),
            jwk.replacen('{', "{\"\\u006bty\":\"RSA\",", 1),
            jwk[..60].to_owned(),
            jwk,
        ]);
    }
    texts.extend([
        "Public-Key: (2048 bit)\nModulus:\n    00:c3:a1:5b\nExponent: 65537 (0x10001)".to_owned(),
        "pub:\n    04:c3:a1:5b\nASN1 OID: prime256v1\nNIST CURVE: P-256".to_owned(),
        "Modulus=C3A15BC3A15BC3A15BC3A15BC3A15B".to_owned(),
        "----- BEGIN EC PUBLIC KEY -----\nBC3A15BC3A15B".to_owned(),
        "BEGIN X509 CERTIFICATE of somebody whose".to_owned(),
        "<RSAKeyValue><Modulus>sYp3</Modulus><Exponent>AQAB</Exponent></RSAKeyValue>".to_owned(),
        format!("[\"{}\"]", base64(&der("rsa_certificate.pem"))),
        format!(
            "<X509Certificate>{}</X509Certificate>",
            base64(&der("ec_certificate.pem"))
        ),
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI test".to_owned(),
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAI".to_owned(),
    ]);
    texts
}

/// What other programs add to a text or escape in it.
fn wrapped(text: &str) -> Vec<String> {
    let json = serde_json::to_string(text).unwrap();
    vec![
        text.to_owned(),
        format!("\u{feff}{text}"),
        format!(" \r\n\t{text}\n"),
        format!("'{text}'"),
        format!("\"{text}\""),
        serde_json::to_string(&json).unwrap(),
        json,
    ]
}

#[test]
fn no_spelling_of_a_public_key_is_an_hmac_secret() {
    let encoded = binary_keys().into_iter().flat_map(|key| encodings(&key));
    let mut tried = 0;
    for text in encoded.chain(texts()) {
        let again = [
            base64(text.as_bytes()),
            base64url::encode(&text),
            hex(text.as_bytes()),
        ];
        for spelling in wrapped(&text).into_iter().chain(again) {
            assert!(!is_secret(&spelling), "{spelling:?}");
            tried += 1;
        }
    }
    assert!(tried > 5_000, "{tried}");
}

#[test]
fn bytes_of_a_key_as_characters_are_no_secret() {
    for key in binary_keys() {
        let text: String = key.iter().map(|byte| char::from(*byte)).collect();
        assert!(!is_secret(&text) || key[0] == 4, "{key:?}");
    }
}

#[test]
fn a_bare_private_key_is_refused_as_such() {
    let pkcs_8 = [
        &[
            0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
        ][..],
        &[7; 32],
    ];
    let ec = [&[0x30, 0x77, 2, 1, 1, 4, 0x20][..], &[7; 112]];
    let rsa = [
        &[0x30, 0x82, 4, 0xa3, 2, 1, 0, 2, 0x82, 1, 1, 0][..],
        &[0x99; 200],
    ];
    let openssh = [&b"openssh-key-v1\0\0\0\0\x04none"[..], &[0; 64]];
    for key in [pkcs_8, ec, rsa, openssh].map(|parts| parts.concat()) {
        for text in encodings(&key) {
            assert_eq!(
                SuppliedKey::parse(&text).unwrap_err(),
                KeyError::Private,
                "{text}"
            );
        }
    }
}

#[test]
fn a_private_key_in_another_frame_is_refused_as_such() {
    let jwk = PAIRS[1].jwk(r#","d":"AQAB""#);
    for text in [
        "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nP2/56wAAA".to_owned(),
        "----- BEGIN RSA PRIVATE KEY -----\nMIIEpAIBAAKCAQEA".to_owned(),
        "-----BEGIN%20PRIVATE%20KEY-----%0AMIIEpAIBAAKCAQEA".replace("-----", "%2D%2D"),
        serde_json::to_string(&jwk).unwrap(),
        jwk.replace('"', "'"),
        base64(jwk.as_bytes()),
        PAIRS[1].jwk("").replacen('{', "{'d': 'AQAB', ", 1),
        format!("[{jwk}]"),
    ] {
        assert_eq!(
            SuppliedKey::parse(&text).unwrap_err(),
            KeyError::Private,
            "{text}"
        );
    }
}

#[test]
fn a_jwk_behind_a_byte_order_mark_is_read() {
    let pair = &PAIRS[1];
    let token = pair.token(Algorithm::ES256).unwrap();
    let key = SuppliedKey::parse(&format!("\u{feff}{}", pair.jwk(""))).unwrap();
    assert!(verifies(&key, &token));
}

/// DER of this tag.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    let length = match length {
        0..128 => vec![length],
        _ => vec![0x81, length],
    };
    [&[tag], &length[..], content].concat()
}

#[test]
fn an_old_certificate_and_a_request_are_no_secrets() {
    let name = element(0x30, &[0x55; 90]);
    for number in [&[0][..], &[0x7F; 20], &[0x7F; 33]] {
        let body = [element(0x02, number), name.clone()].concat();
        let whole = element(0x30, &element(0x30, &body));
        assert!(!is_secret(&base64(&whole)), "{number:?}");
    }
    let body = [element(0x02, &[0x7F; 34]), name].concat();
    assert!(is_secret(&base64(&element(0x30, &element(0x30, &body)))));
}

#[test]
fn a_modulus_of_512_bits_is_recognised_and_a_shorter_number_is_not() {
    for (bytes, expected) in [(64, false), (63, true)] {
        let mut modulus = vec![0xA5; bytes + 1];
        modulus[0] = 0;
        let key = [element(0x02, &modulus), element(0x02, &[1, 0, 1])].concat();
        let key = base64(&element(0x30, &key));
        assert_eq!(is_secret(&key), expected, "{bytes}");
    }
}

#[test]
fn hexadecimal_ends_at_a_character_that_separates_nothing() {
    let key = hex(&PAIRS[0].spki());
    assert!(!is_secret(&key));
    assert!(is_secret(&format!("{}z{}", &key[..12], &key[12..])));
}

#[test]
fn secrets_that_resemble_keys_are_secrets() {
    for secret in [
        "s",
        "ssh",
        "MIIB",
        "MIIBIjANBgkqhkiG9w0BAQEF".get(..20).unwrap(),
        "correct horse battery staple is a pass phrase",
        "the key types are RSA, EC and OKP, said kty",
        "{\"kty\"} is a member of a JWK, and this is no JWK at all",
        "{\"key\":\"0123456789abcdef0123456789abcdef\"}",
        "30-second timers of the kitchen, by the dozen",
        "%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%",
        "\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\",
        "BEGIN the day with a key that is public",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "3030303030303030303030303030303030303030303030303030303030303030",
    ] {
        assert!(is_secret(secret), "{secret}");
    }
    // An Ed25519 key without a frame is any 32 bytes.
    assert!(is_secret(&base64(&PAIRS[4].raw())));
}

proptest! {
    #[test]
    fn random_bytes_in_any_encoding_are_a_secret(
        bytes in (select(vec![16, 24, 32, 48, 64, 65, 97, 128, 256])).prop_flat_map(|length| {
            proptest::collection::vec(any::<u8>(), length)
        }),
    ) {
        for text in [
            base64(&bytes),
            base64url::encode(&bytes),
            hex(&bytes),
            hex(&bytes).to_uppercase(),
            hex_by(&bytes, ":"),
        ] {
            prop_assert!(is_secret(&text), "{}", text);
        }
    }

    #[test]
    fn any_pass_phrase_is_a_secret(text in "[a-zA-Z0-9 !#$%&()*+,./:;<=>?@\\[\\]^_|~äöüß-]{1,80}") {
        prop_assume!(!text.trim_start().starts_with("ssh-"));
        prop_assert!(is_secret(&text));
    }

    #[test]
    fn a_key_cut_short_is_no_secret(
        key in select(binary_keys()),
        form in 0..18_usize,
        keep in 0.6..1.0_f64,
    ) {
        let text = encodings(&key).swap_remove(form);
        let length = text.len() as f64 * keep;
        // A truncated point is not a point.
        prop_assume!(key[0] != 4);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the text")]
        let cut = &text[..length as usize];
        prop_assert!(!is_secret(cut), "{}", cut);
    }
}
