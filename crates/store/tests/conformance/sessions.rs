//! Sessions and their refresh tokens, one caller at a time.

use std::sync::Arc;
use std::time::Duration;

use keyward_core::accounts::Realm;
use keyward_core::id::{AccountId, SessionId};
use keyward_core::page::Page;
use keyward_core::rows::Rows;
use keyward_core::secret::SecretText;
use keyward_core::sessions::{
    Confirmed, Forgotten, NewSession, PasswordChange, Place, Reason, Rotate, Rotation, Session,
};

use crate::backend::{Backend, account, at, fresh_id, new_account, session};

const ALL: Page = Page {
    after: 0,
    limit: 100,
};

/// Presents the refresh token of `counter` at `now` seconds, with a minute's life and ten seconds' grace.
pub(crate) fn rotate(session: &Session, counter: i64, now: i64) -> Rotate {
    Rotate {
        session: session.id,
        counter,
        now: at(now),
        ttl: Duration::from_secs(60),
        grace: Duration::from_secs(10),
    }
}

pub(crate) async fn find(rows: &Arc<dyn Rows>, id: SessionId) -> Session {
    let found = rows.find_session(id).await.expect("the store");
    found.expect("a session")
}

async fn rotated(rows: &Arc<dyn Rows>, rotate: Rotate) -> Session {
    match rows.rotate_refresh_token(rotate).await.expect("the store") {
        Rotation::Rotated(session) => session,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn a_session_is_opened_as_asked(backend: &Backend) {
    let rows = backend.rows();
    let account = account(&rows, "ada").await;
    let opened = session(&rows, &account).await;
    assert_eq!(
        opened,
        Session {
            id: opened.id,
            account: account.id,
            created_at: at(0),
            expires_at: at(100),
            ends_at: at(1_000),
            refresh_counter: 0,
            refreshed_at: at(0),
            closed_at: None,
            user_agent: Some("tests/1".into()),
        }
    );
    assert_eq!(find(&rows, opened.id).await, opened);
    let other = rows.find_session(SessionId(opened.id.0 + 1)).await;
    assert_eq!(other.expect("the store"), None);
}

pub(crate) async fn a_missing_or_disabled_account_opens_no_session(backend: &Backend) {
    let rows = backend.rows();
    let account = account(&rows, "ada").await;
    rows.disable_account(account.id, at(0))
        .await
        .expect("the store");
    for id in [account.id, AccountId(account.id.0 + 1)] {
        let new = NewSession {
            id: fresh_id(),
            account: id,
            password_hash: None,
            created_at: at(1),
            expires_at: at(2),
            ends_at: at(3),
            user_agent: None,
        };
        assert_eq!(rows.open_session(new).await.expect("the store"), None);
    }
}

pub(crate) async fn a_rotation_advances_the_counter_and_slides_the_end(backend: &Backend) {
    let rows = backend.rows();
    let opened = session(&rows, &account(&rows, "ada").await).await;
    let bystander = session(&rows, &account(&rows, "eve").await).await;
    let now = rotated(&rows, rotate(&opened, 0, 90)).await;
    let expected = Session {
        expires_at: at(150),
        refresh_counter: 1,
        refreshed_at: at(90),
        ..opened
    };
    assert_eq!(now, expected);
    assert_eq!(find(&rows, now.id).await, expected);
    assert_eq!(find(&rows, bystander.id).await, bystander);
}

pub(crate) async fn a_session_never_outlives_its_end_nor_a_token_it_has_issued(backend: &Backend) {
    let rows = backend.rows();
    let opened = session(&rows, &account(&rows, "ada").await).await;
    // Its first tokens live to 100 s: a successor with a shorter life must not hide that.
    assert_eq!(
        rotated(&rows, rotate(&opened, 0, 20)).await.expires_at,
        at(100)
    );
    let long = |counter, now| Rotate {
        ttl: Duration::from_secs(5_000),
        ..rotate(&opened, counter, now)
    };
    assert_eq!(rotated(&rows, long(1, 90)).await.expires_at, at(1_000));
    assert_eq!(rotated(&rows, long(2, 999)).await.expires_at, at(1_000));
    let ended = rows.rotate_refresh_token(long(3, 1_000)).await;
    assert_eq!(ended.expect("the store"), Rotation::Refused);
}

pub(crate) async fn a_token_used_twice_closes_its_session(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let opened = session(&rows, &owner).await;
    rotated(&rows, rotate(&opened, 0, 10)).await;
    let replay = Rotate {
        grace: Duration::ZERO,
        ..rotate(&opened, 0, 10)
    };
    let outcome = rows.rotate_refresh_token(replay).await.expect("the store");
    assert_eq!(outcome, Rotation::Replayed(owner.id));
    assert_eq!(find(&rows, opened.id).await.closed_at, Some(at(10)));
    for counter in [0, 1] {
        let outcome = rows
            .rotate_refresh_token(rotate(&opened, counter, 11))
            .await;
        assert_eq!(outcome.expect("the store"), Rotation::Refused);
    }
}

pub(crate) async fn within_the_grace_the_predecessor_is_repeated(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let opened = session(&rows, &owner).await;
    rotated(&rows, rotate(&opened, 0, 50)).await;
    let current = rotated(&rows, rotate(&opened, 1, 60)).await;
    // A request that was read earlier may come later.
    for now in [60, 69, 55] {
        let outcome = rows.rotate_refresh_token(rotate(&opened, 1, now)).await;
        assert_eq!(
            outcome.expect("the store"),
            Rotation::Repeated(current.clone()),
            "{now}"
        );
    }
    assert_eq!(find(&rows, opened.id).await, current);
    for (counter, now) in [(1, 70), (1, 50), (0, 61)] {
        let victim = session(&rows, &owner).await;
        rotated(&rows, rotate(&victim, 0, 50)).await;
        rotated(&rows, rotate(&victim, 1, 60)).await;
        let outcome = rows
            .rotate_refresh_token(rotate(&victim, counter, now))
            .await;
        let expected = Rotation::Replayed(owner.id);
        assert_eq!(outcome.expect("the store"), expected, "{counter} at {now}");
    }
}

pub(crate) async fn what_belongs_to_no_open_session_is_refused(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let opened = session(&rows, &owner).await;
    let closed = session(&rows, &owner).await;
    rows.close_session(closed.id, Reason::Logout, at(1))
        .await
        .expect("the store");
    let unknown = Session {
        id: SessionId(closed.id.0 + 1),
        ..opened.clone()
    };
    let of_disabled = session(&rows, &account(&rows, "eve").await).await;
    rows.disable_account(of_disabled.account, at(1))
        .await
        .expect("the store");
    for (case, request) in [
        ("closed", rotate(&closed, 0, 2)),
        ("unknown", rotate(&unknown, 0, 2)),
        ("ended", rotate(&opened, 0, 100)),
        ("disabled", rotate(&of_disabled, 0, 2)),
    ] {
        let outcome = rows.rotate_refresh_token(request).await;
        assert_eq!(outcome.expect("the store"), Rotation::Refused, "{case}");
    }
    assert_eq!(find(&rows, opened.id).await, opened);
}

pub(crate) async fn a_session_is_closed_once(backend: &Backend) {
    let rows = backend.rows();
    let opened = session(&rows, &account(&rows, "ada").await).await;
    for (now, closes) in [(5, true), (6, false)] {
        let closed = rows
            .close_session(opened.id, Reason::Operator, at(now))
            .await;
        assert_eq!(closed.expect("the store"), closes);
    }
    assert_eq!(find(&rows, opened.id).await.closed_at, Some(at(5)));
    let unknown = SessionId(opened.id.0 + 1);
    let closed = rows.close_session(unknown, Reason::Logout, at(7)).await;
    assert!(!closed.expect("the store"));
}

pub(crate) async fn changing_a_password_closes_all_sessions_but_the_kept_one(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let bystander = session(&rows, &account(&rows, "eve").await).await;
    let mut opened = Vec::new();
    for _ in 0..3 {
        opened.push(session(&rows, &owner).await.id);
    }
    rows.close_session(opened[2], Reason::Logout, at(1))
        .await
        .expect("the store");
    let change =
        |id, hash: &str, owner| rows.change_password(password_change(id, hash, owner), at(2));
    let closed = change(owner.id, "second", Some(("hash", opened[1]))).await;
    assert_eq!(closed.expect("the store"), Some(vec![opened[0]]));
    assert_eq!(find(&rows, opened[0]).await.closed_at, Some(at(2)));
    assert_eq!(find(&rows, opened[1]).await.closed_at, None);
    let closed = change(owner.id, "third", None).await;
    assert_eq!(closed.expect("the store"), Some(vec![opened[1]]));
    let hash = rows.find_password_hash(owner.id).await.expect("the store");
    assert_eq!(hash.expect("a hash").expose(), "third");
    assert_eq!(find(&rows, bystander.id).await, bystander);
    let unknown = AccountId(owner.id.0 + 100);
    assert_eq!(change(unknown, "x", None).await.expect("the store"), None);
}

pub(crate) async fn an_owner_changes_a_password_only_while_what_it_rests_on_holds(
    backend: &Backend,
) {
    let rows = backend.rows();
    let (owner, other) = (account(&rows, "ada").await, account(&rows, "eve").await);
    let (kept, another) = (session(&rows, &owner).await, session(&rows, &owner).await);
    let closed = session(&rows, &owner).await;
    rows.close_session(closed.id, Reason::Logout, at(1))
        .await
        .expect("the store");
    let others = session(&rows, &other).await;
    for (what, old, session) in [
        ("another hash", "other", kept.id),
        ("a closed session", "hash", closed.id),
        ("another's session", "hash", others.id),
        ("no session", "hash", SessionId(others.id.0 + 1)),
    ] {
        let change = password_change(owner.id, "new", Some((old, session)));
        let changed = rows.change_password(change, at(2)).await;
        assert_eq!(changed.expect("the store"), None, "{what}");
        let hash = rows.find_password_hash(owner.id).await.expect("the store");
        assert_eq!(hash.expect("a hash").expose(), "hash", "{what}");
        assert_eq!(find(&rows, another.id).await.closed_at, None, "{what}");
    }
    rows.disable_account(other.id, at(2))
        .await
        .expect("the store");
    // An operator's change is made for a disabled account too; an owner's is not.
    let change = password_change(other.id, "new", Some(("hash", others.id)));
    let changed = rows.change_password(change, at(3)).await;
    assert_eq!(changed.expect("the store"), None);
    let change = password_change(other.id, "set", None);
    let changed = rows.change_password(change, at(3)).await;
    assert_eq!(changed.expect("the store"), Some(vec![]));
    let hash = rows.find_password_hash(other.id).await.expect("the store");
    assert_eq!(hash.expect("a hash").expose(), "set");
}

pub(crate) async fn a_session_is_opened_only_under_the_hash_that_was_checked(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    for (hash, opens) in [(Some("hash"), true), (Some("other"), false), (None, true)] {
        let new = NewSession {
            id: fresh_id(),
            account: owner.id,
            password_hash: hash.map(|hash| SecretText::new(hash.into())),
            created_at: at(1),
            expires_at: at(2),
            ends_at: at(3),
            user_agent: None,
        };
        let opened = rows.open_session(new).await.expect("the store");
        assert_eq!(opened.is_some(), opens, "{hash:?}");
    }
}

/// A change to `hash`, by the owner of the old hash and session that are given, else by an operator.
pub(crate) fn password_change(
    account: AccountId,
    hash: &str,
    owner: Option<(&str, SessionId)>,
) -> PasswordChange {
    PasswordChange {
        account,
        hash: SecretText::new(hash.into()),
        by_owner: owner.map(|(old, session)| Confirmed {
            old_hash: SecretText::new(old.into()),
            session,
        }),
    }
}

pub(crate) async fn disabling_an_account_closes_its_sessions(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let (first, second) = (session(&rows, &owner).await, session(&rows, &owner).await);
    // Also what has ended by the clock: it would revive if the clock were set back.
    let closed = rows
        .disable_account(owner.id, at(500))
        .await
        .expect("the store");
    assert_eq!(closed, Some(vec![first.id, second.id]));
    assert_eq!(find(&rows, second.id).await.closed_at, Some(at(500)));
    let again = rows
        .disable_account(owner.id, at(600))
        .await
        .expect("the store");
    assert_eq!(again, Some(vec![]));
    let found = rows.find_account(owner.id).await.expect("the store");
    assert_eq!(found.expect("an account").disabled_at, Some(at(500)));
    let unknown = AccountId(owner.id.0 + 1);
    let none = rows.disable_account(unknown, at(0)).await;
    assert_eq!(none.expect("the store"), None);
}

pub(crate) async fn only_sessions_that_are_open_and_not_ended_are_listed(backend: &Backend) {
    let rows = backend.rows();
    let (ada, eve) = (account(&rows, "ada").await, account(&rows, "eve").await);
    let mut opened = Vec::new();
    for index in 0..6 {
        opened.push(session(&rows, if index % 2 == 0 { &ada } else { &eve }).await);
    }
    rows.close_session(opened[0].id, Reason::Logout, at(1))
        .await
        .expect("the store");
    opened[2] = rotated(&rows, rotate(&opened[2], 0, 90)).await;
    let list = |account, now, page| rows.list_sessions(account, at(now), page);
    assert_eq!(list(None, 99, ALL).await.expect("the store"), opened[1..]);
    assert_eq!(list(None, 100, ALL).await.expect("the store"), opened[2..3]);
    let of_ada = list(Some(ada.id), 99, ALL).await.expect("the store");
    assert_eq!(of_ada, [opened[2].clone(), opened[4].clone()]);
    let page = Page {
        after: opened[2].id.0,
        limit: 1,
    };
    assert_eq!(list(None, 99, page).await.expect("the store"), opened[3..4]);
    let page_of_ada = list(Some(ada.id), 99, page).await.expect("the store");
    assert_eq!(page_of_ada, opened[4..5]);
}

pub(crate) async fn open_sessions_are_counted_by_realm(backend: &Backend) {
    let rows = backend.rows();
    let count = |now| rows.count_open_sessions(at(now));
    assert_eq!(count(0).await.expect("the store"), [0; 3]);
    let mut opened = Vec::new();
    for (realm, sessions) in Realm::ALL.into_iter().zip([4, 3, 2]) {
        let new = new_account(realm, Some("ada"), None);
        let owner = rows.create_account(new).await.expect("an account");
        for _ in 0..sessions {
            opened.push(session(&rows, &owner).await);
        }
    }
    rows.close_session(opened[0].id, Reason::Logout, at(1))
        .await
        .expect("the store");
    rotated(&rows, rotate(&opened[4], 0, 90)).await;
    assert_eq!(count(99).await.expect("the store"), [3, 3, 2]);
    assert_eq!(count(100).await.expect("the store"), [0, 1, 0]);
}

pub(crate) async fn forgetting_deletes_what_ended_and_remembers_what_it_was(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let mut opened = Vec::new();
    for _ in 0..4 {
        opened.push(session(&rows, &owner).await.id);
    }
    let alive = session(&rows, &owner).await;
    rotated(&rows, rotate(&alive, 0, 90)).await;
    rows.close_session(opened[1], Reason::Logout, at(1))
        .await
        .expect("the store");
    rows.close_session(alive.id, Reason::Logout, at(95))
        .await
        .expect("the store");
    let forget = |horizon, limit| rows.forget_ended_sessions(at(horizon), at(96), limit);
    assert_eq!(
        forget(100, 100).await.expect("the store"),
        [],
        "not before its end"
    );
    assert_eq!(rows.find_forgotten().await.expect("the store"), None);
    let mut forgotten = forget(101, 3).await.expect("the store");
    assert_eq!(forgotten.len(), 3);
    forgotten.extend(forget(101, 3).await.expect("the store"));
    forgotten.sort_unstable();
    assert_eq!(forgotten, opened);
    for &id in &opened {
        assert_eq!(rows.find_session(id).await.expect("the store"), None);
    }
    let closures = rows
        .list_closures(Place::default(), 100)
        .await
        .expect("the store");
    assert_eq!(closures.sessions, [alive.id]);
    let remembered = async || {
        let other = backend.another_node().await.rows;
        let found = other.find_forgotten().await.expect("the store");
        found.map(|Forgotten { horizon, last }| (horizon, last))
    };
    assert_eq!(remembered().await, Some((at(101), opened[3])));
    assert_eq!(forget(50, 3).await.expect("the store"), []);
    assert_eq!(forget(140, 3).await.expect("the store"), []);
    assert_eq!(remembered().await, Some((at(101), opened[3])));
}

pub(crate) async fn the_horizon_and_the_greatest_id_never_go_back(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let forget = |horizon| rows.forget_ended_sessions(at(horizon), at(96), 3);
    let mut last = SessionId(0);
    for (horizon, remembered) in [(9_000, 9_000), (101, 9_000), (9_001, 9_001)] {
        last = session(&rows, &owner).await.id;
        assert_eq!(forget(horizon).await.expect("the store"), [last]);
        let found = rows.find_forgotten().await.expect("the store");
        let expected = Forgotten {
            horizon: at(remembered),
            last,
        };
        assert_eq!(found, Some(expected));
    }
    assert_eq!(forget(9_002).await.expect("the store"), []);
    let found = rows.find_forgotten().await.expect("the store");
    assert_eq!(found.map(|found| found.last), Some(last));
}

pub(crate) async fn the_closures_that_a_reader_may_go_on_from_are_not_deleted(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let mut closed = Vec::new();
    for moment in [1, 2, 3] {
        let id = session(&rows, &owner).await.id;
        let closes = rows.close_session(id, Reason::Logout, at(moment));
        assert!(closes.await.expect("the store"));
        closed.push(id);
    }
    let forget = |settled| rows.forget_ended_sessions(at(9_000), at(settled), 10);
    for (settled, gone) in [(1, 0), (3, 1), (3, 0), (9_000, 1), (9_000, 0)] {
        let forgotten = forget(settled).await.expect("the store");
        assert_eq!(forgotten.len(), gone, "{settled}");
    }
    let left = rows.list_closures(Place::default(), 10).await;
    let left = left.expect("the store");
    assert_eq!(left.sessions, closed[2..]);
    let onwards = rows.list_closures(left.place, 10).await;
    assert!(onwards.expect("the store").follows);
}

pub(crate) async fn an_id_that_a_session_has_is_not_given_to_another(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let first = session(&rows, &owner).await;
    let again = NewSession {
        id: first.id,
        account: owner.id,
        password_hash: None,
        created_at: at(1),
        expires_at: at(200),
        ends_at: at(200),
        user_agent: None,
    };
    assert!(rows.open_session(again).await.is_err());
    assert_eq!(find(&rows, first.id).await, first);
}

pub(crate) async fn a_counter_above_the_sessions_own_is_that_of_a_rotation_that_was_lost(
    backend: &Backend,
) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let opened = session(&rows, &owner).await;
    let used = rotated(&rows, rotate(&opened, 0, 1)).await;
    assert_eq!(used.refresh_counter, 1);
    // The client has the token of the third rotation, and the database has seen the first alone.
    let request = Rotate {
        grace: Duration::ZERO,
        ..rotate(&opened, 3, 2)
    };
    assert_eq!(rotated(&rows, request).await.refresh_counter, 4);
    let replayed = Rotate {
        counter: 1,
        ..request
    };
    let replayed = rows.rotate_refresh_token(replayed).await;
    assert_eq!(
        replayed.expect("the store"),
        Rotation::Replayed(owner.id),
        "the tokens before it count as used"
    );
}
