//! A secret that is given as a setting, or in the file that another setting names.
//!
//! Invariant: nothing that an editor or a shell adds to such a file becomes part of the secret unnoticed.

use std::path::Path;

use keyward_core::secret::SecretText;

use super::error::{SettingError, Topic, Warning};
use super::files::TextFile;
use super::layers::Layers;

/// The two settings of a secret, of which at most one is given.
pub(super) struct Secret<'a> {
    pub(super) key: &'static str,
    pub(super) text: &'a Option<SecretText>,
    pub(super) file_key: &'static str,
    pub(super) file: Option<&'a Path>,
}

impl Secret<'_> {
    /// The secret, if it is given, and what to warn of about its file.
    pub(super) fn find(
        &self,
        layers: &Layers,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<SecretText>, SettingError> {
        match (self.text, self.file) {
            (None, None) => Ok(None),
            (Some(text), None) => Ok(Some(text.clone())),
            (None, Some(file)) => self.read(file, layers, warnings).map(Some),
            (Some(_), Some(_)) => {
                let (file, text) = (self.file_key, self.key);
                let message = format!("{file} and {text} are both given: keep one of them");
                Err(layers.error(self.file_key, message))
            }
        }
    }

    /// The key of the setting that gives it.
    pub(super) fn source(&self) -> &'static str {
        match self.file {
            Some(_) => self.file_key,
            None => self.key,
        }
    }

    fn read(
        &self,
        file: &Path,
        layers: &Layers,
        warnings: &mut Vec<Warning>,
    ) -> Result<SecretText, SettingError> {
        let shown = file.display();
        let refused =
            |why: String| layers.error(self.file_key, format!("{}: {why}", self.file_key));
        let read = TextFile::read(&layers.folder.join(file))
            .map_err(|error| refused(format!("{shown} cannot be read: {error}")))?;
        warnings.extend(read.exposure(&shown.to_string(), true));
        let text = read.text.strip_suffix('\n').unwrap_or(&read.text);
        let secret = SecretText::new(text.strip_suffix('\r').unwrap_or(text).to_owned());
        // Wipes the text that was read.
        drop(SecretText::new(read.text));
        let text = secret.expose();
        if text.is_empty() {
            return Err(refused(format!("{shown} is empty")));
        }
        if text.starts_with(is_invisible) || text.ends_with(is_invisible) {
            return Err(refused(format!(
                "the secret in {shown} begins or ends with a blank, a further line break or another invisible \
                 character: remove it. If it belongs to the secret, give the secret as {} instead",
                self.key
            )));
        }
        if text.contains(['\n', '\r']) {
            warnings.push(Warning::new(
                Topic::Secrets,
                shown,
                "has more than one line, and the line breaks are part of the secret",
                "Put the secret on one line, if it is not meant so",
            ));
        }
        Ok(secret)
    }
}

/// Whether a character at the beginning or the end of a secret is one that people do not see.
pub(super) fn is_invisible(char: char) -> bool {
    let has_no_width = matches!(char, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    char.is_whitespace() || char.is_control() || has_no_width
}
