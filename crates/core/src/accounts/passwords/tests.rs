//! Passwords on their threads: verdicts, costs, the bound of the queue.

use std::sync::Arc;

use argon2::Params;
use metrics_exporter_prometheus::PrometheusBuilder;

use super::{Busy, Measured, Passwords, Policy, Verdict, Worker};
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
async fn a_hash_of_other_costs_than_the_policys_is_outdated_in_both_directions() {
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
    let verdict = weak.verify(password("x"), hash.clone()).await;
    assert_eq!(verdict, Ok(Verdict::Outdated));
    assert_eq!(strong.verify(password("x"), hash).await, Ok(Verdict::Right));
}

/// The work of a check, in blocks of memory filled.
async fn work_of(passwords: &Passwords, stored: Option<&str>) -> u64 {
    let before = passwords.work_done();
    match stored {
        None => passwords.hash_dummy(password("x")).await.expect("done"),
        Some(stored) => {
            let stored = SecretText::new(stored.to_owned());
            let verdict = passwords.verify(password("x"), stored).await;
            assert_eq!(verdict, Ok(Verdict::Wrong));
        }
    }
    passwords.work_done() - before
}

#[tokio::test]
async fn every_check_takes_the_same_work_whatever_is_stored() {
    let tag = "A".repeat(43);
    let argon2 = |costs: &str| format!("$argon2id$v=19${costs}$c2FsdHNhbHRzYWx0${tag}");
    let md5 = format!("md5$salt${}", "0".repeat(32));
    let bcrypt = "$2b$04$abcdefghijklmnopqrstuuTu7vbW4TnQzDx9jbRUjUFqaLTN6bPSC";
    for (memory_kib, passes) in [(64, 1), (64, 5), (4_096, 2)] {
        let policy = Policy {
            memory_kib,
            passes,
            ..CHEAP
        };
        let passwords = passwords(policy);
        let of_policy = u64::from(memory_kib) * u64::from(passes);
        // The dearest is known by how it begins, before it is ever checked.
        let costs = [
            ("m=8,t=1,p=1", 8),
            ("m=64,t=1,p=1", 64),
            ("m=68,t=3,p=1", 204),
            ("m=512,t=4,p=4", 2_048),
        ];
        for known in [None, Some("m=512,t=4,p=4"), Some("m=4096,t=3,p=1")] {
            if let Some(known) = known {
                let beginning = argon2(known);
                passwords.learn(&format!("argon2{}", &beginning[..40]));
            }
            let expected = match known {
                None => of_policy,
                Some("m=512,t=4,p=4") => of_policy.max(2_048),
                Some(_) => of_policy.max(12_288),
            };
            let mut stored: Vec<Option<String>> = vec![None, Some(String::new())];
            stored.extend([Some(md5.clone()), Some(bcrypt.to_owned())]);
            let no_dearer = costs.iter().filter(|(_, work)| *work <= expected);
            stored.extend(no_dearer.map(|(costs, _)| Some(argon2(costs))));
            for stored in stored {
                let foreign = stored.as_deref() == Some(bcrypt);
                let work = work_of(&passwords, stored.as_deref()).await;
                // Other services' formats are estimated, and what is dearer stays so.
                let expected = if foreign {
                    expected.max(1_024)
                } else {
                    expected
                };
                // To within the least that Argon2 can fill.
                let apart = work.abs_diff(expected);
                assert!(apart < 8, "{stored:?}: {work}, not {expected}");
            }
        }
    }
}

#[tokio::test]
async fn a_dearer_hash_that_is_checked_is_learnt() {
    let passwords = passwords(CHEAP);
    assert_eq!(work_of(&passwords, None).await, 64);
    let tag = "A".repeat(43);
    let dear = format!("$argon2id$v=19$m=128,t=3,p=1$c2FsdHNhbHRzYWx0${tag}");
    assert_eq!(work_of(&passwords, Some(&dear)).await, 384);
    assert_eq!(work_of(&passwords, None).await, 384);
}

#[tokio::test]
async fn hostile_and_malformed_hashes_are_wrong_and_cost_what_every_check_does() {
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
        passwords.learn(&stored);
        assert_eq!(work_of(&passwords, Some(&stored)).await, 64, "{stored}");
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
    let recorder = PrometheusBuilder::new().build_recorder();
    let passwords = metrics::with_local_recorder(&recorder, || passwords(slow));
    let burst = (0..64).map(|_| passwords.hash(password("x")));
    let answers = futures_util::future::join_all(burst).await;
    let done = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers
        .iter()
        .filter(|answer| matches!(answer, Err(Busy)))
        .count();
    assert!(done >= 2, "what was queued is done: {done}");
    assert!(refused >= 32, "what did not fit is refused: {refused}");
    let text = recorder.handle().render();
    for line in [
        format!("keyward_password_queue_refused_total {refused}"),
        "keyward_password_queue_length 0".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[test]
fn memory_that_a_costly_hash_needed_is_given_back() {
    let params = Params::new(64, 1, 1, None).expect("parameters");
    let mut worker = Worker::new(params, Arc::default(), Measured::new());
    let tag = "A".repeat(43);
    let stored = format!("$argon2d$v=19$m=8192,t=1,p=2$c2FsdHNhbHRzYWx0${tag}");
    assert_eq!(worker.check(&password("x"), Some(&stored)), Verdict::Wrong);
    assert!(
        worker.memory.capacity() <= 64,
        "{}",
        worker.memory.capacity()
    );
    assert!(worker.hash(&password("x"), &[0; 16]).is_some());
    assert_eq!(worker.memory.len(), 64);
}
