//! The ceiling: plain hyper that answers every request with a fixed body. Usage: `ceiling PORT LENGTH`.
//!
//! It reads only the head of a request, so any difference to a server's time is the server's own work.

use std::convert::Infallible;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body_util::Full;
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = || arguments.next().context("usage: ceiling PORT LENGTH");
    let port: u16 = number()?.parse()?;
    let body = Bytes::from(vec![b'x'; number()?.parse()?]);
    tokio::runtime::Runtime::new()?.block_on(serve(port, body))
}

async fn serve(port: u16, body: Bytes) -> anyhow::Result<()> {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        tokio::spawn(async move {
            let answer = service_fn(|_| {
                let mut response = Response::new(Full::new(body.clone()));
                response.headers_mut().insert(CONTENT_TYPE, JSON);
                std::future::ready(Ok::<_, Infallible>(response))
            });
            let connection = hyper::server::conn::http1::Builder::new();
            // Errors are ignored: a client may disconnect.
            let _ = connection
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}
