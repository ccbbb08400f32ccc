//! Accounts and their login names.

use async_trait::async_trait;
use keyward_core::accounts::names::Name;
use keyward_core::accounts::{
    Account, Conflict, CreateError, Credentials, NewAccount, Realm, Store,
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
            .map_err(CreateError::Conflict)
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

    async fn enable_account(&self, id: AccountId) -> Result<bool, Fault> {
        self.writer
            .write(move |db| Ok(db.prepare_cached(ENABLE)?.execute([id.0])? == 1))
            .await
    }
}

fn create(db: &Connection, new: NewAccount) -> rusqlite::Result<Result<Account, Conflict>> {
    let realm = new.realm.name();
    let (username, email) = (new.username, new.email);
    let mut keys = Vec::with_capacity(2);
    for (name, conflict) in [
        (&username, Conflict::UsernameTaken),
        (&email, Conflict::EmailTaken),
    ] {
        for key in name.iter().flat_map(Name::keys) {
            if db.prepare_cached(FIND_NAME)?.exists([realm, key])? {
                return Ok(Err(conflict));
            }
            keys.push(key.to_owned());
        }
    }
    // An account may have its address for a username as well.
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
