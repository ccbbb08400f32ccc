//! Customers: a shared table of people with a date of birth, for the customers contract.
//!
//! Invariant: every change advances the version of a customer. Preconditions compare versions, so no update is lost.

mod store;

use std::sync::Arc;

use futures_util::stream::{self, Stream};
use jiff::civil::Date;

pub use self::store::Store;
use crate::clock::{Clock, Timestamp};
use crate::error::{Code, Fault, Kind};
use crate::id::CustomerId;
use crate::page::{BATCH, Listed, Page, is_full};

/// The longest name, in characters.
pub const LONGEST_NAME: usize = 255;
/// The maximum number of customers that [`Customers::list_youngest`] returns.
pub const MOST_YOUNGEST: u32 = 10_000;

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// Its content.
    pub details: Details,
    /// Its version: 1 when new, one more after each change.
    pub version: i64,
}

/// The content of a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// 1 to 255 characters.
    pub name: String,
    /// An existing day that is not in the future.
    pub born: Date,
    /// To the millisecond.
    pub updated_at: Timestamp,
}

/// Details as the client sent them, not yet validated.
#[derive(Clone, Debug)]
pub struct Submitted {
    /// The name.
    pub name: String,
    /// `YYYY-MM-DD`.
    pub dob: String,
    /// A time as in RFC 3339. If absent, the time of the request is used.
    pub updated_at: Option<String>,
}

/// The precondition of a change (RFC 9110 §13.1.1, §13.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// None.
    None,
    /// The version is one of these.
    VersionIn(Vec<i64>),
    /// The version is none of these.
    VersionNotIn(Vec<i64>),
}

impl Precondition {
    /// Whether the precondition holds for a customer at `version`.
    #[must_use]
    pub fn holds(&self, version: i64) -> bool {
        match self {
            Self::None => true,
            Self::VersionIn(versions) => versions.contains(&version),
            Self::VersionNotIn(versions) => !versions.contains(&version),
        }
    }
}

/// The outcome of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<T> {
    /// The change was made.
    Made(T),
    /// The precondition did not hold; nothing was changed.
    Stale,
    /// There is no such customer.
    Missing,
}

/// Why an operation on customers failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field violates a rule.
    #[error("{field} {rule}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// The rule.
        rule: &'static str,
    },
    /// There is no such customer.
    #[error("there is no such customer")]
    Unknown,
    /// The customer was changed in the meantime.
    #[error("the customer has been changed: read it again and repeat your change")]
    Stale,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Fault),
}

impl Error {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Invalid { .. } => Code::InvalidRequest,
            Self::Unknown => Code::UnknownCustomer,
            Self::Stale => Code::PreconditionFailed,
            Self::Store(fault) => fault.code(),
        }
    }

    /// The kind of that code.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.code().kind()
    }
}

impl<T> Change<T> {
    fn made(self) -> Result<T, Error> {
        match self {
            Self::Made(value) => Ok(value),
            Self::Stale => Err(Error::Stale),
            Self::Missing => Err(Error::Unknown),
        }
    }
}

/// The operations on customers.
#[derive(Clone)]
pub struct Customers {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Customers {
    /// Customers stored in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Adds a customer.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Store`].
    pub async fn create(&self, submitted: Submitted) -> Result<Customer, Error> {
        Ok(self.store.create_customer(self.parse(submitted)?).await?)
    }

    /// The customer with that id.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`].
    pub async fn find(&self, id: CustomerId) -> Result<Customer, Error> {
        self.store.find_customer(id).await?.ok_or(Error::Unknown)
    }

    /// The customers, by id.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self, page: Page) -> Result<Listed<Customer>, Error> {
        let items = self.store.list_customers(page.with_surplus()).await?;
        Ok(Listed::from_surplus(items, page.limit, |customer| {
            customer.id.0
        }))
    }

    /// The `count` youngest customers, at most [`MOST_YOUNGEST`], read in batches. Each batch shows the table at the
    /// time it is read, so a customer whose date of birth is changed meanwhile may be in two batches or in none.
    ///
    /// # Errors
    /// [`Error::Store`], which ends the list.
    pub fn list_youngest(
        &self,
        count: u32,
    ) -> impl Stream<Item = Result<Vec<Customer>, Error>> + Send + use<> {
        let store = Arc::clone(&self.store);
        let start = (None, count.min(MOST_YOUNGEST));
        stream::try_unfold(start, move |(after, left)| {
            let store = Arc::clone(&store);
            async move {
                let limit = left.min(BATCH);
                if limit == 0 {
                    return Ok(None);
                }
                let batch = store.list_youngest_customers(after, limit).await?;
                let after = batch.last().map(|last| (last.details.born, last.id));
                let left = match is_full(&batch, limit) {
                    true => left - limit,
                    false => 0,
                };
                Ok(Some((batch, (after, left))))
            }
        })
    }

    /// Replaces a customer.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Unknown`], [`Error::Stale`], [`Error::Store`].
    pub async fn replace(
        &self,
        id: CustomerId,
        submitted: Submitted,
        precondition: Precondition,
    ) -> Result<Customer, Error> {
        self.store
            .replace_customer(id, self.parse(submitted)?, precondition)
            .await?
            .made()
    }

    /// Deletes a customer.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Stale`], [`Error::Store`].
    pub async fn delete(&self, id: CustomerId, precondition: Precondition) -> Result<(), Error> {
        self.store.delete_customer(id, precondition).await?.made()
    }

    fn parse(&self, submitted: Submitted) -> Result<Details, Error> {
        let invalid = |field, rule| Error::Invalid { field, rule };
        let now = self.clock.now();
        let length = submitted.name.chars().count();
        if length == 0 || length > LONGEST_NAME {
            return Err(invalid("name", "must be 1 to 255 characters"));
        }
        if submitted.name.contains('\0') {
            return Err(invalid("name", "must not contain the NUL character"));
        }
        let born = parse_date(&submitted.dob)
            .ok_or(invalid("dob", "must be a day that exists, as YYYY-MM-DD"))?;
        if born.to_string() > now.utc_day() {
            return Err(invalid("dob", "must not lie in the future"));
        }
        let updated_at = match submitted.updated_at {
            None => now,
            Some(text) => Timestamp::parse_rfc3339(&text)
                .ok_or(invalid("updated_at", "must be an RFC 3339 time"))?,
        };
        Ok(Details {
            name: submitted.name,
            born,
            updated_at: updated_at.to_millis(),
        })
    }
}

/// Parses `YYYY-MM-DD`, an existing day.
fn parse_date(text: &str) -> Option<Date> {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    shape.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_day_that_exists_in_the_one_spelling_is_a_date() {
        assert_eq!(
            parse_date("2020-02-29")
                .map(|date| date.to_string())
                .as_deref(),
            Some("2020-02-29")
        );
        for text in [
            "",
            "2021-02-29",
            "2020-13-01",
            "2020-00-10",
            "20200708",
            "2020-7-8",
            "2020-07-08T00",
            "2020-07-08 ",
            "+020-07-08",
            "２020-07",
            "2020-07-0é",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }
}
