//! The name of an uploaded file: metadata only, never a path.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// A name that can be stored and offered for download: 1 to 255 bytes of UTF-8 in Unicode normalization form C, no
/// path separator, no control character, not `.` or `..`.
///
/// macOS sends names in form D, so names that look alike may differ in their bytes. Names that an earlier version
/// stored in form D are kept, and are found by a name in any form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName {
    name: String,
    spellings: Vec<String>,
}

/// The rule that an invalid file name breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FileNameError(&'static str);

/// The longest name, in bytes.
const LONGEST: usize = 255;

impl FileName {
    /// Takes the name that a client gave, after cutting off the `C:\fakepath\` that browsers once put
    /// before it.
    ///
    /// # Errors
    /// [`FileNameError`] with the broken rule.
    pub fn parse(given: &str) -> Result<Self, FileNameError> {
        let given = given.strip_prefix(r"C:\fakepath\").unwrap_or(given);
        let name = composed(given);
        if name.is_empty() {
            return Err(FileNameError("the file needs a name"));
        }
        if name.len() > LONGEST {
            return Err(FileNameError(
                "the file's name must be at most 255 bytes of UTF-8",
            ));
        }
        if matches!(&*name, "." | "..") || name.contains(['/', '\\']) {
            return Err(FileNameError("the file's name must not be a path"));
        }
        if name.chars().any(char::is_control) {
            return Err(FileNameError(
                "the file's name must not contain control characters",
            ));
        }
        let spellings = spellings(given);
        Ok(Self { name, spellings })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The names under which a file of this name may be stored.
    pub(super) fn spellings(&self) -> &[String] {
        &self.spellings
    }

    pub(super) fn into_spellings(self) -> (String, Vec<String>) {
        (self.name, self.spellings)
    }
}

/// A text in Unicode normalization form C.
fn composed(text: &str) -> String {
    match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text.to_owned(),
        IsNormalized::No | IsNormalized::Maybe => text.nfc().collect(),
    }
}

/// The names under which a file that is called `given` may be stored: as given, then in form C, then in form D.
/// The first is first because two files of an earlier version may differ in nothing but their form.
pub(super) fn spellings(given: &str) -> Vec<String> {
    let mut spellings = vec![given.to_owned()];
    if !given.is_ascii() {
        for other in [given.nfc().collect(), given.nfd().collect()] {
            if !spellings.contains(&other) {
                spellings.push(other);
            }
        }
    }
    spellings
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
    fn a_name_is_kept_in_form_c_and_looked_for_in_every_form() {
        let (nfc, nfd) = ("\u{e1}.txt", "a\u{301}.txt");
        for (given, expected) in [(nfc, [nfc, nfd]), (nfd, [nfd, nfc])] {
            let name = FileName::parse(given).expect(given);
            assert_eq!(name.as_str(), nfc);
            assert_eq!(name.spellings(), expected);
        }
        assert_eq!(spellings("a.txt"), ["a.txt"]);
        // 127 letters of three bytes each are 254 bytes in form C.
        assert!(FileName::parse(&"a\u{301}".repeat(127)).is_ok());
        assert!(FileName::parse(&"a\u{301}".repeat(128)).is_err());
        // Form C of this letter is longer than the letter.
        assert!(FileName::parse(&"\u{958}".repeat(85)).is_err());
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
