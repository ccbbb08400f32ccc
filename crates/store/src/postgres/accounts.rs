//! Accounts and their login names.

use async_trait::async_trait;
use deadpool_postgres::ClientWrapper;
use futures_util::FutureExt;
use keyward_core::accounts::names::Name;
use keyward_core::accounts::{
    Account, Conflict, CreateError, Credentials, Invitation, NewAccount, NewInvitation, Realm,
    Store,
};
use keyward_core::clock::Timestamp;
use keyward_core::error::Fault;
use keyward_core::id::AccountId;
use keyward_core::page::Page;
use keyward_core::secret::SecretText;
use tokio_postgres::Row;

use super::Postgres;
use super::error::Error;
use super::pool::Params;

const INSERT: &str = "
    WITH invitation AS (
        DELETE FROM invitations
        WHERE code_hash = $8 AND realm = $1 AND expires_at > $6 AND (name IS NULL OR name = ANY ($7))
        RETURNING id
    ), account AS (
        INSERT INTO accounts (realm, username, email, display_name, password_hash, created_at)
        SELECT $1, $2, $3, $4, $5, $6 WHERE $8::BYTEA IS NULL OR EXISTS (SELECT FROM invitation)
        RETURNING id, realm, username, email, display_name, created_at, disabled_at
    ), names AS (
        INSERT INTO login_names (realm, name, account_id)
        SELECT account.realm, key.name, account.id FROM account, unnest($7::TEXT[]) AS key (name)
    )
    SELECT id, realm, username, email, display_name, created_at, disabled_at FROM account";

const INSERT_INVITATION: &str = "
    WITH expired AS (DELETE FROM invitations WHERE expires_at <= $4)
    INSERT INTO invitations (code_hash, realm, name, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5)";

const LIST_INVITATIONS: &str = "
    SELECT id, realm, name, created_at, expires_at FROM invitations
    WHERE id > $1 ORDER BY id LIMIT $2";

const DELETE_INVITATION: &str = "
    DELETE FROM invitations WHERE id = $1";

const LIST_TAKEN: &str = "
    SELECT name FROM login_names WHERE realm = $1 AND name = ANY ($2)";

const FIND: &str = "
    SELECT id, realm, username, email, display_name, created_at, disabled_at
    FROM accounts WHERE id = $1";

const FIND_BY_NAME: &str = "
    SELECT a.id, a.realm, a.username, a.email, a.display_name, a.created_at, a.disabled_at,
        a.password_hash
    FROM login_names n JOIN accounts a ON a.id = n.account_id
    WHERE n.realm = $1 AND n.name = $2";

const LIST_HASH_BEGINNINGS: &str = "
    SELECT id, substr(password_hash, 1, 48) FROM accounts WHERE id > $1 ORDER BY id LIMIT $2";

const FIND_HASH: &str = "
    SELECT password_hash FROM accounts WHERE id = $1";

const LIST: &str = "
    SELECT id, realm, username, email, display_name, created_at, disabled_at
    FROM accounts WHERE id > $1 ORDER BY id LIMIT $2";

const LIST_OF_REALM: &str = "
    SELECT id, realm, username, email, display_name, created_at, disabled_at
    FROM accounts WHERE realm = $3 AND id > $1 ORDER BY id LIMIT $2";

const LIST_WITH_EMAIL: &str = "
    SELECT id, realm, username, email, display_name, created_at, disabled_at
    FROM accounts WHERE realm = 'default' AND email IS NOT NULL AND id > $1
    ORDER BY id LIMIT $2";

const RENEW_HASH: &str = "
    UPDATE accounts
    SET password_hash = CASE password_hash WHEN $2 THEN $3 ELSE password_hash END
    WHERE id = $1
    RETURNING password_hash";

const ENABLE: &str = "
    UPDATE accounts SET disabled_at = NULL WHERE id = $1";

#[async_trait]
impl Store for Postgres {
    async fn create_account(&self, account: NewAccount) -> Result<Account, CreateError> {
        self.pool
            .run(&account, |db, account| create(db, account).boxed())
            .await?
            .map_err(|refused| match refused {
                Refused::Taken(conflict) => CreateError::Conflict(conflict),
                Refused::NotInvited => CreateError::NotInvited,
            })
    }

    async fn find_account(&self, id: AccountId) -> Result<Option<Account>, Fault> {
        self.pool.find(FIND, &[&id.0], account).await
    }

    async fn find_account_by_name(
        &self,
        realm: Realm,
        key: &str,
    ) -> Result<Option<Account>, Fault> {
        // No stored text contains NUL, and PostgreSQL refuses a query with one.
        if key.contains('\0') {
            return Ok(None);
        }
        self.pool
            .find(FIND_BY_NAME, &[&realm.name(), &key], account)
            .await
    }

    async fn find_credentials(
        &self,
        realm: Realm,
        key: &str,
    ) -> Result<Option<Credentials>, Fault> {
        if key.contains('\0') {
            return Ok(None);
        }
        self.pool
            .find(FIND_BY_NAME, &[&realm.name(), &key], |row| {
                Ok(Credentials {
                    account: account(row)?,
                    password_hash: SecretText::new(row.try_get(7)?),
                })
            })
            .await
    }

    async fn list_hash_beginnings(&self, page: Page) -> Result<Vec<(AccountId, String)>, Fault> {
        let params: Params<'_> = &[&page.after, &i64::from(page.limit)];
        self.pool
            .list(LIST_HASH_BEGINNINGS, params, |row| {
                Ok((AccountId(row.try_get(0)?), row.try_get(1)?))
            })
            .await
    }

