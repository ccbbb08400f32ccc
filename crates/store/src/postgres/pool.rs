//! The connection pool. One deadline covers waiting for a connection, connecting, and running the statements.
//!
//! Invariant: a connection that missed the deadline is closed, never reused. Work that conflicted with other work is
//! repeated a bounded number of times. After a sign that a pooler shares sessions, no work is done until an examination
//! has shown that it does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::managed::{Object, PoolError};
use deadpool_postgres::{ClientWrapper, Transaction};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use keyward_core::error::{Fault, Source};
use keyward_core::metrics::Stopwatch;
use keyward_core::span;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use tracing::{Instrument as _, Span, info_span};

use super::Options;
use super::connect::{Connector, pause};
use super::error::{Error, SHARED};
use super::measured::Measured;
use super::pooler;

/// How often work is tried, within its deadline.
const ATTEMPTS: u32 = 64;
/// The pause between two examinations of a pooler.
const EXAMINE: Duration = Duration::from_secs(1);

/// The values of a statement.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

pub(super) struct Pool {
    pool: deadpool::managed::Pool<Connector>,
    places: Semaphore,
    options: Options,
    measured: Measured,
    /// Whether work met the session of another client.
    is_suspect: AtomicBool,
    /// The time of the next examination.
    examination: Mutex<Instant>,
}

/// The connections of a pool at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// How many there may be.
    pub most: usize,
    /// How many are at work.
    pub busy: usize,
    /// How many wait for work.
    pub idle: usize,
    /// How much work waits for a connection.
    pub waiting: usize,
}

impl Pool {
    pub(super) fn new(connector: Connector, options: Options) -> Result<Self, Source> {
        Ok(Self {
            pool: deadpool::managed::Pool::builder(connector)
                .max_size(options.connections)
                .build()?,
            places: Semaphore::new(options.connections.saturating_add(options.queue)),
            options,
            measured: Measured::new(),
            is_suspect: AtomicBool::new(false),
            examination: Mutex::new(Instant::now()),
        })
    }

