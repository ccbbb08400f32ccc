//! Newtypes for secrets. `Debug` is redacted, there is no `Display`, and memory is overwritten on drop.

use std::fmt;

use zeroize::Zeroizing;

/// A password exactly as it was received: 1 to 1,024 bytes, neither trimmed nor case-folded nor normalised.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// The rule that an invalid password breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// It is empty.
    #[error("must not be empty")]
    Empty,
    /// It has more than 1,024 bytes.
    #[error("must be at most 1024 bytes")]
    TooLong,
}

impl Password {
    /// The longest password, in bytes.
    pub const MAX: usize = 1_024;

    /// Takes `text` as a password.
    ///
    /// # Errors
    /// [`PasswordError`] when it is empty or longer than [`Password::MAX`].
    pub fn new(text: String) -> Result<Self, PasswordError> {
        let text = Zeroizing::new(text);
        match text.len() {
            0 => Err(PasswordError::Empty),
            1..=Self::MAX => Ok(Self(text)),
            _ => Err(PasswordError::TooLong),
        }
    }

    /// The bytes to hash.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A secret text: a signing key or a password hash.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_1_to_1024_bytes_and_never_printed() {
        assert_eq!(
            Password::new(String::new()).err(),
            Some(PasswordError::Empty)
        );
        assert!(Password::new("é".repeat(512)).is_ok());
        assert_eq!(
            Password::new("é".repeat(513)).err(),
            Some(PasswordError::TooLong)
        );
        let shown = format!(
            "{:?}{:?}",
            Password::new("hunter2".into()),
            SecretText::new("k3y".into())
        );
        assert!(
            !shown.contains("hunter2") && !shown.contains("k3y"),
            "{shown}"
        );
    }
}
