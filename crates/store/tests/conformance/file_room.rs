//! Files: how much an owner may have, who may finish an upload, and names in two Unicode forms.

use std::sync::Arc;

use keyward_core::files::{Finished, NoRoom, Room, Usage};
use keyward_core::sessions::Reason;

use crate::backend::{Backend, at, at_once};
use crate::files::{Owner, blob, find, new_file, owner, room, stored};
use crate::sessions::password_change;
use keyward_core::rows::Rows;

/// Finishes fifty uploads of `ada` at once, on two nodes; each has a name of its own and `size` bytes.
async fn finish_fifty(backend: &Backend, ada: Owner, size: u64, room: Room) -> Vec<Finished> {
    let nodes = [backend.rows(), backend.another_node().await.rows];
    let of = |index: usize| nodes[index % 2].clone();
    // So that the connections are there, and nobody is first for that alone.
    at_once(50, |index| {
        let rows = of(index);
        async move { rows.measure_files(ada.account).await.expect("the store") }
    })
    .await;
    at_once(50, |index| {
        let rows = of(index);
        let mut new = new_file(ada, &format!("{index}.txt"), index);
        new.file.size = size;
        async move {
            rows.finish_upload(new, false, room)
                .await
                .expect("the store")
        }
    })
    .await
}

fn count(outcomes: &[Finished], wanted: impl Fn(&Finished) -> bool) -> usize {
    outcomes.iter().filter(|outcome| wanted(outcome)).count()
}

fn is_stored(outcome: &Finished) -> bool {
    matches!(outcome, Finished::Stored { replaced: None, .. })
}

pub(crate) async fn of_fifty_uploads_of_other_names_as_many_finish_as_there_is_room_for(
    backend: &Backend,
) {
    const MOST: Room = room(7, u64::MAX);
    let rows = backend.rows();
    let (ada, eve) = (owner(&rows, "ada").await, owner(&rows, "eve").await);
    let outcomes = finish_fifty(backend, ada, 1, MOST).await;
    assert_eq!(count(&outcomes, is_stored), 7);
    let full = |outcome: &Finished| *outcome == Finished::NoRoom(NoRoom::Files);
    assert_eq!(count(&outcomes, full), 43);
    let listed = rows
        .list_files(ada.account, "", 1_000)
        .await
        .expect("the store");
    assert_eq!(listed.len(), 7);
    let usage = rows.measure_files(ada.account).await.expect("the store");
    assert_eq!(usage, Usage { files: 7, bytes: 7 });
    // What is there can be replaced, and others have room of their own.
    let again = new_file(ada, &listed[0].name, 99);
    let replaced = rows.finish_upload(again.clone(), true, MOST).await;
    let expected = stored(&listed[0].name, Some(listed[0].blob.clone()));
    assert_eq!(replaced.expect("the store"), expected);
    let taken = rows.finish_upload(again, false, MOST).await;
    assert_eq!(taken.expect("the store"), Finished::NameTaken);
    let usage = rows.measure_files(eve.account).await.expect("the store");
    assert_eq!(usage, Usage::default());
    let hers = rows
        .finish_upload(new_file(eve, "a", 100), false, MOST)
        .await;
    assert_eq!(hers.expect("the store"), stored("a", None));
    let all = rows.measure_all_files().await.expect("the store");
    assert_eq!(
        (all.files, all.bytes),
        (8, usage_of(&rows, [ada, eve]).await)
    );
}

/// The bytes of the files of these owners.
async fn usage_of(rows: &Arc<dyn Rows>, owners: [Owner; 2]) -> u64 {
    let mut bytes = 0;
    for owner in owners {
        let usage = rows.measure_files(owner.account).await;
        bytes += usage.expect("the store").bytes;
    }
    bytes
}

pub(crate) async fn of_fifty_uploads_at_once_as_many_finish_as_there_are_bytes_for(
    backend: &Backend,
) {
    const MOST: Room = room(1_000, 4_500);
    let rows = backend.rows();
    let ada = owner(&rows, "ada").await;
    let outcomes = finish_fifty(backend, ada, 1_000, MOST).await;
    assert_eq!(count(&outcomes, is_stored), 4);
    let full = |outcome: &Finished| *outcome == Finished::NoRoom(NoRoom::Bytes);
    assert_eq!(count(&outcomes, full), 46);
    let usage = rows.measure_files(ada.account).await.expect("the store");
    assert_eq!(
        usage,
        Usage {
            files: 4,
            bytes: 4_000
        }
    );
    let listed = rows
        .list_files(ada.account, "", 1_000)
        .await
        .expect("the store");
    let replace = |size, most| {
        let mut new = new_file(ada, &listed[0].name, 99);
        new.file.size = size;
        rows.finish_upload(new, true, room(1_000, most))
    };
    let full = Finished::NoRoom(NoRoom::Bytes);
    assert_eq!(replace(1_501, 4_500).await.expect("the store"), full);
    // Where less is allowed than there is already, a file may still be replaced by one that is no larger.
    assert_eq!(replace(1_001, 100).await.expect("the store"), full);
    let replaced = stored(&listed[0].name, Some(listed[0].blob.clone()));
    assert_eq!(replace(1_000, 100).await.expect("the store"), replaced);
    let replaced = stored(&listed[0].name, Some(blob(99)));
    assert_eq!(replace(1_500, 4_500).await.expect("the store"), replaced);
}

