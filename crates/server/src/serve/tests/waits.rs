//! Each wait for the client has its own limit and no other.

use axum::body::Body;
use axum::response::IntoResponse;
use futures_util::StreamExt;
use http::StatusCode;
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, advance};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// The client's end of a connection to `router`, and how and when the connection ended.
fn connect(router: Router, room: usize) -> (DuplexStream, JoinHandle<(Ending, Duration)>) {
    connect_until(Arc::default(), router, room)
}

fn connect_until(
    stop: Arc<Stop>,
    router: Router,
    room: usize,
) -> (DuplexStream, JoinHandle<(Ending, Duration)>) {
    let (client, server) = duplex(room);
    let start = Instant::now();
    let ended = tokio::spawn(async move {
        let peer = Peer(SocketAddr::from(([127, 0, 0, 1], 1)));
        let settings = Settings::default();
        let (_, ending, _) = connection::run(server, peer, site(router), &settings, &stop).await;
        (ending, start.elapsed())
    });
    (client, ended)
}

/// The number of whole seconds after which the connection was closed because of `wait`.
async fn overdue(ended: JoinHandle<(Ending, Duration)>, wait: Wait) -> u64 {
    // Time is paused, so an hour passes at once when no task can run.
    let (ending, after) = timeout(SECOND * 3_600, ended).await.unwrap().unwrap();
    assert!(
        matches!(ending, Ending::Overdue(over) if over == wait),
        "{ending:?} not {wait:?}"
    );
    after.as_secs()
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_asks_is_closed_as_idle() {
    let (_client, ended) = connect(router(), 1024);
    assert_eq!(overdue(ended, Wait::Idle).await, 75);
}

#[tokio::test(start_paused = true)]
async fn after_the_stop_a_connection_idles_a_second_at_most_whenever_it_began_to() {
    let stop = Arc::<Stop>::default();
    let (_fresh, first) = connect_until(Arc::clone(&stop), router(), 1024);
    sleep(SECOND * 40).await;
    stop.ask();
    let (_late, second) = connect_until(Arc::clone(&stop), router(), 1024);
    assert_eq!(overdue(first, Wait::Idle).await, 41);
    assert_eq!(overdue(second, Wait::Idle).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_head_has_ten_seconds_from_its_first_byte_however_often_one_more_comes() {
    let (mut client, ended) = connect(router(), 1024);
    advance(SECOND * 40).await;
    let drip = tokio::spawn(async move {
        let mut sent = 0;
        while client.write_all(&GET[sent..=sent]).await.is_ok() && sent < 20 {
            sent += 1;
            sleep(SECOND).await;
        }
        (client, sent)
    });
    assert_eq!(overdue(ended, Wait::Head).await, 50);
    assert!(drip.await.unwrap().1 < 12);
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_may_idle_longer_than_a_head_may_take_but_not_for_ever() {
    let (mut client, ended) = connect(router(), 1024);
    for _ in 0..3 {
        client.write_all(GET).await.unwrap();
        assert!(answer(&mut client, 5).await.ends_with("hello"));
        advance(SECOND * 74).await;
    }
    client.write_all(GET).await.unwrap();
    answer(&mut client, 5).await;
    assert_eq!(overdue(ended, Wait::Idle).await, 3 * 74 + 75);
}

#[tokio::test(start_paused = true)]
async fn a_second_head_that_is_slow_is_cut_as_the_first_would_be() {
    let (mut client, ended) = connect(router(), 1024);
    client.write_all(GET).await.unwrap();
    answer(&mut client, 5).await;
    advance(SECOND * 20).await;
    client.write_all(&GET[..5]).await.unwrap();
    assert_eq!(overdue(ended, Wait::Head).await, 30);
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_take_longer_than_any_client() {
    let slow = Router::new().route(
        "/",
        get(|| async {
            sleep(SECOND * 1_000).await;
            "hello"
        }),
    );
    let (mut client, ended) = connect(slow, 1024);
    client.write_all(GET).await.unwrap();
    assert!(answer(&mut client, 5).await.ends_with("hello"));
    assert_eq!(overdue(ended, Wait::Idle).await, 1_075);
}

/// `POST /` answers 408 for a body that did not come in time and 400 for one that failed otherwise.
fn uploads() -> Router {
    Router::new().route(
        "/",
        post(|body: Body| async {
            let mut chunks = body.into_data_stream();
            let mut length = 0;
            while let Some(chunk) = chunks.next().await {
                match chunk {
                    Ok(chunk) => length += chunk.len(),
                    Err(error) if BodyTimeout::caused(&error) => {
                        return StatusCode::REQUEST_TIMEOUT.into_response();
                    }
                    Err(_) => return StatusCode::BAD_REQUEST.into_response(),
                }
            }
            length.to_string().into_response()
        }),
    )
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_fails_by_a_name_and_the_connection_closes() {
    let (mut client, ended) = connect(uploads(), 1024);
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        .await
        .unwrap();
    let answer = rest_within(SECOND * 3_600, &mut client).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let (ending, after) = ended.await.unwrap();
    assert!(
        matches!(ending, Ending::Finished { unread: true }),
        "{ending:?}"
    );
    assert_eq!(after.as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_keeps_coming_may_take_its_time() {
    let (mut client, _ended) = connect(uploads(), 1 << 16);
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 58000\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..20 {
        // 100 bytes per second.
        sleep(SECOND * 29).await;
        client.write_all(&[b'x'; 2_900]).await.unwrap();
    }
    assert!(answer(&mut client, 5).await.ends_with("58000"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_given_up_after_a_minute_of_waiting() {
    let head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";
    for (coding, drop) in [
        ("Content-Length: 99\r\n\r\n", "x"),
        ("Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
    ] {
        let (mut client, ended) = connect(uploads(), 1024);
        client
            .write_all(format!("{head}{coding}").as_bytes())
            .await
            .unwrap();
        for _ in 0..2 {
            sleep(SECOND * 29).await;
            client.write_all(drop.as_bytes()).await.unwrap();
        }
        let answer = rest_within(SECOND * 3_600, &mut client).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert_eq!(ended.await.unwrap().1.as_secs(), 60);
    }
}

#[tokio::test(start_paused = true)]
async fn each_body_of_a_connection_has_its_own_time() {
    let (mut client, _ended) = connect(uploads(), 1024);
    for _ in 0..9 {
        client
            .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n")
            .await
            .unwrap();
        for _ in 0..2 {
            sleep(SECOND * 20).await;
            client.write_all(b"x").await.unwrap();
        }
        assert!(answer(&mut client, 1).await.ends_with('2'));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_read_in_another_task_is_watched_all_the_same() {
    let elsewhere = Router::new().route(
        "/",
        post(|body: Body| async {
            let mut chunks = body.into_data_stream();
            let mut first = chunks.next().await;
            let reading = tokio::spawn(async move {
                // The connection's task is asleep when this wait begins.
                sleep(SECOND * 5).await;
                while let Some(Ok(_)) = first {
                    first = chunks.next().await;
                }
                first.is_some_and(|end| end.is_err_and(|error| BodyTimeout::caused(&error)))
            });
            reading.await.unwrap().to_string()
        }),
    );
    let (mut client, ended) = connect(elsewhere, 1024);
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        .await
        .unwrap();
    assert!(
        rest_within(SECOND * 3_600, &mut client)
            .await
            .ends_with("true")
    );
    assert_eq!(ended.await.unwrap().1.as_secs(), 35);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_rests_between_parts_of_a_body_is_not_the_clients_fault() {
    let resting = Router::new().route(
        "/",
        post(|body: Body| async {
            let mut chunks = body.into_data_stream();
            let mut all = chunks.next().await.unwrap().unwrap().to_vec();
            sleep(SECOND * 500).await;
            all.extend(chunks.next().await.unwrap().unwrap());
            sleep(SECOND * 500).await;
            all.extend(chunks.next().await.unwrap().unwrap());
            all
        }),
    );
    let (mut client, _ended) = connect(resting, 1024);
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        .await
        .unwrap();
    for part in [b"def", b"ghi"] {
        sleep(SECOND).await;
        client.write_all(part).await.unwrap();
    }
    assert!(answer(&mut client, 9).await.ends_with("abcdefghi"));
}

/// `GET /` responds with a mebibyte.
fn large() -> Router {
    Router::new().route("/", get(|| async { vec![b'x'; 1 << 20] }))
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_is_cut_off() {
    let (mut client, ended) = connect(large(), 1024);
    client.write_all(GET).await.unwrap();
    answer(&mut client, 100_000).await;
    advance(SECOND * 20).await;
    answer_part(&mut client, 1).await;
    assert_eq!(overdue(ended, Wait::Write).await, 50);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_a_little_at_a_time_is_cut_off_after_a_minute_of_waiting() {
    for fast in [0, 500_000] {
        let (mut client, ended) = connect(large(), 1024);
        client.write_all(GET).await.unwrap();
        // It does not matter how much it read at once before.
        answer(&mut client, fast).await;
        for _ in 0..2 {
            sleep(SECOND * 29).await;
            answer_part(&mut client, 1).await;
        }
        let after = overdue(ended, Wait::Write).await;
        assert!((58..=61).contains(&after), "{after}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_answer_of_a_connection_has_its_own_time() {
    let (mut client, _ended) = connect(large(), 1024);
    for _ in 0..4 {
        client.write_all(GET).await.unwrap();
        sleep(SECOND * 25).await;
        answer(&mut client, 1 << 20).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_came_fast_at_first_may_not_drip_for_longer_than_another() {
    let (mut client, ended) = connect(uploads(), 1 << 20);
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n\r\n";
    client.write_all(head).await.unwrap();
    client.write_all(&[b'x'; 500_000]).await.unwrap();
    for _ in 0..2 {
        sleep(SECOND * 29).await;
        client.write_all(b"x").await.unwrap();
    }
    let answer = rest_within(SECOND * 3_600, &mut client).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert_eq!(ended.await.unwrap().1.as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_slow_gets_all_of_it() {
    let (mut client, ended) = connect(large(), 64 * 1024);
    client.write_all(GET).await.unwrap();
    answer(&mut client, 0).await;
    for _ in 0..16 {
        sleep(SECOND * 29).await;
        answer_part(&mut client, 64 * 1024).await;
    }
    // The last bytes were read after 15 or 16 pauses, and the idle timeout began then.
    let after = overdue(ended, Wait::Idle).await;
    assert!((15 * 29 + 75..=16 * 29 + 75).contains(&after), "{after}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_on_its_way_at_the_stop_is_not_cut_off_as_idle() {
    let stop = Arc::<Stop>::default();
    let (mut client, ended) = connect_until(Arc::clone(&stop), large(), 64 * 1024);
    client.write_all(GET).await.unwrap();
    answer(&mut client, 0).await;
    stop.ask();
    for _ in 0..16 {
        sleep(SECOND * 29).await;
        answer_part(&mut client, 64 * 1024).await;
    }
    let after = overdue(ended, Wait::Idle).await;
    assert!((15 * 29 + 1..=16 * 29 + 1).contains(&after), "{after}");
}

async fn answer_part(client: &mut DuplexStream, length: usize) {
    client.read_exact(&mut vec![0; length]).await.unwrap();
}
