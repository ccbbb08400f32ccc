//! The customers table.

use async_trait::async_trait;
use jiff::civil::Date;
use keyward_core::clock::Timestamp;
use keyward_core::customers::{Change, Customer, Details, Precondition, Store};
use keyward_core::error::Fault;
use keyward_core::id::CustomerId;
use keyward_core::page::Page;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::Postgres;
use super::error::Error;

const INSERT: &str = "
    INSERT INTO customers (name, born, updated_at, version) VALUES ($1, $2, $3, 1)
    RETURNING id, name, born, updated_at, version";

const FIND: &str = "
    SELECT id, name, born, updated_at, version FROM customers WHERE id = $1";

const LIST: &str = "
    SELECT id, name, born, updated_at, version FROM customers
    WHERE id > $1 ORDER BY id LIMIT $2";

const LIST_YOUNGEST: &str = "
    SELECT id, name, born, updated_at, version FROM customers
    ORDER BY born DESC, id LIMIT $1";

const LIST_OF_SAME_DAY: &str = "
    SELECT id, name, born, updated_at, version FROM customers
    WHERE born = $1 AND id > $2 ORDER BY id LIMIT $3";

const LIST_OF_EARLIER_DAYS: &str = "
    SELECT id, name, born, updated_at, version FROM customers
    WHERE born < $1 ORDER BY born DESC, id LIMIT $2";

const REPLACE: &str = "
    UPDATE customers SET name = $2, born = $3, updated_at = $4, version = version + 1
    WHERE id = $1 AND ($5::BIGINT[] IS NULL OR (version = ANY ($5)) = $6)
    RETURNING id, name, born, updated_at, version";

const DELETE: &str = "
    DELETE FROM customers
    WHERE id = $1 AND ($2::BIGINT[] IS NULL OR (version = ANY ($2)) = $3)
    RETURNING id";

#[async_trait]
impl Store for Postgres {
    async fn create_customer(&self, details: Details) -> Result<Customer, Fault> {
        let born = details.born.to_string();
        let updated_at = details.updated_at.micros();
        self.pool
            .find(INSERT, &[&details.name, &born, &updated_at], customer)
            .await?
            .ok_or_else(|| Fault::Internal("an insertion returned no row".into()))
    }

    async fn find_customer(&self, id: CustomerId) -> Result<Option<Customer>, Fault> {
        self.pool.find(FIND, &[&id.0], customer).await
    }

    async fn list_customers(&self, page: Page) -> Result<Vec<Customer>, Fault> {
        let limit = i64::from(page.limit);
        self.pool.list(LIST, &[&page.after, &limit], customer).await
    }

    async fn list_youngest_customers(
        &self,
        after: Option<(Date, CustomerId)>,
        count: u32,
    ) -> Result<Vec<Customer>, Fault> {
        let limit = i64::from(count);
        let Some((born, id)) = after else {
            return self.pool.list(LIST_YOUNGEST, &[&limit], customer).await;
        };
        let born = born.to_string();
        let same: [&(dyn ToSql + Sync); 3] = [&born, &id.0, &limit];
        let mut listed = self.pool.list(LIST_OF_SAME_DAY, &same, customer).await?;
        let rest = limit.saturating_sub(i64::try_from(listed.len()).unwrap_or(i64::MAX));
        if rest > 0 {
            let earlier: [&(dyn ToSql + Sync); 2] = [&born, &rest];
            let earlier = self.pool.list(LIST_OF_EARLIER_DAYS, &earlier, customer);
            listed.extend(earlier.await?);
        }
        Ok(listed)
    }

    async fn replace_customer(
        &self,
        id: CustomerId,
        details: Details,
        precondition: Precondition,
    ) -> Result<Change<Customer>, Fault> {
        let born = details.born.to_string();
        let updated_at = details.updated_at.micros();
        let (versions, are_wanted) = versions(&precondition);
        let replaced = self
            .pool
            .find(
                REPLACE,
                &[
                    &id.0,
                    &details.name,
                    &born,
                    &updated_at,
                    &versions,
                    &are_wanted,
                ],
                customer,
            )
            .await?;
        self.changed(id, replaced).await
    }

    async fn delete_customer(
        &self,
        id: CustomerId,
        precondition: Precondition,
    ) -> Result<Change<()>, Fault> {
        let (versions, are_wanted) = versions(&precondition);
        let deleted = self
            .pool
            .find(DELETE, &[&id.0, &versions, &are_wanted], |_| Ok(()))
            .await?;
        self.changed(id, deleted).await
    }
}

impl Postgres {
    /// The outcome of a change, given whether its statement matched a row. An id is never reused. So if no row matched
    /// and the customer exists now, it existed then too, at a version that the precondition excludes.
    async fn changed<T>(&self, id: CustomerId, made: Option<T>) -> Result<Change<T>, Fault> {
        Ok(match made {
            Some(value) => Change::Made(value),
            None if self.find_customer(id).await?.is_some() => Change::Stale,
            None => Change::Missing,
        })
    }
}

/// The versions of a precondition, and whether a change needs one of them (`true`) or none of them. Without versions the
/// change applies to every version.
fn versions(precondition: &Precondition) -> (Option<&[i64]>, bool) {
    match precondition {
        Precondition::None => (None, true),
        Precondition::VersionIn(versions) => (Some(versions), true),
        Precondition::VersionNotIn(versions) => (Some(versions), false),
    }
}

fn customer(row: &Row) -> Result<Customer, Error> {
    let born: &str = row.try_get(2)?;
    Ok(Customer {
        id: CustomerId(row.try_get(0)?),
        details: Details {
            name: row.try_get(1)?,
            born: born
                .parse()
                .map_err(|_| Error::Broken("a date of birth is not a day, as YYYY-MM-DD"))?,
            updated_at: Timestamp::from_micros(row.try_get(3)?),
        },
        version: row.try_get(4)?,
    })
}
