//! Micro-benchmarks: the codec compared with raw aws-lc-rs, the array, the closed sessions, and the group commit by the
//! number of waiting writes. Run `cargo bench -p keyward-bench`, optionally with `-- NAME`.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark may panic if its set-up fails"
)]

mod closed;
mod own_keys;
mod public_keys;

use std::sync::Arc;

use aws_lc_rs::hmac;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use keyward_core::clock::Timestamp;
use keyward_core::customers::{Details, Store};
use keyward_core::random::SystemRandom;
use keyward_core::vectors;
use keyward_jose::claims::Registered;
use keyward_jose::hmac::HmacKey;
use keyward_jose::jws::{self, Compact, EncodedHeader, Limits};
use keyward_jose::{Algorithm, SuppliedKey, base64url};
use keyward_store::sqlite::{Options, Sqlite};

const CLAIMS: &str = r#"{"sub":"42","email":"ada@example.com","iat":1594212949,"exp":1594213549,"jti":"0123456789abcdef0123456789abcdef","sid":7}"#;
const ALGORITHMS: [&str; 3] = ["HS256", "HS384", "HS512"];

fn main() {
    closed::print_memory();
    divan::main();
}

struct Signer {
    key: HmacKey,
    raw: hmac::Key,
    header: EncodedHeader,
    token: String,
}

impl Signer {
    fn new(name: &str) -> Self {
        let algorithm = Algorithm::from_name(name).unwrap();
        let raw = match algorithm {
            Algorithm::HS256 => hmac::HMAC_SHA256,
            Algorithm::HS384 => hmac::HMAC_SHA384,
            _ => hmac::HMAC_SHA512,
        };
        let secret = [b'k'; 64];
        let key = HmacKey::new(algorithm, &secret).unwrap();
        let header = EncodedHeader::new(&format!(r#"{{"typ":"JWT","alg":"{name}"}}"#)).unwrap();
        let token = jws::sign(&key, &header, CLAIMS.as_bytes());
        let raw = hmac::Key::new(raw, &secret);
        Self {
            key,
            raw,
            header,
            token,
        }
    }

    fn message(&self) -> &[u8] {
        self.token.rsplit_once('.').unwrap().0.as_bytes()
    }
}

#[divan::bench(args = ALGORITHMS)]
fn sign(bencher: Bencher<'_, '_>, name: &str) {
    let signer = Signer::new(name);
    bencher.bench_local(|| jws::sign(&signer.key, &signer.header, black_box(CLAIMS).as_bytes()));
}

#[divan::bench(args = ALGORITHMS)]
fn sign_raw(bencher: Bencher<'_, '_>, name: &str) {
    let signer = Signer::new(name);
    bencher.bench_local(|| hmac::sign(&signer.raw, black_box(signer.message())));
}

#[divan::bench(args = ALGORITHMS)]
fn verify(bencher: Bencher<'_, '_>, name: &str) {
    let signer = Signer::new(name);
    let limits = Limits::default();
    bencher.bench_local(|| {
        jws::verify(
            black_box(&signer.token),
            &signer.key,
            &signer.header,
            &limits,
        )
        .unwrap()
    });
}

#[divan::bench(args = ALGORITHMS)]
fn verify_raw(bencher: Bencher<'_, '_>, name: &str) {
    let signer = Signer::new(name);
    let tag = hmac::sign(&signer.raw, signer.message());
    bencher.bench_local(|| {
        hmac::verify(&signer.raw, black_box(signer.message()), tag.as_ref()).unwrap();
    });
}

/// Verifies a notary's token with a supplied key: the work of `verifyToken` without HTTP.
#[divan::bench(args = ALGORITHMS)]
fn judge(bencher: Bencher<'_, '_>, name: &str) {
    let signer = Signer::new(name);
    let secret = "k".repeat(64);
    bencher.bench_local(|| {
        let token = Compact::parse(black_box(&signer.token), &Limits::default()).unwrap();
        SuppliedKey::parse(black_box(&secret))
            .unwrap()
            .verifies(&token)
    });
}

#[divan::bench]
fn claims() {
    let claims: Registered<'_> = serde_json::from_str(black_box(CLAIMS)).unwrap();
    black_box(claims);
}

#[divan::bench(args = [64, 1024])]
fn base64url_encode(bencher: Bencher<'_, '_>, length: usize) {
    let octets = vec![0x5a; length];
    let bencher = bencher.counter(BytesCount::new(length));
    bencher.bench_local(|| base64url::encode(black_box(&octets)));
}

#[divan::bench(args = [64, 1024])]
fn base64url_decode(bencher: Bencher<'_, '_>, length: usize) {
    let text = base64url::encode(vec![0x5a; length]);
    let bencher = bencher.counter(BytesCount::new(length));
    bencher.bench_local(|| base64url::decode(black_box(&text)).unwrap());
}

#[divan::bench(args = [500, 10_000])]
fn array(bencher: Bencher<'_, '_>, dimensions: usize) {
    let bencher = bencher.counter(ItemsCount::new(dimensions));
    bencher.bench_local(|| vectors::generate("a sentence", dimensions, None, &SystemRandom));
}

/// Concurrent inserts of that many clients. All share one synced commit.
#[divan::bench(args = [1, 8, 64, 512], sample_count = 20)]
fn group_commit(bencher: Bencher<'_, '_>, waiters: usize) {
    insert_at_once(bencher, waiters, Options::default());
}

/// The same inserts with a commit for each row.
#[divan::bench(args = [1, 8, 64, 512], sample_count = 20)]
fn commit_each(bencher: Bencher<'_, '_>, waiters: usize) {
    let options = Options {
        writes_per_commit: 1,
        ..Options::default()
    };
    insert_at_once(bencher, waiters, options);
}

fn insert_at_once(bencher: Bencher<'_, '_>, waiters: usize, options: Options) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Arc::new(Sqlite::open(&folder.path().join("rows.db"), options).unwrap());
    let details = Details {
        name: "Ada Lovelace".into(),
        born: "1815-12-10".parse().unwrap(),
        updated_at: Timestamp::from_seconds(1_594_212_949),
    };
    let bencher = bencher.counter(ItemsCount::new(waiters));
    bencher.bench_local(|| {
        runtime.block_on(async {
            let mut all = tokio::task::JoinSet::new();
            for _ in 0..waiters {
                let (store, details) = (store.clone(), details.clone());
                all.spawn(async move { store.create_customer(details).await.unwrap() });
            }
            while all.join_next().await.is_some() {}
        });
    });
}
