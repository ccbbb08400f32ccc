//! Secrets: from files, weak ones, and files with secrets that other users can read.

use std::fs::set_permissions;

use keyward_core::secret::SecretText;

use super::*;

/// Settings that must be given too.
type Beside = &'static [(&'static str, &'static str)];
/// The settings that name a file with a secret, what the secret must begin with, and the settings that must stand
/// beside each.
const FILES: [(&str, &str, Beside); 6] = [
    ("KEYWARD_TOKENS__ACCESS_TOKEN_SECRET_FILE", "", &[]),
    ("KEYWARD_TOKENS__NOTARY_KEY_FILE", "", &[]),
    ("KEYWARD_DATABASE_FILE", "sqlite:/", &[]),
    ("KEYWARD_LIMITS__REDIS_FILE", "redis://", &[]),
    (
        "KEYWARD_TRACES__HEADER_FILE",
        "Authorization: ",
        &[("KEYWARD_TRACES__OTLP_ENDPOINT", "http://127.0.0.1:4318")],
    ),
    (
        "KEYWARD_FILES__SECRET_FILE",
        "",
        &[
            ("KEYWARD_FILES__URL", "s3://bucket"),
            ("KEYWARD_FILES__KEY_ID", "id"),
        ],
    ),
];
const KEY: &str = "uS0dF7wq2LrX9vTzK4nBpHcM6jYgE1aQ-8mRkVxJ3tPfWbZyN5hCoDlGiUeAs0qOw";

fn with_file(setting: &str, beside: &[(&str, &str)], content: &str) -> World {
    let mut world = World::new().file("key", content).variable(setting, "key");
    for (name, value) in beside {
        world = world.variable(name, value);
    }
    world
}

#[test]
fn every_setting_that_names_a_file_with_a_secret_is_tried_here() {
    let mut found: Vec<String> = settings()
        .filter(|setting| setting.key.ends_with("_file"))
        // The files of a certificate are PEM, which `certificate.rs` reads, and the store reads the master keys.
        .filter(|setting| !setting.key.starts_with("tls.") && !setting.key.starts_with("keys."))
        .map(|setting| variable_of(setting.key))
        .collect();
    let mut tried = FILES.map(|(setting, ..)| setting.to_owned());
    found.sort();
    tried.sort();
    assert_eq!(found, tried);
}

#[test]
fn a_secret_may_come_from_a_file() {
    for (setting, begin, beside) in FILES {
        let key = format!("{begin}{KEY}");
        for content in [
            key.clone(),
            format!("{key}\n"),
            format!("{key}\r\n"),
            format!("\u{feff}{key}\n"),
        ] {
            let world = with_file(setting, beside, &content);
            let settings = world.settings();
            let secrets = [settings.keys.access.as_ref(), settings.keys.notary.as_ref()];
            let mut found: Vec<&str> = secrets
                .iter()
                .flatten()
                .map(|secret| secret.expose())
                .collect();
            if let Some(keyward_store::blobs::s3::Credentials::Key { secret, .. }) = settings
                .storage
                .bucket()
                .map(|options| &options.credentials)
            {
                found.push(secret.expose());
            }
            found.extend(settings.redis.as_ref().map(SecretText::expose));
            let database = match &settings.database {
                Database::Sqlite(path) => Some(format!("sqlite:{}", path.display())),
                _ => None,
            };
            found.extend(database.as_deref());
            let header = settings.traces.as_ref().and_then(|traces| {
                let (name, value) = traces.header.as_ref()?;
                Some(format!("{name}: {}", value.expose()))
            });
            found.extend(header.as_deref());
            assert_eq!(found, [key.as_str()], "{setting} {content:?}");
            assert_eq!(world.warnings(), "");
        }
    }
    let world = with_file(FILES[0].0, &[("JWT_SECRET", KEY)], KEY);
    world.refused_for(&["tokens.access_token_secret_file", "keep one"]);
    let url = "postgres://keyward:geheim@db/keyward";
    let world = with_file("KEYWARD_DATABASE_FILE", &[("KEYWARD_DATABASE", url)], url);
    world.refused_for(&["database_file", "keep one"]);
    let world = with_file("KEYWARD_DATABASE_FILE", &[], url);
    let found = Database::Postgres(SecretText::new(url.to_owned()));
    assert_eq!(world.settings().database, found);
    let world = with_file("KEYWARD_DATABASE_FILE", &[], "mysql://keyward:geheim@db");
    world.refused_for(&["the content of database_file must be", "sqlite:PATH"]);
    assert!(!world.refused().contains("geheim"));
    World::new()
        .variable("KEYWARD_TOKENS__SECRET_FILE", "missing")
        .refused_for(&["missing cannot be read", "No such file"]);
}

