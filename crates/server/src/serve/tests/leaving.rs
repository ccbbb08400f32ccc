//! A request that was received completely runs to its end, also when its client leaves.

use axum::extract::Request;
use futures_util::FutureExt as _;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::super::connection::Requests;
use super::super::timeouts::ConnectionState;
use super::*;
use crate::middleware::Passing;

/// What a handler reports.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Begun,
    Done,
    GivenUp,
}

/// Reports how the handler ended.
struct Ended {
    is_done: bool,
    say: UnboundedSender<Step>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        let step = match self.is_done {
            true => Step::Done,
            false => Step::GivenUp,
        };
        let _ = self.say.send(step);
    }
}

/// A router with two handlers that report their beginning, wait, and then have their effect. `/unread` reads no body,
/// `/read` reads it first.
pub(super) fn effects() -> (Router, UnboundedReceiver<Step>, Arc<Notify>) {
    let (say, steps) = unbounded_channel();
    let go_on = Arc::new(Notify::new());
    let wait = Arc::clone(&go_on);
    let effect = async move || {
        let mut ended = Ended {
            is_done: false,
            say: say.clone(),
        };
        let _ = say.send(Step::Begun);
        wait.notified().await;
        ended.is_done = true;
        ended
    };
    let read = effect.clone();
    let router = router()
        .route("/unread", post(async move || drop(effect().await)))
        .route("/read", post(async move |_: Bytes| drop(read().await)));
    (router, steps, go_on)
}

/// The client's end of a connection that buffers `room` bytes, and what the connection returns when it ends.
fn connect(router: Router, room: usize) -> (DuplexStream, JoinHandle<Option<Passing>>) {
    let (client, stream) = duplex(room);
    let connection = tokio::spawn(async move {
        let peer = Peer(SocketAddr::from(([127, 0, 0, 1], 1)));
        let (settings, stop) = (Settings::default(), Stop::default());
        connection::run(stream, peer, site(router), &settings, &stop)
            .await
            .2
    });
    (client, connection)
}

#[tokio::test]
async fn what_a_client_asked_for_happens_although_it_leaves() {
    for request in [
        "POST /unread HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
        "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ] {
        let (router, mut steps, go_on) = effects();
        let (mut client, connection) = connect(router, 1024);
        client.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(steps.recv().await, Some(Step::Begun), "{request}");
        drop(client);
        let left = connection.await.unwrap();
        let left = left.unwrap_or_else(|| panic!("{request}"));
        assert!(steps.try_recv().is_err(), "{request}");
        go_on.notify_one();
        left.await.unwrap();
        assert_eq!(steps.recv().await, Some(Step::Done), "{request}");
    }
}

/// hyper takes the end of what a client sends for the end of the client, so it gets no answer.
#[tokio::test]
async fn what_a_client_asked_for_happens_although_it_only_stops_sending() {
    for is_begun in [false, true] {
        let (router, mut steps, go_on) = effects();
        let (mut client, connection) = connect(router, 1024);
        let request = b"POST /unread HTTP/1.1\r\nHost: a\r\n\r\n";
        client.write_all(request).await.unwrap();
        if is_begun {
            assert_eq!(steps.recv().await, Some(Step::Begun));
        }
        client.shutdown().await.unwrap();
        assert_eq!(rest(&mut client).await, "");
        let left = connection.await.unwrap().expect("a request under way");
        go_on.notify_one();
        left.await.unwrap();
        if !is_begun {
            assert_eq!(steps.recv().await, Some(Step::Begun));
        }
        assert_eq!(steps.recv().await, Some(Step::Done));
    }
}

/// A handler could not tell a truncated body from a complete one.
#[tokio::test]
async fn a_request_whose_body_was_still_to_come_is_given_up() {
    for (is_open, expected) in [(true, Step::GivenUp), (false, Step::Done)] {
        let (router, mut steps, go_on) = effects();
        let request = Request::post("/unread").body(axum::body::Body::empty());
        let mut routed = site(router).pass(request.unwrap(), None);
        assert!((&mut routed).now_or_never().is_none());
        assert_eq!(steps.recv().await, Some(Step::Begun));
        let state = Arc::<ConnectionState>::default();
        let requests = Requests::new(Arc::clone(&state));
        state.open_body();
        if !is_open {
            state.close_body();
        }
        requests.keep(routed);
        if let Some(left) = requests.take_left() {
            go_on.notify_one();
            left.await.unwrap();
        }
        assert_eq!(steps.recv().await, Some(expected));
    }
}

#[tokio::test]
async fn a_stop_waits_for_what_clients_have_left_behind() {
    let (router, mut steps, go_on) = effects();
    let mut server = Running::start(router, Settings::default()).await;
    let mut client = server.connect().await;
    let request = b"POST /unread HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(request).await.unwrap();
    assert_eq!(steps.recv().await, Some(Step::Begun));
    drop(client);
    // The system reports the end of the first client before it reports this one.
    for _ in 0..2 {
        let mut other = server.connect().await;
        let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        other.write_all(request).await.unwrap();
        assert!(rest(&mut other).await.ends_with("hello"));
    }
    server.stop();
    assert!(steps.try_recv().is_err());
    go_on.notify_one();
    assert_eq!(server.stopped().await, 0);
    assert_eq!(steps.recv().await, Some(Step::Done));
}
