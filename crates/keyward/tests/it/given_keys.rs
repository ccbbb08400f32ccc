//! `keyward token` with keys that are given: what it mints it verifies, what it refuses it explains in one line, and what
//! it inspects it finds the faults of.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::thread::{self, JoinHandle};

use keyward_jose::{Algorithm, KeySet, SigningKey, base64url};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{keyward, keyward_with};
use crate::tls::{self, Issued};

const CLAIMS: &str = r#"{"iss":"https://id.example","sub":"ada","aud":["api","web"],"exp":2000000000,"nbf":1000000000,"iat":1500000000}"#;
/// A time at which [`CLAIMS`] are good.
const NOW: &str = "--now 1700000000";

/// A folder with [`CLAIMS`] in a file, and a key for each of the algorithms, `ALG.jwk`.
fn folder(algorithms: &[Algorithm]) -> TempDir {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("claims.json", &format!("{CLAIMS}\n"));
    let keys = algorithms.iter().map(|algorithm| {
        let key = SigningKey::generate(*algorithm).unwrap();
        let key = key.with_kid(algorithm.name()).unwrap();
        write(&format!("{}.jwk", algorithm.name()), &key.to_jwk().unwrap());
        key.verifying_key().clone()
    });
    let set = KeySet::new(keys).unwrap();
    write("set.json", &set.to_jwks());
    folder
}

fn mint(folder: &TempDir, more: &str) -> String {
    let args = format!("token mint --claims claims.json {more}");
    keyward(folder.path(), &args).fine().trim().to_owned()
}

/// The reason for which a token is refused: the one line on standard error.
fn reason(folder: &TempDir, args: &str) -> String {
    let refusal = keyward(folder.path(), &format!("token verify {args}")).failed(1);
    let [line] = refusal.lines().collect::<Vec<_>>()[..] else {
        panic!("{refusal} is not one line");
    };
    let reason = line.strip_prefix("error: the token is not valid: ");
    reason.unwrap_or(line).to_owned()
}

#[test]
fn a_token_of_each_algorithm_is_verified_with_its_key_and_with_a_set() {
    let folder = folder(&Algorithm::ALL);
    for algorithm in Algorithm::ALL {
        let name = algorithm.name();
        let token = mint(&folder, &format!("--key {name}.jwk --type at+jwt"));
        let mut places = vec![format!("--key {name}.jwk")];
        if !algorithm.is_hmac() {
            places.push("--jwks set.json".to_owned());
            let set = fs::read_to_string(folder.path().join("set.json")).unwrap();
            let set: Value = serde_json::from_str(&set).unwrap();
            let mut keys = set["keys"].as_array().unwrap().iter();
            let public = keys.find(|key| key["kid"] == name).unwrap();
            fs::write(folder.path().join("public.jwk"), public.to_string()).unwrap();
            places.push("--key public.jwk".to_owned());
        }
        for place in places {
            let verify = format!(
                "token verify {place} {NOW} --issuer https://id.example --audience web --type at+jwt --algorithm {name}"
            );
            let claims = keyward(folder.path(), &format!("{verify} {token}")).fine();
            assert_eq!(claims.trim(), CLAIMS);
            let shown = keyward_with(folder.path(), &format!("{verify} --json"), &[], &token);
            let header = json!({"alg": name, "typ": "at+jwt", "kid": name});
            let claims: Value = serde_json::from_str(CLAIMS).unwrap();
            assert_eq!(
                shown.json(),
                json!({"valid": true, "header": header, "claims": claims})
            );
        }
    }
    assert!(!folder.path().join("keyward-data").exists());
}

/// Asserts that a token is refused for this reason, in words and in JSON.
fn assert_refused(folder: &TempDir, args: &str, why: &str) {
    assert_eq!(reason(folder, args), why, "{args}");
    let shown = keyward(folder.path(), &format!("token verify --json {args}"));
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown, json!({"valid": false, "why": why}));
}

