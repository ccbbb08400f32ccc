//! Checks that every file, folder and test that a document names exists.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::collect;

/// Abbreviations of paths in docs/security.md and similar documents.
const SHORT: [(&str, &str); 4] = [
    ("S/", "crates/server/src/"),
    ("T/", "crates/server/tests/http/"),
    ("C/", "crates/store/tests/conformance/"),
    ("J/", "crates/jose/tests/jose/"),
];
/// The beginnings of paths. Any other text with a slash is a URL or a media type.
const TREES: [&str; 10] = [
    "bench", "core", "crates", "deploy", "docs", "jose", "keyward", "server", "store", "xtask",
];

/// The documents of the repository.
pub(crate) fn list(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut documents = Vec::new();
    for entry in fs::read_dir(root).context("the root")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            documents.push(path);
        }
    }
    collect(&root.join("docs"), "md", &mut documents)?;
    Ok(documents)
}

/// The complaints about the document `name`: one for each path, test or link target that does not exist. Paths and
/// tests are in backquotes.
pub(crate) fn check(
    name: &str,
    text: &str,
    root: &Path,
    sources: &[(String, String)],
) -> Vec<String> {
    let mut complaints = Vec::new();
    for (index, line) in prose(text) {
        let place = format!("{name}:{}", index + 1);
        for code in line.split('`').skip(1).step_by(2) {
            if is_path(code) && !path_exists(root, code) {
                complaints.push(format!("{place}: there is no {code}"));
            }
            if is_test(code) && !sources.iter().any(|(_, text)| text.contains(code)) {
                complaints.push(format!("{place}: there is no test {code}"));
            }
        }
        let folder = Path::new(name).parent().unwrap_or(Path::new(""));
        for link in links(line) {
            if !root.join(folder).join(link).exists() {
                complaints.push(format!("{place}: the link to {link} leads nowhere"));
            }
        }
    }
    complaints
}

/// The lines outside fenced code blocks, with their indexes.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        !fenced && !is_fence
    })
}

/// Whether the text is the path of a file or folder of the repository.
fn is_path(code: &str) -> bool {
    let fits = |char: char| char.is_ascii_alphanumeric() || "/._-".contains(char);
    let first = code.split('/').next().unwrap_or_default();
    code.contains('/')
        && code.chars().all(fits)
        && (TREES.contains(&first) || SHORT.iter().any(|(short, _)| code.starts_with(short)))
}

fn path_exists(root: &Path, code: &str) -> bool {
    let long = SHORT
        .iter()
        .find_map(|(short, long)| Some(format!("{long}{}", code.strip_prefix(short)?)));
    let code = long.as_deref().unwrap_or(code);
    // `core/sessions` is short for `crates/core/src/sessions`, and the extension of a module may be omitted.
    let below_src = code
        .split_once('/')
        .map(|(first, rest)| format!("crates/{first}/src/{rest}"));
    let candidates = [
        code.to_owned(),
        format!("crates/{code}"),
        below_src.unwrap_or_default(),
    ];
    candidates
        .iter()
        .filter(|path| !path.is_empty())
        .any(|path| {
            let path = root.join(path);
            path.exists() || path.with_extension("rs").exists()
        })
}

/// Whether the text is the name of a test, which is a sentence.
fn is_test(code: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let is_of_postgresql = code.starts_with("pg_") || code.starts_with("yb_");
    code.matches('_').count() >= 3 && code.bytes().all(fits) && !is_of_postgresql
}

/// The targets of the links to files in a line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains("://") && !target.starts_with('#'))
        .map(|target| target.split('#').next().unwrap_or(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_document_names_and_is_not_there_is_told_with_its_line() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let sources = [(
            "xtask/src/a.rs".to_owned(),
            "fn a_test_that_is_there() {}".to_owned(),
        )];
        let text = "`xtask/src/main.rs` `core/accounts` `S/error.rs` `/api/v1` `text/html` [x](docs/security.md#a)\n\
                    `a_test_that_is_there` `max_connections`\n```\n`xtask/src/none.rs`\n```\n\
                    `xtask/src/none.rs` `a_test_that_is_gone` [y](docs/none.md) [z](https://example.org/none)\n";
        assert_eq!(
            check("a.md", text, &root, &sources),
            [
                "a.md:6: there is no xtask/src/none.rs",
                "a.md:6: there is no test a_test_that_is_gone",
                "a.md:6: the link to docs/none.md leads nowhere",
            ]
        );
    }
}
