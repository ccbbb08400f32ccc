//! Checks that every dependency in a manifest is used by the sources beside it, or has a comment that says why it is
//! needed.

/// The complaints about the manifest `name`: one for each dependency that no source of the package mentions.
pub(crate) fn check(name: &str, manifest: &str, sources: &[(String, String)]) -> Vec<String> {
    let package = name.trim_end_matches("Cargo.toml");
    let mentioned = |dependency: &str| {
        let mut own = sources.iter().filter(|(path, _)| path.starts_with(package));
        // The name of a library may lack the hyphen, as that of `md-5` does.
        let words = ["_", ""].map(|between| dependency.replace('-', between));
        own.any(|(_, text)| words.iter().any(|word| mentions(text, word)))
    };
    dependencies(manifest)
        .filter(|dependency| !mentioned(dependency))
        .map(|dependency| format!("{name}: {dependency} is not used: remove it"))
        .collect()
}

/// The dependencies in a manifest, without those that have a comment.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let mut listed = false;
    manifest.lines().filter_map(move |line| {
        if line.starts_with('[') {
            listed = line.trim_end().ends_with("dependencies]");
            return None;
        }
        let end = line.find(['.', '=', ' '])?;
        (listed && !line.contains('#')).then(|| &line[..end])
    })
}

fn mentions(text: &str, word: &str) -> bool {
    let is_part = |char: char| char.is_alphanumeric() || char == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_that_no_source_mentions_is_named() {
        let manifest = "[package]\nname = \"a\"\n[dependencies]\nmd-5.workspace = true\nserde = \"1\"\n\
                        [target.'cfg(unix)'.dependencies]\nlibc = \"1\"\nb = \"1\" # for its features\n";
        let source = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let sources = [
            source(
                "crates/a/src/lib.rs",
                "use md_5::Digest; fn serde_like() {}",
            ),
            source(
                "crates/b/src/lib.rs",
                "use serde::Serialize; use libc::c_int;",
            ),
        ];
        assert_eq!(
            check("crates/a/Cargo.toml", manifest, &sources),
            [
                "crates/a/Cargo.toml: serde is not used: remove it",
                "crates/a/Cargo.toml: libc is not used: remove it",
            ]
        );
    }
}
