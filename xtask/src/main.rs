//! Checks the rules of this repository for which there is no ready tool: `cargo run -p xtask -- tidy`.

mod causes;
mod dependencies;
mod documents;
mod postman;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

/// The maximum number of lines of a source file, without its tests, and of a test file.
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
    let mut sources = Vec::new();
    for folder in ["bench", "crates", "xtask"] {
        collect(&root.join(folder), "rs", &mut sources)?;
    }
    let mut complaints = Vec::new();
    let mut read = Vec::new();
    for file in sources {
        let text = read_text(&file)?;
        complaints.extend(check(&named(&root, &file), &text));
        read.push((named(&root, &file), text));
    }
    let mut manifests = vec![root.join("bench/Cargo.toml"), root.join("xtask/Cargo.toml")];
    for entry in fs::read_dir(root.join("crates")).context("crates")? {
        manifests.push(entry?.path().join("Cargo.toml"));
    }
    for manifest in manifests {
        let name = named(&root, &manifest);
        complaints.extend(dependencies::check(&name, &read_text(&manifest)?, &read));
    }
    let [example, list] =
        [settings::EXAMPLE, settings::LIST].map(|file| read_text(&root.join(file)));
    let programs = read.iter().map(|(_, text)| text.as_str());
    let known = settings::Known::new(&example?, &list?, programs);
    for document in documents::list(&root)? {
        let text = read_text(&document)?;
        let name = named(&root, &document);
        complaints.extend(documents::check(&name, &text, &root, &read));
        complaints.extend(settings::check(&name, &text, &known));
    }
    let mut deployed = Vec::new();
    collect(&root.join("deploy"), "", &mut deployed)?;
    for file in deployed {
        complaints.extend(settings::check(
            &named(&root, &file),
            &read_text(&file)?,
            &known,
        ));
    }
    let [collection, openapi] =
        [postman::COLLECTION, postman::OPENAPI].map(|file| read_text(&root.join(file)));
    complaints.extend(postman::check(&collection?, &openapi?)?);
    Ok(complaints)
}

fn read_text(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| file.display().to_string())
}

/// The name of a file in a complaint: its path relative to the root.
fn named(root: &Path, file: &Path) -> String {
    let below = file.strip_prefix(root).unwrap_or(file);
    below.display().to_string()
}

/// Collects the files below `folder` with the extension `extension`, or all if it is empty, except build output.
fn collect(folder: &Path, extension: &str, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let is_built = path.file_name().is_some_and(|name| name == "target");
        if path.is_dir() && !is_built {
            collect(&path, extension, files)?;
        } else if extension.is_empty() || path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    Ok(())
}

/// The complaints about one file.
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
