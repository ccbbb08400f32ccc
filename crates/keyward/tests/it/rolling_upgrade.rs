//! A rolling upgrade: two servers of an earlier release on one PostgreSQL database are replaced one after the other, under
//! load. The earlier release is the program that `KEYWARD_OLD_PROGRAM` names; `.ci/upgrade/run` builds it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::load::{Load, check_rows};
use crate::postgres::Database;
use crate::server::{Server, program_at};

/// Within what one server refuses what the other closed.
const BOUND: Duration = Duration::from_secs(2);
/// Logins and logouts across the two versions.
const ROUNDS: usize = 20;

#[expect(
    clippy::disallowed_methods,
    reason = "where an earlier release is, is the environment's to say"
)]
fn old_program() -> Option<PathBuf> {
    let named = std::env::var_os("KEYWARD_OLD_PROGRAM").map(PathBuf::from);
    if named.is_none() {
        let not_run =
            "not run: a rolling upgrade: KEYWARD_OLD_PROGRAM is not set, see .ci/upgrade/run";
        writeln!(std::io::stderr(), "{not_run}").expect("standard error");
    }
    named
}

/// The command of the earlier release, which refuses variables that it does not know.
fn old_command(program: &Path, folder: &Path, env: &[(&str, &str)]) -> Command {
    let mut command = program_at(program, folder, "serve --listen 127.0.0.1:0", env);
    command.env_remove("KEYWARD_METRICS__LISTEN");
    command.env_remove("KEYWARD_KEYS__MASTER_KEY_FILE");
    command
}

/// What either server opens or closes holds on the other.
async fn expect_one_state(a: &Server, b: &Server) {
    for round in 0..ROUNDS {
        let (here, there) = if round % 2 == 0 { (a, b) } else { (b, a) };
        let token = here.log_in("ada", "pw").await;
        assert_eq!(there.status_for(&token).await, 200, "{}", there.log());
        let logout = here.post("/api/v1/authentication/logout");
        let logout = logout.bearer_auth(&token).send().await.expect("an answer");
        assert_eq!(logout.status(), 204, "{}", here.log());
        let begun = Instant::now();
        while there.status_for(&token).await != 401 {
            assert!(
                begun.elapsed() < BOUND,
                "a closed session is good on the other server"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_are_replaced_one_after_the_other_and_no_request_fails() {
    let Some(old) = old_program() else {
        return;
    };
    let Some(database) = Database::create().await else {
        return;
    };
    let url = database.url();
    let env = [("KEYWARD_DATABASE", url.as_str())];
    let folders = [(); 2].map(|()| TempDir::new().expect("a folder"));
    let [home_a, home_b] = [folders[0].path(), folders[1].path()];
    let old_server = |home: &Path| Server::start_command(home, old_command(&old, home, &env), &env);
    let (a, b) = (old_server(home_a), old_server(home_b));
    a.register("ada", "pw").await;
    let open = a.log_in("ada", "pw").await;
    expect_one_state(&a, &b).await;

    let mut load = Load::start(&b, 1).await;
    load.reach(30).await;
    assert!(a.stop().0.success());
    // It migrates the database beneath the other server.
    let a = Server::start_with(home_a, "", &env);
    load.reach(60).await;
    for server in [&a, &b] {
        assert_eq!(server.status_for(&open).await, 200, "{}", server.log());
    }
    expect_one_state(&a, &b).await;

    // The earlier program runs on, and does not start again.
    let third = TempDir::new().expect("a folder");
    let refused = old_command(&old, third.path(), &env)
        .output()
        .expect("the program");
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(
        told.contains("knows only up to") && told.contains("run the newer program"),
        "{told}"
    );

    load.reach(30).await;
    b.kill();
    let b = Server::start_with(home_b, "", &env);
    let mut acknowledged = 0;
    for mut ledger in load.ledgers().await {
        acknowledged += ledger.acknowledged;
        check_rows(&b, &mut ledger).await;
    }
    assert_eq!(b.status_for(&open).await, 200);
    expect_one_state(&a, &b).await;
    println!(
        "a rolling upgrade under load: {acknowledged} writes acknowledged, none lost, no request failed"
    );
}
