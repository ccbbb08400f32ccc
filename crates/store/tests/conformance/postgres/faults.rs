//! A database that is away, frozen, slow, full or in conflict.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keyward_core::accounts::{Account, CreateError, Realm, Store as _};
use keyward_core::customers::{Customer, Details, Store as _};
use keyward_core::error::Fault;
use keyward_core::files::Store as _;
use keyward_core::health::Store as _;
use keyward_core::id::AccountId;
use keyward_core::secret::SecretText;
use keyward_store::postgres::{OpenError, Options, Postgres};

use super::proxy::{Proxy, Weather};
use crate::backend::{at, new_account};
use crate::database::{Database, usual};

const BOUND: Duration = Duration::from_secs(2);

async fn open(url: &str) -> Result<Postgres, OpenError> {
    Postgres::open(url, usual()).await
}

async fn find(store: &Arc<Postgres>) -> Result<Option<Account>, Fault> {
    store.find_account(AccountId(1)).await
}

/// Many look-ups at once: how long each took, and that none succeeded.
async fn all_refused(store: &Arc<Postgres>, count: usize) -> Vec<Duration> {
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                let asked = Instant::now();
                let refusal = find(&store).await.expect_err("no answer");
                assert!(matches!(refusal, Fault::Unavailable(_)), "{refusal:?}");
                asked.elapsed()
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.push(task.await.expect("a task"));
    }
    times
}

async fn back_within(store: &Arc<Postgres>, bound: Duration) {
    let since = Instant::now();
    while let Err(fault) = find(store).await {
        assert!(matches!(fault, Fault::Unavailable(_)), "{fault:?}");
        assert!(since.elapsed() < bound, "{fault:?}");
        tokio::task::yield_now().await;
    }
    store.check().await.expect("it is ready");
}

async fn customer(store: &Postgres) -> Result<Customer, Fault> {
    store
        .create_customer(Details {
            name: "Ada".into(),
            born: "2001-02-03".parse().expect("a day"),
            updated_at: at(0),
        })
        .await
}

/// Runs `body`, in PL/pgSQL, before each row that is written to `table`.
async fn before_each(database: &Database, table: &str, body: &str) {
    let sql = format!(
        "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN {body}; RETURN NEW; END $$;
        CREATE TRIGGER fault BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION fault()"
    );
    let client = database.client().await;
    client.batch_execute(&sql).await.expect("a trigger");
}

