//! HTTP/2, on in-memory streams: with the client of the h2 library, and with frames that no such client sends.

mod clear;
mod floods;
mod requests;
mod streams;
mod waits;

use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream};
use http::{Request, Response, StatusCode};
use tokio::io::{DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A connection of HTTP/2 in a task of its own.
struct Served {
    memory: Arc<Budget>,
    stop: Arc<Stop>,
    /// How it ended, and when.
    ended: JoinHandle<(Ending, Duration)>,
}

impl Served {
    fn start(router: Router, settings: Settings) -> (DuplexStream, Self) {
        Self::within(64 << 20, router, settings)
    }

    /// With a memory budget of so many bytes.
    fn within(bytes: u64, router: Router, settings: Settings) -> (DuplexStream, Self) {
        let (client, stream) = duplex(64 << 10);
        let memory = Budget::new(bytes);
        let stop = Arc::<Stop>::default();
        let (site, asked) = (site_within(&memory, router), Arc::clone(&stop));
        let begun = Instant::now();
        let ended = tokio::spawn(async move {
            let peer = Peer(SocketAddr::from(([127, 0, 0, 1], 1)));
            let counts = super::super::http2::Counts::new("http");
            let (stream, ending, left) =
                super::super::http2::run(stream, peer, site, &settings, &asked, &counts).await;
            let after = begun.elapsed();
            drop(stream);
            left.await;
            (ending, after)
        });
        let served = Self {
            memory,
            stop,
            ended,
        };
        (client, served)
    }

    /// The number of whole seconds after which the connection was closed because of `wait`.
    async fn overdue(self, wait: Wait) -> u64 {
        let (ending, after) = timeout(SECOND * 3_600, self.ended).await.unwrap().unwrap();
        assert!(
            matches!(ending, Ending::Overdue(over) if over == wait),
            "{ending:?} not {wait:?}"
        );
        after.as_secs()
    }

    /// The number of whole seconds after which the connection was closed in good order.
    async fn finished(self) -> u64 {
        let (ending, after) = timeout(SECOND * 3_600, self.ended).await.unwrap().unwrap();
        assert!(matches!(ending, Ending::Finished { .. }), "{ending:?}");
        after.as_secs()
    }
}

/// A client whose connection runs in a task of its own, with such windows for streams.
async fn client_with(stream: DuplexStream, window: u32) -> SendRequest<Bytes> {
    let mut builder = Builder::new();
    builder.initial_window_size(window);
    let (client, connection) = builder.handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn connect(router: Router) -> (SendRequest<Bytes>, Served) {
    let (stream, served) = Served::start(router, Settings::default());
    (client_with(stream, 1 << 20).await, served)
}

fn request(method: &str, path: &str) -> Request<()> {
    let uri = format!("http://a{path}");
    Request::builder().method(method).uri(uri).body(()).unwrap()
}

/// Sends a request with all of its body, and returns the head of the response.
async fn send(
    client: &SendRequest<Bytes>,
    request: Request<()>,
    body: &[u8],
) -> Result<Response<RecvStream>, h2::Error> {
    let mut client = client.clone().ready().await?;
    let (response, mut stream) = client.send_request(request, body.is_empty())?;
    if !body.is_empty() {
        stream.send_data(Bytes::copy_from_slice(body), true)?;
    }
    response.await
}

/// The status and the body of the response to such a request.
async fn exchange(
    client: &SendRequest<Bytes>,
    request: Request<()>,
    body: &[u8],
) -> (StatusCode, Vec<u8>) {
    let response = send(client, request, body).await.unwrap();
    let status = response.status();
    (status, read(response).await.unwrap())
}

/// Reads all of a response.
async fn read(response: Response<RecvStream>) -> Result<Vec<u8>, h2::Error> {
    let (mut body, mut all) = (response.into_body(), Vec::new());
    while let Some(bytes) = body.data().await {
        let bytes = bytes?;
        all.extend_from_slice(&bytes);
        body.flow_control().release_capacity(bytes.len())?;
    }
    Ok(all)
}

/// The other side's reason for the end of a stream or a connection.
fn reason<T>(result: Result<T, h2::Error>) -> Option<Reason> {
    result.err().and_then(|error| error.reason())
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `GET http://a/`, from HPACK's static table.
const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'a'];
/// `POST http://a/`.
const POST: &[u8] = &[0x83, 0x86, 0x84, 0x41, 1, b'a'];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// The preface of a client, and its settings.
fn opening() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// The next frame of the server, as its kind and its payload, if there is one.
async fn next_frame(client: &mut DuplexStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 9];
    client.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    client.read_exact(&mut payload).await.ok()?;
    Some((head[3], payload))
}

/// The reason of the first GOAWAY that is not NO_ERROR, and how many frames of `kind` were sent before it.
async fn gone_away(client: &mut DuplexStream, kind: u8) -> (Option<Reason>, usize) {
    let mut count = 0;
    while let Some((found, payload)) = next_frame(client).await {
        count += usize::from(found == kind);
        if found == GO_AWAY {
            let code = u32::from_be_bytes(payload[4..8].try_into().unwrap());
            if code != 0 {
                return (Some(code.into()), count);
            }
        }
    }
    (None, count)
}
