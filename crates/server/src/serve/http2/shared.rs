//! What the streams of a connection share: its limits, and how a stream begins within them.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::RETRY_AFTER;
use http::{HeaderValue, Request, Response, StatusCode};
use keyward_core::clock::{Clock as _, SystemClock};
use keyward_core::memory::{Account, Exhausted, FREE, Reservation};
use keyward_core::metrics::{Metric, counter, gauge};
use metrics::{Counter, Gauge};

use super::super::Settings;
use super::body::length;
use super::part::Part;
use super::stream::Stream;
use crate::address::Peer;
use crate::middleware::Site;

/// What a client may send of bodies that nobody has read yet, in bytes: the least that HTTP/2 allows.
pub(super) const WINDOW: u32 = 65_535;
/// What it may send once it sends a body that is larger than that, if the memory budget has room.
pub(super) const LARGE_WINDOW: u32 = 256 << 10;
/// The largest body that is small, in bytes.
pub(super) const SMALL: u64 = FREE as u64;
/// What a request takes apart from its head and its body: its place among the streams, and its handler.
const STREAM: u64 = 2 << 10;
/// The streams of a listener.
pub(crate) const STREAMS: Metric = gauge(
    "keyward_http2_streams",
    &["listener"],
    "Requests under way on connections of HTTP/2.",
);
/// Those that were not served to their end.
pub(crate) const STREAMS_REFUSED: Metric = counter(
    "keyward_http2_streams_refused_total",
    &["listener", "reason"],
    "Streams of HTTP/2 refused or reset: too many on their connection, no memory, or a client that was late.",
);

/// What is counted of the streams of a listener.
#[derive(Clone)]
pub(in super::super) struct Counts {
    pub(super) under_way: Gauge,
    busy: Counter,
    pub(super) memory: Counter,
    pub(super) late: Counter,
}

impl Counts {
    pub(in super::super) fn new(listener: &'static str) -> Self {
        let refused = |reason| STREAMS_REFUSED.counter([listener, reason]);
        Self {
            under_way: STREAMS.gauge([listener]),
            busy: refused("busy"),
            memory: refused("memory"),
            late: refused("late"),
        }
    }
}

/// A stream under way.
pub(super) struct UnderWay(Gauge);

impl UnderWay {
    pub(super) fn begin(streams: &Gauge) -> Self {
        streams.increment(1);
        Self(streams.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// The bodies of a connection that are not small.
#[derive(Debug, Default)]
struct Unread {
    bodies: usize,
    /// What their client may send and nobody has read yet.
    held: Option<Reservation>,
    /// Whether that is [`LARGE_WINDOW`]. It is never less again, because the client was told.
    is_large: bool,
}

/// A body under way that is not small.
pub(super) struct Large(Arc<Shared>);

impl Drop for Large {
    fn drop(&mut self) {
        let mut unread = self.0.unread();
        unread.bodies -= 1;
        if unread.bodies == 0 {
            unread.held = None;
        }
    }
}

/// What the streams of a connection share.
pub(super) struct Shared {
    pub(super) site: Site,
    pub(super) peer: Peer,
    pub(super) account: Account,
    max_streams: usize,
    max_headers: usize,
    pub(super) body_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) counts: Counts,
    unread: Mutex<Unread>,
    /// Whether a stream has something for the client.
    pub(super) sent: AtomicBool,
    /// The second of the last response, and its text.
    date: Mutex<(i64, HeaderValue)>,
}

impl Shared {
    pub(super) fn new(site: Site, peer: Peer, settings: &Settings, counts: &Counts) -> Self {
        Self {
            account: site.account(peer),
            site,
            peer,
            max_streams: settings.max_streams,
            max_headers: settings.max_headers,
            body_timeout: settings.body_timeout,
            write_timeout: settings.write_timeout,
            counts: counts.clone(),
            unread: Mutex::new(Unread::default()),
            sent: AtomicBool::new(false),
            date: Mutex::new((i64::MIN, HeaderValue::from_static(""))),
        }
    }

    /// Begins a request beside `others`, unless there is no room for it.
    pub(super) fn admit(
        self: &Arc<Self>,
        request: Request<RecvStream>,
        mut respond: SendResponse<Part>,
        others: usize,
    ) -> Option<impl Future<Output = ()> + use<>> {
        if others >= self.max_streams {
            // The client may ask again.
            self.counts.busy.increment(1);
            respond.send_reset(Reason::REFUSED_STREAM);
            return None;
        }
        if request.headers().len() > self.max_headers {
            refuse(respond, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
            return None;
        }
        let Ok((held, large)) = self.reserve(&request, others == 0) else {
            self.counts.memory.increment(1);
            refuse(respond, StatusCode::SERVICE_UNAVAILABLE);
            return None;
        };
        let stream = Stream {
            shared: Arc::clone(self),
            respond,
            held,
        };
        Some(stream.answer(request, large))
    }

    /// Reserves what `request` may hold while its client sends the rest of it. The only request of a connection reserves
    /// nothing if it is small.
    fn reserve(
        self: &Arc<Self>,
        request: &Request<RecvStream>,
        is_only: bool,
    ) -> Result<(Option<Reservation>, Option<Large>), Exhausted> {
        let headers = request.headers();
        let head: usize = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum();
        let body = match request.body().is_end_stream() {
            true => Some(0),
            false => length(headers),
        };
        // More of a body is reserved by what collects it.
        let size = STREAM + head as u64 + body.unwrap_or(SMALL).min(SMALL);
        let held = (!is_only || size > 2 * SMALL).then(|| self.account.reserve(size));
        let held = held.transpose()?;
        let large = body.filter(|body| *body > SMALL);
        let large = large.map(|body| self.begin_large(body)).transpose()?;
        Ok((held, large))
    }

    /// Begins a body that is not small, of so many bytes.
    pub(super) fn begin_large(self: &Arc<Self>, length: u64) -> Result<Large, Exhausted> {
        let mut unread = self.unread();
        let mut held = match unread.held.take() {
            Some(held) => held,
            None => self.account.nothing(),
        };
        let (window, large) = (u64::from(WINDOW), u64::from(LARGE_WINDOW));
        if !unread.is_large && length > window {
            unread.is_large = held.try_grow_to(large).is_ok();
        }
        let reserved = held.grow_to(if unread.is_large { large } else { window });
        if reserved.is_ok() || unread.bodies > 0 {
            unread.held = Some(held);
        }
        reserved?;
        unread.bodies += 1;
        drop(unread);
        Ok(Large(Arc::clone(self)))
    }

    /// Whether the client may send [`LARGE_WINDOW`].
    pub(super) fn is_large(&self) -> bool {
        self.unread().is_large
    }

    fn unread(&self) -> MutexGuard<'_, Unread> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of `Date`.
    pub(super) fn date(&self) -> HeaderValue {
        let mut date = self.date.lock().unwrap_or_else(PoisonError::into_inner);
        // As in HTTP/1.1, where hyper writes it, it is the machine's. Nothing depends on it.
        let now = SystemClock::new().now().seconds();
        if date.0 != now {
            let since = Duration::from_secs(now.unsigned_abs());
            if let Ok(text) = HeaderValue::try_from(httpdate::fmt_http_date(UNIX_EPOCH + since)) {
                *date = (now, text);
            }
        }
        date.1.clone()
    }
}

/// Answers a request that reaches no site.
fn refuse(mut respond: SendResponse<Part>, status: StatusCode) {
    let mut response = Response::new(());
    *response.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let soon = HeaderValue::from_static("5");
        response.headers_mut().insert(RETRY_AFTER, soon);
    }
    let _ = respond.send_response(response, true);
}
