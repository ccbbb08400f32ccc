//! A stop answers all clients that are connected and finishes their requests. Connections beyond a limit are closed.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use tokio::sync::Notify;

use super::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A router whose `GET /` reports its beginning, and ends when it is told to.
fn held() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (say, wait) = (Arc::clone(&begun), Arc::clone(&go_on));
    let handler = || async move {
        say.notify_one();
        wait.notified().await;
        "hello"
    };
    (Router::new().route("/", get(handler)), begun, go_on)
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_closes_what_idles() {
    let (router, begun, go_on) = held();
    let mut server = Running::start(router, Settings::default()).await;
    let (mut fresh, mut busy, mut idle) = (
        server.connect().await,
        server.connect().await,
        server.connect().await,
    );
    idle.write_all(GET).await.unwrap();
    begun.notified().await;
    go_on.notify_one();
    answer(&mut idle, 5).await;
    busy.write_all(GET).await.unwrap();
    begun.notified().await;

    server.stop();
    assert_eq!(rest(&mut fresh).await, "");
    assert_eq!(rest(&mut idle).await, "");
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "the listener is closed"
    );
    go_on.notify_one();
    let last = rest(&mut busy).await;
    assert!(
        last.ends_with("hello") && last.contains("connection: close"),
        "{last}"
    );
    assert_eq!(server.stopped().await, 0);
}

/// Sends a request and asserts that its response is the last one.
async fn last_answer(stream: &mut TcpStream) {
    stream.write_all(GET).await.unwrap();
    let last = rest(stream).await;
    assert!(
        last.ends_with("hello") && last.contains("connection: close"),
        "{last}"
    );
}

// In these tests the server runs only while the test waits, so it has not yet seen what the test did.
#[tokio::test]
async fn connections_that_nobody_has_accepted_at_the_stop_are_answered() {
    let mut server = Running::start(router(), Settings::default()).await;
    server.stop();
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            // Established by the system. The server has not accepted it.
            let mut stream = std::net::TcpStream::connect(server.address).unwrap();
            stream.write_all(GET).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        })
        .collect();
    for stream in waiting {
        let last = rest(&mut TcpStream::from_std(stream).unwrap()).await;
        assert!(
            last.ends_with("hello") && last.contains("connection: close"),
            "{last}"
        );
    }
    assert_eq!(server.stopped().await, 0);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn from_the_stop_on_no_connection_is_made_that_could_be_reset() {
    let mut server = Running::start(router(), Settings::default()).await;
    let mut witness = server.connect().await;
    server.stop();
    // The witness is answered after the server has seen the stop.
    last_answer(&mut witness).await;
    let made = std::net::TcpStream::connect_timeout(&server.address, Duration::from_millis(20));
    assert!(made.is_err(), "{made:?}");
    assert_eq!(server.stopped().await, 0);
}

/// Sends a request on one new connection after the other until no connection can be made. Returns the number of
/// responses.
fn ask_until_refused(address: SocketAddr, told: &mpsc::Sender<()>) -> usize {
    let mut answered = 0;
    // A client that is ignored, not refused, would try again only after a second.
    while let Ok(mut stream) =
        std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200))
    {
        let mut answer = String::new();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .unwrap();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("hello"), "{answer:?} after {answered}");
        answered += 1;
        // After the stop nobody receives the count.
        let _ = told.send(());
    }
    answered
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_connect_all_the_while_a_stop_fails_none() {
    for _ in 0..10 {
        let mut server = Running::start(router(), Settings::default()).await;
        let (told, answered) = mpsc::channel();
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let (address, told) = (server.address, told.clone());
                std::thread::spawn(move || ask_until_refused(address, &told))
            })
            .collect();
        drop(told);
        tokio::task::block_in_place(|| answered.iter().take(50).for_each(drop));
        server.stop();
        for client in clients {
            tokio::task::block_in_place(|| client.join()).expect("every answer");
        }
        assert_eq!(server.stopped().await, 0);
    }
}

