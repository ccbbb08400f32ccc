//! Accounts and their login names.

use async_trait::async_trait;
use keyward_core::accounts::names::Name;
use keyward_core::accounts::{
    Account, CodeHash, Conflict, CreateError, Credentials, Invitation, NewAccount, NewInvitation,
    Realm, Store,
};
use keyward_core::clock::Timestamp;
use keyward_core::error::Fault;
use keyward_core::id::AccountId;
use keyward_core::page::Page;
use keyward_core::secret::SecretText;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Sqlite, broken};

const INSERT: &str = "
    INSERT INTO accounts (realm, username, email, display_name, password_hash, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

const FIND_NAME: &str = "
    SELECT 1 FROM login_names WHERE realm = ?1 AND name = ?2";

const FIND_INVITATION: &str = "
    SELECT id, name FROM invitations WHERE code_hash = ?1 AND realm = ?2 AND expires_at > ?3";

const INSERT_INVITATION: &str = "
    INSERT INTO invitations (code_hash, realm, name, created_at, expires_at)
    VALUES (?1, ?2, ?3, ?4, ?5)";

const DELETE_EXPIRED_INVITATIONS: &str = "
    DELETE FROM invitations WHERE expires_at <= ?1";

const LIST_INVITATIONS: &str = "
    SELECT id, realm, name, created_at, expires_at FROM invitations
    WHERE id > ?1 ORDER BY id LIMIT ?2";

const DELETE_INVITATION: &str = "
    DELETE FROM invitations WHERE id = ?1";

const INSERT_NAME: &str = "
    INSERT INTO login_names (realm, name, account_id) VALUES (?1, ?2, ?3)";

const FIND: &str = "
    SELECT id, realm, username, email, display_name, created_at, disabled_at
    FROM accounts WHERE id = ?1";

const FIND_BY_NAME: &str = "
    SELECT a.id, a.realm, a.username, a.email, a.display_name, a.created_at, a.disabled_at,
        a.password_hash
    FROM login_names n JOIN accounts a ON a.id = n.account_id
    WHERE n.realm = ?1 AND n.name = ?2";

const LIST_HASH_BEGINNINGS: &str = "
    SELECT id, substr(password_hash, 1, 48) FROM accounts WHERE id > ?1 ORDER BY id LIMIT ?2";

const FIND_HASH: &str = "
    SELECT password_hash FROM accounts WHERE id = ?1";

const LIST: &str = "
    SELECT id, realm, username, email, display_name, created_at, disabled_at
    FROM accounts WHERE id > ?1 ORDER BY id LIMIT ?2";

const LIST_OF_REALM: &str = "
    SELECT id, realm, username, email, display_name, created_at, disabled_at
    FROM accounts WHERE realm = ?3 AND id > ?1 ORDER BY id LIMIT ?2";

const LIST_WITH_EMAIL: &str = "
    SELECT id, realm, username, email, display_name, created_at, disabled_at
    FROM accounts WHERE realm = 'default' AND email IS NOT NULL AND id > ?1
    ORDER BY id LIMIT ?2";

const RENEW_HASH: &str = "
    UPDATE accounts
    SET password_hash = CASE password_hash WHEN ?2 THEN ?3 ELSE password_hash END
    WHERE id = ?1
    RETURNING password_hash";

const ENABLE: &str = "
    UPDATE accounts SET disabled_at = NULL WHERE id = ?1";

#[async_trait]
impl Store for Sqlite {
    async fn create_account(&self, account: NewAccount) -> Result<Account, CreateError> {
        self.writer
            .write(move |db| create(db, account))
            .await?
            .map_err(|refused| match refused {
                Refused::Taken(conflict) => CreateError::Conflict(conflict),
                Refused::NotInvited => CreateError::NotInvited,
            })
    }

    async fn find_account(&self, id: AccountId) -> Result<Option<Account>, Fault> {
        self.readers.look_up(|db| {
            db.prepare_cached(FIND)?
                .query_row([id.0], account)
                .optional()
        })
    }

    async fn find_account_by_name(
        &self,
        realm: Realm,
        key: &str,
    ) -> Result<Option<Account>, Fault> {
        self.readers.look_up(|db| {
            db.prepare_cached(FIND_BY_NAME)?
                .query_row([realm.name(), key], account)
                .optional()
        })
    }

    async fn find_credentials(
        &self,
        realm: Realm,
        key: &str,
    ) -> Result<Option<Credentials>, Fault> {
        self.readers.look_up(|db| {
            db.prepare_cached(FIND_BY_NAME)?
                .query_row([realm.name(), key], |row| {
                    Ok(Credentials {
                        account: account(row)?,
                        password_hash: SecretText::new(row.get(7)?),
                    })
                })
                .optional()
        })
    }

    async fn list_hash_beginnings(&self, page: Page) -> Result<Vec<(AccountId, String)>, Fault> {
        self.readers
            .scan(move |db| {
                db.prepare_cached(LIST_HASH_BEGINNINGS)?
                    .query_map(params![page.after, page.limit], |row| {
                        Ok((AccountId(row.get(0)?), row.get(1)?))
                    })?
                    .collect()
            })
            .await
    }

    async fn find_password_hash(&self, id: AccountId) -> Result<Option<SecretText>, Fault> {
        self.readers.look_up(|db| {
            db.prepare_cached(FIND_HASH)?
                .query_row([id.0], |row| row.get(0).map(SecretText::new))
                .optional()
        })
    }

    async fn list_accounts(&self, realm: Option<Realm>, page: Page) -> Result<Vec<Account>, Fault> {
        self.readers
            .scan(move |db| match realm {
                None => db
                    .prepare_cached(LIST)?
                    .query_map(params![page.after, page.limit], account)?
                    .collect(),
                Some(realm) => db
                    .prepare_cached(LIST_OF_REALM)?
                    .query_map(params![page.after, page.limit, realm.name()], account)?
                    .collect(),
            })
            .await
    }

    async fn list_accounts_with_email(&self, page: Page) -> Result<Vec<Account>, Fault> {
        self.readers
            .scan(move |db| {
                db.prepare_cached(LIST_WITH_EMAIL)?
                    .query_map(params![page.after, page.limit], account)?
                    .collect()
            })
            .await
    }

    async fn renew_password_hash(
        &self,
        id: AccountId,
        old: SecretText,
        new: SecretText,
    ) -> Result<Option<SecretText>, Fault> {
        self.writer
            .write(move |db| {
                db.prepare_cached(RENEW_HASH)?
                    .query_row(params![id.0, old.expose(), new.expose()], |row| {
                        row.get(0).map(SecretText::new)
                    })
                    .optional()
            })
            .await
    }

    async fn create_invitation(&self, new: NewInvitation) -> Result<(), Fault> {
        self.writer
            .write(move |db| {
                db.prepare_cached(DELETE_EXPIRED_INVITATIONS)?
                    .execute([new.created_at.micros()])?;
                db.prepare_cached(INSERT_INVITATION)?
                    .execute(params![
                        new.code.0,
                        new.realm.name(),
                        new.name,
                        new.created_at.micros(),
                        new.expires_at.micros(),
                    ])
                    .map(drop)
            })
            .await
    }

    async fn list_invitations(&self, page: Page) -> Result<Vec<Invitation>, Fault> {
        self.readers
            .scan(move |db| {
                db.prepare_cached(LIST_INVITATIONS)?
                    .query_map(params![page.after, page.limit], invitation)?
                    .collect()
            })
            .await
    }

    async fn revoke_invitation(&self, id: i64) -> Result<bool, Fault> {
        self.writer
            .write(move |db| Ok(db.prepare_cached(DELETE_INVITATION)?.execute([id])? == 1))
            .await
    }

    async fn enable_account(&self, id: AccountId) -> Result<bool, Fault> {
        self.writer
            .write(move |db| Ok(db.prepare_cached(ENABLE)?.execute([id.0])? == 1))
            .await
    }
}

/// The reason why an account was not stored.
enum Refused {
    Taken(Conflict),
    NotInvited,
}

/// The id of the invitation with that code, if it is valid for an account with those names.
fn find_invitation(
    db: &Connection,
    code: CodeHash,
    new: &NewAccount,
) -> rusqlite::Result<Option<i64>> {
    let found: Option<(i64, Option<String>)> = db
        .prepare_cached(FIND_INVITATION)?
        .query_row(
            params![code.0, new.realm.name(), new.created_at.micros()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let is_own = |name: String| {
        let mut names = [&new.username, &new.email].into_iter().flatten();
        names.any(|own| own.key == name)
    };
    Ok(found.and_then(|(id, name)| name.is_none_or(is_own).then_some(id)))
}

fn create(db: &Connection, new: NewAccount) -> rusqlite::Result<Result<Account, Refused>> {
    if let Some(code) = new.invitation {
        // If the account is refused below, the invitation stays. No other write comes between, since there is one
        // writer.
        let Some(id) = find_invitation(db, code, &new)? else {
            return Ok(Err(Refused::NotInvited));
        };
        let created = insert(db, new)?;
        if created.is_ok() {
            db.prepare_cached(DELETE_INVITATION)?.execute([id])?;
        }
        return Ok(created);
    }
    insert(db, new)
}

fn insert(db: &Connection, new: NewAccount) -> rusqlite::Result<Result<Account, Refused>> {
    let realm = new.realm.name();
    let (username, email) = (new.username, new.email);
    let mut keys = Vec::with_capacity(2);
    for (name, conflict) in [
        (&username, Conflict::UsernameTaken),
        (&email, Conflict::EmailTaken),
    ] {
        for key in name.iter().flat_map(Name::keys) {
            if db.prepare_cached(FIND_NAME)?.exists([realm, key])? {
                return Ok(Err(Refused::Taken(conflict)));
            }
            keys.push(key.to_owned());
        }
    }
    // The username of an account may equal its e-mail address.
    keys.sort_unstable();
    keys.dedup();
    let (username, email) = (username.map(|n| n.shown), email.map(|n| n.shown));
    let id = db.prepare_cached(INSERT)?.insert(params![
        realm,
        username,
        email,
        new.display_name,
        new.password_hash.expose(),
        new.created_at.micros(),
    ])?;
    for key in keys {
        db.prepare_cached(INSERT_NAME)?
            .execute(params![realm, key, id])?;
    }
    Ok(Ok(Account {
        id: AccountId(id),
        realm: new.realm,
        username,
        email,
        display_name: new.display_name,
        created_at: new.created_at,
        disabled_at: None,
    }))
}

fn invitation(row: &Row<'_>) -> rusqlite::Result<Invitation> {
    let realm = row.get_ref(1)?.as_str()?;
    Ok(Invitation {
        id: row.get(0)?,
        realm: Realm::from_name(realm).ok_or_else(|| broken(1, "there is no such realm"))?,
        name: row.get(2)?,
        created_at: Timestamp::from_micros(row.get(3)?),
        expires_at: Timestamp::from_micros(row.get(4)?),
    })
}

fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    let realm = row.get_ref(1)?.as_str()?;
    Ok(Account {
        id: AccountId(row.get(0)?),
        realm: Realm::from_name(realm).ok_or_else(|| broken(1, "there is no such realm"))?,
        username: row.get(2)?,
        email: row.get(3)?,
        display_name: row.get(4)?,
        created_at: Timestamp::from_micros(row.get(5)?),
        disabled_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_micros),
    })
}
