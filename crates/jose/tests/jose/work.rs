//! Every parser does work linear in its text, whatever the text repeats.

use std::hint::black_box;

use keyward_jose::claims::Expectations;
use keyward_jose::jws::{Compact, Limits, verify};
use keyward_jose::{
    Algorithm, KeySet, PublicKey, SigningKey, SuppliedKey, VerifyingKey, base64url, claims, json,
};
use keyward_work::{Shape, assert_linear};

use crate::support::{CLAIMS, HEADER, SECRET, header, key};

const WIDE: Limits = Limits {
    token: 1 << 20,
    depth: 64,
};

/// For each grammar of a supplied key: a prefix, the part to repeat, and a suffix.
const KEYS: [[&str; 3]; 42] = [
    ["", "-----BEGIN", ""],
    ["", "-----BEGINP123456789Y", ""],
    ["", "-----BEGIN ", ""],
    ["", "-----BEGIN PRIVATE KE", ""],
    ["", "-----BEGIN PUBLIC KEY-----", ""],
    ["", "PRIVATE KEY", "-----BEGIN"],
    ["-----BEGIN PUBLIC KEY-----\n", "-----END", ""],
    ["-----BEGIN PUBLIC KEY-----\n", "-----END PUBLIC KEY", ""],
    [
        "-----BEGIN PUBLIC KEY-----\n",
        " ",
        "-----END PUBLIC KEY-----",
    ],
    [
        "-----BEGIN PUBLIC KEY-----\n",
        "\\n",
        "-----END PUBLIC KEY-----",
    ],
    [
        "-----BEGIN PUBLIC KEY-----\n",
        "AAAA",
        "-----END PUBLIC KEY-----",
    ],
    ["-----BEGIN ", "A", ""],
    ["", "-", ""],
    ["", "-----", ""],
    ["", "\n", "-----BEGIN"],
    ["{\"kty\":\"RSA\"", ",\"kty\":\"RSA\"", "}"],
    ["{\"kty\":\"oct\",\"k\":\"", "A", "\"}"],
    ["{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"", "zzzz", "\"}"],
    ["{\"keys\":[", "{\"kty\":\"RSA\"},", "{}]}"],
    ["{\"keys\":[", "{},", "{}]}"],
    [
        "{\"kty\":\"RSA\",\"key_ops\":[",
        "\"verify\",",
        "\"sign\"]}",
    ],
    ["{\"kty\":", "[", ""],
    ["{\"kty\":\"", "\\u0052", "\"}"],
    ["", "{\"kty\":\"R", ""],
    ["[", "{\"k\":1},", "{}]"],
    ["\"", "\\\"", "\""],
    ["", "kty", ""],
    ["kty", ":", ""],
    ["", "\\u00", ""],
    ["", "%4", ""],
    ["", "M-", ""],
    ["", "MIIB", ""],
    ["", "AAAA ", ""],
    ["", "3082", ""],
    ["", "30:", ""],
    ["", "0x", ""],
    ["", "0x30,0x82,", ""],
    ["", "LS0tLS1CRUdJTi", ""],
    ["", "ssh-rsa ", ""],
    ["x", "ssh-rsa AAAA", ""],
    ["", "\u{82}0", ""],
    ["\u{feff}", "\u{feff}", ""],
];

/// As [`KEYS`], for JSON Web Key Sets.
const KEY_SETS: [[&str; 3]; 7] = [
    ["{\"keys\":[", "{\"kty\":\"EC\",\"kid\":\"k\"},", "{}]}"],
    ["{\"keys\":[", "[],", "{}]}"],
    ["{\"keys\":[{\"kty\":\"EC\",\"x\":\"", "A", "\"}]}"],
    ["{\"keys\":[{\"kid\":\"", "k", "\",\"kty\":\"OKP\"}]}"],
    ["{\"keys\":[{\"kid\":\"", "\\u006b", "\",\"kty\":\"OKP\"}]}"],
    ["{\"keys\":[{\"x5c\":[", "\"MIIB\",", "\"\"]}]}"],
    ["{\"keys\":[],\"more\":[", "{\"a\":1},", "{}]}"],
];

const JSON: [[&str; 3]; 12] = [
    ["", "[", ""],
    ["", "{\"a\":", ""],
    ["[", "1,", "1]"],
    ["[", "{\"a\":0,\"b\":0},", "1]"],
    ["\"", "\\u00e9", "\""],
    ["\"", "\\ud83d\\ude00", "\""],
    ["\"", "\\", "\""],
    ["", "0", ""],
    ["-", "1", "e+"],
    ["1e", "9", ""],
    ["", " ", "{}"],
    ["{\"a\":\"", "x", "\"}"],
];

fn supplied(text: &str) {
    let _ = black_box(SuppliedKey::parse(text));
}

