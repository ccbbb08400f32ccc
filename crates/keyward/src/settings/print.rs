//! Settings as text: the example file, and the values in effect with where each comes from.

use std::fmt::Write;

use serde_json::{Value, json};

use super::declare::Setting;
use super::layers::{Layers, settings};
use super::list::SECTIONS;
use super::value::Raw;

const HEAD: &str = "\
# Every setting of Keyward with its default. Take away the # before the ones you change.
#
# What counts, the later over the earlier: the defaults, this file (keyward.toml in the folder that Keyward
# is started in, or --config FILE), .env in that folder, the environment, flags. In the environment
# tokens.access_ttl is KEYWARD_TOKENS__ACCESS_TTL. PORT, JWT_SECRET and JWT_ALGO are read as well.
# `keyward config check` tells whether all is well, `keyward config show` what is in effect and why.
";

/// What stands for a secret that is set.
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

/// The values in effect as a settings file, the source of each behind it.
pub(crate) fn show(layers: &Layers) -> String {
    let mut text = String::new();
    for section in SECTIONS {
        if let Some(name) = section.prefix.strip_suffix('.') {
            let _ = writeln!(text, "\n[{name}]");
        }
        for setting in section.settings {
            if let Some((raw, source)) = layers.entry(setting) {
                let value = visible(setting, raw).to_toml();
                let _ = writeln!(text, "{} = {value}  # {source}", setting.name);
            }
        }
    }
    text
}

/// The values in effect as a JSON array of key, value and source.
pub(crate) fn show_json(layers: &Layers) -> Value {
    settings()
        .filter_map(|setting| {
            let (raw, source) = layers.entry(setting)?;
            let value = match visible(setting, raw) {
                Raw::Text(text) => json!(text),
                Raw::Integer(number) => json!(number),
                Raw::Boolean(truth) => json!(truth),
                Raw::List(items) => json!(items),
                Raw::Foreign => Value::Null,
            };
            Some(json!({"key": setting.key, "value": value, "source": source.to_string()}))
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
