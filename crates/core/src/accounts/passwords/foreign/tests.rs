//! Hashes that the services themselves made, damaged and hostile ones, whatever else a text may be.

use std::sync::Arc;

use argon2::Params;
use proptest::prelude::*;

use super::super::{Measured, Passwords, Policy, Verdict, Worker, is_known_format};
use crate::random::SeededRandom;
use crate::secret::{Password, SecretText};

const POLICY: Policy = Policy {
    memory_kib: 64,
    passes: 1,
    threads: 2,
    queue: 16,
};

/// The passwords of the pairs; `long` has 1,000 characters, `b72` and `b73` as many bytes.
fn words() -> Vec<(&'static str, String)> {
    vec![
        ("plain", "test123".into()),
        ("nfc", "p\u{e4}ss".into()),
        ("nfd", "pa\u{308}ss".into()),
        ("nul", "a\0b".into()),
        ("long", "0123456789".repeat(100)),
        ("b72", "é".repeat(36)),
        ("b73", "é".repeat(36) + "x"),
        ("upper", "TEST123".into()),
        ("cut", "a".into()),
        ("repeated", "a\0a".into()),
    ]
}

fn word(name: &str) -> String {
    let found = words().into_iter().find(|(known, _)| *known == name);
    found.expect("a known password").1
}

fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    include_str!("pairs.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').expect("a name and a hash"))
}

fn passwords() -> Passwords {
    Passwords::start(POLICY, Arc::new(SeededRandom::new(1))).expect("hashing threads")
}

async fn verdict(passwords: &Passwords, password: &str, stored: &str) -> Verdict {
    let password = Password::new(password.to_owned()).expect("password");
    let stored = SecretText::new(stored.to_owned());
    passwords.verify(password, stored).await.expect("verdict")
}

#[tokio::test]
async fn every_hash_of_another_service_matches_its_password_alone_and_is_outdated() {
    let passwords = passwords();
    for (owner, stored) in pairs() {
        assert!(is_known_format(stored), "{stored}");
        for (name, password) in words() {
            // bcrypt itself cannot tell these two apart.
            let cut = stored.starts_with("$2") && (owner, name) == ("b72", "b73");
            let expected = match name == owner || cut {
                true => Verdict::Outdated,
                false => Verdict::Wrong,
            };
            let found = verdict(&passwords, &password, stored).await;
            assert_eq!(found, expected, "{name}: {stored}");
        }
    }
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "vectors are found by the environment, in tests"
)]
async fn the_golden_password_hash_matches() {
    let Ok(folder) = std::env::var("KEYWARD_SHARED") else {
        eprintln!("skipped: the golden password hash: KEYWARD_SHARED is not set");
        return;
    };
    let text = std::fs::read_to_string(format!("{folder}/contracts/vectors.json")).expect("file");
    let vectors: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let vector = &vectors["directory"]["password_hash"];
    let [password, stored] = ["password", "hash"].map(|name| vector[name].as_str().expect(name));
    let passwords = passwords();
    for (password, expected) in [(password, Verdict::Outdated), ("test124", Verdict::Wrong)] {
        assert_eq!(
            verdict(&passwords, password, stored).await,
            expected,
            "{password}"
        );
    }
}

#[tokio::test]
async fn a_policy_hash_from_elsewhere_is_right_and_behind_a_prefix_outdated() {
    let stored = "$argon2id$v=19$m=64,t=1,p=1$2D/ufqSJeHX38bN9gN7Dmw$\
                  OdGQn86F9f11WSPgBwakgGEUj2tk9vCwChSe3BcDbYo";
    let passwords = passwords();
    for (prefix, expected) in [
        ("", Verdict::Right),
        ("argon2", Verdict::Outdated),
        ("argon2$", Verdict::Wrong),
        ("django", Verdict::Wrong),
    ] {
        let stored = format!("{prefix}{stored}");
        assert_eq!(
            verdict(&passwords, "test123", &stored).await,
            expected,
            "{stored}"
        );
    }
}

#[tokio::test]
async fn bcrypt_counts_the_first_72_bytes_and_refuses_a_nul_among_them() {
    const LONG: &str = "$2b$04$OY7Ql1Gs5XYS.KP4vzN1qOIkR/EfQA12JUTyrrAK1pSRLs5WXerni";
    let passwords = passwords();
    let b72 = word("b72");
    // bcrypt itself matches each of these.
    for (password, stored, expected) in [
        (word("b73"), LONG, Verdict::Outdated),
        (b72.clone(), LONG, Verdict::Outdated),
        (format!("{b72}another end"), LONG, Verdict::Outdated),
        (b72[..70].to_owned(), LONG, Verdict::Wrong),
        (
            word("nul"),
            "$2b$04$vbN.mhyAugC/hYwtNtpLJuHehqu2y.D1Xxi7JfsSXuN8WzsQSr9Iy",
            Verdict::Wrong,
        ),
        (
            word("repeated"),
            "$2b$04$T3B3fwR4IHG4GTK6JKguK.T0c3wmidUN7Vrr.B4GmKj4fb0cEvcDe",
            Verdict::Wrong,
        ),
    ] {
        assert!(is_known_format(stored), "{stored}");
        let found = verdict(&passwords, &password, stored).await;
        assert_eq!(found, expected, "{password:?}");
    }
}

