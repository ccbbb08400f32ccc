//! The order in which closures become visible.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keyward_core::id::SessionId;
use keyward_core::sessions::{Place, Reason};
use tokio_postgres::Client;

use crate::backend::{account, at, session};
use crate::database::{Database, open};
use keyward_core::rows::Rows;

/// Makes the commit that closes `session` wait for the advisory lock `key`.
async fn hold_commit_of(client: &Client, session: SessionId, key: i32) {
    let sql = format!(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF NEW.session_id = {session} THEN PERFORM pg_advisory_xact_lock({key}); END IF;
            RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON session_closures
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold();
        SELECT pg_advisory_lock({key})"
    );
    client.batch_execute(&sql).await.expect("a trigger");
}

async fn waiting(client: &Client, database: &Database) -> i64 {
    let sql = "SELECT count(*) FROM pg_locks w JOIN pg_stat_activity a USING (pid)
        WHERE NOT w.granted AND a.application_name = $1";
    let row = client.query_one(sql, &[&database.schema()]).await;
    row.expect("a row").get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closure_that_commits_late_is_not_missed() {
    const KEY: i32 = 0x6b77;
    let Some(database) = Database::create().await else {
        return;
    };
    let url = format!("{}&application_name={}", database.url(), database.schema());
    let rows: Arc<dyn Rows> = Arc::new(open(&url).await.expect("a store"));
    let owner = account(&rows, "ada").await;
    let (late, prompt) = (
        session(&rows, &owner).await.id,
        session(&rows, &owner).await.id,
    );
    let client = database.client().await;
    hold_commit_of(&client, late, KEY).await;
    let close = |id| {
        let rows = Arc::clone(&rows);
        tokio::spawn(async move { rows.close_session(id, Reason::Logout, at(1)).await })
    };
    let reading = Arc::clone(&rows);
    let (mut seen, mut place) = (Vec::new(), Place::default());
    let mut read = async || {
        let batch = reading.list_closures(place, 10).await.expect("the store");
        place = batch.place;
        seen.extend(batch.sessions);
        seen.clone()
    };
    let first = close(late);
    let since = Instant::now();
    while waiting(&client, &database).await < 1 {
        assert!(
            since.elapsed() < Duration::from_secs(1),
            "the first commit waits"
        );
    }
    let second = close(prompt);
    // Either the second waits for the first, or it overtakes it: a reader follows all the while.
    while !second.is_finished() && waiting(&client, &database).await < 2 {
        read().await;
    }
    read().await;
    client
        .batch_execute(&format!("SELECT pg_advisory_unlock({KEY})"))
        .await
        .expect("the lock to go");
    for closing in [first, second] {
        assert!(closing.await.expect("a task").expect("the store"));
    }
    let mut seen = read().await;
    seen.sort_unstable();
    assert_eq!(seen, [late, prompt]);
}