pub(crate) async fn whoever_may_not_upload_any_more_finishes_nothing(backend: &Backend) {
    const ROOM: Room = room(9, u64::MAX);
    let rows = backend.rows();
    let mut numbers = 0..;
    let mut next = || numbers.next().expect("a number");
    for (name, overwrite) in [("old.txt", true), ("new.txt", false)] {
        for end in ["close", "disable", "change", "forget", "other"] {
            let ada = owner(&rows, &format!("ada-{name}-{end}")).await;
            let (first, second) = (next(), next());
            let old = new_file(ada, "old.txt", first);
            let old = rows.finish_upload(old, false, ROOM).await;
            assert_eq!(old.expect("the store"), stored("old.txt", None));
            let mut new = new_file(ada, name, second);
            match end {
                "other" => new.session = owner(&rows, &format!("eve-{name}")).await.session,
                end => end_session(&rows, ada, end).await,
            }
            let finished = rows.finish_upload(new, overwrite, ROOM).await;
            let finished = finished.expect("the store");
            assert_eq!(finished, Finished::Unauthorized, "{end}");
            let kept = find(&rows, ada, "old.txt").await.expect("a file");
            assert_eq!(kept.blob, blob(first), "{end}");
            assert_eq!(find(&rows, ada, "new.txt").await, None, "{end}");
        }
    }
}

async fn end_session(rows: &Arc<dyn Rows>, ada: Owner, end: &str) {
    let now = at(5);
    match end {
        "close" => {
            let closed = rows.close_session(ada.session, Reason::Logout, now).await;
            assert!(closed.expect("the store"));
        }
        "disable" => {
            let closed = rows.disable_account(ada.account, now).await;
            assert_eq!(closed.expect("the store"), Some(vec![ada.session]));
        }
        "change" => {
            let change = password_change(ada.account, "another", None);
            let closed = rows.change_password(change, now).await;
            assert_eq!(closed.expect("the store"), Some(vec![ada.session]));
        }
        _ => {
            let forgotten = rows.forget_ended_sessions(at(200), at(200), 100).await;
            assert!(forgotten.expect("the store").contains(&ada.session));
        }
    }
}

pub(crate) async fn a_file_is_replaced_under_whichever_spelling_it_is_stored(backend: &Backend) {
    let rows = backend.rows();
    let ada = owner(&rows, "ada").await;
    let (nfc, nfd) = ("\u{e1}.txt", "a\u{301}.txt");
    let finish = |name: &str, spellings: [&str; 2], number, overwrite| {
        let mut new = new_file(ada, name, number);
        new.spellings = spellings.map(str::to_owned).to_vec();
        rows.finish_upload(new, overwrite, room(2, u64::MAX))
    };
    let ok = |finished: Result<Finished, _>| finished.expect("the store");
    // As an earlier version stored it.
    assert_eq!(
        ok(finish(nfd, [nfd, nfd], 1, false).await),
        stored(nfd, None)
    );
    assert_eq!(
        ok(finish(nfc, [nfc, nfd], 2, false).await),
        Finished::NameTaken
    );
    let replaced = stored(nfd, Some(blob(1)));
    assert_eq!(ok(finish(nfc, [nfc, nfd], 3, true).await), replaced);
    // Both of two that an earlier version stored are kept, and the one that is named first is replaced.
    assert_eq!(
        ok(finish(nfc, [nfc, nfc], 4, false).await),
        stored(nfc, None)
    );
    let replaced = stored(nfc, Some(blob(4)));
    assert_eq!(ok(finish(nfc, [nfc, nfd], 5, true).await), replaced);
    let replaced = stored(nfd, Some(blob(3)));
    assert_eq!(ok(finish(nfc, [nfd, nfc], 6, true).await), replaced);
    let found = find(&rows, ada, nfd).await.expect("a file");
    assert_eq!((found.name.as_str(), found.blob), (nfd, blob(6)));
}
