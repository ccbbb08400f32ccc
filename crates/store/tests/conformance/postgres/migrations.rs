//! Migrations: once, by one, and none that this program does not know.

use std::path::Path;

use keyward_core::health::Store as _;
use keyward_core::sessions::{Feed as _, Place};
use keyward_store::postgres::OpenError;
use tokio_postgres::Client;

use crate::backend::at_once;
use crate::database::{Database, open};

async fn tables(client: &Client, database: &Database) -> Vec<String> {
    let sql =
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = $1 ORDER BY 1";
    let rows = client.query(sql, &[&database.schema()]).await;
    rows.expect("rows").iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_servers_that_start_at_once_one_migrates() {
    for _ in 0..5 {
        let Some(database) = Database::create().await else {
            return;
        };
        let stores = at_once(8, |_| {
            let url = database.url();
            async move { open(&url).await }
        })
        .await;
        for store in stores {
            store.expect("a store").check().await.expect("it is ready");
        }
        let client = database.client().await;
        let sql = "SELECT version FROM schema_migrations ORDER BY version";
        let rows = client.query(sql, &[]).await.expect("rows");
        let versions: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(versions, [0, 1, 2, 3, 4, 5]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_later_program_or_of_another_text_is_refused() {
    let Some(database) = Database::create().await else {
        return;
    };
    let old = open(&database.url()).await.expect("a store");
    let client = database.client().await;
    let later = "INSERT INTO schema_migrations VALUES (9, 'later', '', 0)";
    client.batch_execute(later).await.expect("a row");
    let refusal = open(&database.url()).await.err();
    assert!(
        matches!(
            refusal,
            Some(OpenError::Newer {
                found: 9,
                known: 5,
                ..
            })
        ),
        "{refusal:?}"
    );
    // A server that runs already goes on while a newer one takes over.
    old.check().await.expect("it is ready");
    let altered = "DELETE FROM schema_migrations WHERE version = 9;
        UPDATE schema_migrations SET checksum = '\\x00' WHERE version = 1";
    client.batch_execute(altered).await.expect("a row");
    let refusal = open(&database.url()).await.err();
    assert!(
        matches!(refusal, Some(OpenError::Altered { version: 1, .. })),
        "{refusal:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_was_forgotten_before_it_was_remembered_every_id_given_counts() {
    for horizon in [None, Some(7)] {
        let Some(database) = Database::create().await else {
            return;
        };
        drop(open(&database.url()).await.expect("a store"));
        let client = database.client().await;
        let older = "DELETE FROM schema_migrations WHERE version IN (2, 3);
            ALTER TABLE sessions ALTER COLUMN id RESTART WITH 41";
        client.batch_execute(older).await.expect("an older one");
        if let Some(micros) = horizon {
            let forgot = format!("INSERT INTO meta (key, value) VALUES ('horizon', {micros})");
            client.batch_execute(&forgot).await.expect("a row");
        }
        let store = open(&database.url()).await.expect("a store");
        let found = store.find_forgotten().await.expect("the store");
        let found = found.map(|it| (it.horizon.micros(), it.last.0));
        assert_eq!(found, horizon.map(|micros| (micros, 41)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_without_a_tag_are_those_of_sessions_from_before_there_were_tags() {
    let begun = "INSERT INTO meta (key, value) VALUES ('epoch', 40)";
    for (used, until) in [("SELECT", 0), (begun, 41 + 1_048_576)] {
        let Some(database) = Database::create().await else {
            return;
        };
        drop(open(&database.url()).await.expect("a store"));
        let client = database.client().await;
        let older = format!(
            "DELETE FROM schema_migrations WHERE version = 3;
            ALTER TABLE sessions ALTER COLUMN id RESTART WITH 41; {used}"
        );
        client.batch_execute(&older).await.expect("an older one");
        let store = open(&database.url()).await.expect("a store");
        let feed = store.list_closures(Place::default(), 0).await;
        assert_eq!(feed.expect("the store").identity.untagged, until);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_programs_tables_are_left_alone() {
    for theirs in [
        "CREATE TABLE accounts (id INT)",
        "CREATE TABLE schema_migrations (version TEXT)",
    ] {
        let Some(database) = Database::create().await else {
            return;
        };
        let client = database.client().await;
        client.batch_execute(theirs).await.expect("a table");
        let before = tables(&client, &database).await;
        let refusal = open(&database.url()).await.err().expect("a refusal");
        assert!(matches!(refusal, OpenError::Foreign { .. }), "{refusal:?}");
        assert_eq!(tables(&client, &database).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_there_is_refused_with_its_name_and_no_password() {
    let Some(database) = Database::create().await else {
        return;
    };
    drop(database);
    let url = "postgres://nobody:hunter2@127.0.0.1:1/nowhere";
    let refusal = open(url).await.err().expect("a refusal");
    let text = format!("{refusal} {refusal:?}");
    assert!(
        text.contains("nowhere on 127.0.0.1") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn both_databases_have_the_same_migrations_and_tables() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let read = |engine: &str| {
        let mut names = Vec::new();
        let mut tables = Vec::new();
        for entry in std::fs::read_dir(folder.join(engine)).expect("a folder") {
            let path = entry.expect("an entry").path();
            names.push(path.file_name().expect("a name").to_owned());
            let text = std::fs::read_to_string(&path).expect("the text");
            let made = text
                .lines()
                .filter_map(|line| line.strip_prefix("CREATE TABLE "));
            tables.extend(made.map(|rest| rest.trim_end_matches(" (").to_owned()));
        }
        names.sort();
        tables.sort();
        (names, tables)
    };
    let (sqlite, mut postgres) = (read("sqlite"), read("postgres"));
    // One server keeps its keys in files; several share them.
    postgres.1.retain(|table| table != "signing_keys");
    assert_eq!(sqlite, postgres);
}
