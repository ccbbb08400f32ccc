//! Names of settings: unknown ones, renamed ones, and variables that only look like settings.

use super::*;
use crate::settings::names::{Variable, classify, find};

#[test]
fn a_name_that_is_no_setting_is_refused_with_the_nearest() {
    let file = |text| World::new().file("keyward.toml", text);
    file("\n[tokens]\nacess_ttl = \"1m\"").refused_for(&[
        "keyward.toml:3: tokens.acess_ttl is not a setting",
        "did you mean tokens.access_ttl?",
    ]);
    file("[token]\nissuer = \"x\"").refused_for(&["token.issuer", "did you mean tokens.issuer?"]);
    file("[tokenz]").refused_for(&["tokenz is not a setting"]);
    file("max_size = \"1GiB\"").refused_for(&["did you mean files.max_size?"]);
    file("zzzzzzzzzz = 1").refused_for(&["keyward config example"]);
}

#[test]
fn a_variable_that_resembles_a_setting_is_refused_with_what_was_meant() {
    for (name, meant) in [
        ("KEYWARD_TOKENS_ACCESS_TTL", "KEYWARD_TOKENS__ACCESS_TTL"),
        ("KEYWARD_TOKEN__ACCESS_TTL", "KEYWARD_TOKENS__ACCESS_TTL"),
        ("KEYWARD_ACCESS_TTL", "KEYWARD_TOKENS__ACCESS_TTL"),
        ("KEYWARD_ACESS_TTL", "KEYWARD_TOKENS__ACCESS_TTL"),
        ("KEYWARD_AUTH_ACCESS_TTL", "KEYWARD_TOKENS__ACCESS_TTL"),
        ("KEYWARD_TOKENS__ACCESS-TTL", "KEYWARD_TOKENS__ACCESS_TTL"),
        ("KEYWARD_listen", "KEYWARD_LISTEN"),
        ("KEYWARD_LISTN", "KEYWARD_LISTEN"),
        ("KEYWARD_LISTEN_ADDR", "KEYWARD_LISTEN"),
        ("KEYWARD_DATABASE_URL", "KEYWARD_DATABASE"),
        ("KEYWARD_DATA_DIRECTORY", "KEYWARD_DATA_DIR"),
        ("KEYWARD_DATADIR", "KEYWARD_DATA_DIR"),
        ("KEYWARD_LOG_LEVEL", "KEYWARD_LOG__LEVEL"),
        ("KEYWARD_LOGS__LEVEL", "KEYWARD_LOG__LEVEL"),
        ("KEYWARD_MAX_CONNECTIONS", "KEYWARD_HTTP__MAX_CONNECTIONS"),
        (
            "KEYWARD_SESSION_SPAN",
            "KEYWARD_TOKENS__SESSION_MAX_LIFETIME",
        ),
        ("KEYWARD_JWT_SECRET", "JWT_SECRET"),
        ("KEYWARD_JWT_ALGO", "JWT_ALGO"),
        ("KEYWARD_TOKENS__NONSENSE", "keyward config example"),
        ("KEYWARD_LOG", "keyward config example"),
    ] {
        let place = format!("the variable {name}: {name} is not a setting");
        let world = || World::new();
        world().variable(name, "1").refused_for(&[&place, meant]);
        let place = format!(".env:2 ({name}): {name} is not a setting");
        let text = format!("#\n{name}=1\n");
        world().file(".env", &text).refused_for(&[&place, meant]);
    }
}

#[test]
fn a_variable_of_somebody_else_with_our_prefix_is_a_warning() {
    for name in [
        "KEYWARD_VERSION",
        "KEYWARD_IMAGE_TAG",
        "KEYWARD_IMAGE",
        "KEYWARD_HOME",
        "KEYWARD_USER",
        "KEYWARD_UID",
        "KEYWARD_ENV",
        "KEYWARD_DEBUG",
        "KEYWARD_GIT_SHA",
        "KEYWARD_BUILD_DATE",
        "KEYWARD_CHART_VERSION",
        "KEYWARD_POD_NAMESPACE",
        "KEYWARD_PYTHON",
        "KEYWARD_TEST_POSTGRES",
        "KEYWARD_FOO__BAR",
    ] {
        let said = format!("{name} is not a setting and is not read");
        World::new().variable(name, "1").warned_of(&[&said]);
        let text = format!("{name}=1\n");
        World::new()
            .file(".env", &text)
            .warned_of(&[".env:1", &said]);
    }
    let port = World::new().variable("KEYWARD_PORT", "8080");
    port.warned_of(&["KEYWARD_PORT is not a setting", "write PORT"]);
}

