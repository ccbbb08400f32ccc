//! Files: which exist.

use std::sync::Arc;

use keyward_core::files::{BlobId, File, Finished, Namespace, NewFile, Room};
use keyward_core::id::{AccountId, SessionId};
use keyward_core::rows::Rows;

use crate::backend::{Backend, account, at, at_once, session};

/// More than any case needs.
const MANY: Room = room(1_000, u64::MAX);

pub(crate) const fn room(files: u32, bytes: u64) -> Room {
    Room { files, bytes }
}

/// An owner of files, with an open session.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) account: AccountId,
    pub(crate) session: SessionId,
}

pub(crate) async fn owner(rows: &Arc<dyn Rows>, username: &str) -> Owner {
    let account = account(rows, username).await;
    let session = session(rows, &account).await.id;
    Owner {
        account: account.id,
        session,
    }
}

/// What is said of a file that is stored under its own name.
pub(crate) fn stored(name: &str, replaced: Option<BlobId>) -> Finished {
    let name = name.to_owned();
    Finished::Stored { name, replaced }
}

pub(crate) fn blob(number: usize) -> BlobId {
    BlobId::parse(&format!("{number:032x}")).expect("an id")
}

pub(crate) fn new_file(owner: Owner, name: &str, number: usize) -> NewFile {
    let file = File {
        name: name.to_owned(),
        size: number as u64,
        sha256: [number.to_le_bytes()[0]; 32],
        content_type: "text/plain".into(),
        uploaded_at: at(3),
        blob: blob(number),
    };
    NewFile {
        owner: owner.account,
        session: owner.session,
        spellings: vec![name.to_owned()],
        file,
    }
}

pub(crate) async fn find(rows: &Arc<dyn Rows>, owner: Owner, name: &str) -> Option<File> {
    rows.find_file(owner.account, name)
        .await
        .expect("the store")
}

pub(crate) async fn a_finished_upload_is_found_as_it_was_described(backend: &Backend) {
    let rows = backend.rows();
    let owner = owner(&rows, "ada").await;
    let mut new = new_file(owner, "Zoë 🦀.txt", 1);
    new.file.size = 5 << 40;
    assert_eq!(find(&rows, owner, "Zoë 🦀.txt").await, None);
    let finished = rows.finish_upload(new.clone(), false, MANY).await;
    assert_eq!(finished.expect("the store"), stored("Zoë 🦀.txt", None));
    assert_eq!(find(&rows, owner, "Zoë 🦀.txt").await, Some(new.file));
    assert_eq!(find(&rows, owner, "zoë 🦀.txt").await, None);
    let nobody = AccountId(owner.account.0 + 1);
    let found = rows.find_file(nobody, "Zoë 🦀.txt").await;
    assert_eq!(found.expect("the store"), None);
}

pub(crate) async fn a_name_is_taken_unless_it_is_overwritten(backend: &Backend) {
    let rows = backend.rows();
    let (ada, eve) = (owner(&rows, "ada").await, owner(&rows, "eve").await);
    let finish = |owner, number, overwrite| {
        rows.finish_upload(new_file(owner, "a.txt", number), overwrite, MANY)
    };
    let stored = |replaced| stored("a.txt", replaced);
    assert_eq!(finish(ada, 1, true).await.expect("the store"), stored(None));
    assert_eq!(
        finish(ada, 2, false).await.expect("the store"),
        Finished::NameTaken
    );
    assert_eq!(
        find(&rows, ada, "a.txt").await.map(|file| file.blob),
        Some(blob(1))
    );
    assert_eq!(
        finish(eve, 3, false).await.expect("the store"),
        stored(None)
    );
    let replaced = finish(ada, 4, true).await.expect("the store");
    assert_eq!(replaced, stored(Some(blob(1))));
    let mut expected = new_file(ada, "a.txt", 4).file;
    expected.uploaded_at = at(4);
    assert_eq!(find(&rows, ada, "a.txt").await, Some(expected));
    let mut later = new_file(ada, "a.txt", 5);
    for (uploaded_at, shown) in [(at(3), at(5)), (at(9), at(9))] {
        later.file.uploaded_at = uploaded_at;
        let finished = rows.finish_upload(later.clone(), true, MANY).await;
        assert!(matches!(
            finished.expect("the store"),
            Finished::Stored { .. }
        ));
        let found = find(&rows, ada, "a.txt").await.expect("a file");
        assert_eq!(found.uploaded_at, shown);
    }
    assert_eq!(
        find(&rows, eve, "a.txt").await,
        Some(new_file(eve, "a.txt", 3).file)
    );
}

