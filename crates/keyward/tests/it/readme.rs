//! The README's curl tour, run from the README's own text: each `$` line is a command, what follows it is what it
//! prints, and `…` stands for anything.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::server::Server;

/// Written by the shell between two commands.
const MARK: &str = "-- next example --";

struct Example {
    command: String,
    output: String,
}

fn examples(readme: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match line.strip_prefix("$ ") {
                Some(command) => {
                    examples.push(Example {
                        command: command.to_owned(),
                        output: String::new(),
                    });
                }
                None => {
                    let example = examples.last_mut().expect("output follows a command");
                    example.output.push_str(line);
                    example.output.push('\n');
                }
            },
        }
    }
    examples
}

/// Whether `text` is `pattern`, in which each `…` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('…') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    loop {
        if matches(rest, text) {
            return true;
        }
        let Some(char) = text.chars().next() else {
            return false;
        };
        text = &text[char.len_utf8()..];
    }
}

#[tokio::test]
async fn the_tour_of_the_readme_works_as_it_is_written() {
    let folder = TempDir::new().expect("folder");
    let server = Server::start_with(folder.path(), "--demo", &[]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = fs::read_to_string(root.join("README.md")).expect("README.md");
    let examples = examples(&readme);
    assert!(examples.len() > 20, "the tour has gone");
    let mut script = String::from("set -u\n");
    for example in &examples {
        let command = example
            .command
            .replace("http://127.0.0.1:5000", &server.url);
        script.push_str(&format!("{command}\necho\necho '{MARK}'\n"));
    }
    let output = Command::new("bash")
        .arg("-c")
        .arg(script)
        .current_dir(folder.path())
        .output();
    let output = output.expect("bash");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let mark = format!("{MARK}\n");
    let mut answers = printed.split(&mark);
    for Example { command, output } in &examples {
        let printed = answers
            .next()
            .expect("an answer for each command")
            .trim_end();
        assert!(
            matches(output.trim_end(), printed),
            "{command}\nprinted\n{printed}\nnot\n{output}"
        );
    }
}

#[test]
fn the_pattern_matcher_can_fail() {
    assert!(matches(
        "{\"iat\":…,\"a\":\"…\"}",
        "{\"iat\":17,\"a\":\"b\"}"
    ));
    assert!(!matches("{\"iat\":…}", "{\"iat\":17,\"a\":1"));
    assert!(!matches("a", "ab"));
}