#[test]
fn a_token_of_another_key_is_refused_with_the_reason_in_one_line() {
    let folder = folder(&[Algorithm::ES256, Algorithm::EdDSA]);
    let token = mint(&folder, "--key ES256.jwk");
    let other = SigningKey::generate(Algorithm::ES256).unwrap();
    let other = other.with_kid("other").unwrap();
    let other = KeySet::new([other.verifying_key().clone()]).unwrap();
    fs::write(folder.path().join("other.json"), other.to_jwks()).unwrap();
    // The header says EdDSA and names the key of ES256.
    let header = base64url::encode(r#"{"alg":"EdDSA","kid":"ES256"}"#);
    let (message, _) = token.rsplit_once('.').unwrap();
    let (_, rest) = token.split_once('.').unwrap();
    for (args, why) in [
        (
            format!("--jwks set.json {message}.AAAA"),
            "the signature does not verify",
        ),
        (
            format!("--jwks set.json {header}.{rest}"),
            "the token is not signed with ES256",
        ),
        (
            format!("--jwks set.json {message}"),
            "the token is not three segments separated by dots",
        ),
        (
            format!("--jwks other.json {token}"),
            r#"it names the key "ES256", and the keys are "other""#,
        ),
        (
            format!("--jwks set.json --algorithm EdDSA {token}"),
            r#"it names the key "ES256", which cannot be used: the key is not meant to verify signatures of this kind"#,
        ),
        (
            format!("--jwks set.json --algorithm RS256 {token}"),
            r#"it names the key "ES256", which cannot be used: the key is not meant to verify signatures of this kind"#,
        ),
    ] {
        assert_refused(&folder, &format!("{NOW} {args}"), why);
    }
}

#[test]
fn claims_are_refused_with_the_reason_in_one_line() {
    let folder = folder(&[Algorithm::ES256]);
    let token = mint(&folder, "--key ES256.jwk");
    for (args, why) in [
        ("--now 2000000000", "it expired at 2033-05-18T03:33:20.000Z"),
        (
            "--now 999999999",
            "it is not valid before 2001-09-09T01:46:40.000Z",
        ),
        (
            "--now 1200000000",
            "it was issued in the future, at 2017-07-14T02:40:00.000Z",
        ),
        (
            "--now 1700000000 --issuer https://other.example",
            r#"its issuer is "https://id.example""#,
        ),
        (
            "--now 1700000000 --audience ap",
            r#"it is for "api", "web""#,
        ),
        (
            "--now 1700000000 --type at+jwt",
            "the token is of another type",
        ),
    ] {
        assert_refused(&folder, &format!("--jwks set.json {args} {token}"), why);
    }
}

#[test]
fn a_key_is_a_pem_a_jwk_or_the_text_of_a_secret() {
    let folder = folder(&[Algorithm::RS256]);
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let key = SigningKey::generate(Algorithm::RS256).unwrap();
    let base64 = base64_simd::STANDARD.encode_to_string(&*key.private_bytes().unwrap());
    write(
        "private.pem",
        &format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n"),
    );
    let secret = "a secret of thirty-two characters";
    write("secret.txt", &format!("{secret}\n"));

    let token = mint(&folder, "--key private.pem --algorithm PS256");
    let verify = format!("--key private.pem {NOW} {token}");
    let verified = format!("token verify --algorithm PS256 {verify}");
    assert_eq!(keyward(folder.path(), &verified).fine().trim(), CLAIMS);
    let refusal = reason(&folder, &verify);
    assert!(refusal.contains("Name it with --algorithm"), "{refusal}");
    let refusal = reason(&folder, &format!("--algorithm RS256 {verify}"));
    assert_eq!(refusal, "the token is not signed with RS256");

    let token = mint(&folder, "--key secret.txt --algorithm HS256");
    let of_bytes = SigningKey::from_secret(Algorithm::HS256, secret.as_bytes()).unwrap();
    let header = of_bytes.header(Some("JWT"));
    assert_eq!(token, of_bytes.sign(&header, CLAIMS.as_bytes()).unwrap());
    let verify = format!("token verify --key secret.txt --algorithm HS256 {NOW} {token}");
    assert_eq!(keyward(folder.path(), &verify).fine().trim(), CLAIMS);
}

#[test]
fn a_public_key_is_no_secret_and_a_weak_one_is_not_used() {
    let folder = folder(&[Algorithm::RS256]);
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let set = fs::read_to_string(folder.path().join("set.json")).unwrap();
    let set: Value = serde_json::from_str(&set).unwrap();
    let public = set["keys"][0].to_string();
    write("public.jwk", &public);
    write("quoted.txt", &Value::from(&*public).to_string());
    write("short.txt", "short");
    let token = mint(&folder, "--key RS256.jwk");
    for (args, why) in [
        (
            "--key public.jwk --algorithm HS256",
            "not meant to verify signatures of this kind",
        ),
        (
            "--key quoted.txt --algorithm HS256",
            "keys of this kind are not supported",
        ),
        ("--key short.txt --algorithm HS256", "shorter than the hash"),
        ("--key set.json", "give it with --jwks"),
        ("--key missing.txt", "cannot be read"),
        ("--jwks RS256.jwk", "is not a JSON Web Key Set"),
    ] {
        let refusal = reason(&folder, &format!("{args} {token}"));
        assert!(refusal.contains(why), "{why} is not in {refusal}");
    }
    let mint = "token mint --claims claims.json --key public.jwk";
    let refusal = keyward(folder.path(), mint).failed(1);
    assert!(refusal.contains("cannot sign"), "{refusal}");
    write(
        "set.json",
        &format!(
            r#"{{"keys":[{}]}}"#,
            fs::read_to_string(folder.path().join("RS256.jwk")).unwrap()
        ),
    );
    let refusal = reason(&folder, &format!("--jwks set.json {token}"));
    assert!(refusal.contains("private key"), "{refusal}");
}

#[test]
fn a_key_without_a_name_verifies_a_token_that_names_one() {
    let folder = folder(&[Algorithm::ES384]);
    let token = mint(&folder, "--key ES384.jwk");
    let jwk = fs::read_to_string(folder.path().join("ES384.jwk")).unwrap();
    let mut jwk: Value = serde_json::from_str(&jwk).unwrap();
    jwk.as_object_mut().unwrap().remove("kid");
    fs::write(folder.path().join("unnamed.jwk"), jwk.to_string()).unwrap();
    let verify = format!("token verify --key unnamed.jwk {NOW} {token}");
    keyward(folder.path(), &verify).fine();
    jwk["kid"] = "another".into();
    fs::write(folder.path().join("renamed.jwk"), jwk.to_string()).unwrap();
    let refusal = reason(&folder, &format!("--key renamed.jwk {NOW} {token}"));
    assert!(refusal.contains("\"another\""), "{refusal}");
}

#[test]
fn only_a_strict_json_object_is_signed() {
    let folder = folder(&[Algorithm::EdDSA]);
    for claims in ["", "[]", "{", r#"{"a":1,"a":2}"#] {
        let mint = "token mint --claims - --key EdDSA.jwk";
        keyward_with(folder.path(), mint, &[], claims).failed(1);
    }
    let mint = "token mint --claims - --key EdDSA.jwk --json";
    let minted = keyward_with(folder.path(), mint, &[], "{ }\n").json();
    let token = minted["token"].as_str().unwrap();
    assert_eq!(token.split('.').nth(1), Some(&*base64url::encode("{ }")));
}

#[test]
fn contradictory_flags_are_wrong_use() {
    let folder = folder(&[Algorithm::ES256]);
    for args in [
        "verify --issuer a x",
        "verify --now 1 x",
        "verify --algorithm ES256 x",
        "verify --jwks set.json --key ES256.jwk x",
        "verify --key ES256.jwk --algorithm none x",
        "verify --key ES256.jwk --now yesterday x",
        "verify --key ES256.jwk",
        "mint",
        "mint --claims claims.json",
        "mint --key ES256.jwk",
        "mint --account a --key ES256.jwk",
        "mint --account a --claims claims.json --key ES256.jwk",
        "mint --claims claims.json --key ES256.jwk --ttl 1m",
    ] {
        keyward(folder.path(), &format!("token {args}")).failed(2);
    }
}

/// Answers one request on a port of this machine, and returns its head.
fn answer_once(answer: String) -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        // A client that has read enough has left.
        let _ = stream.write_all(answer.as_bytes());
        String::from_utf8(head).unwrap()
    });
    (port, served)
}

