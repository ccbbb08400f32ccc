//! Reads passwords for commands. They never come from the arguments, which every process of the machine can read.

use std::io::{self, IsTerminal, Read};

use anyhow::Context;
use clap::Args;
use keyward_core::accounts::passwords;
use keyward_core::random::{self, Random};
use keyward_core::secret::{Password, SecretText};

use crate::exit::UsageError;

/// How a password is given.
#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct PasswordSource {
    /// Read the password from standard input; one line break at its end is ignored
    #[arg(long)]
    password_stdin: bool,
    /// Generate a random password and print it
    #[arg(long)]
    generate_password: bool,
}

/// A password, with its text if it was generated and must be shown.
pub(crate) struct Given {
    pub(crate) password: Password,
    pub(crate) generated: Option<String>,
}

impl PasswordSource {
    /// Reads the password from where the arguments say, or asks for it on a terminal.
    ///
    /// # Errors
    /// When it is no valid password, or when there is no terminal to ask on.
    pub(crate) fn take(&self, random: &dyn Random) -> anyhow::Result<Given> {
        if self.generate_password {
            let text = random::hex::<16>(random);
            let password = Password::new(text.clone())?;
            return Ok(Given {
                password,
                generated: Some(text),
            });
        }
        let text = if self.password_stdin {
            from_stdin()?
        } else {
            from_terminal()?
        };
        let password =
            Password::new(text).map_err(|bad| UsageError(format!("the password {bad}")))?;
        Ok(Given {
            password,
            generated: None,
        })
    }
}

/// Reads a password hash in a format that logins can verify.
///
/// # Errors
/// When the format is unknown, because nobody could log in with such a hash.
pub(crate) fn hash_from_stdin() -> anyhow::Result<SecretText> {
    let text = from_stdin()?;
    if !passwords::is_known_format(&text) {
        let formats = "argon2, scrypt, PBKDF2, bcrypt or sha-crypt, as Werkzeug, passlib, Django or bcrypt write them";
        return Err(UsageError(format!(
            "this is no password hash that logins can verify: {formats}"
        ))
        .into());
    }
    Ok(SecretText::new(text))
}

fn from_stdin() -> anyhow::Result<String> {
    // Enough to notice that a password or a hash is too long.
    let most = u64::try_from(Password::MAX + 3)?;
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(most)
        .read_to_string(&mut text)
        .context("standard input is not a text")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn from_terminal() -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        let ways =
            "give the password with --password-stdin, or have one made with --generate-password";
        return Err(UsageError(ways.to_owned()).into());
    }
    let password = rpassword::prompt_password("Password: ")?;
    if rpassword::prompt_password("Once more: ")? != password {
        anyhow::bail!("the two passwords differ: try again");
    }
    Ok(password)
}
