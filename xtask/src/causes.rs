//! Checks that a cause is logged once and completely: the text of an error does not repeat its source, and a log line
//! contains the error with all its sources.

/// Names of variables that hold errors.
const HELD: [&str; 6] = ["error", "fault", "failure", "trouble", "cause", "problem"];

/// The complaints about one file, each with its line number.
pub(crate) fn check(text: &str) -> Vec<(usize, String)> {
    let mut complaints = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let logged = HELD.iter().find(|name| {
            let shorthand = format!("%{name}");
            line.split([',', '(', ' '])
                .any(|word| word.trim_end_matches(')') == shorthand)
        });
        if let Some(name) = logged {
            let complaint = format!("%{name} loses the sources: log `error = chain(&{name})`");
            complaints.push((index + 1, complaint));
        }
    }
    for (at, _) in text.match_indices("#[error(") {
        let rest = text.get(at..).unwrap_or_default();
        let Some((message, item)) = rest.split_once(")]\n") else {
            continue;
        };
        if repeats_source(message, item) {
            let line = text.get(..at).unwrap_or_default().lines().count() + 1;
            let complaint = "the text repeats its source: leave it out, the log adds it";
            complaints.push((line, complaint.to_owned()));
        }
    }
    complaints
}

/// Whether `message` shows the source of the variant or struct with which `item` begins.
fn repeats_source(message: &str, item: &str) -> bool {
    let (Some(open), Some(end)) = (item.find(['(', '{']), item.find(['\n', ';'])) else {
        return false;
    };
    let is_tuple = item.get(open..).is_some_and(|rest| rest.starts_with('('));
    if open > end {
        return false;
    }
    let close = match is_tuple {
        true => item.find([')']).map_or(end, |_| end),
        false => item.find('}').unwrap_or(end),
    };
    let fields = item.get(open + 1..close).unwrap_or_default();
    let shown = |name: &str| {
        ["}", ":", "."]
            .iter()
            .any(|after| message.contains(&format!("{{{name}{after}")))
            || message.contains(&format!("(.{name})"))
            || message.contains(&format!(", .{name}"))
    };
    let mut marked = false;
    fields.split(',').enumerate().any(|(number, field)| {
        marked |= field.contains("#[source]") || field.contains("#[from]");
        let name = match is_tuple {
            true => number.to_string(),
            false => {
                let declared = field.rsplit(['\n', ']']).find(|part| part.contains(':'));
                let declared = declared.unwrap_or_default().trim();
                let declared = declared
                    .trim_start_matches("pub(crate) ")
                    .trim_start_matches("pub ");
                declared
                    .split(':')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_owned()
            }
        };
        let is_source = std::mem::take(&mut marked) || name == "source";
        is_source && shown(&name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        check(text).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_text_that_repeats_its_source_is_found() {
        for repeats in [
            "#[error(\"bad: {0}\")]\nBad(#[from] io::Error),\n",
            "#[error(\"the {0} is bad: {1}\")]\nBad(&'static str, #[source] io::Error),\n",
            "#[error(\"{}\", describe(.0))]\nBad(#[from] io::Error),\n",
            "#[error(\n    \"bad: {source}\"\n)]\nBad {\n    /// Why.\n    source: io::Error,\n},\n",
            "#[error(\"{path}: {error}\")]\nBad {\n    path: String,\n    #[source]\n    error: io::Error,\n},\n",
            "#[error(\"bad: {0:?}\")]\npub struct Bad(#[source] io::Error);\n",
        ] {
            assert_eq!(lines(&format!("//! A.\n{repeats}")), [2], "{repeats}");
        }
    }

    #[test]
    fn a_text_beside_its_source_is_fine() {
        for fine in [
            "#[error(\"bad\")]\nBad(#[from] io::Error),\n",
            "#[error(\"the {0} is bad\")]\nBad(&'static str, #[source] io::Error),\n",
            "#[error(transparent)]\nBad(#[from] io::Error),\n",
            "#[error(\"bad: {0}\")]\nBad(String),\n/// Next.\n#[error(\"worse\")]\nWorse(#[from] io::Error),\n",
            "#[error(\"{path} is bad\")]\nBad {\n    path: String,\n    #[source]\n    error: io::Error,\n},\n",
            "#[error(\"none\")]\nNone,\n#[error(\"{0}\")]\nSome(&'static str),\n",
        ] {
            assert_eq!(lines(fine), [0; 0], "{fine}");
        }
    }

    #[test]
    fn a_log_line_that_loses_sources_is_found() {
        assert_eq!(lines("//! A.\nwarn!(%error, \"bad\");\n"), [2]);
        assert_eq!(
            lines("warn!(\n    path,\n    %fault,\n    \"bad\"\n);\n"),
            [3]
        );
        assert_eq!(lines("warn!(id, cause = %error, \"bad\");\n"), [1]);
        assert_eq!(
            lines("warn!(%address, error = chain(&error), \"bad\");\n"),
            [0; 0]
        );
    }
}
