//! Settings in worlds of their own: a folder, an environment and flags that are not the process's.

mod dotenv;
mod names;
mod secrets;
mod storage;

use std::ffi::OsString;
use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use keyward_core::files;
use tempfile::TempDir;

use super::names::{settings, variable_of};
use super::sources::Origin;
use super::*;

/// A working folder with files in it, and an environment of its own.
struct World {
    folder: TempDir,
    variables: Vec<(OsString, OsString)>,
    flags: Flags,
}

impl World {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            variables: Vec::new(),
            flags: Flags::default(),
        }
    }

    fn file(self, name: &str, text: &str) -> Self {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, flag: &'static str, key: &'static str, value: &str) -> Self {
        self.flags.settings.push((flag, key, value.to_owned()));
        self
    }

    fn layers(&self) -> Layers {
        let variables = self.variables.clone();
        let folder = self.folder.path().to_owned();
        Layers::gather(&Surroundings { folder, variables }, &self.flags)
    }

    fn settings(&self) -> Settings {
        Settings::read(&self.layers()).unwrap()
    }

    #[track_caller]
    fn refused(&self) -> String {
        let refused = Settings::read(&self.layers());
        refused
            .err()
            .expect("settings that are refused")
            .to_string()
    }

    /// The warnings of settings that are not refused, one a line.
    fn warnings(&self) -> String {
        let warnings = self.settings().warnings;
        warnings
            .iter()
            .map(|warning| format!("{warning}\n"))
            .collect()
    }

    #[track_caller]
    fn warned_of(&self, parts: &[&str]) {
        let warnings = self.warnings();
        for part in parts {
            assert!(warnings.contains(part), "{part:?} is not in {warnings:?}");
        }
    }

    #[track_caller]
    fn refused_for(&self, parts: &[&str]) {
        let refused = self.refused();
        for part in parts {
            assert!(refused.contains(part), "{part:?} is not in {refused:?}");
        }
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn the_defaults_are_those_of_the_contracts() {
    let settings = World::new().settings();
    assert_eq!(settings.listen, address("127.0.0.1:5000"));
    assert_eq!(settings.database, Database::InDataDir);
    assert_eq!(settings.keys.algorithm.name(), "HS256");
    assert!(settings.keys.access.is_none() && settings.keys.notary.is_none());
    assert_eq!(settings.tokens.access_ttl, Duration::from_secs(600));
    assert_eq!(
        settings.tokens.refresh_ttl,
        Duration::from_secs(30 * 86_400)
    );
    assert_eq!(settings.tokens.refresh_grace, Duration::ZERO);
    assert_eq!(
        (settings.passwords.memory_kib, settings.passwords.passes),
        (19_456, 2)
    );
    assert!(settings.passwords.threads > 0);
    assert_eq!(
        settings.files,
        files::Policy {
            largest: 1 << 30,
            room: files::Room {
                files: 10_000,
                bytes: 10 << 30,
            },
            unfinished: 10 << 30,
            upload_timeout: Duration::from_secs(12 * 3_600),
        }
    );
    assert!(matches!(settings.storage, Storage::DataDir { min_free } if min_free == 128 << 20));
    let limits = settings.limits;
    assert!(limits.enabled);
    assert_eq!(
        (limits.logins_per_account, limits.logins_per_address),
        (10, 60)
    );
    assert_eq!(
        (limits.sign_ups_per_address, limits.arrays_per_account),
        (20, 120)
    );
    assert_eq!(limits.requests_per_account, 3_000);
    assert_eq!(settings.router.contracts, keyward_server::Contracts::ALL);
}

#[test]
fn each_layer_counts_over_the_one_before() {
    let world = World::new();
    let world = world.file(
        "keyward.toml",
        "listen = \"127.0.0.1:1\"\n[tokens]\nissuer = \"file\"\n",
    );
    assert_eq!(world.settings().listen, address("127.0.0.1:1"));
    let world = world.file(
        ".env",
        "KEYWARD_LISTEN=127.0.0.1:2\nKEYWARD_TOKENS__ISSUER=dot\n",
    );
    assert_eq!(world.settings().listen, address("127.0.0.1:2"));
    assert_eq!(world.settings().tokens.issuer, "dot");
    let world = world.variable("KEYWARD_LISTEN", "127.0.0.1:3");
    assert_eq!(world.settings().listen, address("127.0.0.1:3"));
    assert_eq!(world.settings().tokens.issuer, "dot");
    let world = world.flag("--listen", "listen", "[::1]:4");
    assert_eq!(world.settings().listen, address("[::1]:4"));
}

#[test]
fn a_named_file_is_read_instead_and_must_exist() {
    let mut world = World::new()
        .file("keyward.toml", "listen = \"127.0.0.1:1\"")
        .file("other.toml", "listen = \"127.0.0.1:2\"");
    world.flags.config = Some("other.toml".into());
    assert_eq!(world.settings().listen, address("127.0.0.1:2"));
    world.flags.config = Some("missing.toml".into());
    world.refused_for(&["missing.toml: cannot be read", "--config"]);
}

#[test]
fn the_environment_is_read_as_what_the_setting_is() {
    let settings = World::new()
        .variable("KEYWARD_LIMITS__ENABLED", "false")
        .variable("KEYWARD_PASSWORDS__QUEUE", "7")
        .variable("KEYWARD_TOKENS__ACCESS_TTL", "90s")
        .variable("KEYWARD_FILES__MAX_SIZE", "5MiB")
        .variable("KEYWARD_TOKENS__ISSUER", "true")
        .variable("KEYWARD_HTTP__TRUSTED_PROXIES", "10.0.0.0/8, ::1")
        .settings();
    assert!(!settings.limits.enabled);
    assert_eq!(settings.passwords.queue, 7);
    assert_eq!(settings.tokens.access_ttl, Duration::from_secs(90));
    assert_eq!(
        (settings.files.largest, settings.tokens.issuer.as_str()),
        (5 << 20, "true")
    );
    assert!(settings.proxies.contains("10.1.2.3".parse().unwrap()));
    assert!(settings.proxies.contains("::1".parse().unwrap()));
}

#[test]
fn the_old_variables_are_read_below_ours() {
    let old = || {
        World::new()
            .variable("PORT", "8000")
            .variable("JWT_SECRET", SECRET)
    };
    let settings = old().settings();
    assert_eq!(settings.listen, address("127.0.0.1:8000"));
    assert_eq!(settings.keys.access.unwrap().expose(), SECRET);

    let settings = World::new()
        .file(
            ".env",
            &format!("PORT=0\nexport JWT_ALGO=HS384\nJWT_SECRET='{SECRET}{SECRET}'\nDEBUG=$x\n"),
        )
        .settings();
    assert_eq!(settings.listen, address("127.0.0.1:0"));
    assert_eq!(settings.keys.algorithm.name(), "HS384");
    assert_eq!(settings.keys.access.unwrap().expose().len(), 64);

    let settings = old()
        .variable("KEYWARD_LISTEN", "127.0.0.1:9000")
        .settings();
    assert_eq!(settings.listen, address("127.0.0.1:9000"));
    let settings = old().file("keyward.toml", "listen = \"[::]:1\"").settings();
    assert_eq!(settings.listen, address("[::]:8000"));
    old()
        .variable("PORT", "65536")
        .refused_for(&["the variable PORT", "0 to 65535"]);
}

#[test]
fn a_refused_value_names_its_key_its_source_and_what_is_allowed() {
    let file = |text| World::new().file("keyward.toml", text);
    file("[tokens]\naccess_ttl = 10").refused_for(&[
        "keyward.toml:2: tokens.access_ttl = 10 must be a time",
        "\"10m\"",
    ]);
    file("listen = \"localhost\"").refused_for(&["keyward.toml:1", "127.0.0.1:5000"]);
    file("[tokens]\nalgorithm = \"none\"").refused_for(&["\"HS256\""]);
    file("[limits]\nenabled = \"yes\"").refused_for(&["limits.enabled", "true or false"]);
    file("[http]\nhosts = [\"http://a\"]").refused_for(&["http.hosts", "keyward.example.org"]);
    file("[http]\ntrusted_proxies = [\"a\"]").refused_for(&["http.trusted_proxies", "10.0.0.0/8"]);
    file("database = \"postgres://u@h:port/d\"").refused_for(&["database", "percent-encoded"]);
    file("listen = 1\n[tokens").refused_for(&["keyward.toml:2: is not TOML"]);
    file("listen.port = 1").refused_for(&["listen"]);
    World::new()
        .variable("KEYWARD_PASSWORDS__QUEUE", "many")
        .refused_for(&["the variable KEYWARD_PASSWORDS__QUEUE", "from 1 to 1000000"]);
    World::new()
        .flag("--listen", "listen", "x")
        .refused_for(&["--listen: listen = \"x\""]);
}

#[test]
fn everything_wrong_is_said_at_once() {
    let refused = World::new()
        .variable("KEYWARD_TOKENS__UNKNOWN", "1")
        .file(
            "keyward.toml",
            "[tokens]\naccess_ttl = 1\nrefresh_ttl = 2\n[log]\nformat = 3\n",
        )
        .refused();
    assert_eq!(refused.lines().count(), 5, "{refused}");
}

#[test]
fn a_login_key_too_short_for_its_algorithm_is_refused_with_what_to_do() {
    let short = |algorithm: &str, length: usize| {
        World::new()
            .variable("JWT_ALGO", algorithm)
            .variable("JWT_SECRET", &"k".repeat(length))
    };
    for (algorithm, needed) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        short(algorithm, needed - 1).refused_for(&[
            "the variable JWT_SECRET",
            &format!("at least {needed} bytes"),
            &format!("openssl rand -hex {needed}"),
        ]);
        assert!(short(algorithm, needed).settings().keys.access.is_some());
    }
    World::new()
        .variable("JWT_SECRET", "")
        .refused_for(&["JWT_SECRET", "is empty"]);
    World::new()
        .file(
            "keyward.toml",
            &format!("[tokens]\nnotary_key = \"{SECRET}\""),
        )
        .refused_for(&["tokens.notary_key is too short", "64 bytes"]);
}

