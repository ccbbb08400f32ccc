//! The `.env` file of the working folder, as the replaced services had it. The process's own
//! environment is neither read here nor changed.

use std::io::ErrorKind;
use std::path::Path;

use super::Problem;

/// The variables of `.env` that are wanted, the last of each name last, and what is wrong with the file.
///
/// A value with `$` or `\` must stand in single quotes: some readers of such files expand those and
/// some do not, and a key that is silently another one is worse than an error.
pub(crate) fn read(
    folder: &Path,
    wanted: fn(&str) -> bool,
) -> (Vec<(String, String)>, Vec<Problem>) {
    let text = match std::fs::read_to_string(folder.join(".env")) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return (Vec::new(), Vec::new()),
        Err(error) => {
            return (
                Vec::new(),
                vec![Problem::new(".env", format!("cannot be read: {error}"))],
            );
        }
    };
    let text = text.trim_start_matches('\u{feff}');
    let mut problems = ambiguous(text, wanted);
    let mut variables = Vec::new();
    for item in dotenvy::from_read_iter(text.as_bytes()) {
        match item {
            Ok((name, value)) if wanted(&name) => variables.push((name, value)),
            Err(dotenvy::Error::LineParse(line, _)) if wanted(name_of(&line)) => {
                let message = format!(
                    "{} cannot be read: put its value in single quotes",
                    name_of(&line)
                );
                problems.push(Problem::new(".env", message));
            }
            _ => {}
        }
    }
    (variables, problems)
}

fn ambiguous(text: &str, wanted: fn(&str) -> bool) -> Vec<Problem> {
    let lines = text.lines().enumerate();
    lines
        .filter_map(|(index, line)| {
            let (_, value) = line.split_once('=')?;
            let value = value.trim();
            let quoted = value.starts_with('\'') && value[1..].contains('\'');
            (wanted(name_of(line)) && !quoted && value.contains(['$', '\\'])).then(|| {
                let message = format!(
                    "{} has a $ or \\ in it: put its value in single quotes",
                    name_of(line)
                );
                Problem::new(&format!(".env:{}", index + 1), message)
            })
        })
        .collect()
}

fn name_of(line: &str) -> &str {
    let name = line.split('=').next().unwrap_or(line).trim();
    name.strip_prefix("export ").unwrap_or(name).trim()
}