#[tokio::test]
async fn a_long_password_under_many_rounds_is_wrong_without_computing() {
    // True at 3 * 10^8 bytes of work.
    let stored = "$5$rounds=300000$Lkv4C0Z./rv5E7Ew$9TpZ9TOuX982ON0on2BSEUexCIHND8q5KyrU7OMpUeC";
    let found = verdict(&passwords(), &word("long"), stored).await;
    assert_eq!(found, Verdict::Wrong);
}

#[tokio::test]
async fn damaged_hashes_are_wrong() {
    let passwords = passwords();
    for (owner, stored) in pairs() {
        let shorter = stored[..stored.len() - 2].to_owned();
        let hex = stored.rsplit('$').next().expect("digest");
        let mut damaged = vec![
            shorter,
            stored[..stored.len() - 1].to_owned(),
            format!("{stored}00"),
            format!("{stored}$"),
            format!(" {stored}"),
            format!("{stored}\n"),
            stored.replacen('$', "$$", 1),
            stored.replacen('$', "$é", 2),
        ];
        let is_hex = hex.len() >= 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex {
            damaged.push(stored.replace(hex, &hex.to_uppercase()));
        }
        for damaged in damaged {
            assert_eq!(
                verdict(&passwords, &word(owner), &damaged).await,
                Verdict::Wrong,
                "{damaged:?}"
            );
        }
    }
}

/// Texts at a cap and, one step on, past it.
fn costs() -> Vec<[String; 2]> {
    let (hex, base64) = ("0".repeat(128), "A".repeat(43));
    let wide = format!("{}==", "A".repeat(86));
    let bcrypt = format!("$2b$04${}", ".".repeat(53));
    vec![
        [15, 16].map(|cost| bcrypt.replace("04", &cost.to_string())),
        ["04", "03"].map(|cost| bcrypt.replace("04", cost)),
        [1 << 18, 1 << 19].map(|n| format!("scrypt:{n}:8:1$salt${hex}")),
        [1 << 18, 1 << 30].map(|n| format!("scrypt:{n}:8:1$salt${hex}")),
        [8, 9].map(|r| format!("scrypt:262144:{r}:1$salt${hex}")),
        [64, 65].map(|p| format!("scrypt:4096:8:{p}$salt${hex}")),
        [2, 1].map(|n| format!("scrypt:{n}:8:1$salt${hex}")),
        [4, 3].map(|n| format!("scrypt:{n}:8:1$salt${hex}")),
        ["8:1", "0:1"].map(|rest| format!("scrypt:16:{rest}$salt${hex}")),
        ["8:1", "8:0"].map(|rest| format!("scrypt:16:{rest}$salt${hex}")),
        ["8:1", "4294967295:4294967295"].map(|rest| format!("scrypt:16:{rest}$salt${hex}")),
        [5_000_000, 5_000_001].map(|count| format!("pbkdf2:sha512:{count}$salt${hex}")),
        [1, 100_000_000_000_u64].map(|count| format!("pbkdf2:sha512:{count}$salt${hex}")),
        ["1", "0"].map(|count| format!("pbkdf2:sha512:{count}$salt${hex}")),
        [5_000_000, 5_000_001].map(|count| format!("$pbkdf2-sha256${count}$c2FsdA${base64}")),
        [5_000_000, 5_000_001].map(|count| format!("pbkdf2_sha256${count}$salt${base64}=")),
        [18, 19].map(|log| format!("$scrypt$ln={log},r=8,p=1$c2FsdA${base64}")),
        [18, 33].map(|log| format!("$scrypt$ln={log},r=8,p=1$c2FsdA${base64}")),
        [1 << 18, 1 << 19].map(|n| format!("scrypt${n}$salt$8$1${wide}")),
        [1_000_000, 1_000_001].map(|rounds| format!("$5$rounds={rounds}$salt${base64}")),
        [1_000, 999].map(|rounds| format!("$5$rounds={rounds}$salt${base64}")),
        [1 << 18, (1 << 18) + 1]
            .map(|m| format!("$argon2i$v=19$m={m},t=1,p=1$c2FsdHNhbHQ${base64}")),
        [64, 1_u64 << 32].map(|m| format!("$argon2id$v=19$m={m},t=1,p=1$c2FsdHNhbHQ${base64}")),
        [16, 17].map(|t| format!("$argon2d$v=19$m=64,t={t},p=1$c2FsdHNhbHQ${base64}")),
        [16, 17].map(|p| format!("$argon2id$v=19$m=256,t=1,p={p}$c2FsdHNhbHQ${base64}")),
        [15, 16].map(|r| {
            format!(
                "$bcrypt-sha256$v=2,t=2b,r={r}${}${}",
                ".".repeat(22),
                ".".repeat(31)
            )
        }),
    ]
}

