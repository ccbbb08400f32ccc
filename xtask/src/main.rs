//! The rules of this repository that no ready tool checks: `cargo run -p xtask -- tidy`.

mod causes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

/// The most lines of a source file before its tests, and of a test file.
const LONGEST_SOURCE: usize = 400;
const LONGEST_TEST: usize = 800;

#[expect(clippy::print_stderr, reason = "a command-line tool")]
fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() != Some("tidy") {
        eprintln!("usage: cargo run -p xtask -- tidy");
        return ExitCode::from(2);
    }
    match tidy() {
        Ok(complaints) if complaints.is_empty() => ExitCode::SUCCESS,
        Ok(complaints) => {
            for complaint in complaints {
                eprintln!("{complaint}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tidy() -> anyhow::Result<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in ["crates", "xtask"] {
        collect(&root.join(folder), &mut files)?;
    }
    let mut complaints = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let name = file
            .strip_prefix(&root)
            .unwrap_or(&file)
            .display()
            .to_string();
        complaints.extend(check(&name, &text));
    }
    Ok(complaints)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let skipped = path.file_name().is_some_and(|name| name == "target");
        if path.is_dir() && !skipped {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// Every complaint about one file.
fn check(name: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if !text.starts_with("//!") {
        complaints.push(format!("{name}: must begin with //! that says what it is"));
    }
    let is_test = name.contains("/tests/") || name.ends_with("tests.rs");
    let source = text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(test)]"))
        .count();
    let longest = if is_test {
        LONGEST_TEST
    } else {
        LONGEST_SOURCE
    };
    if source > longest {
        complaints.push(format!(
            "{name}: {source} lines, more than {longest}: is it one thing?"
        ));
    }
    if !is_test && !name.starts_with("xtask") {
        let found = causes::check(text).into_iter();
        complaints.extend(found.map(|(line, complaint)| format!("{name}:{line}: {complaint}")));
    }
    for (index, line) in text.lines().enumerate() {
        // Written in two parts, so that this file does not complain about itself.
        let debris = [
            concat!("TO", "DO"),
            concat!("FIX", "ME"),
            concat!("#[", "allow("),
        ];
        if let Some(word) = debris.iter().find(|word| line.contains(**word)) {
            complaints.push(format!("{name}:{}: {word} does not belong here", index + 1));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_must_say_what_it_is_and_stay_short_and_clean() {
        assert_eq!(check("crates/a/src/a.rs", "//! A.\n"), Vec::<String>::new());
        assert_eq!(check("crates/a/src/a.rs", "fn a() {}\n").len(), 1);
        let long = format!("//! A.\n{}", "\n".repeat(400));
        assert_eq!(check("crates/a/src/a.rs", &long).len(), 1);
        assert_eq!(check("crates/a/tests/a.rs", &long).len(), 0);
        let debris = format!("//! A.\n// {}: later\n", concat!("TO", "DO"));
        assert_eq!(check("crates/a/src/a.rs", &debris).len(), 1);
    }
}
