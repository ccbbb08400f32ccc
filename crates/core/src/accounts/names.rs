//! Login names, and the prepared forms in which they are compared and unique.

use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::profile::PrecisFastInvocation;

/// A login name, as typed and in its prepared form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// As typed. This form is shown.
    pub shown: String,
    /// The prepared form. It is unique in its realm.
    pub key: String,
    /// The key of the same e-mail address with its domain in the other form, A-labels (`xn--…`) for U-labels or
    /// the reverse (RFC 5890 §2.3.2.1), if the domain is internationalised. An account reserves both keys.
    pub other_key: Option<String>,
}

impl Name {
    fn new(typed: &str, key: String) -> Self {
        let (key, other_key) = match domain_forms(&key) {
            None => (key, None),
            Some((a_labels, u_labels)) if key.is_ascii() => (a_labels, Some(u_labels)),
            Some((a_labels, u_labels)) => (u_labels, Some(a_labels)),
        };
        Self {
            shown: typed.to_owned(),
            key,
            other_key,
        }
    }

    /// All keys that an account with this name reserves.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        [Some(&self.key), self.other_key.as_ref()]
            .into_iter()
            .flatten()
            .map(String::as_str)
    }
}

/// The prepared key of an address with its domain in A-labels and in U-labels (UTS 46); `None` unless it is an address
/// with an internationalised domain.
fn domain_forms(key: &str) -> Option<(String, String)> {
    let (local, domain) = key.rsplit_once('@')?;
    if domain.is_ascii() && !domain.split('.').any(|label| label.starts_with("xn--")) {
        return None;
    }
    let a_labels = idna::domain_to_ascii(domain).ok()?;
    let (u_labels, valid) = idna::domain_to_unicode(&a_labels);
    valid.ok()?;
    (a_labels != u_labels).then(|| (format!("{local}@{a_labels}"), format!("{local}@{u_labels}")))
}

/// The rule that an invalid name breaks, in words for the person who typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(&'static str);

/// The longest username or e-mail address, in bytes.
pub const MAX: usize = 254;

/// Prepares a username by PRECIS `UsernameCaseMapped` (RFC 8265 §3.3).
///
/// # Errors
/// [`NameError`] when it is empty, too long, or contains a character that a username must not have.
pub fn username(typed: &str) -> Result<Name, NameError> {
    if typed.is_empty() {
        return Err(NameError("must not be empty"));
    }
    if typed.len() > MAX {
        return Err(NameError("must be at most 254 bytes"));
    }
    let key = UsernameCaseMapped::enforce(typed)
        .map_err(|_| NameError("must be letters, digits and punctuation, without spaces"))?;
    Ok(Name::new(typed, key.into_owned()))
}

/// Prepares an e-mail address. For comparison alone, domain and local part are lower-cased, and both forms of an
/// internationalised domain count as one.
///
/// # Errors
/// [`NameError`] when it is not of the form `local@domain` (RFC 5321 §4.1.2, RFC 6531, without quoted local
/// parts and address literals).
pub fn email(typed: &str) -> Result<Name, NameError> {
    const SHAPE: NameError = NameError("must be an e-mail address");
    if typed.is_empty() {
        return Err(NameError("must not be empty"));
    }
    if typed.len() > MAX {
        return Err(NameError("must be at most 254 bytes"));
    }
    let (local, domain) = typed.rsplit_once('@').ok_or(SHAPE)?;
    if !is_dot_atom(local, 64, is_local_char) || !is_dot_atom(domain, 253, is_domain_char) {
        return Err(SHAPE);
    }
    let labels_fit = domain
        .split('.')
        .all(|label| label.len() <= 63 && !label.starts_with('-') && !label.ends_with('-'));
    if !labels_fit {
        return Err(SHAPE);
    }
    // The comparison form of a username and of an address share one name space, so both are normalised alike.
    let key = UsernameCaseMapped::enforce(typed).map_err(|_| SHAPE)?;
    Ok(Name::new(typed, key.into_owned()))
}

/// A username of the file exchange: 1 to 64 of `A–Z a–z 0–9 . _ -`, beginning with a letter
/// or digit, compared as typed.
///
/// # Errors
/// [`NameError`] for anything else.
pub fn exchange_username(typed: &str) -> Result<Name, NameError> {
    const RULE: NameError =
        NameError("must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit");
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match typed.as_bytes() {
        [first, rest @ ..]
            if rest.len() < 64
                && first.is_ascii_alphanumeric()
                && rest.iter().all(|&byte| allowed(byte)) =>
        {
            Ok(Name {
                shown: typed.to_owned(),
                key: typed.to_owned(),
                other_key: None,
            })
        }
        _ => Err(RULE),
    }
}