fn http(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}")
}

#[test]
fn a_key_set_is_fetched_from_a_url() {
    let folder = folder(&[Algorithm::ES256]);
    let set = fs::read_to_string(folder.path().join("set.json")).unwrap();
    let token = mint(&folder, "--key ES256.jwk");
    let verify = |answer: String| {
        let (port, served) = answer_once(answer);
        let args = format!("--jwks http://127.0.0.1:{port}/keys?v=1 {NOW} {token}");
        let ended = keyward(folder.path(), &format!("token verify {args}"));
        (ended, served.join().unwrap().to_lowercase())
    };
    let (ended, head) = verify(http("200 OK", &set));
    assert_eq!(ended.fine().trim(), CLAIMS);
    assert!(head.starts_with("get /keys?v=1 http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nhost: 127.0.0.1:"), "{head}");

    let elsewhere = "HTTP/1.1 302 Found\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n";
    for (answer, why) in [
        (http("404 Not Found", ""), "404 Not Found"),
        (elsewhere.to_owned(), "302 Found"),
        (http("200 OK", "<html>"), "is not a JSON Web Key Set"),
        (
            http("200 OK", &" ".repeat(KeySet::LONGEST + 2)),
            "no whole answer",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_owned(),
            "no whole answer",
        ),
        (String::new(), "no whole answer"),
    ] {
        let (ended, _) = verify(answer);
        let refusal = ended.failed(1);
        assert!(refusal.contains(why), "{why} is not in {refusal}");
    }
}