/// Texts of a grammar and, one step on, outside it.
fn forms() -> Vec<[String; 2]> {
    let (hex, base64) = ("0".repeat(128), "A".repeat(43));
    let wide = format!("{}==", "A".repeat(86));
    let bcrypt = format!("$2b$04${}", ".".repeat(53));
    vec![
        ["04", "+4"].map(|cost| bcrypt.replace("04", cost)),
        ["2a", "2x"].map(|kind| bcrypt.replace("2b", kind)),
        ["s", ""].map(|salt| format!("scrypt:16:8:1${salt}${hex}")),
        ["s", ""].map(|salt| format!("pbkdf2:sha512:1${salt}${hex}")),
        ["scrypt", "scrypt:"].map(|method| format!("{method}$salt${hex}")),
        ["pbkdf2:sha512:1", "pbkdf2:sha512"].map(|method| format!("{method}$salt${hex}")),
        ["sha512", "plain"].map(|method| format!("{method}$salt${hex}")),
        ["c2F.", "c2F+"].map(|salt| format!("$pbkdf2-sha256$1${salt}${base64}")),
        [16, 17].map(|length| format!("$5${}${base64}", "s".repeat(length))),
        [1, 0].map(|length| format!("$5${}${base64}", "s".repeat(length))),
        ["v=19$", ""].map(|v| format!("$argon2id${v}m=64,t=1,p=1$c2FsdHNhbHQ${base64}")),
        [2, 1].map(|v| {
            format!(
                "$bcrypt-sha256$v={v},t=2b,r=4${}${}",
                ".".repeat(22),
                ".".repeat(31)
            )
        }),
        [43, 0].map(|length| format!("$scrypt$ln=4,r=8,p=1$c2FsdA${}", &base64[..length])),
        [43, 42].map(|length| format!("$scrypt$ln=4,r=8,p=1$c2FsdA${}", &base64[..length])),
        [88, 0].map(|length| format!("scrypt$16$salt$8$1${}", &wide[..length])),
        [88, 84].map(|length| format!("scrypt$16$salt$8$1${}", &wide[..length])),
        [128, 0].map(|length| format!("scrypt:16:8:1$salt${}", &hex[..length])),
        [128, 126].map(|length| format!("pbkdf2:sha512:1$salt${}", &hex[..length])),
        [128, 126].map(|length| format!("sha512$salt${}", &hex[..length])),
        [22, 20].map(|length| {
            format!(
                "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ${}",
                &base64[..length]
            )
        }),
        [86, 87].map(|length| {
            format!(
                "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ${}",
                "A".repeat(length)
            )
        }),
        [11, 10].map(|length| {
            format!(
                "$argon2id$v=19$m=64,t=1,p=1${}${base64}",
                "A".repeat(length)
            )
        }),
        [888, 889].map(|length| format!("sha512${}${hex}", "s".repeat(length))),
    ]
}

#[tokio::test]
async fn what_asks_for_more_than_the_caps_or_breaks_the_grammar_is_unknown_and_wrong() {
    let passwords = passwords();
    for [known, unknown] in costs().into_iter().chain(forms()) {
        assert!(is_known_format(&known), "{known}");
        assert!(!is_known_format(&unknown), "{unknown}");
        assert_eq!(
            verdict(&passwords, "x", &unknown).await,
            Verdict::Wrong,
            "{unknown}"
        );
    }
}

proptest! {
    #[test]
    fn no_text_is_known_by_chance_or_makes_reading_panic(text in "\\PC*") {
        prop_assert!(!is_known_format(&text));
    }

    #[test]
    fn no_text_of_the_grammars_own_characters_makes_reading_panic(
        start in prop::sample::select(vec![
            "", "scrypt", "scrypt:", "pbkdf2:", "md5$", "$2b$", "$argon2id$v=19$m=", "argon2$", "$5$",
            "$6$rounds=", "$scrypt$ln=", "$pbkdf2-sha256$", "$bcrypt-sha256$v=2,t=2b,r=",
            "pbkdf2_sha256$", "scrypt$", "bcrypt_sha256$",
        ]),
        rest in "[$:,=.+/a-z0-9é\0]{0,80}",
    ) {
        let _ = is_known_format(&format!("{start}{rest}"));
    }

    #[test]
    fn no_changed_character_makes_checking_panic_or_match(
        row in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        // A digit could make the hash costly; `$2a$`, `$2b$` and `$2y$` are equal.
        other in any::<char>().prop_filter("telling", |other| !"0123456789aby".contains(*other)),
    ) {
        let rows: Vec<_> = pairs().collect();
        let (owner, stored) = row.get(&rows);
        let place = place.index(stored.len());
        let changed = format!("{}{other}{}", &stored[..place], &stored[place + 1..]);
        prop_assume!(changed != *stored);
        let mut worker = Worker::new(Params::new(64, 1, 1, None).expect("parameters"), Arc::default(), Measured::new());
        let password = Password::new(word(owner)).expect("password");
        prop_assert_eq!(worker.check(&password, Some(&changed)), Verdict::Wrong, "{}", changed);
    }
}
