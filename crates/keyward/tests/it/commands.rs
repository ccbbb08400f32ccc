//! The command line by itself: help, exit codes, settings, and what commands say where there is no data.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::server::{Server, keyward, keyward_with};

fn folder() -> TempDir {
    TempDir::new().unwrap()
}

#[test]
fn every_shell_completes_the_commands() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = keyward(folder.path(), &format!("completions {shell}")).fine();
        for word in ["keyward", "set-password", "data-dir"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    keyward(folder.path(), "completions tcsh").failed(2);
    let script = keyward(folder.path(), "completions bash").fine();
    let path = folder.path().join("keyward.bash");
    std::fs::write(&path, script).unwrap();
    let ask = "source keyward.bash; COMP_WORDS=(keyward account s); COMP_CWORD=2; \
               _keyward keyward s account; echo ${COMPREPLY[@]}";
    let bash = std::process::Command::new("bash")
        .args(["-c", ask])
        .current_dir(folder.path())
        .output()
        .expect("bash");
    assert_eq!(String::from_utf8_lossy(&bash.stdout).trim(), "set-password");
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = folder();
    keyward(folder.path(), "man pages").fine();
    let mut pages: Vec<_> = std::fs::read_dir(folder.path().join("pages"))
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    for page in ["keyward.1", "keyward-serve.1", "keyward-account-add.1"] {
        assert!(
            pages.iter().any(|found| found == page),
            "{page} in {pages:?}"
        );
    }
    assert!(pages.iter().all(|page| !page.contains("help")), "{pages:?}");
    let text = std::fs::read_to_string(folder.path().join("pages/keyward-serve.1")).unwrap();
    assert!(
        text.contains("\\-\\-listen") && text.contains(".SH OPTIONS"),
        "{text}"
    );
}

#[test]
fn help_names_every_command_and_ends_with_0() {
    let folder = folder();
    let commands = [
        (
            "--help",
            "serve config account session token backup restore doctor health completions man --data-dir",
        ),
        ("config --help", "check show example"),
        ("account --help", "add list disable enable set-password"),
        ("session --help", "list close"),
        ("token --help", "mint verify inspect"),
    ];
    for (args, names) in commands {
        let help = keyward(folder.path(), args).fine();
        for name in names.split(' ') {
            assert!(help.contains(name), "{name} is not in {help}");
        }
    }
    let version = keyward(folder.path(), "--version").fine();
    assert_eq!(
        version.trim(),
        concat!("keyward ", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn wrong_use_ends_with_2_and_leaves_nothing() {
    let folder = folder();
    let uses = [
        "",
        "unknown",
        "serve --unknown",
        "account add --generate-password",
        "account add --username a --password-stdin --generate-password",
        "account add --username a --password secret",
        "session close",
        "token mint --account a --ttl soon",
        "token inspect -",
    ];
    for args in uses {
        let refusal = keyward(folder.path(), args).failed(2);
        assert!(!refusal.is_empty(), "{args:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_example_is_that_of_the_repository() {
    let kept = concat!(env!("CARGO_MANIFEST_DIR"), "/../../keyward.example.toml");
    let example = keyward(folder().path(), "config example").fine();
    assert!(example == std::fs::read_to_string(kept).unwrap());
}

#[test]
fn config_check_ends_with_0_or_says_everything_that_is_wrong() {
    let folder = folder();
    keyward(folder.path(), "config check").fine();
    std::fs::write(
        folder.path().join("keyward.toml"),
        "lisen = 1\n[tokens]\nleeway = 5\n",
    )
    .unwrap();
    let refusal = keyward(folder.path(), "config check").failed(1);
    for part in [
        "keyward.toml:1: lisen",
        "did you mean listen?",
        "keyward.toml:3: tokens.leeway",
    ] {
        assert!(refusal.contains(part), "{part} is not in {refusal}");
    }
    assert!(
        keyward(folder.path(), "serve")
            .failed(1)
            .contains("did you mean listen?")
    );
    assert!(!folder.path().join("keyward-data").exists());
}

#[test]
fn config_show_hides_secrets_and_names_sources() {
    let folder = folder();
    let secret = "a secret of at least thirty-two bytes";
    let show = |args: &str| keyward_with(folder.path(), args, &[("JWT_SECRET", secret)], "").fine();
    let shown = show("config show --data-dir elsewhere");
    assert!(
        shown.contains("data_dir = \"elsewhere\"  # --data-dir"),
        "{shown}"
    );
    assert!(
        shown.contains("# the variable JWT_SECRET") && !shown.contains(secret),
        "{shown}"
    );
    let json = show("config show --json");
    assert!(
        json.contains("\"tokens.access_token_secret\"") && !json.contains(secret),
        "{json}"
    );
}

#[test]
fn config_check_and_show_and_serve_print_the_warnings_beside_the_result() {
    let folder = folder();
    let path = folder.path().join("keyward.toml");
    std::fs::write(
        &path,
        "[tokens]\nsession_span = \"3d\"\nsecret = \"changeme-changeme-changeme-changeme\"\n",
    )
    .unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let env = [
        ("KEYWARD_VERSION", "1"),
        ("KEYWARD_HTTP__TRUSTED_PROXIES", "::/0"),
    ];
    let warnings = [
        "keyward.toml:2: tokens.session_span is an old name. Write tokens.session_max_lifetime instead",
        "keyward.toml: holds a secret and has mode 644",
        "keyward.toml:3: tokens.access_token_secret is weak",
        "KEYWARD_VERSION is not a setting and is not read",
        "http.trusted_proxies contains a network that clients are in",
    ];
    for args in ["config check", "config show", "config show --json"] {
        let ended = keyward_with(folder.path(), args, &env, "");
        for warning in warnings {
            assert!(
                ended.stderr.contains(warning),
                "{warning} is not in {}",
                ended.stderr
            );
            assert!(!ended.stdout.contains(warning), "{}", ended.stdout);
        }
        assert!(!ended.stderr.contains("changeme"), "{}", ended.stderr);
        assert!(!ended.fine().contains("changeme"));
    }
    let server = Server::start_with(folder.path(), "", &env);
    for warning in warnings {
        assert!(
            server.log().contains(warning),
            "{warning} is not in {}",
            server.log()
        );
    }
    assert!(!server.log().contains("changeme"));
}

#[test]
fn a_login_key_that_is_too_short_is_refused_at_start_with_what_to_do() {
    let folder = folder();
    let refusal = keyward_with(folder.path(), "serve", &[("JWT_SECRET", "secret")], "").failed(1);
    for part in ["JWT_SECRET", "at least 32 bytes", "openssl rand -hex 32"] {
        assert!(refusal.contains(part), "{part} is not in {refusal}");
    }
}

#[test]
fn commands_say_that_there_is_no_data_and_make_none() {
    let folder = folder();
    let commands = [
        "account list",
        "session list",
        "session close 1",
        "token mint --account a",
        "token verify a.b.c",
    ];
    for args in commands {
        let refusal = keyward(folder.path(), args).failed(1);
        assert!(
            refusal.contains("no data folder ./keyward-data"),
            "{refusal}"
        );
    }
    assert!(!folder.path().join("keyward-data").exists());
}
