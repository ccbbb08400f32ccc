//! The customers table.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use http::StatusCode;
use http::header::{ETAG, LINK, LOCATION};
use keyward_core::accounts::Realm;
use keyward_core::customers::{self, Customer, Customers, MOST_YOUNGEST};
use keyward_core::id::CustomerId;
use keyward_core::memory::Account;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::Error;
use super::precondition::{Known, Required, entity_tag};
use super::wire::{CustomerRequest, CustomerResponse, NewCustomerRequest};
use crate::error::{Failure, Problem};
use crate::extract::guard::{Authorized, NoBody, Scope};
use crate::extract::id::PathId;
use crate::extract::json::Json;
use crate::extract::query::{PageParameters, Query, next_link};
use crate::list::{self, ARRAY};
use crate::memory::MemoryAccount;
use crate::responses::{Conditional, Finds, Guarded, Queries, Takes, Writes};
use crate::state::App;

const PATH: &str = "/api/v1/customers/customers";

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, replace, delete))
        .routes(routes!(list_youngest))
}

/// The accounts that may use the customers table.
struct Table;

impl Scope for Table {
    type Shape = Problem;
    const REALMS: &'static [Realm] = &[Realm::Default];
}

/// An authorized request to the table.
type Caller<P = (), B = NoBody> = Authorized<Table, P, B>;

/// Lists the customers, by id.
#[utoipa::path(
    get, path = "/api/v1/customers/customers", tag = "customers", security(("bearer" = [])),
    params(PageParameters),
    responses(
        (status = 200, body = Vec<CustomerResponse>, headers(("Link" = String, description = "rel=\"next\", where there is a next page"))),
        Guarded<Problem>, Queries<Problem>,
    ),
)]
async fn list(
    MemoryAccount(account): MemoryAccount,
    State(customers): State<Customers>,
    caller: Caller<Query>,
) -> Result<Response, Error> {
    let page = caller.head.page()?;
    let listed = customers.list(page).await?;
    let mut response = array(stream::iter([Ok(listed.items)]), &account).await?;
    if let Some(link) = listed
        .next
        .and_then(|next| next_link(PATH, page.limit, next))
    {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

/// Adds a customer.
#[utoipa::path(
    post, path = "/api/v1/customers/customers", tag = "customers", security(("bearer" = [])),
    request_body = NewCustomerRequest,
    responses(
        (status = 201, body = CustomerResponse, headers(("Location" = String), ("ETag" = String))),
        Guarded<Problem>, Takes<Problem>, Writes<Problem>,
    ),
)]
async fn create(
    State(customers): State<Customers>,
    caller: Caller<(), Json<NewCustomerRequest, Problem>>,
) -> Result<Response, Error> {
    let Json(body, ..) = caller.body;
    let customer = customers.create(body.submitted()?).await?;
    let location = [(LOCATION, format!("{PATH}/{}", customer.id))];
    Ok((StatusCode::CREATED, location, one(customer)).into_response())
}

/// Shows a customer.
#[utoipa::path(
    get, path = "/api/v1/customers/customers/{id}", tag = "customers", security(("bearer" = [])),
    params(
        ("id" = i64, Path, minimum = 1),
        ("If-None-Match" = Option<String>, Header, description = "ETags already known"),
    ),
    responses(
        (status = 200, body = CustomerResponse, headers(("ETag" = String))),
        (status = 304, description = "Not changed since", headers(("ETag" = String))),
        Guarded<Problem>, Finds<Problem>,
    ),
)]
async fn show(
    State(customers): State<Customers>,
    caller: Caller<(PathId, Known)>,
) -> Result<Response, Error> {
    let (PathId(id), known) = caller.head;
    let customer = customers.find(CustomerId(id)).await?;
    if known.has(customer.version) {
        let tag = [(ETAG, entity_tag(customer.version).to_header())];
        return Ok((StatusCode::NOT_MODIFIED, tag).into_response());
    }
    Ok(one(customer))
}

/// Replaces a customer.
#[utoipa::path(
    put, path = "/api/v1/customers/customers/{id}", tag = "customers", security(("bearer" = [])),
    params(
        ("id" = i64, Path, minimum = 1),
        ("If-Match" = Option<String>, Header, description = "ETags of which one must still hold"),
        ("If-None-Match" = Option<String>, Header, description = "ETags of which none may hold"),
    ),
    request_body = CustomerRequest,
    responses(
        (status = 200, body = CustomerResponse, headers(("ETag" = String))),
        Guarded<Problem>, Takes<Problem>, Writes<Problem>, Finds<Problem>, Conditional<Problem>,
    ),
)]
async fn replace(
    State(customers): State<Customers>,
    caller: Caller<(PathId, Required), Json<CustomerRequest, Problem>>,
) -> Result<Response, Error> {
    let (PathId(id), Required(precondition)) = caller.head;
    let Json(body, ..) = caller.body;
    let submitted = body.submitted(id)?;
    Ok(one(customers
        .replace(CustomerId(id), submitted, precondition)
        .await?))
}

/// Deletes a customer.
#[utoipa::path(
    delete, path = "/api/v1/customers/customers/{id}", tag = "customers",
    security(("bearer" = [])),
    params(
        ("id" = i64, Path, minimum = 1),
        ("If-Match" = Option<String>, Header, description = "ETags of which one must still hold"),
        ("If-None-Match" = Option<String>, Header, description = "ETags of which none may hold"),
    ),
    responses(
        (status = 204),
        Guarded<Problem>, Writes<Problem>, Queries<Problem>, Finds<Problem>, Conditional<Problem>,
    ),
)]
async fn delete(
    State(customers): State<Customers>,
    caller: Caller<(PathId, Required)>,
) -> Result<StatusCode, Error> {
    let (PathId(id), Required(precondition)) = caller.head;
    customers.delete(CustomerId(id), precondition).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the customers with the latest dates of birth, youngest first, equal dates by id.
#[utoipa::path(
    get, path = "/api/v1/customers/nyoungest", tag = "customers", security(("bearer" = [])),
    params(("n" = u32, Query, description = "How many", minimum = 0, maximum = 10_000)),
    responses(
        (status = 200, body = Vec<CustomerResponse>),
        Guarded<Problem>, Queries<Problem>,
    ),
)]
async fn list_youngest(
    MemoryAccount(account): MemoryAccount,
    State(customers): State<Customers>,
    caller: Caller<Query>,
) -> Result<Response, Error> {
    let count = caller.head.integer("n", 0..=MOST_YOUNGEST)?;
    let count = count.ok_or_else(|| Failure::bad_request("n is missing"))?;
    Ok(array(customers.list_youngest(count), &account).await?)
}

fn one(customer: Customer) -> Response {
    let tag = [(ETAG, entity_tag(customer.version).to_header())];
    (tag, axum::Json(CustomerResponse::from(customer))).into_response()
}

type Batch = Result<Vec<Customer>, customers::Error>;

async fn array(
    batches: impl Stream<Item = Batch> + Send + 'static,
    account: &Account,
) -> Result<Response, Failure> {
    list::list(ARRAY, batches, account).await
}
