//! Checks that every setting and every variable that a document or a file of `deploy` names is one of the program.

use std::collections::BTreeSet;

/// Every setting with its default, written by the program itself.
pub(crate) const EXAMPLE: &str = "keyward.example.toml";
/// Where the former names of settings stand, as `(was NAME)`.
pub(crate) const LIST: &str = "crates/keyward/src/settings/list.rs";
/// Other names that look the same: a field of the Elastic Common Schema, and variables that Kubernetes makes.
const FOREIGN: [&str; 3] = ["log.logger", "KEYWARD_DB_PORT", "KEYWARD_DB_SERVICE_HOST"];

/// The names that exist.
pub(crate) struct Known {
    settings: BTreeSet<String>,
    /// The former names, without their sections.
    former: BTreeSet<String>,
    /// Variables of the tests and of the benchmarks: those that a program of the repository mentions.
    variables: BTreeSet<String>,
}

impl Known {
    /// The names in the example, in the list of settings, and in the texts of all programs.
    pub(crate) fn new<'t>(
        example: &str,
        list: &str,
        programs: impl Iterator<Item = &'t str>,
    ) -> Self {
        let former = list.split("(was ").skip(1);
        let former = former.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
        Self {
            settings: keys(&example.replace("\n#", "\n")).collect(),
            former: former.collect(),
            variables: programs.flat_map(variables).map(str::to_owned).collect(),
        }
    }

    fn is_setting(&self, key: &str) -> bool {
        let name = key.rsplit('.').next().unwrap_or_default();
        self.settings.contains(key) || self.former.contains(name)
    }

    fn is_section(&self, name: &str) -> bool {
        let prefix = format!("{name}.");
        self.settings.iter().any(|key| key.starts_with(&prefix))
    }

    fn is_variable(&self, name: &str) -> bool {
        let key = name.trim_start_matches("KEYWARD_").to_ascii_lowercase();
        self.settings.contains(&key.replace("__", "."))
    }
}

/// The complaints about the file `name`: a document, or one that an operator deploys.
pub(crate) fn check(name: &str, text: &str, known: &Known) -> Vec<String> {
    // The pipelines run the tests.
    let is_deployed = name.starts_with("deploy/") && !name.starts_with("deploy/ci/");
    let mut complaints = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", index + 1);
        for variable in variables(line) {
            let is_known = known.is_variable(variable)
                || !is_deployed
                    && (known.variables.contains(variable) || FOREIGN.contains(&variable));
            if !is_known {
                complaints.push(format!("{place}: no setting has the variable {variable}"));
            }
        }
        for code in line.split('`').skip(1).step_by(2) {
            let is_named = code
                .split_once('.')
                .is_some_and(|(section, key)| known.is_section(section) && is_word(key));
            if is_named && !FOREIGN.contains(&code) && !known.is_setting(code) {
                complaints.push(format!("{place}: there is no setting {code}"));
            }
        }
    }
    if is_deployed {
        let unknown = settings_file(name, text)
            .into_iter()
            .flat_map(|file| keys(&file).collect::<Vec<_>>())
            .filter(|key| !known.settings.contains(key));
        complaints.extend(unknown.map(|key| format!("{name}: there is no setting {key}")));
    }
    complaints
}

/// The settings file that `text` is, or has as the value of `settings` in a chart.
fn settings_file(name: &str, text: &str) -> Option<String> {
    if name.ends_with(".toml") {
        return Some(text.to_owned());
    }
    let (_, block) = text.split_once("\nsettings: |\n")?;
    let lines = block
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with(' '));
    Some(lines.map(str::trim_start).collect::<Vec<_>>().join("\n"))
}

/// The keys of a settings file, with their sections.
fn keys(text: &str) -> impl Iterator<Item = String> {
    let mut section = String::new();
    text.lines().filter_map(move |line| {
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
            return None;
        }
        let (key, _) = line.split_once(" = ")?;
        key.split('.')
            .all(is_word)
            .then(|| format!("{section}{key}"))
    })
}

/// The variables with the prefix of Keyward in a text.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    let fits = |char: char| char.is_ascii_uppercase() || char.is_ascii_digit() || char == '_';
    text.split(move |char| !fits(char)).filter(|word| {
        word.strip_prefix("KEYWARD_")
            .is_some_and(|rest| !rest.is_empty())
    })
}

fn is_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !text.is_empty() && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(name: &str, text: &str) -> Vec<String> {
        let example = "# All.\n#listen = \"a\"\n\n[http]\n\n# Hosts, such as\n#hosts = []\n\n[log]\n\n#level = \"info\"\n";
        let programs = ["env(\"KEYWARD_TEST_POSTGRES\")"];
        let known = Known::new(example, "level (was depth): Level", programs.into_iter());
        check(name, text, &known)
    }

    #[test]
    fn what_is_no_setting_is_named_with_its_line() {
        let text = "`http.hosts` `log.depth` `log.logger` `url.path` `http.rs()` KEYWARD_LISTEN KEYWARD_…\n\
                    KEYWARD_HTTP__HOSTS, KEYWARD_TEST_POSTGRES KEYWARD_HTTP_HOSTS `http.host`\n";
        assert_eq!(
            complaints("docs/a.md", text),
            [
                "docs/a.md:2: no setting has the variable KEYWARD_HTTP_HOSTS",
                "docs/a.md:2: there is no setting http.host",
            ]
        );
        assert_eq!(
            complaints("deploy/a.yaml", "A: 1\nKEYWARD_TEST_POSTGRES: 1\n"),
            ["deploy/a.yaml:2: no setting has the variable KEYWARD_TEST_POSTGRES"]
        );
    }

    #[test]
    fn a_deployed_settings_file_has_only_settings() {
        let toml = "listen = \"b\"\nlog.level = \"warn\"\n[http]\n# hosts = no\nhosts = []\nhost = []\nlevel = 1\n";
        assert_eq!(
            complaints("deploy/a/keyward.toml", toml),
            [
                "deploy/a/keyward.toml: there is no setting http.host",
                "deploy/a/keyward.toml: there is no setting http.level",
            ]
        );
        let chart =
            "a: 1\nsettings: |\n  [http]\n\n  hosts = []\n  [log]\n  depth = 1\n\nb: c = 2\n";
        assert_eq!(
            complaints("deploy/values.yaml", chart),
            ["deploy/values.yaml: there is no setting log.depth"]
        );
        assert_eq!(complaints("deploy/a.yaml", "listens = 2\n"), [""; 0]);
    }
}
