//! Where commands take a password from: never from argv, where every process of the machine reads it.

use std::io::{self, IsTerminal, Read};

use anyhow::Context;
use clap::Args;
use keyward_core::accounts::passwords;
use keyward_core::random::{self, Random};
use keyward_core::secret::{Password, SecretText};

use crate::exit::Misuse;

/// How a password is given.
#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct PasswordSource {
    /// Read the password from standard input; a line break at its end is left out
    #[arg(long)]
    password_stdin: bool,
    /// Make a random password and print it once
    #[arg(long)]
    generate_password: bool,
}

/// A password, and its text where it was made here and must be told.
pub(crate) struct Given {
    pub(crate) password: Password,
    pub(crate) generated: Option<String>,
}

impl PasswordSource {
    /// Takes the password: asks for it on a terminal where nothing else is said.
    ///
    /// # Errors
    /// When it is none, or there is nobody to ask.
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
        let password = Password::new(text).map_err(|bad| Misuse(format!("the password {bad}")))?;
        Ok(Given {
            password,
            generated: None,
        })
    }
}

/// Takes the hash of a password, in a format that logins can check.
///
/// # Errors
/// When it is none: nobody could ever log in with it.
pub(crate) fn hash_from_stdin() -> anyhow::Result<SecretText> {
    let text = from_stdin()?;
    if !passwords::is_known_format(&text) {
        let formats = "argon2, scrypt, PBKDF2, bcrypt or sha-crypt, as Werkzeug, passlib, Django or bcrypt write them";
        return Err(Misuse(format!(
            "this is no password hash that logins can check: {formats}"
        ))
        .into());
    }
    Ok(SecretText::new(text))
}

fn from_stdin() -> anyhow::Result<String> {
    // Enough to see that it is too long, for a password and for a hash alike.
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
        return Err(Misuse(ways.to_owned()).into());
    }
    let password = rpassword::prompt_password("Password: ")?;
    if rpassword::prompt_password("Once more: ")? != password {
        anyhow::bail!("the two passwords differ: try again");
    }
    Ok(password)
}
