//! How much may be uploaded, how long it may take, and who may still do so at the end.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, StreamExt, stream};
use http::StatusCode;
use keyward_core::accounts::{Account, Realm, names};
use keyward_core::files::Room;
use keyward_core::secret::Password;
use tokio::sync::oneshot;

use super::{Exchange, file, form};
use crate::app::{Answer, Options};

const FULL: StatusCode = StatusCode::INSUFFICIENT_STORAGE;

const fn room(files: u32, bytes: u64) -> Room {
    Room { files, bytes }
}

/// An upload that has sent one half of its body.
struct Halfway<'a> {
    answer: BoxFuture<'a, Answer>,
    rest: oneshot::Sender<()>,
}

impl Halfway<'_> {
    /// Sends the other half.
    async fn end(self) -> Answer {
        self.rest.send(()).expect("it waits");
        self.answer.await
    }
}

impl Exchange {
    async fn upload_half(&self, path: &'static str, name: &str, content: &[u8]) -> Halfway<'_> {
        let whole = Bytes::from(form(&[file(name, content)]));
        let (first, second) = (
            whole.slice(..whole.len() / 2),
            whole.slice(whole.len() / 2..),
        );
        let (rest, wanted) = oneshot::channel();
        let (asked, reached) = oneshot::channel();
        let second = stream::once(async move {
            asked.send(()).expect("the test waits");
            wanted.await.expect("the test goes on");
            Ok::<_, std::io::Error>(second)
        });
        let body = Body::from_stream(stream::iter([Ok(first)]).chain(second));
        let mut answer = self.upload_to(path, body).boxed();
        tokio::select! {
            answer = &mut answer => panic!("answered too early: {answer:?}"),
            reached = reached => reached.expect("it asks for the rest"),
        }
        Halfway { answer, rest }
    }

    async fn operator(&self) -> Account {
        let name = names::exchange_username("sbeve72").expect("a name");
        let found = self.app.app.accounts.find_by_name(Realm::Ops, &name).await;
        found.expect("the store").expect("the operator")
    }
}

#[tokio::test]
async fn an_operator_has_room_for_so_many_files_and_may_replace_them() {
    let exchange = Exchange::with(Options {
        room: room(2, u64::MAX),
        ..Options::default()
    })
    .await;
    for name in ["a", "b"] {
        exchange.upload(name, b"hello").await;
    }
    let answer = exchange.upload_body(form(&[file("c", b"hello")])).await;
    answer.expect_problem(StatusCode::INSUFFICIENT_STORAGE, "you have 2 files");
    assert_eq!(exchange.names().await, ["a", "b"]);
    assert_eq!(exchange.stored(), 2);
    let again = form(&[file("b", b"again")]);
    let answer = exchange
        .upload_to("/ops/upload?overwrite=true", again)
        .await;
    answer.expect(StatusCode::CREATED);
    let answer = exchange.upload_body(form(&[file("a", b"hello")])).await;
    answer.expect_problem(StatusCode::CONFLICT, "exists already");
}

#[tokio::test]
async fn of_uploads_at_once_none_passes_the_most_files() {
    let exchange = Exchange::with(Options {
        room: room(3, u64::MAX),
        ..Options::default()
    })
    .await;
    let uploads = (0..12).map(|number| {
        let body = form(&[file(&format!("{number}"), b"hello")]);
        exchange.upload_body(body)
    });
    let answers = join_all(uploads).await;
    let count = |status| {
        answers
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert_eq!(count(StatusCode::CREATED), 3);
    assert_eq!(count(StatusCode::INSUFFICIENT_STORAGE), 9);
    assert_eq!((exchange.names().await.len(), exchange.stored()), (3, 3));
}

#[tokio::test]
async fn an_operator_has_room_for_so_many_bytes() {
    let exchange = Exchange::with(Options {
        largest_file: 1_000,
        room: room(100, 2_500),
        ..Options::default()
    })
    .await;
    exchange.upload("a", &[0; 1_000]).await;
    exchange.upload("b", &[0; 1_000]).await;
    let overwrite = "/ops/upload?overwrite=true";
    for (path, name, size) in [
        ("/ops/upload", "c", 501),
        (overwrite, "c", 501),
        ("/ops/upload", "c", 1_000),
    ] {
        let body = form(&[file(name, &vec![0; size])]);
        let answer = exchange.upload_to(path, body).await;
        answer.expect_problem(FULL, "your files may have 2500 bytes");
    }
    assert_eq!(exchange.names().await, ["a", "b"]);
    assert_eq!(exchange.stored(), 2);
    exchange.upload("c", &[0; 500]).await;
    // No room is left, but what is there may be replaced by as much.
    let answer = exchange
        .upload_to(overwrite, form(&[file("a", &[1; 1_000])]))
        .await;
    answer.expect(StatusCode::CREATED);
    let answer = exchange
        .upload_to(overwrite, form(&[file("c", &[1; 501])]))
        .await;
    answer.expect_problem(FULL, "your files may have 2500 bytes");
    assert_eq!(exchange.stored(), 3);
    // Another operator has room of its own, and there is always room for one file of the largest size.
    exchange.app.exchange_user("ops", "other").await;
    let tight = Exchange::with(Options {
        room: room(100, 1),
        unfinished: 1,
        ..Options::default()
    });
    tight.await.upload("a", &[0; 1024 * 1024]).await;
}

#[tokio::test]
async fn of_uploads_at_once_none_passes_the_most_bytes() {
    let exchange = Exchange::with(Options {
        largest_file: 1_000,
        room: room(100, 3_500),
        ..Options::default()
    })
    .await;
    let uploads = (0..12).map(|number| {
        let body = form(&[file(&format!("{number}"), &[0; 1_000])]);
        exchange.upload_body(body)
    });
    let answers = join_all(uploads).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let full = answers
        .iter()
        .filter(|answer| answer.status == FULL)
        .count();
    // What is under way counts too, so that fewer may pass, never more.
    assert!((1..=3).contains(&created), "{created} were stored");
    assert_eq!(created + full, 12);
    let stored = (exchange.names().await.len(), exchange.stored());
    assert_eq!(stored, (created, created));
}

#[tokio::test]
async fn unfinished_uploads_have_so_much_room_together_and_give_it_back() {
    let exchange = Exchange::with(Options {
        unfinished: 1,
        ..Options::default()
    })
    .await;
    let content = vec![0; 900_000];
    let first = exchange.upload_half("/ops/upload", "first", &content).await;
    let body = form(&[file("second", &content)]);
    let answer = exchange.upload_body(body.clone()).await;
    answer.expect_problem(FULL, "other uploads under way");
    assert_eq!(exchange.stored(), 1, "the first is under way");
    first.end().await.expect(StatusCode::CREATED);
    let given_up = exchange.upload_half("/ops/upload", "third", &content).await;
    drop(given_up);
    exchange.upload_body(body).await.expect(StatusCode::CREATED);
    assert_eq!(exchange.names().await, ["first", "second"]);
}

#[tokio::test]
async fn below_the_reserve_uploads_are_507_and_all_else_goes_on() {
    let exchange = Exchange::with(Options {
        min_free: u64::MAX,
        ..Options::default()
    })
    .await;
    let answer = exchange.upload_body(form(&[file("a", b"hello")])).await;
    answer.expect_problem(FULL, "no room left");
    assert_eq!(exchange.stored(), 0);
    let again = serde_json::json!({"username": "sbeve72", "password": "pw"});
    let login = exchange.app.post("/ops/login").json(&again).send().await;
    let token = login.expect(StatusCode::OK).text();
    for status in [StatusCode::OK, StatusCode::UNAUTHORIZED] {
        let logout = exchange.app.post("/logout").bearer(&token).send().await;
        logout.expect(status);
    }
}

#[tokio::test]
async fn an_upload_that_takes_too_long_is_408_and_leaves_nothing() {
    let exchange = Exchange::start().await;
    let long = Duration::from_secs(12 * 3_600);
    let upload = exchange
        .upload_half("/ops/upload", "a", &[0; 100_000])
        .await;
    exchange.app.clock.advance(long);
    upload.end().await.expect(StatusCode::CREATED);
    let upload = exchange
        .upload_half("/ops/upload", "b", &[0; 100_000])
        .await;
    exchange.app.clock.advance(long + Duration::from_secs(1));
    let answer = upload.end().await;
    answer.expect_problem(StatusCode::REQUEST_TIMEOUT, "longer than 43200 seconds");
    assert_eq!(exchange.names().await, ["a"]);
    assert_eq!(exchange.stored(), 1);
}

#[tokio::test]
async fn whoever_is_shut_out_during_an_upload_has_uploaded_nothing() {
    for end in ["log out", "disable", "set password"] {
        for path in ["/ops/upload", "/ops/upload?overwrite=true"] {
            let exchange = Exchange::start().await;
            let taken = path.contains("overwrite");
            if taken {
                exchange.upload("a.txt", b"old").await;
            }
            let upload = exchange.upload_half(path, "a.txt", &[0; 200_000]).await;
            let (operator, sessions) = (exchange.operator().await, &exchange.app.app.sessions);
            match end {
                "log out" => {
                    let logout = exchange.app.post("/logout").bearer(&exchange.ops);
                    logout.send().await.expect(StatusCode::OK);
                }
                "disable" => {
                    let closed = sessions.disable_account(&operator).await;
                    assert_eq!(closed.expect("a store"), 1);
                }
                _ => {
                    let password = Password::new("another".to_owned()).expect("a password");
                    let set = sessions.set_password(operator.id, password);
                    set.await.expect("a store");
                }
            }
            let answer = upload.end().await;
            let answer = answer.expect_problem(StatusCode::UNAUTHORIZED, "");
            assert!(
                answer.header("www-authenticate").starts_with("Bearer"),
                "{end}"
            );
            let left = if taken { vec!["a.txt"] } else { vec![] };
            assert_eq!(exchange.names().await, left, "{end}");
            assert_eq!(exchange.stored(), left.len(), "{end}");
            if taken {
                assert_eq!(exchange.fetch("a.txt").await.text(), "old", "{end}");
            }
        }
    }
}

#[tokio::test]
async fn a_name_in_either_unicode_form_is_one_name() {
    let exchange = Exchange::start().await;
    let (nfc, nfd) = ("\u{e1}.txt", "a\u{301}.txt");
    let (in_nfc, in_nfd) = ("%C3%A1.txt", "a%CC%81.txt");
    let answer = exchange.upload_body(form(&[file(nfd, b"hello")])).await;
    let answer = answer.expect(StatusCode::CREATED);
    assert_eq!(answer.text_at("/file_name"), nfc);
    for name in [nfc, nfd] {
        let answer = exchange.upload_body(form(&[file(name, b"other")])).await;
        answer.expect_problem(StatusCode::CONFLICT, "exists already");
    }
    for path in [in_nfc, in_nfd] {
        assert_eq!(exchange.fetch(path).await.text(), "hello");
    }
    let overwrite = "/ops/upload?overwrite=true";
    let answer = exchange
        .upload_to(overwrite, form(&[file(nfd, b"again")]))
        .await;
    answer.expect(StatusCode::CREATED);
    for path in [in_nfc, in_nfd] {
        assert_eq!(exchange.fetch(path).await.text(), "again");
    }
    assert_eq!(exchange.names().await, [nfc]);
    assert_eq!(exchange.stored(), 1);
}
