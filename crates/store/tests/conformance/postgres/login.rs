//! What a login asks of the database.

use std::sync::Arc;
use std::time::Duration;

use keyward_core::accounts::passwords::{Passwords, Policy};
use keyward_core::accounts::{Accounts, Realm, SignUp, names};
use keyward_core::clock::ManualClock;
use keyward_core::random::SeededRandom;
use keyward_core::secret::Password;
use keyward_core::sessions::{Lifetime, LogIn, Sessions};

use super::proxy::Proxy;
use crate::backend::at;
use crate::database::{Database, open};
use keyward_core::rows::Rows;

#[tokio::test(flavor = "multi_thread")]
async fn a_login_takes_two_round_trips() {
    let Some(database) = Database::create().await else {
        return;
    };
    let proxy = Proxy::start(&database).await;
    let rows: Arc<dyn Rows> = Arc::new(open(&proxy.url(&database)).await.expect("a store"));
    let policy = Policy {
        memory_kib: 8,
        passes: 1,
        threads: 1,
        queue: 1,
    };
    let clock = Arc::new(ManualClock::new(at(1)));
    let random = Arc::new(SeededRandom::new(1));
    let passwords = Passwords::start(policy, random.clone()).expect("a thread");
    let accounts = Accounts::new(rows.clone(), passwords, clock.clone());
    let sessions = Sessions::load(rows, accounts.clone(), clock, random).await;
    let sessions = sessions.expect("sessions");
    let name = names::username("ada").expect("a name");
    let password = Password::new("pw".into()).expect("a password");
    let request = SignUp {
        realm: Realm::Default,
        username: Some(name.clone()),
        email: None,
        display_name: None,
        password: password.clone(),
    };
    accounts.add(request).await.expect("an account");
    // The first login prepares the statements.
    for expected in [None, Some(2), Some(2)] {
        let before = proxy.asked();
        let found = accounts.find_credentials(Realm::Default, &name).await;
        let attempt = LogIn {
            found: found.expect("the store"),
            password: password.clone(),
            lifetime: Lifetime::fixed(Duration::from_secs(60)),
            user_agent: None,
        };
        sessions.log_in(attempt).await.expect("a login");
        let asked = proxy.asked() - before;
        assert!(expected.is_none_or(|expected| asked == expected), "{asked}");
    }
}
