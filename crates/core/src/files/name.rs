//! The name of an uploaded file: metadata only, never a path.

/// A name that can be stored and offered for download: 1 to 255 bytes of UTF-8, no path separator, no
/// control character, not `.` or `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName(String);

/// Why a text is no file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadFileName(&'static str);

/// The longest name, in bytes.
const LONGEST: usize = 255;

impl FileName {
    /// Takes the name that a client gave, after cutting off the `C:\fakepath\` that browsers once put
    /// before it.
    ///
    /// # Errors
    /// [`BadFileName`] with the rule that is broken.
    pub fn parse(given: &str) -> Result<Self, BadFileName> {
        let name = given.strip_prefix(r"C:\fakepath\").unwrap_or(given);
        if name.is_empty() {
            return Err(BadFileName("the file needs a name"));
        }
        if name.len() > LONGEST {
            return Err(BadFileName(
                "the file's name must be at most 255 bytes of UTF-8",
            ));
        }
        if matches!(name, "." | "..") || name.contains(['/', '\\']) {
            return Err(BadFileName("the file's name must not be a path"));
        }
        if name.chars().any(char::is_control) {
            return Err(BadFileName(
                "the file's name must not contain control characters",
            ));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_as_given_but_for_the_browsers_prefix() {
        for (given, kept) in [
            ("a.txt", "a.txt"),
            (r"C:\fakepath\a.txt", "a.txt"),
            ("\u{202e}ﬁle \"x\"; y.html", "\u{202e}ﬁle \"x\"; y.html"),
            ("...", "..."),
        ] {
            assert_eq!(
                FileName::parse(given).as_ref().map(FileName::as_str),
                Ok(kept)
            );
        }
        assert!(FileName::parse(&"é".repeat(127)).is_ok());
    }

    #[test]
    fn paths_controls_and_long_names_are_refused() {
        let long = "é".repeat(128);
        for given in [
            "",
            ".",
            "..",
            "../a",
            "..\\a",
            "/a",
            "a/b",
            "a\0",
            "a\r\nb",
            "a\u{7f}",
            "\u{85}",
            "C:\\a",
            r"C:\fakepath\",
            r"C:\fakepath\..",
            &long,
        ] {
            assert!(FileName::parse(given).is_err(), "{given:?}");
        }
    }
}