fn own(text: &str) {
    let algorithm = Some(Algorithm::RS256);
    let _ = black_box(VerifyingKey::from_jwk(text, algorithm));
    let _ = black_box(SigningKey::from_jwk(text, algorithm));
    let _ = black_box(SigningKey::from_pem(text, algorithm));
    let _ = black_box(KeySet::from_jwks(text, algorithm));
}

fn checked(text: &str) {
    let _ = black_box(json::check(text.as_bytes(), 64));
    let _ = black_box(serde_json::from_str::<claims::Registered<'_>>(text));
}

fn token(token: &str) {
    let _ = black_box(Compact::parse(token, &WIDE));
    let _ = black_box(verify(token, &key(), &header(), &WIDE));
    let named =
        SigningKey::from_secret(Algorithm::HS256, SECRET).and_then(|key| key.with_kid("k1"));
    let set = KeySet::new([named.unwrap().verifying_key().clone()]).unwrap();
    let _ = black_box(set.verify(token, &Expectations::default(), &WIDE, 0));
}

/// An object of so many bytes, each of whose members has another name.
fn members(size: usize) -> String {
    let members: Vec<_> = (0..size / 12).map(|n| format!("\"m{n:06}\":0")).collect();
    format!("{{{}}}", members.join(","))
}

/// A DER element.
fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).unwrap().to_be_bytes();
    [&[tag, 0x84], &length[..], value].concat()
}

/// A certificate whose subject has one set of so many attributes, in descending order.
fn certificate(size: usize) -> String {
    let attribute = |n: usize| {
        let text = u32::MAX - u32::try_from(n).unwrap();
        let value = element(0x0C, format!("{text:010}").as_bytes());
        element(0x30, &[&[6, 3, 0x55, 4, 3], &value[..]].concat())
    };
    let attributes: Vec<_> = (0..size / 40).flat_map(attribute).collect();
    let name = element(0x30, &element(0x31, &attributes));
    let (serial, empty) = (element(2, &[1]), element(0x30, &[]));
    let signed = [&serial, &empty, &name, &empty, &name, &empty].map(|part| &part[..]);
    let certificate = element(0x30, &element(0x30, &signed.concat()));
    let base64 = base64_simd::STANDARD.encode_to_string(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----")
}

fn of_json(name: &str, parse: impl Fn(&str) + Clone + 'static) -> Shape {
    Shape::new(
        format!("{name} of many members"),
        members,
        move |text: String| parse(&text),
    )
}

#[test]
fn every_parser_does_work_linear_in_its_text() {
    let mut shapes: Vec<_> = KEYS.map(|shape| Shape::repeated(shape, supplied)).into();
    shapes.extend(KEYS.map(|shape| Shape::repeated(shape, own)));
    shapes.extend(KEY_SETS.map(|shape| Shape::repeated(shape, own)));
    shapes.push(of_json("a key of our own", own));
    shapes.push(Shape::new(
        "a JWK set whose keys have many members",
        |size| format!("{{\"keys\":[{0},{0}]}}", members(size / 2)),
        |text: String| own(&text),
    ));
    shapes.extend(JSON.map(|shape| Shape::repeated(shape, checked)));
    shapes.push(of_json("JSON", checked));
    shapes.push(of_json("a key", supplied));
    shapes.push(Shape::new(
        "a JWK of many members",
        |size| members(size).replacen('{', "{\"kty\":\"RSA\",", 1),
        |text: String| supplied(&text),
    ));
    shapes.push(Shape::new(
        "a certificate of many attributes",
        certificate,
        |pem: String| drop(black_box(PublicKey::from_pem(&pem))),
    ));
    shapes.push(Shape::new(
        "a sequence of many numbers",
        |size| element(0x30, &[2, 1, 1].repeat(size / 3)),
        |der: Vec<u8>| drop(black_box(PublicKey::from_spki_der(&der))),
    ));
    for [before, unit, after] in [
        ["", ".", ""],
        ["", "A.", ""],
        ["a.b.", "A", ""],
        ["", "=", ".."],
    ] {
        shapes.push(Shape::repeated([before, unit, after], token));
    }
    for (place, name) in ["header", "payload", "signature"].into_iter().enumerate() {
        let long = move |size| {
            let mut parts = [HEADER.to_owned(), CLAIMS.to_owned(), "tag".to_owned()];
            parts[place] = members(size);
            parts.map(base64url::encode).join(".")
        };
        let name = format!("a token with a {name} of many members");
        shapes.push(Shape::new(name, long, |text: String| token(&text)));
    }
    shapes.push(Shape::repeated(["", "HS256", ""], |name| {
        black_box(Algorithm::from_name(name));
    }));
    shapes.push(Shape::repeated(["", "AAAA", "A"], |text| {
        let _ = black_box(base64url::decode(text));
    }));
    assert_linear("work::every_parser_does_work_linear_in_its_text", shapes);
}
