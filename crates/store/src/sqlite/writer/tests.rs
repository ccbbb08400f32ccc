//! The shared commit: what is answered when, and what one job's failure does to the others.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::Poll;

use rusqlite::ffi;

use super::job::{Meaning, TransactionError};
use super::*;
use crate::sqlite::open_writer;

struct Bench {
    writer: Writer,
    path: PathBuf,
    _home: tempfile::TempDir,
}

/// A writer on an empty database with a table of rows that are unique and one that must refer to them.
fn bench(queue: usize) -> Bench {
    bench_with(Options {
        queue,
        ..Options::default()
    })
}

fn bench_with(options: Options) -> Bench {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("test.db");
    Connection::open(&path)
        .expect("a database")
        .execute_batch(
            "CREATE TABLE rows (id INTEGER PRIMARY KEY);
            CREATE TABLE children (id INTEGER REFERENCES rows (id) DEFERRABLE INITIALLY DEFERRED);",
        )
        .expect("its tables");
    let db = open_writer(&path, options).expect("a connection");
    Bench {
        writer: Writer::start(db, options).expect("a writer"),
        path,
        _home: home,
    }
}

impl Bench {
    fn insert(&self, id: i64) -> impl Future<Output = Result<(), Fault>> + '_ {
        self.writer.write(move |db| {
            db.prepare_cached("INSERT INTO rows VALUES (?1)")?
                .execute([id])
                .map(drop)
        })
    }

    fn rows(&self) -> Vec<i64> {
        let db = Connection::open(&self.path).expect("a connection");
        let mut all = db
            .prepare("SELECT id FROM rows ORDER BY id")
            .expect("a query");
        let rows = all.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("ids")
    }

    /// Holds the write lock from another connection, so that what is written meanwhile shares a commit.
    fn hold(&self) -> Connection {
        let other = Connection::open(&self.path).expect("a connection");
        other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
        other
    }
}

/// Polls once: the write is queued, and not answered.
async fn queued<F: Future>(write: F) -> Pin<Box<F>> {
    let mut write = Box::pin(write);
    let mut polled = false;
    std::future::poll_fn(|context| {
        if !polled {
            polled = true;
            assert!(
                write.as_mut().poll(context).is_pending(),
                "answered before its commit"
            );
        }
        Poll::Ready(())
    })
    .await;
    write
}

fn error(extended_code: i32) -> Error {
    Error::SqliteFailure(ffi::Error::new(extended_code), None)
}

#[tokio::test]
async fn writes_that_wait_share_one_commit() {
    let bench = bench(4_096);
    let lock = bench.hold();
    let mut waiting = Vec::new();
    for id in 0..500 {
        waiting.push(queued(bench.insert(id)).await);
    }
    assert_eq!(bench.writer.commits(), 0);
    drop(lock);
    for write in waiting {
        write.await.expect("a commit");
    }
    assert_eq!((bench.rows().len(), bench.writer.commits()), (500, 1));
}

#[tokio::test]
async fn no_commit_holds_more_writes_than_it_may() {
    let bench = bench_with(Options {
        writes_per_commit: 2,
        ..Options::default()
    });
    let lock = bench.hold();
    let mut waiting = Vec::new();
    for id in 0..5 {
        waiting.push(queued(bench.insert(id)).await);
    }
    drop(lock);
    for write in waiting {
        write.await.expect("a commit");
    }
    assert_eq!((bench.rows().len(), bench.writer.commits()), (5, 3));
}

#[tokio::test]
async fn a_write_that_fails_is_undone_alone() {
    let bench = bench(16);
    let lock = bench.hold();
    let first = queued(bench.insert(1)).await;
    let half = queued(bench.writer.write(|db| -> rusqlite::Result<()> {
        db.execute("INSERT INTO rows VALUES (2)", [])?;
        db.execute("INSERT INTO rows VALUES (1)", []).map(drop)
    }))
    .await;
    let last = queued(bench.insert(3)).await;
    drop(lock);
    first.await.expect("the first");
    assert!(matches!(half.await, Err(Fault::Internal(_))));
    last.await.expect("the last");
    assert_eq!((bench.rows(), bench.writer.commits()), (vec![1, 3], 1));
}

#[tokio::test]
async fn a_statement_that_fails_is_undone_alone() {
    let bench = bench(16);
    let lock = bench.hold();
    let first = queued(bench.insert(1)).await;
    let half = queued(
        bench
            .writer
            .write_statement(|db| db.execute("INSERT INTO rows VALUES (2), (1)", [])),
    )
    .await;
    let last = queued(bench.insert(3)).await;
    drop(lock);
    first.await.expect("the first");
    assert!(matches!(half.await, Err(Fault::Internal(_))));
    last.await.expect("the last");
    assert_eq!((bench.rows(), bench.writer.commits()), (vec![1, 3], 1));
}

#[tokio::test]
async fn where_the_commit_fails_nobody_is_told_of_success() {
    let bench = bench(16);
    let lock = bench.hold();
    let good = queued(bench.insert(1)).await;
    let orphan = queued(
        bench
            .writer
            .write(|db| db.execute("INSERT INTO children VALUES (9)", [])),
    )
    .await;
    drop(lock);
    assert!(matches!(good.await, Err(Fault::Internal(_))));
    assert!(matches!(orphan.await, Err(Fault::Internal(_))));
    bench.insert(2).await.expect("the next transaction");
    assert_eq!(bench.rows(), [2]);
}

