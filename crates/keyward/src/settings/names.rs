//! The names of settings: as keys, as variables, under former names, and the names that resemble them.
//!
//! Invariant: a variable that is a setting is read, whatever else its name looks like.

use super::declare::Setting;
use super::list::SECTIONS;

/// The beginning of the variables that are settings.
const PREFIX: &str = "KEYWARD_";
/// The variable from which the replaced services read their port.
pub(super) const PORT: &str = "PORT";
/// The other variables of the replaced services, and the settings that they give.
const REPLACED: [(&str, &str); 2] = [
    ("JWT_SECRET", "tokens.access_token_secret"),
    ("JWT_ALGO", "tokens.algorithm"),
];

/// What a variable is.
pub(super) enum Variable {
    /// The port of the replaced services.
    Port,
    /// A setting, by a variable of the replaced services.
    Replaced(&'static Setting),
    /// A setting, by its name or by a former name.
    Setting(&'static Setting, &'static str),
    /// A name with our prefix that resembles a setting, and the variable that was probably meant.
    Misspelt(Option<String>),
    /// A name with our prefix that is probably not meant for Keyward, and the variable that it resembles after all.
    Unknown(Option<String>),
    /// Somebody else's.
    Foreign,
}

/// Every setting, in the order of the list.
pub(crate) fn settings() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|section| section.settings)
}

/// The setting of that key.
pub(super) fn find(key: &str) -> Option<&'static Setting> {
    settings().find(|setting| setting.key == key)
}

/// The setting of that key or former key, with the key as the list has it.
pub(super) fn find_any(key: &str) -> Option<(&'static Setting, &'static str)> {
    keys().find_map(|(setting, known)| (known == key).then_some((setting, known)))
}

/// Whether a key is the name of a section.
pub(super) fn is_section(key: &str) -> bool {
    section_names().any(|name| name == key)
}

/// The variable that gives the setting with this key.
pub(crate) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// Whether a variable could be meant for Keyward.
pub(super) fn is_ours(name: &str, value: &str) -> bool {
    !matches!(classify(name, value), Variable::Foreign)
}

/// What a variable is. Its value matters only for a name that Kubernetes may have made.
pub(super) fn classify(name: &str, value: &str) -> Variable {
    if name == PORT {
        return Variable::Port;
    }
    let replaced = REPLACED.iter().find(|(replaced, _)| *replaced == name);
    if let Some(setting) = replaced.and_then(|(_, key)| find(key)) {
        return Variable::Replaced(setting);
    }
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return Variable::Foreign;
    };
    let key = rest.to_ascii_lowercase().replace("__", ".");
    match find_any(&key) {
        Some((setting, known)) if variable_of(known) == name => Variable::Setting(setting, known),
        // One spelling each, so that of two that differ in case neither is silently preferred.
        Some((_, known)) => Variable::Misspelt(Some(variable_of(known))),
        None => match (kubernetes(rest, value), nearest_variable(&key)) {
            (Kubernetes::Made, _) => Variable::Foreign,
            (Kubernetes::PerhapsMade, nearest) => Variable::Unknown(nearest),
            (Kubernetes::NotMade, Some(nearest)) => Variable::Misspelt(Some(nearest)),
            (Kubernetes::NotMade, None) if resembles_section(&key) => Variable::Misspelt(None),
            (Kubernetes::NotMade, None) => Variable::Unknown(None),
        },
    }
}

/// The key that was probably meant.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    let scored =
        |(setting, known): (&'static Setting, &str)| Some((score(key, known)?, setting.key));
    let best = keys().filter_map(scored).min_by_key(|(score, _)| *score);
    best.map(|(_, key)| key)
}

/// How far `key` is from `known`; `None` if the two do not resemble each other.
fn score(key: &str, known: &str) -> Option<usize> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let (flat_key, name) = (flat(key), last(known));
    if last(key) == name {
        return Some(0);
    }
    let whole = strsim::damerau_levenshtein(&flat_key, &flat(known));
    let in_name = strsim::damerau_levenshtein(&last(key), &name);
    if whole <= 1 + flat_key.len() / 5 {
        Some(whole)
    } else if in_name <= name.len() / 5 {
        Some(whole + in_name)
    } else if !known.contains('.') && flat_key.starts_with(known) {
        // Such as `database_url`.
        Some(whole + 1)
    } else if name.len() > 4 && flat_key.ends_with(&format!("_{name}")) {
        // Such as `auth_access_ttl`.
        Some(whole + 2)
    } else {
        None
    }
}

/// The variable that was probably meant.
fn nearest_variable(key: &str) -> Option<String> {
    let flat = flat(key).to_ascii_uppercase();
    let replaced = REPLACED.iter().map(|(name, _)| *name).chain([PORT]);
    let close = |name: &&str| strsim::damerau_levenshtein(&flat, name) <= name.len() / 5;
    match replaced.into_iter().find(close) {
        Some(name) => Some(name.to_owned()),
        None => nearest(key).map(variable_of),
    }
}

/// Whether a key is a section, is in one, or would be with one letter changed.
fn resembles_section(key: &str) -> bool {
    match key.split_once('.') {
        Some((section, _)) => {
            section_names().any(|name| strsim::damerau_levenshtein(section, name) <= 1)
        }
        None => is_section(key),
    }
}

/// Whether Kubernetes made a variable.
enum Kubernetes {
    Made,
    /// The name is one of its names, the value is not.
    PerhapsMade,
    NotMade,
}

/// Kubernetes gives each pod variables for every service: for the service `keyward` such as `KEYWARD_SERVICE_HOST`, for
/// `keyward-db` such as `KEYWARD_DB_PORT_5432_TCP_ADDR`. `rest` is the name behind our prefix.
fn kubernetes(rest: &str, value: &str) -> Kubernetes {
    let parts: Vec<&str> = rest.split('_').collect();
    let is_port = |number: &str| number.parse::<u16>().is_ok();
    let mut found = Kubernetes::NotMade;
    for start in 0..parts.len() {
        match &parts[start..] {
            ["SERVICE", "HOST"] | ["SERVICE", "PORT", ..] => return Kubernetes::Made,
            ["PORT", number, "TCP" | "UDP" | "SCTP"]
            | [
                "PORT",
                number,
                "TCP" | "UDP" | "SCTP",
                "PROTO" | "PORT" | "ADDR",
            ] if is_port(number) => {
                return Kubernetes::Made;
            }
            ["PORT"] if value.contains("://") => return Kubernetes::Made,
            ["PORT"] => found = Kubernetes::PerhapsMade,
            _ => {}
        }
    }
    found
}

/// Every key and former key.
fn keys() -> impl Iterator<Item = (&'static Setting, &'static str)> {
    settings().flat_map(|setting| {
        let former = setting.former.iter().copied();
        std::iter::once(setting.key)
            .chain(former)
            .map(move |key| (setting, key))
    })
}

fn section_names() -> impl Iterator<Item = &'static str> {
    SECTIONS
        .iter()
        .filter_map(|section| section.prefix.strip_suffix('.'))
}

/// A key with one kind of separator.
fn flat(key: &str) -> String {
    key.replace(['.', '-'], "_")
}