#[tokio::test]
async fn after_the_stop_a_connection_that_idles_is_answered_once_more() {
    let mut server = Running::start(router(), Settings::default()).await;
    let (mut fresh, mut kept, mut begun) = (
        server.connect().await,
        server.connect().await,
        server.connect().await,
    );
    for stream in [&mut kept, &mut begun] {
        stream.write_all(GET).await.unwrap();
        answer(stream, 5).await;
    }
    begun.write_all(&GET[..10]).await.unwrap();
    let mut witness = server.connect().await;
    server.stop();
    // All see the stop once one of them has seen it.
    last_answer(&mut witness).await;
    last_answer(&mut fresh).await;
    last_answer(&mut kept).await;
    begun.write_all(&GET[10..]).await.unwrap();
    let last = rest(&mut begun).await;
    assert!(
        last.ends_with("hello") && last.contains("connection: close"),
        "{last}"
    );
    assert_eq!(server.stopped().await, 0);
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_it_may_and_cuts_off_the_rest() {
    struct Cut(Arc<AtomicBool>);
    impl Drop for Cut {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (begun, cut) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
    let (say, dropped) = (Arc::clone(&begun), Arc::clone(&cut));
    let endless = || async move {
        let _cut = Cut(dropped);
        say.notify_one();
        std::future::pending::<&str>().await
    };
    let settings = Settings {
        drain: Duration::from_millis(20),
        ..Settings::default()
    };
    let mut server = Running::start(Router::new().route("/", get(endless)), settings).await;
    let mut client = server.connect().await;
    client.write_all(GET).await.unwrap();
    begun.notified().await;
    server.stop();
    assert_eq!(server.stopped().await, 1);
    assert_eq!(rest(&mut client).await, "");
    assert!(cut.load(Ordering::SeqCst));
}

#[tokio::test]
async fn connections_over_a_cap_are_closed_at_once_and_others_still_served() {
    for (max_connections, max_connections_per_address) in [(2, 100), (100, 2)] {
        let settings = Settings {
            max_connections,
            max_connections_per_address,
            ..Settings::default()
        };
        let server = Running::start(router(), settings).await;
        let (mut first, mut second) = (server.connect().await, server.connect().await);
        first.write_all(GET).await.unwrap();
        second.write_all(GET).await.unwrap();
        answer(&mut first, 5).await;
        answer(&mut second, 5).await;
        assert_eq!(rest(&mut server.connect().await).await, "");
        first.write_all(GET).await.unwrap();
        answer(&mut first, 5).await;

        // The slot of a closed connection is free as soon as the server has seen the close.
        drop(first);
        let regained = async {
            loop {
                let mut again = server.connect().await;
                let sent = again.write_all(GET).await.is_ok();
                let mut status = [0; 12];
                if sent && again.read_exact(&mut status).await.is_ok() {
                    return status;
                }
            }
        };
        let status = timeout(Duration::from_secs(10), regained).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
    }
}

#[tokio::test]
async fn every_request_carries_its_peer() {
    let tell = |request: axum::extract::Request| async move {
        request.extensions().get::<Peer>().unwrap().0.to_string()
    };
    let server = Running::start(Router::new().route("/", get(tell)), Settings::default()).await;
    let mut client = server.connect().await;
    let own = client.local_addr().unwrap().to_string();
    client.write_all(GET).await.unwrap();
    assert!(answer(&mut client, own.len()).await.ends_with(&own));
}

#[tokio::test]
async fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    let refuse = || async { http::StatusCode::PAYLOAD_TOO_LARGE };
    let server = Running::start(Router::new().route("/", post(refuse)), Settings::default()).await;
    let mut client = server.connect().await;
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n";
    client.write_all(head).await.unwrap();
    client.write_all(&vec![b'x'; 20_000_000]).await.unwrap();
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

/// Each is refused without a look at its body, a part of which may have come.
#[tokio::test]
async fn an_early_refusal_says_whether_the_connection_closes() {
    let refuse = || async { http::StatusCode::UNAUTHORIZED };
    let server = Running::start(Router::new().route("/", post(refuse)), Settings::default()).await;
    let (length, chunked) = ("Content-Length", "Transfer-Encoding: chunked\r\n\r\n");
    for (fields, closes) in [
        (format!("{length}: 0\r\n\r\n"), false),
        (format!("{length}: 5\r\n\r\nabcde"), false),
        (format!("{length}: 5\r\n\r\n"), true),
        (format!("{length}: 5\r\n\r\nabcd"), true),
        (format!("{length}: 20000000\r\n\r\nabcd"), true),
        (format!("{length}: 5\r\nExpect: 100-continue\r\n\r\n"), true),
        (chunked.to_owned(), true),
        (format!("{chunked}3\r\nabc\r\n"), true),
        (format!("{chunked}0\r\n\r\n"), false),
    ] {
        let mut client = server.connect().await;
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}");
        client.write_all(head.as_bytes()).await.unwrap();
        let refusal = answer(&mut client, 0).await;
        assert!(
            refusal.starts_with("HTTP/1.1 401 "),
            "{fields:?}: {refusal}"
        );
        let says_so = refusal.contains("connection: close");
        assert_eq!(says_so, closes, "{fields:?}: {refusal}");
        if closes {
            assert_eq!(rest(&mut client).await, "", "{fields:?}");
        } else {
            client
                .write_all(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .unwrap();
            assert!(answer(&mut client, 0).await.starts_with("HTTP/1.1 401 "));
        }
    }
}
