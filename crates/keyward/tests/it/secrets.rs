//! No secret is in what a server has logged. Every server of these tests is checked when it has ended.

use std::collections::BTreeSet;

/// A text that is this short may be part of a word of the program's own.
const SHORTEST: usize = 8;
/// What begins a secret that needs no list: password hashes and private keys.
const MARKS: [&str; 3] = ["$argon2", "PRIVATE KEY", "Bearer "];

/// What must not be logged.
#[derive(Debug, Default)]
pub(crate) struct Secrets(BTreeSet<String>);

impl Secrets {
    /// Adds a secret, unless it is too short to be told from other text.
    pub(crate) fn add(&mut self, secret: &str) {
        if secret.len() >= SHORTEST {
            self.0.insert(secret.to_owned());
        }
    }

    /// Why a log is not clean: the line, and what is wrong with it.
    pub(crate) fn found(&self, log: &str) -> Option<String> {
        log.lines().find_map(|line| {
            let listed = self.0.iter().find(|secret| line.contains(secret.as_str()));
            let listed = listed.map(|secret| format!("the secret {secret:?}"));
            let mark = MARKS.iter().find(|mark| line.contains(**mark));
            let mark = mark.map(|mark| format!("{mark:?}"));
            let token = has_token(line).then(|| "a token".to_owned());
            let what = listed.or(mark).or(token)?;
            Some(format!("{what} is logged: {line}"))
        })
    }
}

/// Whether a JSON Web Token is in the line: its header, which begins with `{"`, and two more parts.
fn has_token(line: &str) -> bool {
    let is_part = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    line.split(|char| !is_part(char)).any(|word| {
        let token = word.find("eyJ").map(|start| &word[start..]);
        token.is_some_and(|token| token.split('.').filter(|part| part.len() > 3).count() > 2)
    })
}

#[test]
fn a_secret_is_found_in_a_log_and_other_text_is_not() {
    let mut secrets = Secrets::default();
    secrets.add("pw");
    secrets.add("hunter2-hunter2");
    for clean in [
        "INFO access: path=/a status=200",
        "pw",
        "eyJhbGciOiJIUzUxMiJ9",
        "keyward.eyJ.db",
    ] {
        assert_eq!(secrets.found(clean), None);
    }
    for leaked in [
        "WARN password=hunter2-hunter2",
        "path=/eyJhbGciOiJIUzUxMiJ9.eyJpYXQiOjF9.c2lnbmF0dXJl",
        "token=\"eyJhbGciOiJIUzUxMiJ9.eyJpYXQiOjF9.c2lnbmF0dXJl\"",
        "hash=$argon2id$v=19$m=8",
        "-----BEGIN PRIVATE KEY-----",
        "authorization: Bearer abc",
    ] {
        let log = format!("INFO ready\n{leaked}\n");
        assert!(secrets.found(&log).is_some(), "{leaked}");
    }
}
