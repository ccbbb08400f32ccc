//! PostgreSQL as administrators give it out: a role without further rights, and TLS that is verified.

use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::authority::Authority;
use crate::clusters::Cluster;
use crate::nodes::Node;
use crate::server::{Ended, keyward_with};

const PATIENCE: Duration = Duration::from_secs(20);
/// A year in which no certificate of these tests has expired.
const LATER: i32 = 2100;

/// The three ways that docs/operations.md names, and one that is refused.
const ROLES: &str = "
    CREATE ROLE owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
    CREATE ROLE tenant LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
    CREATE ROLE guest LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;";

fn url(cluster: &Cluster, role: &str, database: &str) -> String {
    format!("postgres://{role}@127.0.0.1:{}/{database}", cluster.port)
}

fn run(url: &str, command: &str) -> Ended {
    let folder = TempDir::new().expect("a folder");
    keyward_with(folder.path(), command, &[("KEYWARD_DATABASE", url)], "")
}

/// Two servers and the commands do their work as this role.
async fn expect_all_works(url: &str) {
    let (a, b) = (Node::start(url), Node::start(url));
    a.server.register("ada", "pw").await;
    let token = a.server.log_in("ada", "pw").await;
    assert_eq!(b.status(&token).await, 200);
    b.log_out(&token).await;
    a.until(&token, 401, Instant::now()).await;
    let other = b.server.log_in("ada", "pw").await;
    run(url, "session close --all").fine();
    a.until(&other, 401, Instant::now()).await;
    let findings = run(url, "doctor --json").stdout;
    let findings: Vec<Value> = serde_json::from_str(&findings).expect("JSON");
    // The command has a folder of its own, without data.
    let failed: Vec<_> = findings
        .iter()
        .filter(|found| found["level"] == "fail" && found["check"] != "folder")
        .collect();
    assert!(findings.len() > 5 && failed.is_empty(), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_owns_its_database_or_a_schema_is_enough_and_one_without_is_told_what_it_lacks()
{
    let Some(cluster) = Cluster::primary() else {
        return;
    };
    let client = cluster.client().await;
    client.batch_execute(ROLES).await.expect("roles");
    for sql in [
        "CREATE DATABASE keyward OWNER owner ENCODING 'UTF8' TEMPLATE template0",
        "CREATE DATABASE shared ENCODING 'UTF8' TEMPLATE template0",
    ] {
        client.batch_execute(sql).await.expect("a database");
    }
    let schema = "CREATE SCHEMA keyward AUTHORIZATION tenant";
    let args = ["-d", "shared", "-c", schema];
    cluster.client_program("psql", &args);

    expect_all_works(&url(&cluster, "owner", "keyward")).await;
    let in_schema = format!(
        "{}?options=-csearch_path%3Dkeyward",
        url(&cluster, "tenant", "shared")
    );
    expect_all_works(&in_schema).await;
    let refused = run(
        &url(&cluster, "guest", "shared"),
        "serve --listen 127.0.0.1:0",
    )
    .failed(1);
    for part in [
        "may not create tables",
        "owner of the database",
        "CREATE SCHEMA",
        "42501",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
}

/// Asks until what the command prints on its error output contains `expected`.
fn until_refused(url: &str, command: &str, expected: &[&str]) {
    let begun = Instant::now();
    loop {
        let refused = run(url, command);
        let text = format!("{}{}", refused.stdout, refused.stderr);
        if refused.code == 1 && expected.iter().all(|part| text.contains(part)) {
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{command}: {expected:?}: {refused:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_connection_needs_the_right_name_time_and_authority() {
    let authority = Authority::new();
    let good = authority.issue("localhost", LATER);
    let Some(cluster) = Cluster::primary_with_tls(&good) else {
        return;
    };
    let folder = TempDir::new().expect("a folder");
    let root = authority.write(folder.path()).replace('/', "%2F");
    let at = |host: &str, query: &str| {
        format!(
            "postgres://postgres@{host}:{}/postgres?sslmode=verify-full{query}",
            cluster.port
        )
    };
    let trusted = format!("&sslrootcert={root}");
    let url = at("localhost", &trusted);
    let node = Node::start(&url);
    node.server.register("ada", "pw").await;
    let token = node.server.log_in("ada", "pw").await;
    assert_eq!(node.status(&token).await, 200);
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE ssl AND application_name = 'keyward'";
    let encrypted = cluster.client().await.query_one(encrypted, &[]).await;
    assert!(encrypted.expect("a row").get::<_, i64>(0) > 0);

    for command in ["serve --listen 127.0.0.1:0", "doctor"] {
        let untrusted = ["invalid peer certificate", "sslrootcert"];
        until_refused(&at("localhost", ""), command, &untrusted);
        let other_name = ["name the host in the URL"];
        until_refused(&at("127.0.0.1", &trusted), command, &other_name);
    }
    cluster.present(&authority.issue("localhost", 2021));
    until_refused(&url, "doctor", &["renew the certificate", "set the clock"]);
    cluster.present(&Authority::new().issue("localhost", LATER));
    until_refused(&url, "doctor", &["invalid peer certificate", "sslrootcert"]);
    cluster.present(&good);
    let begun = Instant::now();
    while run(&url, "session list").code != 0 {
        assert!(
            begun.elapsed() < PATIENCE,
            "the good certificate is refused"
        );
    }
}
