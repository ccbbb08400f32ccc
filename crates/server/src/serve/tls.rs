//! TLS: the handshake, and the certificate, which can be replaced while connections are served.
//!
//! Invariant: a handshake takes no longer than the head of a request may take, and no more memory than every connection
//! may hold ([`FREE`]).

use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use keyward_core::memory::FREE;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::transport::Transport;

/// The name of HTTP/2 in a handshake (RFC 7301).
const HTTP2: &[u8] = b"h2";

/// The TLS of a listener. Clones share the certificate.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Offers TLS 1.2 and 1.3 with this certificate and its key.
    ///
    /// # Errors
    /// When the cryptographic library has no cipher suite for them, or no randomness.
    pub fn new(certificate: CertifiedKey) -> Result<Self, rustls::Error> {
        let certificate = Arc::new(Certificate {
            current: RwLock::new(Arc::new(certificate)),
            presented: Notify::new(),
        });
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(certificate.clone());
        config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
        // With tickets the client keeps the state of a session, so it takes no memory here.
        config.ticketer = Ticketer::new()?;
        config.ignore_client_order = true;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate,
        })
    }

    /// Presents another certificate from the next handshake on. Established connections are not affected.
    pub fn replace(&self, certificate: CertifiedKey) {
        let current = &self.certificate.current;
        *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
    }

    /// Waits for the next handshake. The files of the certificate are looked at only then, so an idle server is never
    /// woken for them.
    pub async fn presented(&self) {
        self.certificate.presented.notified().await;
    }

    /// Accepts the handshake of a client. Fails if it is not complete within `limit`.
    pub(super) async fn accept(&self, stream: TcpStream, limit: Duration) -> io::Result<Encrypted> {
        let stream = Handshaking {
            stream,
            left: Some(FREE),
        };
        let handshake = self.acceptor.accept_with(stream, |connection| {
            connection.set_buffer_limit(Some(FREE));
        });
        let mut stream = timeout(limit, handshake).await??;
        stream.get_mut().0.left = None;
        Ok(Encrypted(stream))
    }
}

/// The certificate of a listener.
struct Certificate {
    current: RwLock<Arc<CertifiedKey>>,
    presented: Notify,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Certificate")
            .finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.presented.notify_one();
        let current = self.current.read();
        Some(Arc::clone(&current.unwrap_or_else(PoisonError::into_inner)))
    }
}

/// The stream of clear text inside TLS.
pub(super) struct Encrypted(TlsStream<Handshaking>);

impl Encrypted {
    /// The negotiated version, for the log.
    pub(super) fn version(&self) -> Option<ProtocolVersion> {
        self.0.get_ref().1.protocol_version()
    }

    /// Whether the two sides agreed on HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.0.get_ref().1.alpn_protocol() == Some(HTTP2)
    }
}

impl Transport for Encrypted {
    fn socket(&self) -> &TcpStream {
        &self.0.get_ref().0.stream
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// The socket below TLS. While the handshake is under way, at most `left` more bytes may be read from it.
struct Handshaking {
    stream: TcpStream,
    left: Option<usize>,
}

impl AsyncRead for Handshaking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(left) = &mut self.left {
            let more = buffer.filled().len() - before;
            *left = left.checked_sub(more).ok_or_else(|| {
                io::Error::new(ErrorKind::InvalidData, "the handshake is too long")
            })?;
        }
        read
    }
}

impl AsyncWrite for Handshaking {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
