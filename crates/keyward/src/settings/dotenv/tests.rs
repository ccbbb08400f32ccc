//! The reader beside python-dotenv itself: thousands of generated files, the newest version and the last one before
//! its grammar changed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use super::*;

/// How many files are generated.
const FILES: usize = 6_000;
/// The environment of both readers.
const OUTSIDE: [(&str, &str); 3] = [
    ("OUTER", "from outside"),
    ("BOTH", "outside"),
    ("EMPTY", ""),
];
/// Prints what one version reads in each file of a folder, as `load_dotenv` does, and with `override=True`.
const SCRIPT: &str = r#"
import json, logging, os, sys
folder, version = sys.argv[1:]
if version != 'newest':
    sys.path.insert(0, version)
from dotenv.main import DotEnv
from dotenv.parser import parse_stream
logging.disable(logging.CRITICAL)
found = []
for index in range(int(os.environ.pop('COUNT'))):
    path = os.path.join(folder, str(index))
    # A byte order mark was part of the first name once.
    read = lambda override: DotEnv(path, encoding='utf-8-sig', override=override).dict()
    values = [{k: v for k, v in read(o).items() if v is not None} for o in (False, True)]
    with open(path, encoding='utf-8-sig') as file:
        found.append([values, any(statement.error for statement in parse_stream(file))])
