//! The customers table.

use async_trait::async_trait;
use jiff::civil::Date;
use keyward_core::clock::Timestamp;
use keyward_core::customers::{Change, Customer, Details, Precondition, Store};
use keyward_core::error::Fault;
use keyward_core::id::CustomerId;
use keyward_core::page::Page;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Sqlite, broken};

const INSERT: &str = "
    INSERT INTO customers (name, born, updated_at, version) VALUES (?1, ?2, ?3, 1)";

const FIND: &str = "
    SELECT id, name, born, updated_at, version FROM customers WHERE id = ?1";

const LIST: &str = "
    SELECT id, name, born, updated_at, version FROM customers
    WHERE id > ?1 ORDER BY id LIMIT ?2";

const LIST_YOUNGEST: &str = "
    SELECT id, name, born, updated_at, version FROM customers
    ORDER BY born DESC, id LIMIT ?1";

const LIST_OF_SAME_DAY: &str = "
    SELECT id, name, born, updated_at, version FROM customers
    WHERE born = ?1 AND id > ?2 ORDER BY id LIMIT ?3";

const LIST_OF_EARLIER_DAYS: &str = "
    SELECT id, name, born, updated_at, version FROM customers
    WHERE born < ?1 ORDER BY born DESC, id LIMIT ?2";

const FIND_VERSION: &str = "
    SELECT version FROM customers WHERE id = ?1";

const REPLACE: &str = "
    UPDATE customers SET name = ?2, born = ?3, updated_at = ?4, version = version + 1
    WHERE id = ?1
    RETURNING id, name, born, updated_at, version";

const DELETE: &str = "
    DELETE FROM customers WHERE id = ?1";

#[async_trait]
impl Store for Sqlite {
    async fn create_customer(&self, details: Details) -> Result<Customer, Fault> {
        self.writer
            .write_statement(move |db| {
                let id = db.prepare_cached(INSERT)?.insert(params![
                    details.name,
                    details.born.to_string(),
                    details.updated_at.micros(),
                ])?;
                Ok(Customer {
                    id: CustomerId(id),
                    details,
                    version: 1,
                })
            })
            .await
    }

    async fn find_customer(&self, id: CustomerId) -> Result<Option<Customer>, Fault> {
        self.readers.look_up(|db| {
            db.prepare_cached(FIND)?
                .query_row([id.0], customer)
                .optional()
        })
    }

    async fn list_customers(&self, page: Page) -> Result<Vec<Customer>, Fault> {
        self.readers
            .scan(move |db| {
                db.prepare_cached(LIST)?
                    .query_map(params![page.after, page.limit], customer)?
                    .collect()
            })
            .await
    }

    async fn list_youngest_customers(
        &self,
        after: Option<(Date, CustomerId)>,
        count: u32,
    ) -> Result<Vec<Customer>, Fault> {
        self.readers
            .scan(move |db| match after {
                None => db
                    .prepare_cached(LIST_YOUNGEST)?
                    .query_map([count], customer)?
                    .collect(),
                Some((born, id)) => list_after(db, &born.to_string(), id, count),
            })
            .await
    }

    async fn replace_customer(
        &self,
        id: CustomerId,
        details: Details,
        precondition: Precondition,
    ) -> Result<Change<Customer>, Fault> {
        self.writer
            .write_statement(move |db| {
                change(db, id, &precondition, || {
                    db.prepare_cached(REPLACE)?.query_row(
                        params![
                            id.0,
                            details.name,
                            details.born.to_string(),
                            details.updated_at.micros(),
                        ],
                        customer,
                    )
                })
            })
            .await
    }

    async fn delete_customer(
        &self,
        id: CustomerId,
        precondition: Precondition,
    ) -> Result<Change<()>, Fault> {
        self.writer
            .write_statement(move |db| {
                change(db, id, &precondition, || {
                    db.prepare_cached(DELETE)?.execute([id.0]).map(drop)
                })
            })
            .await
    }
}

/// The `count` customers after the one with that date of birth and id.
fn list_after(
    db: &Connection,
    born: &str,
    id: CustomerId,
    count: u32,
) -> rusqlite::Result<Vec<Customer>> {
    let mut listed: Vec<Customer> = db
        .prepare_cached(LIST_OF_SAME_DAY)?
        .query_map(params![born, id.0, count], customer)?
        .collect::<rusqlite::Result<_>>()?;
    let rest = count.saturating_sub(u32::try_from(listed.len()).unwrap_or(u32::MAX));
    let mut earlier = db.prepare_cached(LIST_OF_EARLIER_DAYS)?;
    for customer in earlier.query_map(params![born, rest], customer)? {
        listed.push(customer?);
    }
    Ok(listed)
}

/// Makes a change if the precondition holds. No other write comes between, since there is one writer.
fn change<T>(
    db: &Connection,
    id: CustomerId,
    precondition: &Precondition,
    make: impl FnOnce() -> rusqlite::Result<T>,
) -> rusqlite::Result<Change<T>> {
    let version: Option<i64> = db
        .prepare_cached(FIND_VERSION)?
        .query_row([id.0], |row| row.get(0))
        .optional()?;
    match version {
        None => Ok(Change::Missing),
        Some(version) if precondition.holds(version) => make().map(Change::Made),
        Some(_) => Ok(Change::Stale),
    }
}

fn customer(row: &Row<'_>) -> rusqlite::Result<Customer> {
    let born = row.get_ref(2)?.as_str()?;
    Ok(Customer {
        id: CustomerId(row.get(0)?),
        details: Details {
            name: row.get(1)?,
            born: born
                .parse()
                .map_err(|_| broken(2, "this is not a date of the form YYYY-MM-DD"))?,
            updated_at: Timestamp::from_micros(row.get(3)?),
        },
        version: row.get(4)?,
    })
}
