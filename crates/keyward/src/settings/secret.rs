//! A secret that is given as a setting or as the file that another setting names.

use std::path::Path;

use keyward_core::secret::SecretText;

use super::Problem;
use super::layers::Layers;

/// The two settings of a secret, of which one is given at most.
pub(super) struct Secret<'a> {
    pub(super) key: &'static str,
    pub(super) text: &'a Option<SecretText>,
    pub(super) file_key: &'static str,
    pub(super) file: Option<&'a Path>,
}

impl Secret<'_> {
    /// The secret, if it is given.
    pub(super) fn find(&self, layers: &Layers) -> Result<Option<SecretText>, Problem> {
        match (self.text, self.file) {
            (None, None) => Ok(None),
            (Some(text), None) => Ok(Some(text.clone())),
            (None, Some(file)) => self.read(file, layers).map(Some),
            (Some(_), Some(_)) => {
                let message = format!("{} is given beside {}: keep one", self.file_key, self.key);
                Err(layers.problem(self.file_key, message))
            }
        }
    }

    /// The setting that gives it.
    pub(super) fn source(&self) -> &'static str {
        match self.file {
            Some(_) => self.file_key,
            None => self.key,
        }
    }

    fn read(&self, file: &Path, layers: &Layers) -> Result<SecretText, Problem> {
        let text = std::fs::read_to_string(layers.folder.join(file)).map_err(|error| {
            let message = format!("{} names {}: {error}", self.file_key, file.display());
            layers.problem(self.file_key, message)
        })?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(SecretText::new(
            text.strip_suffix('\r').unwrap_or(text).to_owned(),
        ))
    }
}