pub(crate) async fn files_are_listed_by_owner_and_the_bytes_of_their_names(backend: &Backend) {
    let rows = backend.rows();
    let (ada, eve) = (owner(&rows, "ada").await, owner(&rows, "eve").await);
    let mut names = vec![
        "b",
        "a",
        "B",
        "é",
        "\u{10000}",
        "\u{ffee}",
        "a b",
        "a-b",
        "Z",
        "10",
        "9",
    ];
    for (number, name) in names.iter().enumerate() {
        let new = new_file(ada, name, number);
        rows.finish_upload(new, false, MANY)
            .await
            .expect("the store");
    }
    let other = new_file(eve, "c", 99);
    rows.finish_upload(other.clone(), false, MANY)
        .await
        .expect("the store");
    names.sort_unstable();
    let list = |owner, after, limit| rows.list_files(owner, after, limit);
    let listed = list(ada.account, "", 1_000).await.expect("the store");
    let listed: Vec<_> = listed.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(listed, names);
    for (place, name) in names.iter().enumerate() {
        let listed = list(ada.account, name, 3).await.expect("the store");
        let listed: Vec<_> = listed.iter().map(|file| file.name.as_str()).collect();
        let expected: Vec<_> = names.iter().skip(place + 1).take(3).copied().collect();
        assert_eq!(listed, expected, "after {name}");
    }
    assert_eq!(
        list(eve.account, "", 1_000).await.expect("the store"),
        [other.file]
    );
    let nobody = AccountId(eve.account.0 + 1);
    assert_eq!(list(nobody, "", 1_000).await.expect("the store"), []);
}

async fn finish_fifty(backend: &Backend, owner: Owner, overwrite: bool) -> Vec<Finished> {
    let other = backend.another_node().await;
    at_once(50, |index| {
        let rows = if index % 2 == 0 {
            backend.rows()
        } else {
            other.rows.clone()
        };
        let new = new_file(owner, "a.txt", index);
        async move {
            rows.finish_upload(new, overwrite, MANY)
                .await
                .expect("the store")
        }
    })
    .await
}

pub(crate) async fn of_fifty_uploads_under_one_name_one_wins(backend: &Backend) {
    let rows = backend.rows();
    let owner = owner(&rows, "ada").await;
    let outcomes = finish_fifty(backend, owner, false).await;
    let stored = |outcome: &Finished| *outcome == stored("a.txt", None);
    let winner = outcomes.iter().position(stored).expect("a winner");
    let taken = outcomes
        .iter()
        .filter(|outcome| **outcome == Finished::NameTaken);
    assert_eq!(taken.count(), 49);
    let found = find(&rows, owner, "a.txt").await.expect("a file");
    assert_eq!(found.blob, blob(winner));
}

pub(crate) async fn of_fifty_overwriting_uploads_every_replaced_blob_is_told_once(
    backend: &Backend,
) {
    let rows = backend.rows();
    let owner = owner(&rows, "ada").await;
    let outcomes = finish_fifty(backend, owner, true).await;
    let mut blobs: Vec<_> = outcomes
        .into_iter()
        .filter_map(|outcome| match outcome {
            Finished::Stored { replaced, .. } => replaced,
            other => panic!("it may be replaced: {other:?}"),
        })
        .collect();
    blobs.push(find(&rows, owner, "a.txt").await.expect("a file").blob);
    blobs.sort_unstable();
    assert_eq!(blobs, (0..50).map(blob).collect::<Vec<_>>());
}

pub(crate) async fn blobs_that_no_file_names_are_told(backend: &Backend) {
    let rows = backend.rows();
    let owner = owner(&rows, "ada").await;
    for (name, number) in [("a", 1), ("b", 2), ("a", 3)] {
        let new = new_file(owner, name, number);
        rows.finish_upload(new, true, MANY)
            .await
            .expect("the store");
    }
    let asked = [0, 1, 2, 3].map(blob).to_vec();
    let unnamed = rows.list_unnamed_blobs(asked).await.expect("the store");
    assert_eq!(unnamed, [blob(0), blob(1)]);
    let none = rows.list_unnamed_blobs(Vec::new()).await;
    assert_eq!(none.expect("the store"), []);
}

pub(crate) async fn of_fifty_fresh_namespaces_one_is_kept(backend: &Backend) {
    let rows = backend.rows();
    let found = at_once(50, move |number| {
        let (rows, number) = (Arc::clone(&rows), i64::try_from(number).expect("small"));
        async move {
            let fresh = Namespace::from_number(-number);
            rows.find_or_create_namespace(fresh).await.expect("a store")
        }
    })
    .await;
    assert!(found.iter().all(|namespace| *namespace == found[0]));
    let another = backend.another_node().await.rows;
    let fresh = Namespace::from_number(1);
    let kept = another.find_or_create_namespace(fresh).await;
    assert_eq!(kept.expect("a store"), found[0]);
    assert_eq!(Namespace::from_number(-2).to_string(), "fffffffffffffffe");
    assert_eq!(Namespace::from_number(10).to_string(), "000000000000000a");
}