    async fn find_password_hash(&self, id: AccountId) -> Result<Option<SecretText>, Fault> {
        self.pool
            .find(FIND_HASH, &[&id.0], |row| {
                Ok(SecretText::new(row.try_get(0)?))
            })
            .await
    }

    async fn list_accounts(&self, realm: Option<Realm>, page: Page) -> Result<Vec<Account>, Fault> {
        let limit = i64::from(page.limit);
        match realm {
            None => self.pool.list(LIST, &[&page.after, &limit], account).await,
            Some(realm) => {
                self.pool
                    .list(
                        LIST_OF_REALM,
                        &[&page.after, &limit, &realm.name()],
                        account,
                    )
                    .await
            }
        }
    }

    async fn list_accounts_with_email(&self, page: Page) -> Result<Vec<Account>, Fault> {
        self.pool
            .list(
                LIST_WITH_EMAIL,
                &[&page.after, &i64::from(page.limit)],
                account,
            )
            .await
    }

    async fn renew_password_hash(
        &self,
        id: AccountId,
        old: SecretText,
        new: SecretText,
    ) -> Result<Option<SecretText>, Fault> {
        let params: Params<'_> = &[&id.0, &old.expose(), &new.expose()];
        self.pool
            .find(RENEW_HASH, params, |row| {
                Ok(SecretText::new(row.try_get(0)?))
            })
            .await
    }

    async fn create_invitation(&self, new: NewInvitation) -> Result<(), Fault> {
        self.pool
            .execute(
                INSERT_INVITATION,
                &[
                    &new.code.0.as_slice(),
                    &new.realm.name(),
                    &new.name,
                    &new.created_at.micros(),
                    &new.expires_at.micros(),
                ],
            )
            .await
            .map(drop)
    }

    async fn list_invitations(&self, page: Page) -> Result<Vec<Invitation>, Fault> {
        let page: Params<'_> = &[&page.after, &i64::from(page.limit)];
        self.pool.list(LIST_INVITATIONS, page, invitation).await
    }

    async fn revoke_invitation(&self, id: i64) -> Result<bool, Fault> {
        Ok(self.pool.execute(DELETE_INVITATION, &[&id]).await? == 1)
    }

    async fn enable_account(&self, id: AccountId) -> Result<bool, Fault> {
        Ok(self.pool.execute(ENABLE, &[&id.0]).await? == 1)
    }
}

/// The reason why an account was not stored.
enum Refused {
    Taken(Conflict),
    NotInvited,
}

async fn create(db: &ClientWrapper, new: &NewAccount) -> Result<Result<Account, Refused>, Error> {
    let mut keys: Vec<&str> = [&new.username, &new.email]
        .into_iter()
        .flatten()
        .flat_map(Name::keys)
        .collect();
    // The username of an account may equal its e-mail address.
    keys.sort_unstable();
    keys.dedup();
    let insert = db.prepare_cached(INSERT).await?;
    let inserted = db
        .query_opt(
            &insert,
            &[
                &new.realm.name(),
                &new.username.as_ref().map(|name| &name.shown),
                &new.email.as_ref().map(|name| &name.shown),
                &new.display_name,
                &new.password_hash.expose(),
                &new.created_at.micros(),
                &keys,
                &new.invitation.as_ref().map(|code| code.0.as_slice()),
            ],
        )
        .await;
    match inserted.map_err(Error::from) {
        Ok(Some(row)) => account(&row).map(Ok),
        Ok(None) => Ok(Err(Refused::NotInvited)),
        Err(refusal) if refusal.violates("login_name_taken") => {
            let conflict = find_conflict(db, new, &keys).await?;
            conflict
                .map(|taken| Err(Refused::Taken(taken)))
                .ok_or(refusal)
        }
        Err(failure) => Err(failure),
    }
}

/// The name because of which an account was refused.
async fn find_conflict(
    db: &ClientWrapper,
    new: &NewAccount,
    keys: &[&str],
) -> Result<Option<Conflict>, Error> {
    let list = db.prepare_cached(LIST_TAKEN).await?;
    let rows = db.query(&list, &[&new.realm.name(), &keys]).await?;
    let mut taken = Vec::with_capacity(keys.len());
    for row in &rows {
        taken.push(row.try_get::<_, &str>(0)?);
    }
    let is_taken = |name: &Option<Name>| {
        name.iter()
            .flat_map(Name::keys)
            .any(|key| taken.contains(&key))
    };
    Ok(if is_taken(&new.username) {
        Some(Conflict::UsernameTaken)
    } else {
        is_taken(&new.email).then_some(Conflict::EmailTaken)
    })
}

fn invitation(row: &Row) -> Result<Invitation, Error> {
    let realm = row.try_get(1)?;
    Ok(Invitation {
        id: row.try_get(0)?,
        realm: Realm::from_name(realm).ok_or(Error::Broken("there is no such realm"))?,
        name: row.try_get(2)?,
        created_at: Timestamp::from_micros(row.try_get(3)?),
        expires_at: Timestamp::from_micros(row.try_get(4)?),
    })
}

fn account(row: &Row) -> Result<Account, Error> {
    let realm = row.try_get(1)?;
    Ok(Account {
        id: AccountId(row.try_get(0)?),
        realm: Realm::from_name(realm).ok_or(Error::Broken("there is no such realm"))?,
        username: row.try_get(2)?,
        email: row.try_get(3)?,
        display_name: row.try_get(4)?,
        created_at: Timestamp::from_micros(row.try_get(5)?),
        disabled_at: row
            .try_get::<_, Option<i64>>(6)?
            .map(Timestamp::from_micros),
    })
}
