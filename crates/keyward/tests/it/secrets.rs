//! No secret is in what a server has logged or a command has printed. Every server of these tests is checked when it has
//! ended, and so is every command, except for the one secret that it is there to print.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// A text that is this short may be part of a word of the program's own.
const SHORTEST: usize = 8;
/// What begins a secret that needs no list: password hashes and private keys.
const MARKS: [&str; 3] = ["$argon2", "PRIVATE KEY", "Bearer "];

/// What commands have printed on purpose: invitation codes and generated passwords. They are random, so that they are
/// secrets of every server.
static PRINTED: Mutex<Secrets> = Mutex::new(Secrets(BTreeSet::new()));

/// What must not be logged or printed.
#[derive(Debug, Default)]
pub(crate) struct Secrets(BTreeSet<String>);

impl Secrets {
    /// Adds a secret, unless it is too short to be told from other text.
    pub(crate) fn add(&mut self, secret: &str) {
        if secret.len() >= SHORTEST {
            self.0.insert(secret.to_owned());
        }
    }

    /// Why a text is not clean: the line, and what is wrong with it.
    pub(crate) fn found(&self, text: &str) -> Option<String> {
        let printed = PRINTED.lock().unwrap_or_else(PoisonError::into_inner);
        text.lines().find_map(|line| {
            let mut all = self.0.iter().chain(&printed.0);
            let listed = all.find(|secret| line.contains(secret.as_str()));
            let listed = listed.map(|secret| format!("the secret {secret:?}"));
            let mark = MARKS.iter().find(|mark| line.contains(**mark));
            let mark = mark.map(|mark| format!("{mark:?}"));
            let token = has_token(line).then(|| "a token".to_owned());
            let what = listed.or(mark).or(token)?;
            Some(format!("{what} is in the line: {line}"))
        })
    }
}

/// The output of a command without the one secret that it is there to print.
pub(crate) fn without_purpose(args: &str, stdout: &str) -> String {
    let mut words = args.split_whitespace();
    let command = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let label = match command {
        ("token", "mint") => return without_token(stdout),
        ("account", "invite") => "code: ",
        ("account", "add" | "set-password") if args.contains("--generate-password") => "password: ",
        _ => return stdout.to_owned(),
    };
    let printed = stdout.lines().find_map(|line| line.strip_prefix(label));
    let Some(printed) = printed else {
        return stdout.to_owned();
    };
    let rest = stdout.replacen(printed, "", 1);
    let mut all = PRINTED.lock().unwrap_or_else(PoisonError::into_inner);
    all.add(printed);
    rest
}

/// The text without its first token.
fn without_token(text: &str) -> String {
    let is_part = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    let token = text
        .split(|char| !is_part(char))
        .find(|word| has_token(word));
    token.map_or_else(|| text.to_owned(), |token| text.replacen(token, "", 1))
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

#[test]
fn a_command_may_print_its_one_secret_once_and_servers_may_not_log_it() {
    let token = "eyJhbGciOiJIUzUxMiJ9.eyJpYXQiOjF9.c2lnbmF0dXJl";
    let secrets = Secrets::default();
    let found = |args: &str, stdout: &str| secrets.found(&without_purpose(args, stdout)).is_some();
    assert!(!found("token mint --account a", token));
    assert!(found(
        "token mint --account a",
        &format!("{token}\n{token}")
    ));
    assert!(found("token inspect x", token));
    let (code, password) = ("code-of-this-very-test", "password-of-this-very-test");
    let add = "account add --username a --generate-password";
    assert!(!found(
        "account invite --realm ops",
        &format!("invited\ncode: {code}\n")
    ));
    assert!(!found(add, &format!("added\npassword: {password}\n")));
    for secret in [code, password] {
        assert!(
            secrets
                .found(&format!("INFO access: path=/{secret}"))
                .is_some()
        );
        assert!(found("account list", &format!("a {secret}")));
    }
}
