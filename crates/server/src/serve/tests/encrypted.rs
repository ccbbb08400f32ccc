//! Clients within TLS that do not read, of either protocol.

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};
use tokio::task::yield_now;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;

/// A certificate for localhost, and a client that trusts it and offers this protocol.
fn certificate(protocol: &str) -> (CertifiedKey, TlsConnector) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let secret = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let certified = CertifiedKey::new(
        vec![certificate.der().clone()],
        any_supported_type(&secret).unwrap(),
    );
    (certified, TlsConnector::from(Arc::new(config)))
}

/// Sends what a client of the protocol sends to ask for `/large`, with room for all of it.
async fn ask(stream: &mut TlsStream<TcpStream>, protocol: &str) {
    let mut asked = Vec::new();
    if protocol == "h2" {
        asked.extend(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        // SETTINGS and WINDOW_UPDATE: two gigabytes.
        asked.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0, 0, 0]);
        asked.extend([0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0, 0, 0]);
        asked.extend([0, 0, 13, 1, 5, 0, 0, 0, 1, 0x82, 0x87, 0x41, 1, b'a', 4, 6]);
        asked.extend(b"/large");
    } else {
        asked.extend(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    stream.write_all(&asked).await.unwrap();
}

#[tokio::test]
async fn a_reader_that_stalls_is_cut_off() {
    for protocol in ["http/1.1", "h2"] {
        let (certified, connector) = certificate(protocol);
        let memory = Budget::new(128 << 20);
        let large = Router::new().route("/large", get(|| async { vec![b'x'; 32 << 20] }));
        let settings = Settings {
            write_timeout: Duration::from_millis(300),
            tls: Some(Tls::new(certified).unwrap()),
            ..Settings::default()
        };
        let server = Running::start_site(site_within(&memory, large), settings).await;
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = connector
            .connect(name, server.connect().await)
            .await
            .unwrap();
        assert_eq!(
            client.get_ref().1.alpn_protocol(),
            Some(protocol.as_bytes())
        );
        ask(&mut client, protocol).await;
        for is_right in [|used| used > 0, |used| used == 0] {
            let waiting = async {
                while !is_right(memory.used()) {
                    yield_now().await;
                }
            };
            let waited = timeout(Duration::from_secs(20), waiting).await;
            assert!(waited.is_ok(), "{protocol}: {} bytes", memory.used());
        }
        let mut all = Vec::new();
        let _ = client.read_to_end(&mut all).await;
        assert!(all.len() < 32 << 20, "{protocol}");
    }
}