fn cause(fault: &Fault) -> String {
    let source = std::error::Error::source(fault);
    source.expect("a cause").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_database_is_unavailable_within_the_bound_and_back_soon() {
    let Some(database) = Database::create().await else {
        return;
    };
    let proxy = Proxy::start(&database).await;
    let store = Arc::new(open(&proxy.url(&database)).await.expect("a store"));
    find(&store).await.expect("an answer");
    proxy.turn(Weather::Frozen);
    for time in all_refused(&store, 100).await {
        assert!(time < BOUND, "{time:?}");
    }
    // It is known to be away: one tries whether it is back, the others are refused at once.
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(4) {
        let mut times = all_refused(&store, 20).await;
        times.sort_unstable();
        assert!(times[18] < Duration::from_millis(500), "{times:?}");
        assert!(times[19] < BOUND, "{times:?}");
    }
    let before = proxy.accepted();
    proxy.turn(Weather::Fair);
    back_within(&store, Duration::from_secs(5)).await;
    for _ in 0..200 {
        find(&store).await.expect("an answer");
    }
    let made = proxy.accepted() - before;
    assert!(made <= usual().connections, "{made} connections");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_database_is_not_stormed_and_is_used_as_soon_as_it_is_back() {
    let Some(database) = Database::create().await else {
        return;
    };
    let proxy = Proxy::start(&database).await;
    let store = Arc::new(open(&proxy.url(&database)).await.expect("a store"));
    find(&store).await.expect("an answer");
    proxy.turn(Weather::Cut);
    let before = proxy.accepted();
    let since = Instant::now();
    let mut refused = 0;
    while since.elapsed() < Duration::from_secs(2) {
        refused += all_refused(&store, 20).await.len();
    }
    let tried = proxy.accepted() - before;
    assert!(tried <= 60, "{tried} attempts for {refused} requests");
    proxy.turn(Weather::Fair);
    back_within(&store, Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_database_ended_are_replaced() {
    let Some(database) = Database::create().await else {
        return;
    };
    let url = format!("{}&application_name={}", database.url(), database.schema());
    let store = Arc::new(open(&url).await.expect("a store"));
    find(&store).await.expect("an answer");
    let client = database.client().await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1";
    let ended = client.query(end, &[&database.schema()]).await;
    assert_eq!(ended.expect("an answer").len(), 1);
    back_within(&store, Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_does_not_answer_is_not_used_again() {
    let Some(database) = Database::create().await else {
        return;
    };
    let proxy = Proxy::start(&database).await;
    let store = Arc::new(open(&proxy.url(&database)).await.expect("a store"));
    find(&store).await.expect("an answer");
    proxy.lose_connections();
    all_refused(&store, 1).await;
    find(&store).await.expect("an answer on another connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_more_wait_than_may_the_next_is_refused_at_once() {
    let Some(database) = Database::create().await else {
        return;
    };
    let proxy = Proxy::start(&database).await;
    let options = Options {
        connections: 1,
        queue: 2,
        ..usual()
    };
    let store = Postgres::open(&proxy.url(&database), options).await;
    let store = Arc::new(store.expect("a store"));
    find(&store).await.expect("an answer");
    proxy.turn(Weather::Frozen);
    let mut times = all_refused(&store, 10).await;
    times.sort_unstable();
    assert!(times[6] < Duration::from_millis(500), "{times:?}");
    assert!(times[7] > Duration::from_secs(1), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_waits_too_long_is_given_up_on_both_sides() {
    let Some(database) = Database::create().await else {
        return;
    };
    let store = open(&database.url()).await.expect("a store");
    let mut client = database.client().await;
    let tx = client.transaction().await.expect("a transaction");
    tx.batch_execute("LOCK TABLE customers")
        .await
        .expect("a lock");
    let asked = Instant::now();
    let refusal = customer(&store).await.expect_err("no answer");
    assert!(matches!(refusal, Fault::Unavailable(_)), "{refusal:?}");
    assert!(asked.elapsed() < BOUND, "{:?}", asked.elapsed());
    // Were it still waiting, it would write when the lock is gone.
    let waits =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'customers'::regclass";
    let since = Instant::now();
    while tx
        .query_one(waits, &[])
        .await
        .expect("an answer")
        .get::<_, i64>(0)
        > 0
    {
        assert!(since.elapsed() < BOUND, "the statement still waits");
    }
    tx.commit().await.expect("the end");
    assert_eq!(customer(&store).await.expect("a customer").id.0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_the_settings_that_the_store_rests_on_whatever_the_defaults_are() {
    let Some(database) = Database::create().await else {
        return;
    };
    open(&database.url()).await.expect("a store");
    let report = "NEW.name := concat_ws(' ', current_setting('synchronous_commit'),
        current_setting('transaction_isolation'), current_setting('statement_timeout'),
        current_setting('idle_in_transaction_session_timeout'))";
    before_each(&database, "customers", report).await;
    for (name, default, expected) in [
        ("synchronous_commit", "off", "on read committed"),
        ("synchronous_commit", "local", "local read committed"),
        (
            "synchronous_commit",
            "remote_apply",
            "remote_apply read committed",
        ),
        (
            "default_transaction_isolation",
            "repeatable\\%20read",
            "on read committed",
        ),
        (
            "default_transaction_isolation",
            "serializable",
            "on serializable",
        ),
        ("statement_timeout", "0", "on read committed"),
    ] {
        let url = database.url_with(&format!("%20-c{name}%3D{default}"));
        let store = open(&url).await.expect("a store");
        let made = customer(&store).await.expect("a customer").details.name;
        assert_eq!(
            made,
            format!("{expected} 1500ms 1500ms"),
            "{name}={default}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_repeated_a_bounded_number_of_times() {
    let Some(database) = Database::create().await else {
        return;
    };
    let store = open(&database.url()).await.expect("a store");
    let client = database.client().await;
    let sequence = "CREATE SEQUENCE attempts";
    client.batch_execute(sequence).await.expect("a sequence");
    before_each(
        &database,
        "customers",
        "IF nextval('attempts') % 4 != 0 THEN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END IF",
    )
    .await;
    customer(&store).await.expect("the fourth attempt");
    let always = "CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM nextval('attempts'); RAISE EXCEPTION 'conflict' USING ERRCODE = '40P01'; END $$";
    client.batch_execute(always).await.expect("a function");
    let asked = Instant::now();
    let refusal = customer(&store).await.expect_err("no attempt");
    assert!(matches!(refusal, Fault::Unavailable(_)), "{refusal:?}");
    assert!(asked.elapsed() < BOUND, "{:?}", asked.elapsed());
    let count = "SELECT last_value FROM attempts";
    let row = client.query_one(count, &[]).await.expect("a row");
    // On a busy machine the time for the attempts may end before their number does.
    let attempts = row.get::<_, i64>(0) - 4;
    assert!((2..=64).contains(&attempts), "{attempts} attempts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_from_other_failures() {
    let Some(database) = Database::create().await else {
        return;
    };
    let store = open(&database.url()).await.expect("a store");
    before_each(
        &database,
        "customers",
        "RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'",
    )
    .await;
    let refusal = customer(&store).await.expect_err("no room");
    assert!(matches!(refusal, Fault::Full(_)), "{refusal:?}");
    assert!(cause(&refusal).contains("53100"), "{}", cause(&refusal));
    assert_eq!(
        store
            .list_youngest_customers(None, 5)
            .await
            .expect("a list"),
        []
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_tells_the_log_no_value_of_a_row() {
    let Some(database) = Database::create().await else {
        return;
    };
    let store = open(&database.url()).await.expect("a store");
    before_each(&database, "accounts", "NEW.created_at := NULL").await;
    let mut new = new_account(Realm::Default, Some("ada"), None);
    new.password_hash = SecretText::new("hunter2".into());
    let refusal = match store.create_account(new).await {
        Err(CreateError::Store(fault)) => fault,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refusal, Fault::Internal(_)), "{refusal:?}");
    let text = format!("{refusal:?} {}", cause(&refusal));
    assert!(
        text.contains("23502") && !text.contains("hunter2"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_a_nul_is_nobodys() {
    let Some(database) = Database::create().await else {
        return;
    };
    let store = open(&database.url()).await.expect("a store");
    let found = store.find_account_by_name(Realm::Default, "a\0b").await;
    assert_eq!(found.expect("an answer"), None);
    let found = store.find_credentials(Realm::Default, "a\0b").await;
    assert!(found.expect("an answer").is_none());
    let found = store.find_file(AccountId(1), "a\0b").await;
    assert_eq!(found.expect("an answer"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_a_connection_that_works() {
    let Some(database) = Database::create().await else {
        return;
    };
    let options = Options {
        connections: 1,
        ..usual()
    };
    let store = Arc::new(
        Postgres::open(&database.url(), options)
            .await
            .expect("a store"),
    );
    let owner = new_account(Realm::Default, Some("ada"), None);
    let owner = store.create_account(owner).await.expect("an account");
    let rows: Arc<dyn keyward_core::rows::Rows> = Arc::clone(&store) as _;
    for _ in 0..50 {
        let opened = crate::backend::session(&rows, &owner).await;
        let closing = rows.close_session(opened.id, keyward_core::sessions::Reason::Logout, at(1));
        // As many steps as fit into a moment: somewhere inside the transaction.
        _ = tokio::time::timeout(Duration::from_micros(700), closing).await;
    }
    let mut client = database.client().await;
    // Whatever was broken off holds no lock.
    let tx = client.transaction().await.expect("a transaction");
    rows.check().await.expect("a connection");
    tx.batch_execute("LOCK TABLE meta, sessions IN ACCESS EXCLUSIVE MODE")
        .await
        .expect("no lock is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn transport_security_is_what_the_url_asks_for() {
    let Some(database) = Database::create().await else {
        return;
    };
    let client = database.client().await;
    let row = client.query_one("SHOW ssl", &[]).await.expect("a row");
    let encrypts = row.get::<_, &str>(0) == "on";
    for (mode, opens) in [("disable", true), ("prefer", true), ("require", encrypts)] {
        let opened = open(&format!("{}&sslmode={mode}", database.url())).await;
        assert_eq!(opened.is_ok(), opens, "{mode}: {:?}", opened.err());
    }
    // The server of a test has no certificate that the operating system trusts for its address.
    let url = format!("{}&sslmode=verify-full", database.url());
    let refusal = open(&url).await.err().expect("a refusal");
    assert!(matches!(refusal, OpenError::Failed { .. }), "{refusal:?}");
}