#[test]
fn the_example_names_every_setting_and_is_itself_a_file_of_defaults() {
    let text = example();
    let uncommented: String = text
        .lines()
        .filter(|line| !line.starts_with("# "))
        .map(|line| format!("{}\n", line.trim_start_matches('#')))
        .collect();
    let world = World::new().file("keyward.toml", &uncommented);
    let layers = world.layers();
    let plain = World::new().layers();
    for setting in settings() {
        let (value, source) = layers.entry(setting).unwrap();
        assert!(matches!(source, Origin::File { .. }), "{}", setting.key);
        assert!(*value == plain.entry(setting).unwrap().0, "{}", setting.key);
    }
    assert!(text.lines().all(|line| line.len() <= 120));
}

#[test]
fn the_example_file_of_the_repository_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../keyward.example.toml");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == example(),
        "run `cargo run -- config example > keyward.example.toml`"
    );
}

#[test]
fn what_is_shown_names_sources_and_hides_secrets() {
    let world = World::new()
        .variable("JWT_SECRET", SECRET)
        .variable("PORT", "1")
        .file("keyward.toml", "[tokens]\nissuer = \"a\"\n");
    let layers = world.layers();
    let (text, json) = (show(&layers), show_json(&layers).to_string());
    for shown in [&text, &json] {
        assert!(
            !shown.contains(SECRET) && shown.contains("(set, not shown)"),
            "{shown}"
        );
    }
    assert!(
        text.contains("listen = \"127.0.0.1:1\"  # the variable PORT"),
        "{text}"
    );
    assert!(text.contains("issuer = \"a\"  # keyward.toml:2"), "{text}");
    assert!(text.contains("leeway = \"5s\"  # default"), "{text}");
    assert!(
        json.contains(r#"{"key":"http.docs","source":"default","value":true}"#),
        "{json}"
    );
}

#[test]
fn no_two_settings_share_a_variable() {
    let mut variables: Vec<_> = settings().map(|setting| variable_of(setting.key)).collect();
    variables.sort();
    let before = variables.len();
    variables.dedup();
    assert_eq!(variables.len(), before);
}
