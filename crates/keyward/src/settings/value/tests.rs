//! What each type of a setting takes and refuses.

use super::*;

fn text(text: &str) -> Raw {
    Raw::Text(text.to_owned())
}

#[test]
fn times_are_one_number_and_one_unit() {
    for (written, seconds) in [
        ("0s", 0),
        ("90s", 90),
        ("10m", 600),
        ("2h", 7_200),
        ("30d", 2_592_000),
    ] {
        assert_eq!(
            <Span>::read(&text(written)),
            Some(Span(Duration::from_secs(seconds))),
            "{written}"
        );
    }
    assert_eq!(
        <Span>::read(&text("250ms")),
        Some(Span(Duration::from_millis(250)))
    );
    for written in [
        "",
        "10",
        "m",
        "10M",
        "10 m",
        "-1s",
        "1.5h",
        "1h30m",
        "40000d",
        "99999999999999999999s",
    ] {
        assert_eq!(<Span>::read(&text(written)), None, "{written}");
    }
}

#[test]
fn a_life_is_at_least_a_second() {
    assert!(Span::<1>::parse("1s").is_some() && Span::<1>::parse("1000ms").is_some());
    assert_eq!(Span::<1>::parse("0s"), None);
    assert_eq!(Span::<1>::parse("999ms"), None);
}

#[test]
fn sizes_are_one_number_and_one_binary_unit() {
    for (written, bytes) in [
        ("1B", 1),
        ("64KiB", 65_536),
        ("1GiB", 1 << 30),
        ("2TiB", 2 << 40),
    ] {
        assert_eq!(Size::read(&text(written)), Some(Size(bytes)), "{written}");
    }
    for written in ["", "0B", "1", "1GB", "1 GiB", "9000000TiB", "-1B"] {
        assert_eq!(Size::read(&text(written)), None, "{written}");
    }
}

#[test]
fn a_database_is_sqlite_in_a_file_or_postgresql_by_its_url() {
    assert_eq!(Database::read(&text("")), Some(Database::InDataDir));
    assert_eq!(
        Database::read(&text("sqlite:/a/b.db")),
        Some(Database::Sqlite("/a/b.db".into()))
    );
    assert_eq!(
        Database::read(&text("postgres://u:p@h/d?sslmode=require")),
        Some(Database::Postgres(SecretText::new(
            "postgres://u:p@h/d?sslmode=require".to_owned()
        )))
    );
    for written in [
        "postgres://u@h:port/d",
        "mysql://u@h/d",
        "sqlite:",
        "sqlite::memory:",
        "/a/b.db",
    ] {
        assert_eq!(Database::read(&text(written)), None, "{written}");
    }
}

#[test]
fn numbers_keep_their_bounds() {
    type Digit = Count<1, 9>;
    assert_eq!(Digit::read(&Raw::Integer(9)), Some(Count(9)));
    for number in [0, 10, -1, i64::MAX] {
        assert_eq!(Digit::read(&Raw::Integer(number)), None);
    }
    assert_eq!(Digit::read(&text("9")), None);
}

#[test]
fn only_hmac_algorithms_sign_logins() {
    assert_eq!(Algorithm::read(&text("HS384")), Some(Algorithm::HS384));
    for name in ["none", "RS256", "hs256", ""] {
        assert_eq!(Algorithm::read(&text(name)), None, "{name}");
    }
}
