//! Passwords on their threads: verdicts, costs, the bound of the queue.

use std::sync::Arc;

use argon2::Params;

use super::{Busy, Passwords, Policy, Verdict, Worker};
use crate::random::SeededRandom;
use crate::secret::{Password, SecretText};

fn passwords(policy: Policy) -> Passwords {
    Passwords::start(policy, Arc::new(SeededRandom::new(1))).expect("hashing threads")
}

const CHEAP: Policy = Policy {
    memory_kib: 64,
    passes: 1,
    threads: 2,
    queue: 16,
};

fn password(text: &str) -> Password {
    Password::new(text.to_owned()).expect("password")
}

#[tokio::test]
async fn a_password_is_right_only_byte_for_byte() {
    let passwords = passwords(CHEAP);
    let hash = passwords.hash(password("pässword\0 ")).await.expect("hash");
    assert!(hash.expose().starts_with("$argon2id$v=19$m=64,t=1,p=1$"));
    for (text, verdict) in [
        ("pässword\0 ", Verdict::Right),
        ("pässword\0", Verdict::Wrong),
        ("pa\u{308}ssword\0 ", Verdict::Wrong),
        ("Pässword\0 ", Verdict::Wrong),
    ] {
        assert_eq!(
            passwords.verify(password(text), hash.clone()).await,
            Ok(verdict),
            "{text:?}"
        );
    }
}

#[tokio::test]
async fn a_hash_of_a_weaker_policy_is_outdated_and_of_a_stronger_one_is_right() {
    let (weak, strong) = (
        passwords(CHEAP),
        passwords(Policy {
            memory_kib: 128,
            ..CHEAP
        }),
    );
    let hash = weak.hash(password("x")).await.expect("hash");
    assert_eq!(
        strong.verify(password("x"), hash).await,
        Ok(Verdict::Outdated)
    );
    let hash = strong.hash(password("x")).await.expect("hash");
    assert_eq!(weak.verify(password("x"), hash).await, Ok(Verdict::Right));
}

#[tokio::test]
async fn hostile_and_malformed_hashes_are_wrong_and_cost_nothing() {
    let passwords = passwords(CHEAP);
    let tag = "A".repeat(43);
    let salt = "c2FsdHNhbHRzYWx0";
    for stored in [
        String::new(),
        format!("$argon2id$v=19$m=4294967295,t=1,p=1${salt}${tag}"),
        format!("$argon2id$v=19$m=64,t=100000,p=1${salt}${tag}"),
        format!("$argon2id$v=19$m=64,t=1,p=255${salt}${tag}"),
        format!("$argon2id$v=19$m=064,t=1,p=1${salt}${tag}"),
        format!("$argon2id$m=64,t=1,p=1${salt}${tag}"),
        format!("$argon2id$v=19$m=64,t=1,p=1${salt}$"),
        format!("$argon2id$v=19$m=64,t=1,p=1$é${tag}"),
        "x".repeat(5_000),
    ] {
        let verdict = passwords
            .verify(password("x"), SecretText::new(stored.clone()))
            .await;
        assert_eq!(verdict, Ok(Verdict::Wrong), "{stored}");
    }
}

#[test]
fn a_policy_whose_hashes_could_not_be_read_back_is_refused() {
    let most = Policy {
        memory_kib: 256 * 1_024,
        passes: 16,
        ..CHEAP
    };
    let start = |policy| Passwords::start(policy, Arc::new(SeededRandom::new(1))).is_ok();
    assert!(start(most));
    assert!(!start(Policy {
        memory_kib: most.memory_kib + 1,
        ..most
    }));
    assert!(!start(Policy { passes: 17, ..most }));
}

#[tokio::test]
async fn what_does_not_fit_into_the_queue_is_refused_at_once() {
    let slow = Policy {
        memory_kib: 19_456,
        passes: 2,
        threads: 1,
        queue: 2,
    };
    let passwords = passwords(slow);
    let burst = (0..64).map(|_| passwords.hash(password("x")));
    let answers = futures_util::future::join_all(burst).await;
    let done = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers
        .iter()
        .filter(|answer| matches!(answer, Err(Busy)))
        .count();
    assert!(done >= 2, "what was queued is done: {done}");
    assert!(refused >= 32, "what did not fit is refused: {refused}");
}

#[test]
fn memory_that_a_costly_hash_needed_is_given_back() {
    let params = Params::new(64, 1, 1, None).expect("parameters");
    let mut worker = Worker::new(params, Arc::default());
    let tag = "A".repeat(43);
    let stored = format!("$argon2d$v=19$m=8192,t=1,p=2$c2FsdHNhbHRzYWx0${tag}");
    assert_eq!(worker.verify(&password("x"), &stored), Verdict::Wrong);
    assert!(
        worker.memory.capacity() <= 64,
        "{}",
        worker.memory.capacity()
    );
    assert!(worker.hash(&password("x"), &[0; 16]).is_some());
    assert_eq!(worker.memory.len(), 64);
}