    pub(super) fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus {
            most: status.max_size,
            busy: status.size.saturating_sub(status.available),
            idle: status.available,
            waiting: status.waiting,
        }
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }

    /// Runs a statement that returns at most one row.
    pub(super) async fn find<T: Send>(
        &self,
        sql: &'static str,
        params: Params<'_>,
        read: fn(&Row) -> Result<T, Error>,
    ) -> Result<Option<T>, Fault> {
        self.run_in(
            of_statement(sql),
            &(sql, params, read),
            |db, &(sql, params, read)| {
                async move {
                    let statement = db.prepare_cached(sql).await?;
                    let row = db.query_opt(&statement, params).await?;
                    row.as_ref().map(read).transpose()
                }
                .boxed()
            },
        )
        .await
    }

    /// Runs a statement that returns rows.
    pub(super) async fn list<T: Send>(
        &self,
        sql: &'static str,
        params: Params<'_>,
        read: fn(&Row) -> Result<T, Error>,
    ) -> Result<Vec<T>, Fault> {
        self.run_in(
            of_statement(sql),
            &(sql, params, read),
            |db, &(sql, params, read)| {
                async move {
                    let statement = db.prepare_cached(sql).await?;
                    let rows = db.query(&statement, params).await?;
                    rows.iter().map(read).collect()
                }
                .boxed()
            },
        )
        .await
    }

    /// Runs a statement and returns how many rows it affected.
    pub(super) async fn execute(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<u64, Fault> {
        self.run_in(of_statement(sql), &(sql, params), |db, &(sql, params)| {
            async move {
                let statement = db.prepare_cached(sql).await?;
                Ok(db.execute(&statement, params).await?)
            }
            .boxed()
        })
        .await
    }

    /// Runs `work` in one transaction, which is rolled back when `work` fails.
    pub(super) async fn transaction<A: Sync, T: Send>(
        &self,
        args: &A,
        work: for<'c> fn(&'c Transaction<'_>, &'c A) -> BoxFuture<'c, Result<T, Error>>,
    ) -> Result<T, Fault> {
        self.run(&(args, work), |db, &(args, work)| {
            async move {
                let tx = db.transaction().await?;
                let value = work(&tx, args).await?;
                tx.commit().await?;
                Ok(value)
            }
            .boxed()
        })
        .await
    }

    /// Runs `work` on a connection, and repeats it when the database reports a conflict.
    pub(super) async fn run<A: Sync, T: Send>(
        &self,
        args: &A,
        work: for<'c> fn(&'c mut ClientWrapper, &'c A) -> BoxFuture<'c, Result<T, Error>>,
    ) -> Result<T, Fault> {
        let span = info_span!(target: span::TARGET, "transaction", otel.kind = "client", db.system.name = "postgresql");
        self.run_in(span, args, work).await
    }

    async fn run_in<A: Sync, T: Send>(
        &self,
        span: Span,
        args: &A,
        work: for<'c> fn(&'c mut ClientWrapper, &'c A) -> BoxFuture<'c, Result<T, Error>>,
    ) -> Result<T, Fault> {
        self.run_within_deadline(args, work).instrument(span).await
    }

    async fn run_within_deadline<A: Sync, T: Send>(
        &self,
        args: &A,
        work: for<'c> fn(&'c mut ClientWrapper, &'c A) -> BoxFuture<'c, Result<T, Error>>,
    ) -> Result<T, Fault> {
        let _place = self.places.try_acquire().map_err(|_| {
            self.measured.queue_full.increment(1);
            Fault::Unavailable("more wait for the database than may".into())
        })?;
        let deadline = Instant::now() + self.options.patience;
        let mut attempt = 1;
        loop {
            let mut db = self.lease(deadline).await?;
            let took = Stopwatch::start();
            let Ok(done) = timeout_at(deadline, work(&mut db, args)).await else {
                // The connection still waits for a result that nobody will read.
                drop(Object::take(db));
                return Err(self.late());
            };
            took.record(&self.measured.duration);
            let error = match done {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if error.spoils_connection() {
                drop(Object::take(db));
            }
            if error.is_of_others() {
                self.is_suspect.store(true, Ordering::Release);
            }
            let pause = sleep(pause(attempt) / 10);
            if !error.is_retryable()
                || attempt == ATTEMPTS
                || timeout_at(deadline, pause).await.is_err()
            {
                self.measured.error.increment(1);
                return Err(error.into_fault());
            }
            attempt += 1;
        }
    }

    async fn lease(&self, deadline: Instant) -> Result<Object<Connector>, Fault> {
        // Nobody queues for a database that is unreachable. Work that already has a connection goes on.
        let unreachable = |cause| {
            self.measured.unreachable.increment(1);
            Err(Fault::Unavailable(cause))
        };
        if self.is_suspect.load(Ordering::Acquire) {
            match timeout_at(deadline, self.examine()).await {
                Ok(Ok(())) => {}
                Ok(Err(cause)) => return unreachable(cause),
                Err(_) => return Err(self.late()),
            }
        }
        if self.pool.status().available == 0
            && let Err(cause) = self.pool.manager().check()
        {
            return unreachable(cause);
        }
        let waited = Stopwatch::start();
        match timeout_at(deadline, self.pool.get()).await {
            Ok(Ok(db)) => {
                waited.record(&self.measured.wait);
                Ok(db)
            }
            Ok(Err(PoolError::Backend(cause))) => unreachable(cause),
            Ok(Err(other)) => unreachable(other.to_string().into()),
            Err(_) => Err(self.late()),
        }
    }

    /// Finds out whether a pooler shares sessions. If it does not, work goes on, on new connections.
    ///
    /// # Errors
    /// If it does, or if that is not known yet.
    async fn examine(&self) -> Result<(), Source> {
        let Ok(mut next) = self.examination.try_lock() else {
            return Err(SHARED.into());
        };
        if Instant::now() < *next {
            return Err(SHARED.into());
        }
        *next = Instant::now() + EXAMINE;
        if pooler::shares_sessions(self.pool.manager()).await? {
            return Err(SHARED.into());
        }
        self.pool.retain(|_, _| false);
        self.is_suspect.store(false, Ordering::Release);
        Ok(())
    }

    fn late(&self) -> Fault {
        self.measured.late.increment(1);
        Fault::Unavailable("the database did not answer in time".into())
    }
}

/// The span of a statement, with its text, which never holds values.
fn of_statement(sql: &'static str) -> Span {
    info_span!(target: span::TARGET, "statement", otel.kind = "client", db.system.name = "postgresql", db.query.text = sql)
}