fn is_dot_atom(text: &str, max: usize, allowed: fn(char) -> bool) -> bool {
    text.len() <= max
        && text
            .split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(allowed))
}

fn is_local_char(char: char) -> bool {
    char.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(char)
        || is_visible_beyond_ascii(char)
}

fn is_domain_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '-' || is_visible_beyond_ascii(char)
}

fn is_visible_beyond_ascii(char: char) -> bool {
    !char.is_ascii() && !char.is_control() && !char.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames_that_look_alike_by_case_width_or_composition_are_one() {
        let key = |typed| username(typed).expect(typed).key;
        assert_eq!(key("Alice"), key("alice"));
        assert_eq!(key("ａｌｉｃｅ"), "alice");
        assert_eq!(key("e\u{301}va"), key("éva"));
        assert_eq!(
            key("test@gmail.com"),
            email("TEST@Gmail.com").expect("address").key
        );
        assert_eq!(username("Alice").expect("name").shown, "Alice");
    }

    #[test]
    fn usernames_with_spaces_controls_or_invisible_characters_are_refused() {
        let long = "a".repeat(255);
        for typed in [
            "",
            "a b",
            "a\0",
            "a\u{200b}b",
            "\u{202e}abc",
            "a\r\nb",
            "ﬃ ",
            &long,
        ] {
            assert!(username(typed).is_err(), "{typed:?}");
        }
    }

    #[test]
    fn addresses_are_compared_without_case_and_malformed_ones_refused() {
        let name = email("Test.User+x@GMAIL.com").expect("address");
        assert_eq!(
            (name.shown.as_str(), name.key.as_str()),
            ("Test.User+x@GMAIL.com", "test.user+x@gmail.com")
        );
        for typed in [
            "",
            "a",
            "@b.c",
            "a@",
            "a b@c.d",
            "a@b..c",
            ".a@b.c",
            "a.@b.c",
            "a@-b.c",
            "a@b_c.d",
            "a@@b.c",
            "a@b.c\r\nBcc: x@y.z",
            "a\0@b.c",
            "\"a b\"@c.d",
            "a@[127.0.0.1]",
            "a@b.c ",
            "a\u{200b}@b.c",
        ] {
            assert!(email(typed).is_err(), "{typed:?}");
        }
    }

    #[test]
    fn both_forms_of_an_internationalised_domain_are_one_address() {
        for [unicode, ascii] in [
            ["a@münchen.de", "a@xn--mnchen-3ya.de"],
            ["A@MÜNCHEN.DE", "a@XN--MNCHEN-3YA.DE"],
            ["a@mu\u{308}nchen.de", "a@xn--mnchen-3ya.de"],
            ["é@straße.example", "é@xn--strae-oqa.example"],
            ["a@例え.テスト", "a@xn--r8jz45g.xn--zckzah"],
        ] {
            let names = [unicode, ascii].map(|typed| email(typed).expect(typed));
            let keys = names.each_ref().map(|name| {
                let mut keys: Vec<_> = name.keys().collect();
                keys.sort_unstable();
                keys
            });
            assert_eq!(keys[0], keys[1], "{unicode} {ascii}");
            assert_eq!(keys[0].len(), 2, "{unicode}");
            let as_username = username(unicode).expect(unicode);
            assert_eq!(as_username.key, names[0].key, "one name space");
            assert_eq!(as_username.other_key, names[0].other_key, "one name space");
        }
        for typed in ["a@example.org", "a@xn--a.example", "ü@example.org"] {
            assert_eq!(email(typed).expect(typed).other_key, None, "{typed}");
        }
    }

    #[test]
    fn exchange_usernames_keep_their_case_and_their_small_alphabet() {
        assert_ne!(
            exchange_username("Sbeve72").expect("name").key,
            exchange_username("sbeve72").expect("name").key
        );
        assert!(exchange_username(&"a".repeat(64)).is_ok());
        let long = "a".repeat(65);
        for typed in ["", ".a", "-a", "_a", "a/b", "a b", "é", "a\0", "..", &long] {
            assert!(exchange_username(typed).is_err(), "{typed:?}");
        }
    }
}
