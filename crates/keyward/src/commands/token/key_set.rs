//! Reads a JSON Web Key Set from a file or from the web.
//!
//! Invariant: whoever answers decides which tokens are good, so the answer must come over https with a certificate that
//! this machine trusts, or from this machine.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, Uri, header};
use hyper_util::rt::TokioIo;
use keyward_jose::KeySet;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::keyed;

/// How long to wait for the whole answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The text of a key set.
pub(super) fn read(place: &str) -> anyhow::Result<String> {
    if !place.contains("://") {
        return keyed::read(Path::new(place));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let fetched = runtime.block_on(async { timeout(PATIENCE, fetch(place)).await });
    fetched
        .unwrap_or_else(|_| Err(anyhow!("no answer in {} s", PATIENCE.as_secs())))
        .with_context(|| format!("{place} cannot be read"))
}

async fn fetch(url: &str) -> anyhow::Result<String> {
    let url: Uri = url.parse().context("this is no URL")?;
    let host = url.host().context("the URL names no host")?;
    // The brackets of an IPv6 address belong to the URL.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_tls = match url.scheme_str() {
        Some("https") => true,
        Some("http") if is_this_machine(bare) => false,
        Some("http") => {
            bail!("over http anybody on the way can change the keys: give an https URL, or a file")
        }
        _ => bail!("give an https URL, or a file"),
    };
    let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let stream = TcpStream::connect((bare, port))
        .await
        .with_context(|| format!("cannot connect to {host}:{port}"))?;
    if !is_tls {
        return fetch_on(stream, &url).await;
    }
    let name = ServerName::try_from(bare.to_owned()).context("the URL names no host")?;
    let connector = TlsConnector::from(Arc::new(trusting_the_system()?));
    let stream = connector.connect(name, stream).await;
    fetch_on(stream.context("no secure connection")?, &url).await
}

fn is_this_machine(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

async fn fetch_on<S>(stream: S, url: &Uri) -> anyhow::Result<String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let host = url.authority().map_or("", |authority| authority.as_str());
    let request = Request::get(path)
        .header(header::HOST, host)
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        // A set is refused by its length too; one byte more is enough to see that.
        let body = Limited::new(response.into_body(), KeySet::LONGEST + 1);
        let body = body.collect().await.map_err(|error| anyhow!(error))?;
        anyhow::Ok((status, body.to_bytes()))
    };
    // The connection ends after the exchange, or with an error that the exchange reports.
    let (answered, _) = tokio::join!(exchange, connection);
    let (status, body) = answered.context("no whole answer")?;
    if status != hyper::StatusCode::OK {
        bail!("the answer is {status}");
    }
    String::from_utf8(body.to_vec()).context("the answer is not UTF-8")
}

fn trusting_the_system() -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        bail!(
            "the operating system has no certificate authorities: install them (on Debian, the package ca-certificates)"
        );
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(config.with_no_client_auth())
}