#[test]
fn what_people_do_not_see_never_becomes_part_of_a_secret_from_a_file() {
    for (setting, begin, beside) in FILES {
        let key = format!("{begin}{KEY}");
        for content in [
            format!("{key}\n\n"),
            format!("{key}\r\n\r\n"),
            format!("{key}\r\r\n"),
            format!("{key} \n"),
            format!("{key} "),
            format!("{key}\t"),
            format!(" {key}"),
            format!("\n{key}"),
            format!("{key}\0"),
            format!("{key}\u{a0}\n"),
            format!("{key}\u{200b}"),
            format!("\u{feff}\u{feff}{key}"),
        ] {
            let refused = with_file(setting, beside, &content).refused();
            assert!(
                refused.contains("begins or ends with a blank"),
                "{content:?}: {refused}"
            );
            assert!(
                refused.contains(setting) && !refused.contains(KEY),
                "{refused}"
            );
        }
        for content in ["", "\n", "\r\n", "\u{feff}"] {
            with_file(setting, beside, content).refused_for(&["key is empty"]);
        }
        let world = with_file(setting, beside, &format!("{key}\n{key}"));
        match setting {
            "KEYWARD_TRACES__HEADER_FILE" => world.refused_for(&["must be one header"]),
            _ => world.warned_of(&["more than one line"]),
        }
    }
    let world = World::new().variable(FILES[0].0, "key");
    std::fs::write(world.folder.path().join("key"), b"a\nb\xff\n").unwrap();
    world.refused_for(&["line 2 is not UTF-8"]);
    std::fs::write(world.folder.path().join("key"), vec![b'a'; (1 << 20) + 1]).unwrap();
    world.refused_for(&["more than 1 MiB"]);
}

#[test]
fn a_weak_key_is_a_warning_wherever_it_is_given() {
    let weak = "secret".repeat(11);
    for (name, key) in [
        ("JWT_SECRET", "tokens.access_token_secret"),
        ("KEYWARD_TOKENS__SECRET", "tokens.access_token_secret"),
        ("KEYWARD_TOKENS__NOTARY_KEY", "tokens.notary_key"),
    ] {
        let world = World::new().variable(name, &weak);
        let said = format!("the variable {name}: {key} is weak");
        world.warned_of(&[&said, "openssl rand"]);
        assert!(!world.warnings().contains(&weak));
        let world = World::new().variable(name, KEY);
        assert!(!world.warnings().contains("weak"));
    }
    let world = with_file(FILES[0].0, &[], &weak);
    world.warned_of(&["tokens.access_token_secret_file is weak"]);
    World::new()
        .variable("JWT_SECRET", &format!("{KEY}\n"))
        .warned_of(&["ends with a blank, a line break"]);
}

#[test]
fn a_file_with_a_secret_that_others_can_read_is_a_warning() {
    let texts = [
        (
            "keyward.toml",
            format!("[tokens]\naccess_token_secret = \"{KEY}\"\n"),
        ),
        (
            "keyward.toml",
            "database = \"postgres://u:p@127.0.0.1/d\"\n".to_owned(),
        ),
        (".env", format!("JWT_SECRET={KEY}\n")),
        ("key", KEY.to_owned()),
    ];
    for (name, text) in texts {
        let mut world = World::new().file(name, &text);
        if name == "key" {
            world = world.variable(FILES[0].0, "key");
        }
        assert_eq!(world.warnings(), "", "{name}");
        let path = world.folder.path().join(name);
        for mode in [0o644, 0o640, 0o604, 0o620] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let said = format!("{name}: holds a secret and has mode {mode:o}");
            let advice = format!("chmod 600 {name}");
            world.warned_of(&[&said, &advice]);
        }
        set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        assert_eq!(world.warnings(), "", "{name}");
    }
    for name in ["keyward.toml", ".env"] {
        let world = World::new().file(name, "# no secret\n");
        let path = world.folder.path().join(name);
        set_permissions(&path, Permissions::from_mode(0o664)).unwrap();
        assert_eq!(world.warnings(), "", "{name}");
        set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        world.warned_of(&["every user can change it"]);
    }
}

#[test]
fn a_settings_file_of_another_user_is_a_warning() {
    let world = World::new().file("keyward.toml", "# no secret\n");
    let path = world.folder.path().join("keyward.toml");
    // Root alone can give a file away.
    if std::os::unix::fs::chown(&path, Some(12_345), None).is_ok() {
        world.warned_of(&["keyward.toml: belongs to user 12345"]);
    } else {
        eprintln!("not possible here: giving a file to another user");
    }
}

#[test]
fn a_proxy_network_of_everybody_is_a_warning() {
    for networks in [
        "0.0.0.0/0",
        "::/0",
        "10.0.0.0/8, 0.0.0.0/0",
        "0.0.0.0/1, 128.0.0.0/1",
        "2000::/3",
    ] {
        let world = World::new().variable("KEYWARD_HTTP__TRUSTED_PROXIES", networks);
        world.warned_of(&["http.trusted_proxies contains a network that clients are in"]);
    }
    let some = World::new().variable("KEYWARD_HTTP__TRUSTED_PROXIES", "10.0.0.0/8, fc00::/7, ::1");
    assert_eq!(some.warnings(), "");
}
