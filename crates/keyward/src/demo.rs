//! The data of `--demo`, with which every contract can be tried at once. Its keys and passwords are public, so a demo
//! listens on loopback only and keeps its data in a folder of its own.

use anyhow::bail;
use futures_util::future::try_join_all;
use keyward_core::accounts::{NewAccount, Realm, names};
use keyward_core::customers::{Customers, Submitted};
use keyward_core::page::Page;
use keyward_core::secret::Password;

use crate::settings::{Database, MetricsListen, Settings};
use keyward_server::Base;

/// Username, e-mail address, name and password.
const ACCOUNTS: [(Option<&str>, Option<&str>, &str, &str); 3] = [
    (None, Some("user1@gmail.com"), "User One", "password"),
    (None, Some("user2@gmail.com"), "User Two", "password"),
    (Some("test"), None, "Test", "test"),
];

/// Name and date of birth.
const CUSTOMERS: [(&str, &str); 12] = [
    ("Amelia Hart", "1958-03-14"),
    ("Bruno Keller", "1963-11-02"),
    ("Chiara Fontana", "1971-06-25"),
    ("Dmitri Orlov", "1976-01-09"),
    ("Esra Yildiz", "1980-09-30"),
    ("Femi Adeyemi", "1984-02-29"),
    ("Grace O'Connor", "1988-12-17"),
    ("Hana Sato", "1991-05-05"),
    ("Ibrahim Haddad", "1995-08-21"),
    ("Joana Pereira", "1999-10-11"),
    ("Kaspar Lindqvist", "2003-04-01"),
    ("Léa Moreau", "2007-07-28"),
];

/// Refuses settings that would expose a demo to other machines or mix it with real data.
///
/// # Errors
/// Which setting it is, and what to do.
pub(crate) fn check(settings: &Settings) -> anyhow::Result<()> {
    if !settings.listen.ip().is_loopback() {
        let listen = settings.listen;
        bail!(
            "--demo has public keys and passwords and does not listen on {listen}: listen on a \
             loopback address such as 127.0.0.1:5000, or leave out --demo"
        );
    }
    if let MetricsListen::At(listen) = settings.metrics
        && !listen.ip().is_loopback()
    {
        bail!(
            "--demo is not reachable from other machines and serves no metrics on {listen}: set \
             metrics.listen to a loopback address such as 127.0.0.1:9464, or leave out --demo"
        );
    }
    if settings.database != Database::InDataDir {
        bail!("--demo keeps its database in the data folder: leave out the setting `database`");
    }
    if settings.storage.bucket().is_some() {
        bail!("--demo keeps its files in the data folder: leave out the setting `files.url`");
    }
    Ok(())
}

/// Adds the accounts and customers that are missing.
///
/// # Errors
/// The store's.
pub(crate) async fn fill(base: &Base, customers: &Customers) -> anyhow::Result<()> {
    let accounts = &base.accounts;
    // The passwords are hashed in parallel, but the accounts are added one by one, so that their ids are always the same.
    let new = ACCOUNTS.map(|(username, email, name, password)| async move {
        let (username, email) = (
            username.map(names::username).transpose()?,
            email.map(names::email).transpose()?,
        );
        if let Some(name) = username.as_ref().or(email.as_ref())
            && accounts.find_by_name(Realm::Default, name).await?.is_some()
        {
            return Ok(None);
        }
        anyhow::Ok(Some(NewAccount {
            realm: Realm::Default,
            username,
            email,
            display_name: Some(name.to_owned()),
            password_hash: accounts.hash(Password::new(password.to_owned())?).await?,
            created_at: base.clock.now(),
            invitation: None,
        }))
    });
    for account in try_join_all(new).await?.into_iter().flatten() {
        accounts.create(account).await?;
    }
    if customers
        .list(Page { after: 0, limit: 1 })
        .await?
        .items
        .is_empty()
    {
        for (name, dob) in CUSTOMERS {
            let (name, dob) = (name.to_owned(), dob.to_owned());
            customers
                .create(Submitted {
                    name,
                    dob,
                    updated_at: None,
                })
                .await?;
        }
    }
    Ok(())
}

/// Warns in the log that this is a demo.
pub(crate) fn warn() {
    tracing::warn!(
        "this is a DEMO: its keys and passwords are public, never put real data into it"
    );
    for (username, email, _, password) in ACCOUNTS {
        let name = username.or(email).unwrap_or_default();
        tracing::warn!("DEMO account: {name} with the password {password}");
    }
}
