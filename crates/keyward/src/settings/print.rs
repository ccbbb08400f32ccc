//! Settings as text: the example file, and the values in effect with the place each comes from.
//!
//! Invariant: no secret is printed.

use std::fmt::Write;

use serde_json::{Value, json};

use super::declare::Setting;
use super::layers::Layers;
use super::list::SECTIONS;
use super::names::settings;
use super::value::Raw;

const HEAD: &str = "\
# All settings of Keyward, with their defaults. To change a setting, remove the # before it.
#
# Keyward reads settings from these places. A later place overrides an earlier one:
#   1. the defaults
#   2. the settings file: keyward.toml in the folder that Keyward is started in, or the file of --config
#   3. the file .env in the folder that Keyward is started in
#   4. environment variables: tokens.access_ttl is KEYWARD_TOKENS__ACCESS_TTL. The variables PORT, JWT_SECRET and
#      JWT_ALGO are read too.
#   5. command-line flags
# `keyward config check` reports errors and warnings. `keyward config show` prints the settings in effect, and where
# each comes from.
";

/// Printed in place of a secret that is set.
const HIDDEN: &str = "(set, not shown)";

/// The whole example file: made from the list of settings.
pub(crate) fn example() -> String {
    let mut text = HEAD.to_owned();
    for section in SECTIONS {
        text.push('\n');
        lines(&mut text, section.doc);
        if let Some(name) = section.prefix.strip_suffix('.') {
            let _ = writeln!(text, "[{name}]");
        }
        for setting in section.settings {
            text.push('\n');
            lines(&mut text, setting.doc);
            let _ = writeln!(text, "#{} = {}", setting.name, setting.default);
        }
    }
    text
}

/// The values in effect as a settings file, each with its origin in a comment.
pub(crate) fn show(layers: &Layers) -> String {
    let mut text = String::new();
    for section in SECTIONS {
        if let Some(name) = section.prefix.strip_suffix('.') {
            let _ = writeln!(text, "\n[{name}]");
        }
        for setting in section.settings {
            if let Some((raw, origin)) = layers.entry(setting) {
                let value = visible(setting, raw).to_toml();
                let _ = writeln!(text, "{} = {value}  # {origin}", setting.name);
            }
        }
    }
    text
}

/// The values in effect as a JSON array of objects with `key`, `value` and `source`.
pub(crate) fn show_json(layers: &Layers) -> Value {
    settings()
        .filter_map(|setting| {
            let (raw, origin) = layers.entry(setting)?;
            let value = match visible(setting, raw) {
                Raw::Text(text) => json!(text),
                Raw::Integer(number) => json!(number),
                Raw::Boolean(truth) => json!(truth),
                Raw::List(items) => json!(items),
                Raw::Foreign => Value::Null,
            };
            Some(json!({"key": setting.key, "value": value, "source": origin.to_string()}))
        })
        .collect()
}

fn visible(setting: &Setting, raw: &Raw) -> Raw {
    match raw {
        Raw::Text(text) if setting.secret && !text.is_empty() => Raw::Text(HIDDEN.to_owned()),
        raw => raw.clone(),
    }
}

fn lines(text: &mut String, doc: &[&str]) {
    for line in doc {
        let _ = writeln!(text, "#{line}");
    }
}