#[test]
fn what_kubernetes_makes_of_a_service_is_no_setting() {
    for service in [
        "",
        "HTTP_",
        "POSTGRESQL_",
        "POSTGRESQL_HL_",
        "REDIS_MASTER_",
        "TOKENS_",
        "PORT_",
        "A__B_",
    ] {
        let mut world = World::new();
        for (tail, value) in [
            ("SERVICE_HOST", "10.0.0.2"),
            ("SERVICE_PORT", "5432"),
            ("SERVICE_PORT_TCP_POSTGRESQL", "5432"),
            ("PORT", "tcp://10.0.0.2:5432"),
            ("PORT_5432_TCP", "tcp://10.0.0.2:5432"),
            ("PORT_5432_TCP_PROTO", "tcp"),
            ("PORT_5432_TCP_PORT", "5432"),
            ("PORT_5432_TCP_ADDR", "10.0.0.2"),
            ("PORT_53_UDP", "udp://[fd00::2]:53"),
            ("PORT_53_UDP_ADDR", "fd00::2"),
            ("PORT_3868_SCTP_PORT", "3868"),
        ] {
            world = world.variable(&format!("KEYWARD_{service}{tail}"), value);
        }
        assert_eq!(world.warnings(), "", "{service}");
    }
}

#[test]
fn a_setting_is_read_whatever_else_its_name_looks_like() {
    for setting in settings() {
        for key in std::iter::once(setting.key).chain(setting.former.iter().copied()) {
            let found = classify(&variable_of(key), "tcp://10.0.0.2:5432");
            assert!(
                matches!(found, Variable::Setting(found, _) if found.key == setting.key),
                "{key}"
            );
        }
    }
}

#[test]
fn variables_that_are_not_ours_are_left_alone() {
    let world = World::new()
        .variable("PATH", "/bin")
        .variable("POSTGRESQL_PORT", "tcp://10.0.0.2:5432")
        .file(
            ".env",
            "SECRET_OF_ANOTHER=a$b\nNOTE=the PORT is 80\n# PORT=80\n",
        );
    assert_eq!(world.warnings(), "");
}

/// The former name of each renamed setting, its name, and two values.
const RENAMED: [(&str, &str, &str, &str); 7] = [
    (
        "sessions.feed_bound",
        "sessions.max_revocation_lag",
        "3s",
        "4s",
    ),
    (
        "tokens.session_span",
        "tokens.session_max_lifetime",
        "30d",
        "31d",
    ),
    (
        "tokens.single_ttl",
        "tokens.standalone_access_ttl",
        "1h",
        "2h",
    ),
    (
        "tokens.exchange_ttl",
        "tokens.exchange_access_ttl",
        "1d",
        "2d",
    ),
    (
        "limits.guarded_per_account",
        "limits.requests_per_account",
        "7",
        "8",
    ),
    (
        "tokens.secret",
        "tokens.access_token_secret",
        SECRET,
        "another-one-89Dq42bP77xhBzV3-word",
    ),
    (
        "tokens.secret_file",
        "tokens.access_token_secret_file",
        "one",
        "two",
    ),
];

/// A world where these settings are given: in the file, in `.env`, or in the environment.
fn given(layer: usize, pairs: &[(&str, &str)]) -> World {
    let mut world = World::new()
        .file("one", SECRET)
        .file("two", "another-one-89Dq42bP77xhBzV3-word");
    let mut text = String::new();
    for (key, value) in pairs {
        let name = variable_of(key);
        text += &match layer {
            0 if value.parse::<u32>().is_ok() => format!("{key} = {value}\n"),
            0 => format!("{key} = \"{value}\"\n"),
            _ => format!("{name}={value}\n"),
        };
        if layer == 2 {
            world = world.variable(&name, value);
        }
    }
    match layer {
        0 => world.file("keyward.toml", &text),
        1 => world.file(".env", &text),
        _ => world,
    }
}

#[test]
fn a_former_name_is_read_with_a_warning_that_names_the_new_one() {
    for (former, current, value, _) in RENAMED {
        for layer in 0..3 {
            let (old, new) = (
                given(layer, &[(former, value)]),
                given(layer, &[(current, value)]),
            );
            let raw = |world: &World| {
                let setting = find(current).unwrap();
                world.layers().entry(setting).unwrap().0.clone()
            };
            assert!(raw(&old) == raw(&new), "{former} in layer {layer}");
            let name = |key: &str| match layer {
                0 => key.to_owned(),
                _ => variable_of(key),
            };
            let said = format!(
                "{} is an old name. Write {} instead",
                name(former),
                name(current)
            );
            old.warned_of(&[&said]);
            assert!(!new.warnings().contains("old name"), "{current}");
        }
    }
    let former: Vec<&str> = settings()
        .flat_map(|setting| setting.former.iter().copied())
        .collect();
    for name in &former {
        assert!(find(name).is_none(), "{name} is a setting too");
        assert!(
            RENAMED.iter().any(|(renamed, ..)| renamed == name),
            "{name} is not tried"
        );
    }
}

#[test]
fn both_names_of_a_setting_must_have_the_same_value() {
    for (former, current, value, other) in RENAMED {
        for layer in 0..3 {
            given(layer, &[(former, value), (current, value)]).settings();
            for pair in [
                [(former, value), (current, other)],
                [(current, value), (former, other)],
            ] {
                given(layer, &pair)
                    .refused_for(&["are two names of one setting, with different values"]);
            }
        }
        // A later layer counts over an earlier one, whatever either calls the setting.
        let world = given(0, &[(current, value)]).variable(&variable_of(former), other);
        let (raw, _) = world
            .layers()
            .entry(find(current).unwrap())
            .unwrap()
            .clone();
        assert!(
            raw == given(2, &[(current, other)])
                .layers()
                .entry(find(current).unwrap())
                .unwrap()
                .0
        );
    }
}
