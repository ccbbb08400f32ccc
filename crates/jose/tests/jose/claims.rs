//! The registered claims: absent, present, of the wrong type, and compared with the time.

use keyward_jose::claims::{ClaimError, Expected, Registered};

const NOW: i64 = 1_800_000_000;

fn expected() -> Expected<'static> {
    let issuer = Some("https://id.test");
    Expected {
        issuer,
        audience: Some("api"),
        now: NOW,
        leeway: 30,
    }
}

/// Reads claims that are valid except for the member replaced or added.
fn read(name: &str, value: &str) -> Result<Registered<'static>, serde_json::Error> {
    let good = [
        ("iss", "\"https://id.test\"".to_owned()),
        ("sub", "\"42\"".to_owned()),
        ("aud", "\"api\"".to_owned()),
        ("exp", (NOW + 600).to_string()),
        ("iat", NOW.to_string()),
    ];
    let kept = good.iter().filter(|(good, _)| *good != name);
    let mut members: Vec<_> = kept
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    if !value.is_empty() {
        members.push(format!("\"{name}\":{value}"));
    }
    serde_json::from_str(format!("{{{}}}", members.join(",")).leak())
}

fn verdict<V: ToString + ?Sized>(name: &str, value: &V) -> Result<(), ClaimError> {
    expected().check(&read(name, &value.to_string()).unwrap())
}

#[test]
fn good_claims_pass() {
    assert_eq!(verdict("jti", "\"a\""), Ok(()));
    assert_eq!(verdict("iat", ""), Ok(()));
    assert_eq!(verdict("unknown", "[{\"exp\":null}]"), Ok(()));
}

#[test]
fn a_claim_of_the_wrong_type_is_never_the_same_as_an_absent_one() {
    for name in ["exp", "nbf", "iat"] {
        for value in [
            "null",
            "\"1900000000\"",
            "[1900000000]",
            "{}",
            "true",
            "-1",
            "1900000000.5",
            "1900000000.0",
            "19e8",
            "9007199254740993",
            "18446744073709551616",
            "1e400",
            "-0",
        ] {
            assert!(read(name, value).is_err(), "{name}: {value}");
        }
    }
    for name in ["iss", "sub", "aud", "jti"] {
        for value in ["null", "1", "[]", "{}", "true", "[\"api\"]"] {
            assert!(read(name, value).is_err(), "{name}: {value}");
        }
    }
}

#[test]
fn text_is_borrowed_and_unescaped() {
    let claims = read("sub", "\"4\\u0032\"").unwrap();
    assert_eq!(claims.sub.as_deref(), Some("42"));
    let borrowed = matches!(
        claims.iss,
        Some(std::borrow::Cow::Borrowed("https://id.test"))
    );
    assert!(borrowed);
}

#[test]
fn expiry_is_required_and_the_moment_itself_is_too_late() {
    assert_eq!(verdict("exp", ""), Err(ClaimError::NoExpiry));
    assert_eq!(verdict("exp", &0), Err(ClaimError::Expired));
    assert_eq!(verdict("exp", &(NOW - 30)), Err(ClaimError::Expired));
    assert_eq!(verdict("exp", &(NOW - 29)), Ok(()));
    assert_eq!(verdict("exp", &(1_i64 << 53)), Ok(()));
}

#[test]
fn tokens_from_the_future_are_refused() {
    assert_eq!(verdict("nbf", &(NOW + 31)), Err(ClaimError::NotYetValid));
    assert_eq!(verdict("nbf", &(NOW + 30)), Ok(()));
    assert_eq!(verdict("iat", &(NOW + 31)), Err(ClaimError::IssuedInFuture));
    assert_eq!(verdict("iat", &(NOW + 30)), Ok(()));
}

#[test]
fn the_issuer_is_compared_exactly() {
    for issuer in [
        "",
        "\"\"",
        "\"https://id.test/\"",
        "\"https://id.tes\"",
        "\"https://id.test.evil\"",
        "\"HTTPS://id.test\"",
    ] {
        assert_eq!(verdict("iss", issuer), Err(ClaimError::Issuer), "{issuer}");
    }
    let any = Expected {
        issuer: None,
        ..expected()
    };
    assert_eq!(any.check(&read("iss", "\"other\"").unwrap()), Ok(()));
    assert_eq!(any.check(&read("iss", "").unwrap()), Ok(()));
}

#[test]
fn the_audience_is_compared_exactly() {
    for audience in [
        "",
        "\"\"",
        "\"API\"",
        "\"ap\"",
        "\"api2\"",
        "\"api \"",
        "\"other\"",
    ] {
        assert_eq!(
            verdict("aud", audience),
            Err(ClaimError::Audience),
            "{audience}"
        );
    }
    let none = Expected {
        audience: None,
        ..expected()
    };
    assert_eq!(none.check(&read("aud", "").unwrap()), Ok(()));
    assert_eq!(
        none.check(&read("aud", "\"api\"").unwrap()),
        Err(ClaimError::Audience)
    );
}

#[test]
fn extreme_clocks_do_not_overflow() {
    for now in [i64::MIN, i64::MAX] {
        for leeway in [0, i64::MAX] {
            let extreme = Expected {
                now,
                leeway,
                ..expected()
            };
            let _verdict = extreme.check(&read("nbf", "0").unwrap());
        }
    }
}