json.dump(found, sys.stdout)
"#;
/// Of each part of a statement what people mostly write, and what they seldom do.
const NAMES: Choice = (
    "PORT JWT_SECRET JWT_ALGO KEYWARD_TOKENS__ISSUER KEYWARD_LISTEN A BOTH OUTER",
    &[
        "'PORT'",
        "\"PORT\"",
        "'A B'",
        "é",
        "EMPTY",
        "port",
        "KEYWARD_VERSION",
        "",
        "A PORT",
    ],
);
const STARTS: Choice = (
    "",
    &[
        "export ", "export\t", " ", "\t", "EXPORT ", "set ", "export", "#", "# ", ";", "\u{a0}",
    ],
);
const SIGNS: Choice = (
    "=",
    &[
        " = ",
        "= ",
        "=\t",
        " =",
        ":",
        ": ",
        "",
        " ",
        "==",
        "=\u{2003}",
        "+=",
        "= #",
    ],
);
const ENDS: Choice = (
    "\n",
    &[
        "\r\n",
        "\r",
        "\n\n",
        "\n \n",
        " \n",
        " # c\n",
        " x\n",
        "",
        "\n# it's \"so\"\n",
    ],
);
type Choice = (&'static str, &'static [&'static str]);

const PIECES: &[&str] = &[
    "a",
    "a",
    "key",
    "two words",
    "b c",
    "b c",
    "0123456789abcdef",
    "#",
    " #",
    " # c",
    "'",
    "\"",
    "\\",
    "\\n",
    "\\'",
    "\\\"",
    "\\\\",
    "$",
    "$A",
    "${A}",
    "${BOTH}",
    "${OUTER}",
    "${UNSET}",
    "${UNSET:-d}",
    "${A:-${B}}",
    "${EMPTY:-d}",
    "${",
    "}",
    "=",
    ":",
    " ",
    "\t",
    "é",
    "\u{a0}",
    "\u{85}",
    "\u{2028}",
    "\u{1f}",
    "\u{b}",
    "{\"k\":1}",
    "8080",
    "C:\\dir\\",
    "don't",
];
/// A text that somebody might have written, and often one that nobody would.
fn generated(random: &mut StdRng) -> String {
    let mut text = String::new();
    if random.random_ratio(1, 20) {
        text.push('\u{feff}');
    }
    for _ in 0..random.random_range(1..6) {
        let pick = |random: &mut StdRng, (plain, odd): Choice| {
            if random.random_ratio(1, 10) {
                return odd[random.random_range(0..odd.len())].to_owned();
            }
            let plain: Vec<&str> = plain.split(' ').collect();
            plain[random.random_range(0..plain.len())].to_owned()
        };
        text += &pick(random, STARTS);
        text += &pick(random, NAMES);
        text += &pick(random, SIGNS);
        let quote = ["", "", "", "'", "\""][random.random_range(0..5)];
        text += quote;
        for _ in 0..random.random_range(0..4) {
            text += PIECES[random.random_range(0..PIECES.len())];
        }
        text += if random.random_ratio(1, 15) {
            ""
        } else {
            quote
        };
        text += &pick(random, ENDS);
    }
    text
}

type Variables = BTreeMap<String, String>;

/// The variables of each file, as python-dotenv reads them in its two ways, and whether there is a line that it cannot
/// read.
fn python(program: &str, folder: &Path, version: &Path) -> Vec<([Variables; 2], bool)> {
    let output = Command::new(program)
        .args(["-c", SCRIPT])
        .args([folder, version])
        .env_clear()
        .envs(OUTSIDE)
        .env("COUNT", FILES.to_string())
        .output()
        .expect("python");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Whether an error names a line of the text.
fn names_a_line(error: &SettingError, lines: usize) -> bool {
    let shown = crate::settings::SettingsError::from(error.clone()).to_string();
    let number = shown
        .split(".env:")
        .nth(1)
        .and_then(|rest| rest.split(':').next());
    number.is_some_and(|number| (1..=lines).contains(&number.parse().unwrap()))
}

/// The variables that Keyward wants.
fn of_interest<'a>(
    all: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> BTreeMap<&'a str, &'a str> {
    all.into_iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| is_wanted(name))
        .collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a variable says where Python is")]
fn every_wanted_variable_has_the_value_that_python_dotenv_gives_it_or_is_refused_with_its_line() {
    let Ok(program) = std::env::var("KEYWARD_PYTHON") else {
        eprintln!("skipped: python-dotenv, as KEYWARD_PYTHON is not set");
        return;
    };
    let older = Path::new(&program).with_file_name("../python-dotenv-1.0.1");
    let has_dotenv = Command::new(&program)
        .args(["-c", "import dotenv"])
        .output();
    if !older.is_dir() || !has_dotenv.expect("python").status.success() {
        eprintln!("skipped: python-dotenv, as KEYWARD_PYTHON is not the one that .ci/run makes");
        return;
    }
    let folder = TempDir::new().unwrap();
    let mut random = StdRng::seed_from_u64(0x0e4f);
    let texts: Vec<String> = (0..FILES).map(|_| generated(&mut random)).collect();
    for (index, text) in texts.iter().enumerate() {
        fs::write(folder.path().join(index.to_string()), text).unwrap();
    }
    let versions =
        [Path::new("newest"), &older].map(|version| python(&program, folder.path(), version));
    let environment = OUTSIDE.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let (mut refused, mut clear, mut clear_and_refused, mut values) = (0, 0, 0, 0);
    for (index, text) in texts.iter().enumerate() {
        let read = read(text.trim_start_matches('\u{feff}'), &environment);
        let lines = text.split(['\n', '\r']).count();
        assert!(
            read.errors.iter().all(|error| names_a_line(error, lines)),
            "{text:?}: {:?}",
            read.errors
        );
        let readings: Vec<_> = versions.iter().map(|files| &files[index]).collect();
        let first = &readings[0].0[0];
        let is_clear = readings
            .iter()
            .all(|(values, is_broken)| !is_broken && values.iter().all(|other| other == first));
        clear += usize::from(is_clear);
        if !read.errors.is_empty() {
            refused += 1;
            clear_and_refused += usize::from(is_clear);
            continue;
        }
        let ours = of_interest(read.variables.iter().map(|one| (&one.name, &one.value)));
        values += ours.len();
        for theirs in readings.iter().flat_map(|(values, _)| values) {
            let theirs = of_interest(theirs);
            assert_eq!(ours, theirs, "{text:?}");
        }
    }
    eprintln!(
        "{FILES} files: {values} values are equal, {refused} files are refused; {clear_and_refused} of the {clear} that \
         all versions read without complaint and in one way"
    );
    // A check that refuses everything passes no test: of what is clear, little is refused.
    assert!(clear > FILES / 2 && clear_and_refused * 6 < clear);
    assert!(values > FILES / 2);
}

#[test]
fn files_as_people_write_them_are_not_refused() {
    let mut random = StdRng::seed_from_u64(5);
    for _ in 0..2_000 {
        let mut text = String::from("# settings\n\n");
        for name in [
            "PORT",
            "JWT_SECRET",
            "DATABASE_URL",
            "KEYWARD_TOKENS__ISSUER",
        ] {
            let quote = ["", "'", "\""][random.random_range(0..3)];
            let length = random.random_range(1..40);
            let value: String = (0..length)
                .map(|_| {
                    char::from(
                        b"abcXYZ019 -_.:/@%&!*+=?$#()[]{}<>|~^,;"[random.random_range(0..38)],
                    )
                })
                .collect();
            let value = value.trim().replace("${", "$").replace(" #", "#");
            let value = value.trim_start_matches('#');
            text += &format!("{name}={quote}{value}{quote}\n");
        }
        let read = read(&text, &[]);
        assert!(
            read.errors.is_empty() && read.warnings.is_empty(),
            "{text}: {:?}",
            read.errors
        );
        assert_eq!(read.variables.len(), 3, "{text}");
    }
}
