//! What only a bucket has: parts, a server that refuses or is gone, a connection that breaks.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, TryStreamExt};
use keyward_core::clock::{Clock, ManualClock, SystemClock};
use keyward_core::error::Fault;
use keyward_core::files::Blobs;
use keyward_core::memory::Account;
use keyward_core::secret::SecretText;
use keyward_store::blobs::S3Blobs;
use keyward_store::blobs::s3::{Credentials, Options, OptionsError};
use tokio::net::TcpListener;

use crate::backend::at_once;
use crate::blobs::{content, old, read, write};
use crate::files::blob;
use crate::s3_server::{AGE, BUCKET, KEY_ID, SECRET, Server};

const MIB: usize = 1 << 20;

fn shared(blobs: S3Blobs) -> Arc<dyn Blobs> {
    Arc::new(blobs)
}

/// An error with all its causes, as it is logged.
fn chain(fault: &Fault) -> String {
    let (mut text, mut cause) = (fault.to_string(), fault.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_every_size_around_a_part_are_read_back() {
    let server = Server::start().await;
    let blobs = shared(server.open());
    let sizes = [
        0,
        1,
        5 * MIB - 1,
        5 * MIB,
        5 * MIB + 1,
        8 * MIB - 1,
        8 * MIB,
        8 * MIB + 1,
        20 * MIB,
    ];
    for (number, length) in sizes.into_iter().enumerate() {
        let (id, content) = (blob(number), content(length));
        write(&blobs, &id, &content).await;
        let middle = length / 2;
        for (from, to) in [
            (0, length),
            (length / 3, length),
            (middle, middle + length.min(10) / 2),
        ] {
            let reader = blobs.open(&id).await.expect("S3").expect("the bytes");
            let bytes = read(reader, from as u64..to as u64).await;
            assert!(
                bytes.expect("the range") == content[from..to],
                "{from}..{to} of {length}"
            );
        }
    }
    assert_eq!(server.unfinished(), []);
    assert_eq!(server.names().len(), sizes.len(), "{:?}", server.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_uploads_at_once_are_kept_apart() {
    let server = Server::start().await;
    let blobs = shared(server.open());
    let contents: Vec<_> = (0..6).map(|number| content(17 * MIB + number)).collect();
    let (writers, expected) = (Arc::clone(&blobs), contents.clone());
    at_once(6, move |number| {
        let (blobs, content) = (Arc::clone(&writers), expected[number].clone());
        async move { write(&blobs, &blob(number), &content).await }
    })
    .await;
    for (number, content) in contents.iter().enumerate() {
        let reader = blobs.open(&blob(number)).await.expect("S3").expect("bytes");
        let bytes = read(reader, 0..content.len() as u64).await.expect("bytes");
        assert!(bytes == *content, "upload {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_sent_side_by_side_and_keep_their_order() {
    let server = Server::start().await;
    let blobs = shared(server.open());
    let content = content(17 * MIB);
    server.bucket.reversed.store(true, Ordering::SeqCst);
    write(&blobs, &blob(1), &content).await;
    let reader = blobs.open(&blob(1)).await.expect("S3").expect("the bytes");
    let bytes = read(reader, 0..17 * MIB as u64).await.expect("the bytes");
    assert!(bytes == content);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_given_up_leaves_neither_object_nor_parts() {
    let server = Server::start().await;
    let blobs = shared(server.open());
    let mut writer = blobs
        .create(&blob(1), Account::unbounded())
        .await
        .expect("a writer");
    writer.write(content(30 * MIB)).await.expect("room");
    server.begun(1).await;
    drop(writer);
    server.settled().await;
    assert_eq!(server.names(), Vec::<String>::new());
    assert_eq!(old(&shared(server.open_later())).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_finish_nobody_waits_for_is_deleted() {
    let server = Server::start().await;
    let blobs = shared(server.open());
    for (number, length) in [10, 9 * MIB].into_iter().enumerate() {
        let mut writer = blobs
            .create(&blob(1), Account::unbounded())
            .await
            .expect("a writer");
        writer.write(content(length)).await.expect("room");
        server.begun(number).await;
        let mut finishing = writer.finish();
        server.bucket.held.send_replace(true);
        assert!((&mut finishing).now_or_never().is_none());
        drop(finishing);
        server.bucket.held.send_replace(false);
        let mut deletions = server.bucket.deletions.subscribe();
        let deleted = deletions.wait_for(|count| *count == number + 1);
        let deleted = tokio::time::timeout(Duration::from_secs(10), deleted).await;
        deleted.expect("the object stays").expect("the server");
        assert_eq!(server.names(), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_left_unfinished_is_aborted_by_the_sweep() {
    let server = Server::start().await;
    let blobs = shared(server.open());
    let deeper = Options {
        url: format!("s3://{BUCKET}/some/prefix/deeper"),
        ..server.options()
    };
    let deeper = S3Blobs::open(&deeper, Arc::new(SystemClock::new())).expect("options");
    let owners = [&blobs, &blobs, &blobs, &shared(deeper)];
    let mut writers = Vec::new();
    for (number, blobs) in owners.into_iter().enumerate() {
        let mut writer = blobs
            .create(&blob(number), Account::unbounded())
            .await
            .expect("a writer");
        writer.write(content(8 * MIB)).await.expect("room");
        writers.push(writer);
    }
    server.begun(4).await;
    assert_eq!(old(&shared(server.open())).await, []);
    assert_eq!(
        server.unfinished().len(),
        4,
        "what this node or another may be writing stays"
    );

    assert_eq!(old(&shared(server.open_later())).await, []);
    let keys: Vec<String> = server
        .unfinished()
        .into_iter()
        .map(|upload| upload.key)
        .collect();
    assert_eq!(keys, [format!("some/prefix/deeper/{}", blob(3).as_str())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_swept_once_it_is_old_also_without_a_restart() {
    let server = Server::start().await;
    let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
    let blobs = shared(S3Blobs::open(&server.options(), clock.clone()).expect("options"));
    write(&blobs, &blob(1), &content(10)).await;
    assert_eq!(old(&blobs).await, []);
    clock.advance(AGE);
    assert_eq!(old(&blobs).await, [blob(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_lasts_so_long_that_a_sweep_might_take_it_fails() {
    let server = Server::start().await;
    let clock = Arc::new(ManualClock::new(SystemClock::new().now()));
    let blobs = shared(S3Blobs::open(&server.options(), clock.clone()).expect("options"));
    let mut writer = blobs
        .create(&blob(1), Account::unbounded())
        .await
        .expect("a writer");
    writer.write(content(8 * MIB)).await.expect("room");
    server.begun(1).await;
    clock.advance(Duration::from_secs(12 * 3_600 + 1));
    let finished = writer.finish().await;
    assert!(
        matches!(finished, Err(Fault::Unavailable(_))),
        "{finished:?}"
    );
    server.settled().await;
    assert_eq!(server.names(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_is_listed_with_its_size() {
    let server = Server::start().await;
    let (blobs, expected) = (server.open(), [0, 1, 8 * MIB + 1]);
    let writing = shared(blobs.clone());
    for (number, length) in expected.into_iter().enumerate() {
        write(&writing, &blob(number), &content(length)).await;
    }
    let listed: Vec<_> = blobs.list().try_collect().await.expect("S3");
    let mut listed = listed.concat();
    listed.sort_unstable();
    let expected = expected.map(|length| length as u64);
    let expected = (0..).map(blob).zip(expected).collect::<Vec<_>>();
    assert_eq!(listed, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_middle_of_an_object_deleted_since_it_was_opened_is_still_read() {
    let server = Server::start().await;
    let blobs = shared(server.open());
    let content = content(2 * MIB);
    write(&blobs, &blob(1), &content).await;
    let reader = blobs.open(&blob(1)).await.expect("S3").expect("the bytes");
    blobs.delete(&blob(1)).await.expect("S3");
    let bytes = read(reader, 1_000_000..2_000_000).await.expect("the bytes");
    assert!(bytes == content[1_000_000..2_000_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_goes_on_when_its_connection_breaks() {
    let server = Server::start().await;
    let blobs = shared(server.open());
    let content = content(4 * MIB);
    write(&blobs, &blob(1), &content).await;
    server.bucket.breaks_after.store(200_000, Ordering::SeqCst);
    let reader = blobs.open(&blob(1)).await.expect("S3").expect("the bytes");
    let bytes = read(reader, 100_000..4 * MIB as u64).await.expect("bytes");
    assert!(bytes == content[100_000..]);
    let broken = server.bucket.broken.load(Ordering::SeqCst);
    assert!(broken > 15, "it broke {broken} times");

    server.bucket.breaks_after.store(1, Ordering::SeqCst);
    let result = match blobs.open(&blob(1)).await {
        Ok(reader) => read(reader.expect("the bytes"), 0..4 * MIB as u64).await,
        Err(broken_before_its_head) => Err(broken_before_its_head),
    };
    assert!(matches!(result, Err(Fault::Unavailable(_))), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_become_the_fault_they_mean_and_leave_no_parts() {
    let server = Server::start().await;
    let blobs = shared(server.open());
    for (status, code, meaning) in [
        (507, "InsufficientStorage", "the store is full"),
        (403, "QuotaExceeded", "the store is full"),
        (507, "XMinioStorageFull", "the store is full"),
        (403, "AccessDenied", "the store failed"),
        (503, "SlowDown", "the store cannot answer now"),
    ] {
        *server.bucket.refusal.lock().expect("the refusal") = Some((status, code));
        for length in [10, 20 * MIB] {
            let mut writer = blobs
                .create(&blob(1), Account::unbounded())
                .await
                .expect("a writer");
            let fault = match writer.write(content(length)).await {
                Ok(()) => writer.finish().await.expect_err("a refusal"),
                Err(fault) => {
                    assert!(writer.write(content(8 * MIB)).await.is_err());
                    fault
                }
            };
            assert_eq!(fault.to_string(), meaning, "{code}");
            let text = chain(&fault);
            assert!(
                text.contains(&format!("S3 answered {status} {code}")),
                "{text}"
            );
            assert!(!text.contains(SECRET), "{text}");
            server.settled().await;
            assert!(blobs.open(&blob(1)).await.expect("S3").is_none());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_gone_or_silent_is_unavailable_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addresses = [&silent, &gone].map(|at| at.local_addr().expect("an address"));
    drop(gone);
    let server = Server::start().await;
    let [first, second] = addresses.map(|address| {
        let options = Options {
            endpoint: Some(format!("http://{address}")),
            ..server.options()
        };
        let blobs = S3Blobs::open(&options, Arc::new(SystemClock::new())).expect("options");
        async move {
            let began = Instant::now();
            let missing = blob(1);
            let (ready, open) = tokio::join!(blobs.ready(), blobs.open(&missing));
            for result in [ready, open.map(drop)] {
                assert!(matches!(result, Err(Fault::Unavailable(_))), "{result:?}");
            }
            assert!(began.elapsed() < Duration::from_secs(10));
        }
    });
    tokio::join!(first, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_a_server_that_is_gone_fails_in_time() {
    let server = Server::start().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let options = Options {
        endpoint: Some(format!("http://{}", gone.local_addr().expect("an address"))),
        ..server.options()
    };
    drop(gone);
    let blobs = S3Blobs::open(&options, Arc::new(SystemClock::new())).expect("options");
    for length in [10, 20 * MIB] {
        let began = Instant::now();
        let mut writer = blobs
            .create(&blob(1), Account::unbounded())
            .await
            .expect("a writer");
        let result = match writer.write(content(length)).await {
            Ok(()) => writer.finish().await,
            failed => failed,
        };
        assert!(matches!(result, Err(Fault::Unavailable(_))), "{result:?}");
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_and_a_bucket_that_are_wrong_are_told_without_a_secret() {
    let server = Server::start().await;
    server.open().ready().await.expect("readiness");
    let key = |id: &str, secret: &str| Credentials::Key {
        id: id.into(),
        secret: SecretText::new(secret.into()),
    };
    let elsewhere = Options {
        url: "s3://elsewhere".into(),
        ..server.options()
    };
    for (case, options) in [
        (
            "SignatureDoesNotMatch",
            Options {
                credentials: key(KEY_ID, "wrong-secret"),
                ..server.options()
            },
        ),
        (
            "NotSignedUp",
            Options {
                credentials: key("nobody", SECRET),
                ..server.options()
            },
        ),
        ("NoSuchBucket", elsewhere),
    ] {
        let blobs = S3Blobs::open(&options, Arc::new(SystemClock::new())).expect("options");
        let ready = blobs.ready().await.expect_err(case);
        let Err(open) = blobs.open(&blob(1)).await else {
            panic!("{case}: something was opened");
        };
        for fault in [ready, open] {
            let text = format!("{} {fault:?}", chain(&fault));
            assert!(matches!(fault, Fault::Internal(_)), "{text}");
            assert!(text.contains(case), "{text}");
            for secret in ["wrong-secret", SECRET, "Signature="] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }
    assert!(!format!("{:?}", server.options()).contains(SECRET));
}

#[test]
fn options_that_name_no_bucket_or_send_secrets_in_the_clear_are_refused() {
    let refused = |options: Options| options.check().err();
    for url in [
        "",
        "keyward",
        "s3:keyward",
        "https://keyward",
        "s3://",
        "s3://Keyward",
        "s3://a/b",
        "s3://keyward//b",
    ] {
        let error = refused(Options::new(url.into()));
        assert!(matches!(error, Some(OptionsError::Url)), "{url}: {error:?}");
    }
    let at = |endpoint: &str, allow_http| Options {
        endpoint: Some(endpoint.into()),
        allow_http,
        ..Options::new(format!("s3://{BUCKET}"))
    };
    for endpoint in [
        "",
        "s3.example",
        "ftp://s3.example",
        "https://key:secret@s3.example",
        "https://s3.example/path",
        "https://s3.example?query",
    ] {
        let error = refused(at(endpoint, true));
        assert!(
            matches!(error, Some(OptionsError::Endpoint)),
            "{endpoint}: {error:?}"
        );
    }
    let plain = refused(at("http://s3.example", false));
    assert!(matches!(plain, Some(OptionsError::PlainHttp)), "{plain:?}");
    assert!(refused(at("https://s3.example:9000", false)).is_none());
    let half = Credentials::Standard {
        variables: vec![(
            "AWS_SECRET_ACCESS_KEY".into(),
            SecretText::new(SECRET.into()),
        )],
    };
    let error = refused(Options {
        credentials: half,
        ..at("https://s3.example", false)
    });
    assert!(
        matches!(error, Some(OptionsError::Settings(_))),
        "{error:?}"
    );
}