#[test]
fn keys_are_not_fetched_over_a_connection_that_others_can_change() {
    let folder = folder(&[Algorithm::ES256]);
    for (url, why) in [
        ("http://id.example/jwks.json", "give an https URL"),
        ("http://192.0.2.1/jwks.json", "give an https URL"),
        ("http://localhost.example/jwks.json", "give an https URL"),
        ("ftp://id.example/jwks.json", "give an https URL"),
        ("file:///etc/passwd", "no URL"),
        ("https://", "no URL"),
    ] {
        let refusal = reason(&folder, &format!("--jwks {url} a.b.c"));
        assert!(refusal.contains(why), "{why} is not in {refusal}");
    }
}

#[test]
fn a_certificate_is_checked_before_keys_are_fetched() {
    let (folder, issued) = (folder(&[Algorithm::ES256]), Issued::new());
    let data = TempDir::new().unwrap();
    let server = tls::start(data.path(), &issued, &[]);
    let port = tls::address(&server).port();
    let trusted = folder.path().join("trusted.pem");
    let verify = |certificate: &str, host: &str| {
        fs::write(&trusted, certificate).unwrap();
        let env = [("SSL_CERT_FILE", path(&trusted))];
        let args = format!("token verify --jwks https://{host}:{port}/health/live a.b.c");
        keyward_with(folder.path(), &args, &env, "").failed(1)
    };
    let refusal = verify(&Issued::new().certificate, "localhost");
    assert!(refusal.contains("no secure connection"), "{refusal}");
    // The certificate is for localhost.
    let refusal = verify(&issued.certificate, "127.0.0.1");
    assert!(refusal.contains("no secure connection"), "{refusal}");
    let refusal = verify(&issued.certificate, "localhost");
    assert!(refusal.contains("not a JSON Web Key Set"), "{refusal}");
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A token with a signature of so many bytes.
fn unsigned(header: &str, claims: &str, signature: usize) -> String {
    [header.as_bytes(), claims.as_bytes(), &vec![7; signature]]
        .map(base64url::encode)
        .join(".")
}

/// Asserts that `token inspect` shows all parts of a token and finds these problems and no others.
fn assert_problems(folder: &TempDir, token: &str, problems: &[&str]) {
    let shown = keyward(folder.path(), &format!("token inspect {token}")).fine();
    for part in ["header", "claims", "signature"] {
        let part = format!("{part} (not verified): ");
        assert!(shown.contains(&part), "{part} is not in {shown}");
    }
    let lines = shown.lines();
    let found: Vec<_> = lines.filter(|line| line.starts_with("problem: ")).collect();
    assert_eq!(found.len(), problems.len(), "{shown}");
    for (found, problem) in found.iter().zip(problems) {
        assert!(found.contains(problem), "{problem} is not in {found}");
    }
}

#[test]
fn inspecting_finds_what_is_wrong_with_a_header_and_a_signature() {
    let folder = TempDir::new().unwrap();
    for (header, length, problems) in [
        (r#"{"alg":"ES256"}"#, 64, &[][..]),
        (r#"{"alg":"none"}"#, 0, &["alg is none"]),
        (r#"{"alg":"ES256K"}"#, 64, &["alg \"ES256K\" is not known"]),
        ("{}", 64, &["no alg"]),
        (r#"{"alg":"ES256","kid":1}"#, 64, &["is not a string"]),
        (r#"{"alg":"ES256","crit":["x"]}"#, 64, &["crit or b64"]),
        (
            r#"{"alg":"ES256","jku":"https://a","jwk":{}}"#,
            64,
            &["has jku", "has jwk"],
        ),
        (r#"{"alg":"ES256"}"#, 0, &["is empty"]),
        (
            r#"{"alg":"HS256"}"#,
            64,
            &["has 64 bytes, and one of HS256 has 32"],
        ),
        (r#"{"alg":"RS256"}"#, 255, &["one of RS256 has 256"]),
        (r#"{"alg":"RS256"}"#, 512, &[]),
    ] {
        let token = unsigned(header, r#"{"exp":4000000000}"#, length);
        assert_problems(&folder, &token, problems);
    }
    let message = unsigned(r#"{"alg":"ES256"}"#, r#"{"exp":4000000000}"#, 0);
    let der = base64url::encode([&[0x30, 69][..], &[2; 69]].concat());
    assert_problems(&folder, &format!("{message}{der}"), &["in DER"]);
}

#[test]
fn inspecting_finds_what_is_wrong_with_claims() {
    let folder = TempDir::new().unwrap();
    for (claims, problems) in [
        ("{}", &["no exp"][..]),
        (r#"{"exp":1}"#, &["expired at 1970-01-01T00:00:01.000Z"]),
        (r#"{"exp":4000000000000}"#, &["milliseconds"]),
        (r#"{"exp":"4000000000"}"#, &["exp is not a whole number"]),
        (r#"{"exp":4e9}"#, &["exp is not a whole number"]),
        (
            r#"{"exp":4000000000,"nbf":3999999999,"iat":3999999998,"aud":1,"sub":2}"#,
            &[
                "not valid before",
                "issued in the future",
                "aud is neither",
                "sub is not a string",
            ],
        ),
        (r#"{"exp":4000000000,"aud":["a"],"iss":"i"}"#, &[]),
    ] {
        assert_problems(
            &folder,
            &unsigned(r#"{"alg":"ES256"}"#, claims, 64),
            problems,
        );
    }
}

#[test]
fn inspecting_shows_what_can_be_read_of_a_text_that_is_no_token() {
    let folder = TempDir::new().unwrap();
    let good = unsigned(r#"{"alg":"ES256"}"#, r#"{"exp":4000000000}"#, 64);
    let (header, rest) = good.split_once('.').unwrap();
    for (token, problem) in [
        (format!("{header}=.{rest}"), "the header has padding"),
        (format!("{header}.+/.AA"), "the payload is base64"),
        (format!("{header}.AB.AA"), "the payload is not canonical"),
        (
            format!("{header}.{}.AA", base64url::encode("{\"a\":1,\"a\":2}")),
            "the payload is not strict JSON",
        ),
        (
            format!("{header}.{}.AA", base64url::encode("[]")),
            "the payload is not a JSON object",
        ),
        (
            format!("{header}.e30"),
            "the number of segments is 2, not 3",
        ),
        (format!("{header}.e30.e30.e30.e30"), "encrypted"),
        (
            format!("{header}.e30.e30.e30.e30.e30.e30"),
            "more than five segments",
        ),
        (format!("Bearer {good}"), "without `Bearer`"),
    ] {
        let shown = keyward_with(folder.path(), "token inspect", &[], &token);
        assert!(
            shown.stdout.contains(problem),
            "{problem} is not in {shown:?}"
        );
        assert!(shown.failed(1).contains("no well-formed JWT"));
    }
    let shown = keyward(folder.path(), &format!("token inspect --json {good}")).json();
    assert_eq!(
        shown,
        json!({
            "verified": false, "header": {"alg": "ES256"}, "claims": {"exp": 4_000_000_000_u32},
            "signature_bytes": 64, "problems": [],
        })
    );
}
