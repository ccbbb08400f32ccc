//! `.env`: what is read, and which lines are refused.

use super::*;

fn env(text: &str) -> World {
    World::new().file(".env", text)
}

/// The issuer that a line of `.env` gives.
#[track_caller]
fn issuer(value: &str) -> String {
    env(&format!("KEYWARD_TOKENS__ISSUER={value}"))
        .settings()
        .tokens
        .issuer
}

#[test]
fn values_are_those_of_python_dotenv() {
    for (written, value) in [
        ("two words", "two words"),
        ("abc def # c", "abc def"),
        ("  abc  ", "abc"),
        ("ab\"cd\"ef", "ab\"cd\"ef"),
        ("{\"a\":1}", "{\"a\":1}"),
        ("ab'cd'ef", "ab'cd'ef"),
        ("don't", "don't"),
        ("a#b", "a#b"),
        ("a=b=", "a=b="),
        ("a\\nb", "a\\nb"),
        ("C:\\dir", "C:\\dir"),
        ("a$b$", "a$b$"),
        ("\"a b\" # c", "a b"),
        ("'a # b'", "a # b"),
        ("\"a\\nb\\t\\\"c\\x\"", "a\nb\t\"c\\x"),
        ("'a\\nb'", "a\\nb"),
        ("\"two\nlines\"", "two\nlines"),
        ("'two\r\nlines'", "two\nlines"),
        ("a\r\nX=1", "a"),
        ("a\rX=1", "a"),
        ("a\nexport KEYWARD_TOKENS__ISSUER = b", "b"),
        ("a\n'KEYWARD_TOKENS__ISSUER'=b", "b"),
        ("${UNSET:-d}e", "de"),
    ] {
        assert_eq!(issuer(written), value, "{written:?}");
    }
    let key = "correct horse battery staple is my pass phrase";
    let settings = env(&format!("\u{feff}JWT_SECRET={key}\nA=1\n")).settings();
    assert_eq!(settings.keys.access.unwrap().expose(), key);
}

#[test]
fn a_quote_that_is_never_closed_takes_no_other_line_with_it() {
    for before in [
        "GREETING=don't panic",
        "NOTE=\"half",
        "NOTE='half",
        "'NOTE",
        "WINPATH=C:\\dir\\",
        "A=\"x\" y",
    ] {
        let port = env(&format!("{before}\nPORT=8080"))
            .settings()
            .listen
            .port();
        assert_eq!(port, 8080, "{before}");
    }
    assert_eq!(env("PORT=8080 # costs $5").settings().listen.port(), 8080);
    let swallowed = env("NOTE=\"half\nPORT=8080\nOTHER=\"\n");
    swallowed.refused_for(&[".env:2: PORT is not read", "on line 1"]);
    let path = env("WINPATH='C:\\dir\\'\nPORT=8080\nNOTE='x'\n");
    path.refused_for(&[".env:2: PORT is not read"]);
    assert_eq!(
        env("WINPATH='C:\\dir\\'\nPORT=8080\n")
            .settings()
            .listen
            .port(),
        8080
    );
}

#[test]
fn a_line_that_names_a_wanted_variable_and_is_not_read_is_refused() {
    for line in [
        "PORT: 8080",
        "PORT:8080",
        "PORT 8080",
        "PORT",
        "set PORT=8080",
        "SET PORT=8080",
        "EXPORT PORT=8080",
        "setx PORT 8080",
        "$env:PORT=8080",
        "$PORT=8080",
        "\"PORT\"=8080",
        "PORT:=8080",
        "PORT+=8080",
        "-PORT=8080",
        "- PORT=8080",
        "; PORT=8080",
        "// PORT=8080",
        "declare -x PORT=8080",
        "ENV PORT 8080",
        "PORT=\"8080",
        "PORT='8080' x",
        "JWT_SECRET: 0123456789abcdef",
        "KEYWARD_TOKENS__ISSUER: me",
    ] {
        for (text, place) in [
            (line.to_owned(), ".env:1: "),
            (format!("A=1\r\n\r\n{line}\r\nB=2\r\n"), ".env:3: "),
        ] {
            let world = env(&text);
            let refused = Settings::read(&world.layers()).err();
            let refused = refused.map_or(String::new(), |refused| refused.to_string());
            assert!(refused.contains(place), "{line}: {refused}");
            assert!(
                !refused.contains("8080") && !refused.contains("0123"),
                "{refused}"
            );
        }
    }
}

#[test]
fn lines_that_nobody_reads_are_a_warning() {
    env("not a line\n").warned_of(&[".env:1: is not NAME=VALUE"]);
    env("A=1\n=x\n").warned_of(&[".env:2: is not NAME=VALUE"]);
    env("port=8080\n").warned_of(&[".env:1: port is not read", "write PORT"]);
    env("jwt_secret=x\n").warned_of(&["write JWT_SECRET"]);
    let others =
        "# PORT: 8080\n#PORT=1\n\nMY_PORT=1\nPORTS=2\nCONFIG='{\n \"PORT\": 80\n}'\nFLAG\nexport\n";
    assert_eq!(env(others).warnings(), "");
}

#[test]
fn values_on_which_readers_disagree_are_refused() {
    for (text, line, why) in [
        ("KEYWARD_TOKENS__ISSUER='a\\'b'", 1, "single quotes"),
        ("KEYWARD_TOKENS__ISSUER=\"a\\\\\" # \"x\"", 1, "disagree"),
        ("A=1\nKEYWARD_TOKENS__ISSUER='a\\\\b'", 2, "single quotes"),
        ("KEYWARD_TOKENS__ISSUER='a\\\\'", 1, "single quotes"),
        ("KEYWARD_TOKENS__ISSUER= # c", 1, "disagree"),
        (
            "A=x\nKEYWARD_TOKENS__ISSUER='${A}'",
            2,
            "in single quotes too",
        ),
        ("KEYWARD_TOKENS__ISSUER=\"a\0b\"", 1, "NUL"),
    ] {
        let refused = env(text).refused();
        let place = format!(".env:{line}");
        assert!(
            refused.contains(&place) && refused.contains(why),
            "{text:?}: {refused}"
        );
    }
    let world = || env("A=inner\nKEYWARD_TOKENS__ISSUER=${A}");
    assert_eq!(world().settings().tokens.issuer, "inner");
    assert_eq!(
        world().variable("A", "inner").settings().tokens.issuer,
        "inner"
    );
    world()
        .variable("A", "outer")
        .refused_for(&[".env:2", "different values"]);
    let world = env("A=x\n\nKEYWARD_TOKENS__ISSUER=a${B}b");
    assert_eq!(world.settings().tokens.issuer, "ab");
    world.warned_of(&[
        ".env:3: KEYWARD_TOKENS__ISSUER",
        "not set, and stands for nothing",
    ]);
    let world = env("KEYWARD_TOKENS__ISSUER=${OUTSIDE}");
    assert_eq!(world.variable("OUTSIDE", "x").settings().tokens.issuer, "x");
}

#[test]
fn a_file_that_is_not_text_is_refused_with_the_line() {
    let world = env("");
    std::fs::write(world.folder.path().join(".env"), b"A=1\nB=\xff\n").unwrap();
    world.refused_for(&[".env: cannot be read: line 2 is not UTF-8"]);
    let world = World::new();
    std::fs::create_dir(world.folder.path().join(".env")).unwrap();
    world.refused_for(&[".env: cannot be read"]);
}
