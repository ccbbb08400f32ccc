//! Frames in numbers that only an attacker sends.

use super::super::leaving::{Step, effects};
use super::*;

/// Sends `bytes` after the opening, as far as the server takes them, and returns why it closes the connection and how many
/// frames of `kind` it sends before.
async fn flood(router: Router, bytes: Vec<u8>, kind: u8) -> (Option<Reason>, usize) {
    let (client, served) = Served::start(router, Settings::default());
    let (mut from_server, mut to_server) = tokio::io::split(client);
    let sending = tokio::spawn(async move {
        let _ = to_server.write_all(&opening()).await;
        let _ = to_server.write_all(&bytes).await;
        to_server
    });
    let mut all = Vec::new();
    let limit = timeout(SECOND * 60, from_server.read_to_end(&mut all));
    limit
        .await
        .expect("the server closes the connection")
        .unwrap();
    let (mut read, mut write) = duplex(all.len() + 1);
    write.write_all(&all).await.unwrap();
    drop(write);
    let gone = gone_away(&mut read, kind).await;
    drop((sending.await.unwrap(), from_server));
    let memory = Arc::clone(&served.memory);
    served.finished().await;
    assert_eq!(memory.used(), 0);
    gone
}

#[tokio::test]
async fn a_rapid_reset_is_answered_with_go_away() {
    let (router, mut steps, go_on) = effects();
    let path = [&[0x83, 0x86, 0x41, 1, b'a', 4, 7][..], b"/unread"].concat();
    let resets = (0..5_000).flat_map(|number| {
        let id = 2 * number + 1;
        let asked = frame(HEADERS, END_STREAM | END_HEADERS, id, &path);
        [asked, frame(RESET, 0, id, &[0, 0, 0, 8])].concat()
    });
    let flooding = flood(router, resets.collect(), RESET);
    let counting = async {
        // What was begun is carried to its end.
        let mut begun = 0;
        while let Some(step) = steps.recv().await {
            begun += usize::from(step == Step::Begun);
            go_on.notify_one();
        }
        begun
    };
    let ((reason, _), begun) = tokio::join!(flooding, counting);
    assert_eq!(reason, Some(Reason::ENHANCE_YOUR_CALM));
    assert!(begun <= 100, "{begun} of 5,000 requests were begun");
}

#[tokio::test]
async fn continuations_without_an_end_are_answered_with_go_away() {
    let begun = frame(HEADERS, END_STREAM, 1, GET);
    let empty = frame(CONTINUATION, 0, 1, &[]);
    let full = frame(
        CONTINUATION,
        0,
        1,
        &[&[0, 1, b'x', 0x7f, 0x81, 0x7f][..], &[b'x'; 16_000]].concat(),
    );
    for more in [empty, full] {
        let bytes = [begun.clone(), more.repeat(1_000)].concat();
        let (reason, _) = flood(router(), bytes, RESET).await;
        assert!(
            matches!(
                reason,
                Some(
                    Reason::ENHANCE_YOUR_CALM | Reason::COMPRESSION_ERROR | Reason::PROTOCOL_ERROR
                )
            ),
            "{reason:?}"
        );
    }
}

/// A table entry of 4,000 bytes, named by one byte each time.
#[tokio::test]
async fn a_head_that_grows_when_it_is_decoded_is_431_or_go_away() {
    let value = [b'x'; 4_000];
    // A literal of 4,000 bytes with incremental indexing: 127 + 3873.
    let entry = [&[0x40, 1, b'x', 0x7f, 0xa1, 0x1e][..], &value].concat();
    let asked = |times| {
        let block = [GET, &entry, &vec![0xbe; times]].concat();
        frame(HEADERS, END_STREAM | END_HEADERS, 1, &block)
    };
    let (reason, _) = flood(router(), asked(2_000), RESET).await;
    assert_eq!(reason, Some(Reason::ENHANCE_YOUR_CALM));
    let (mut client, _served) = Served::start(router(), Settings::default());
    client
        .write_all(&[opening(), asked(10)].concat())
        .await
        .unwrap();
    let head = loop {
        let (kind, payload) = next_frame(&mut client).await.unwrap();
        if kind == HEADERS {
            break payload;
        }
    };
    // `:status` with a value that the static table lacks, in Huffman's code: 431.
    assert_eq!(head[..5], [0x48, 0x83, 0x69, 0x90, 0xff]);
}

#[tokio::test]
async fn empty_and_tiny_parts_of_a_body_that_nobody_reads_are_answered_with_go_away() {
    let unread = Router::new().route(
        "/",
        post(|body: axum::body::Body| async {
            std::future::pending::<()>().await;
            drop(body);
        }),
    );
    let begun = frame(HEADERS, END_HEADERS, 1, POST);
    for part in [&b""[..], b"x"] {
        let bytes = [begun.clone(), frame(DATA, 0, 1, part).repeat(10_000)].concat();
        let (reason, _) = flood(unread.clone(), bytes, RESET).await;
        assert_eq!(reason, Some(Reason::ENHANCE_YOUR_CALM), "{part:?}");
    }
}

#[tokio::test]
async fn errors_of_streams_without_number_are_answered_with_go_away() {
    // A stream that depends on itself is an error of that stream.
    let errors = (0..5_000).flat_map(|number: u32| {
        let id = 2 * number + 1;
        frame(2, 0, id, &[&id.to_be_bytes()[..], &[0]].concat())
    });
    let (reason, resets) = flood(router(), errors.collect(), RESET).await;
    assert_eq!(reason, Some(Reason::ENHANCE_YOUR_CALM));
    assert!(resets <= 256, "{resets}");
}

/// Each is answered before the next is read, so that they never gather.
#[tokio::test(start_paused = true)]
async fn pings_and_settings_whose_answers_nobody_reads_close_the_connection() {
    let ping = frame(PING, 0, 0, &[7; 8]);
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]);
    for sent in [ping, settings] {
        let (client, served) = Served::start(router(), Settings::default());
        let (_from_server, mut to_server) = tokio::io::split(client);
        let sending = tokio::spawn(async move {
            let _ = to_server.write_all(&opening()).await;
            let mut count = 0_usize;
            while to_server.write_all(&sent).await.is_ok() {
                count += 1;
            }
            count
        });
        assert_eq!(served.overdue(Wait::Write).await, 30);
        drop(_from_server);
        // Those in the buffers of both directions.
        let count = sending.await.unwrap();
        assert!(count < 20_000, "{count}");
    }
}