#[tokio::test]
async fn one_write_more_than_the_queue_holds_is_refused() {
    let bench = bench(2);
    let lock = bench.hold();
    let mut waiting = vec![queued(bench.insert(0)).await];
    // The thread takes the first from the queue and waits for the lock with it.
    while bench.writer.queue.as_ref().expect("a queue").capacity() < 2 {
        tokio::task::yield_now().await;
    }
    waiting.push(queued(bench.insert(1)).await);
    waiting.push(queued(bench.insert(2)).await);
    assert!(matches!(bench.insert(3).await, Err(Fault::Unavailable(_))));
    drop(lock);
    for write in waiting {
        write.await.expect("a commit");
    }
    assert_eq!(bench.rows(), [0, 1, 2]);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_written_any_more() {
    let bench = bench(16);
    bench.insert(1).await.expect("a commit");
    let lock = bench.hold();
    let good = queued(bench.insert(2)).await;
    let broken = queued(
        bench
            .writer
            .write(|_| -> rusqlite::Result<()> { Err(error(ffi::SQLITE_IOERR_FSYNC)) }),
    )
    .await;
    drop(lock);
    assert!(matches!(good.await, Err(Fault::Internal(_))));
    assert!(matches!(broken.await, Err(Fault::Internal(_))));
    assert!(bench.writer.failed().await.contains("durable"));
    assert!(matches!(bench.insert(3).await, Err(Fault::Unavailable(_))));
    assert_eq!(bench.rows(), [1]);
}

#[test]
fn an_error_means_what_can_be_done_about_it() {
    for (code, in_job, at_commit) in [
        (ffi::SQLITE_BUSY, Meaning::Unavailable, Meaning::Unavailable),
        (
            ffi::SQLITE_BUSY_SNAPSHOT,
            Meaning::Unavailable,
            Meaning::Unavailable,
        ),
        (
            ffi::SQLITE_LOCKED,
            Meaning::Unavailable,
            Meaning::Unavailable,
        ),
        (ffi::SQLITE_FULL, Meaning::Full, Meaning::Full),
        (ffi::SQLITE_CORRUPT, Meaning::Internal, Meaning::Internal),
        (ffi::SQLITE_IOERR_READ, Meaning::Internal, Meaning::Broken),
        (ffi::SQLITE_IOERR_WRITE, Meaning::Internal, Meaning::Broken),
        (ffi::SQLITE_IOERR_FSYNC, Meaning::Broken, Meaning::Broken),
        (
            ffi::SQLITE_IOERR_DIR_FSYNC,
            Meaning::Broken,
            Meaning::Broken,
        ),
    ] {
        assert_eq!(
            TransactionError::of_job(&error(code)).meaning,
            in_job,
            "{code}"
        );
        assert_eq!(
            TransactionError::of_sync(&error(code)).meaning,
            at_commit,
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_full_disk_undoes_the_transaction_and_writing_goes_on() {
    let bench = bench(16);
    let limit = |pages: i64| {
        bench.writer.write(move |db| {
            db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
        })
    };
    limit(4).await.expect("a limit");
    let filled = bench
        .writer
        .write(|db| {
            db.execute_batch("CREATE TABLE filler (x); INSERT INTO filler VALUES (zeroblob(65536))")
        })
        .await;
    assert!(matches!(filled, Err(Fault::Full(_))), "{filled:?}");
    limit(1_000_000).await.expect("room");
    bench.insert(1).await.expect("a commit");
    assert_eq!(bench.rows(), [1]);
}

#[tokio::test]
async fn closing_finishes_what_waits_and_takes_no_more() {
    let bench = bench(16);
    let lock = bench.hold();
    let waiting = queued(bench.insert(1)).await;
    let closing = queued(bench.writer.close()).await;
    drop(lock);
    waiting.await.expect("a commit");
    closing.await;
    assert!(matches!(bench.insert(2).await, Err(Fault::Unavailable(_))));
    assert!(
        !bench.path.with_extension("db-wal").exists(),
        "the log is tidied up"
    );
    assert_eq!(bench.rows(), [1]);
}

#[tokio::test]
async fn dropping_finishes_what_waits() {
    let bench = bench(16);
    let lock = bench.hold();
    let waiting = tokio::spawn({
        let write = bench.writer.queue.clone().expect("a queue");
        let (sender, receiver) = oneshot::channel();
        let insert = |db: &Connection| db.execute("INSERT INTO rows VALUES (1)", []).map(drop);
        let job = Message::Run(Box::new(Write::new(insert, true, sender)));
        assert!(write.try_send(job).is_ok());
        receiver
    });
    let Bench {
        writer,
        path,
        _home,
    } = bench;
    drop(lock);
    drop(writer);
    waiting
        .await
        .expect("a task")
        .expect("an answer")
        .expect("a commit");
    let rows: i64 = Connection::open(&path)
        .expect("a connection")
        .query_row("SELECT count(*) FROM rows", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(rows, 1);
}

#[tokio::test]
async fn a_defect_in_a_write_is_reported_and_stops_the_writer() {
    let bench = bench(16);
    let defect = bench
        .writer
        .write(|_| -> rusqlite::Result<()> { panic!("a defect") });
    assert!(matches!(defect.await, Err(Fault::Internal(_))));
    assert!(bench.writer.failed().await.contains("defect"));
    assert!(matches!(bench.insert(1).await, Err(Fault::Unavailable(_))));
}

#[tokio::test]
async fn the_writer_syncs_every_commit_and_checks_references() {
    let bench = bench(16);
    for (pragma, expected) in [
        ("synchronous", "2"),
        ("journal_mode", "wal"),
        ("foreign_keys", "1"),
    ] {
        let value = bench.writer.write(move |db| {
            let sql = format!("SELECT {pragma} || '' FROM pragma_{pragma}");
            db.query_row(&sql, [], |row| row.get::<_, String>(0))
        });
        assert_eq!(value.await.expect(pragma), expected, "{pragma}");
    }
}
