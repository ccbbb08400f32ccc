//! `keyward health`: asks a running server whether it is ready, for the probes of containers and supervisors.
//!
//! Invariant: it reads the settings and nothing else, so that it answers while the data folder is in use or not there yet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use keyward_store::tls::unverified_client;
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::output;
use crate::settings::{Flags, Span};

/// The most that is read of an answer, which is a short JSON object.
const LONGEST: usize = 16 * 1_024;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Address and port of the server [default: the setting `listen`, on this machine]
    #[arg(long, value_name = "ADDR:PORT")]
    address: Option<SocketAddr>,
    /// How long to wait for the answer
    #[arg(long, value_parser = span, default_value = "5s", value_name = "TIME")]
    timeout: Duration,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Report {
    address: SocketAddr,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

fn span(text: &str) -> Result<Duration, String> {
    let span = Span::<1>::parse(text).map(|span| span.0);
    span.ok_or_else(|| "must be a time from 1s, such as 5s or 1m".to_owned())
}

impl Arguments {
    pub(crate) fn run(self, flags: &Flags) -> anyhow::Result<()> {
        let settings = super::settings(flags)?;
        let address = match self.address {
            Some(address) => address,
            None => reachable(settings.listen)?,
        };
        let is_tls = settings.tls.is_some();
        let asked = async {
            let answer = timeout(self.timeout, ask(address, is_tls)).await;
            answer.unwrap_or_else(|_| {
                Err(anyhow!(
                    "no answer from {address} in {} s",
                    self.timeout.as_secs()
                ))
            })
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let reason = match runtime.block_on(asked) {
            Ok(()) => None,
            Err(error) => Some(format!("{error:#}")),
        };
        if self.json {
            let report = Report {
                address,
                ready: reason.is_none(),
                reason: reason.clone(),
            };
            output::json(&report)?;
        } else if reason.is_none() {
            output::line(&format!("the server on {address} is ready"))?;
        }
        match reason {
            None => Ok(()),
            Some(reason) => bail!("the server is not ready: {reason}"),
        }
    }
}

/// Where a server that listens on `listen` is reached from the same machine.
fn reachable(listen: SocketAddr) -> anyhow::Result<SocketAddr> {
    if listen.port() == 0 {
        bail!(
            "the setting `listen` leaves the port open: name the server's address with --address"
        );
    }
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Ok(SocketAddr::new(ip, listen.port()))
}

/// Asks the server at `address`.
///
/// # Errors
/// Why it is not ready.
async fn ask(address: SocketAddr, is_tls: bool) -> anyhow::Result<()> {
    let stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("cannot connect to {address}"))?;
    if !is_tls {
        return ask_on(stream, address).await;
    }
    // The address is known, the name in the certificate is not, and no secret is sent. `keyward doctor` reports a
    // certificate that has expired.
    let connector = TlsConnector::from(Arc::new(unverified_client()?));
    let stream = connector.connect(address.ip().into(), stream).await;
    ask_on(
        stream.with_context(|| format!("{address} speaks no TLS"))?,
        address,
    )
    .await
}

/// Asks over a connection that is there.
async fn ask_on<S>(stream: S, address: SocketAddr) -> anyhow::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/health/ready")
        .header(header::HOST, address.to_string())
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| anyhow!(error))?.to_bytes();
        anyhow::Ok((status, body))
    };
    // The connection ends after the exchange, or with an error that the exchange reports.
    let (answered, _) = tokio::join!(exchange, connection);
    let (status, body) = answered.with_context(|| format!("no whole answer from {address}"))?;
    if status.is_success() {
        return Ok(());
    }
    let told: Option<Value> = serde_json::from_slice(&body).ok();
    let told = told.as_ref().and_then(|told| told["reason"].as_str());
    match told {
        Some(told) => bail!("{told}"),
        None => bail!("{address} answered {status}, which Keyward does not"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_every_address_is_asked_on_loopback() {
        let asked = |listen: &str| {
            reachable(listen.parse().unwrap())
                .ok()
                .map(|asked| asked.to_string())
        };
        assert_eq!(asked("0.0.0.0:5000").as_deref(), Some("127.0.0.1:5000"));
        assert_eq!(asked("[::]:5000").as_deref(), Some("[::1]:5000"));
        assert_eq!(asked("192.0.2.7:80").as_deref(), Some("192.0.2.7:80"));
        assert_eq!(asked("127.0.0.1:0"), None);
    }
}
