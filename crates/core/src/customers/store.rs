//! The store of the customers table. Each method is atomic, and its effect is on disk when it returns.

use async_trait::async_trait;
use jiff::civil::Date;

use super::{Change, Customer, Details, Precondition};
use crate::error::Fault;
use crate::id::CustomerId;
use crate::page::Page;

/// Stored customers.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores a customer under a new id, at version 1.
    async fn create_customer(&self, details: Details) -> Result<Customer, Fault>;

    /// The customer with that id.
    async fn find_customer(&self, id: CustomerId) -> Result<Option<Customer>, Fault>;

    /// The customers, by id.
    async fn list_customers(&self, page: Page) -> Result<Vec<Customer>, Fault>;

    /// The `count` customers with the latest dates of birth, latest first, equal dates by id. With `after`, those that
    /// follow a customer with that date and id.
    async fn list_youngest_customers(
        &self,
        after: Option<(Date, CustomerId)>,
        count: u32,
    ) -> Result<Vec<Customer>, Fault>;

    /// Replaces a customer and advances its version, if the precondition holds in the same atomic step.
    async fn replace_customer(
        &self,
        id: CustomerId,
        details: Details,
        precondition: Precondition,
    ) -> Result<Change<Customer>, Fault>;

    /// Deletes a customer, if the precondition holds in the same atomic step.
    async fn delete_customer(
        &self,
        id: CustomerId,
        precondition: Precondition,
    ) -> Result<Change<()>, Fault>;
}
