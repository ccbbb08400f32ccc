//! `keyward health`: 0 for a ready server, 1 for any other, with the reason.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;

use tempfile::TempDir;

use crate::server::{Server, keyward, keyward_with};
use crate::tls;

/// An address of this machine on which something answers every request with `response`, and then ends.
fn answering(response: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1_024];
        let _ = stream.read(&mut request).unwrap();
        stream.write_all(response.as_bytes()).unwrap();
    });
    address
}

#[test]
fn a_ready_server_is_found_by_its_settings_or_its_address() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    let address = server.url.strip_prefix("http://").unwrap();
    let said = keyward(folder.path(), &format!("health --address {address}")).fine();
    assert_eq!(said, format!("the server on {address} is ready\n"));

    let settings = [("KEYWARD_LISTEN", address)];
    let told = keyward_with(folder.path(), "health --json", &settings, "").json();
    let expected = serde_json::json!({"address": address, "ready": true});
    assert_eq!(told, expected);

    // Of a server on every address, this machine's own is asked.
    let everywhere = address.replace("127.0.0.1", "0.0.0.0");
    let settings = [("KEYWARD_LISTEN", everywhere.as_str())];
    keyward_with(folder.path(), "health", &settings, "").fine();
}

#[test]
fn a_server_with_tls_is_asked_with_tls() {
    let folder = TempDir::new().unwrap();
    let server = tls::start(folder.path(), &tls::Issued::new(), &[]);
    let asked = format!("health --address {}", tls::address(&server));
    keyward_with(folder.path(), &asked, &tls::FILES, "").fine();
    // Without the settings of the certificate it is asked in clear text, which is not what it speaks.
    keyward(folder.path(), &asked).failed(1);
}

#[test]
fn a_server_that_is_not_ready_is_told_with_its_reason() {
    let folder = TempDir::new().unwrap();
    let away = answering(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 56\r\n\
         connection: close\r\n\r\n{\"status\":\"unavailable\",\"reason\":\"the database is away\"}\n",
    );
    let ended = keyward(folder.path(), &format!("health --json --address {away}"));
    let told: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(told["ready"], false);
    assert_eq!(told["reason"], "the database is away");
    let error = ended.failed(1);
    assert!(error.contains("the database is away"), "{error}");

    let stranger =
        answering("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let error = keyward(folder.path(), &format!("health --address {stranger}")).failed(1);
    assert!(error.contains("answered 404"), "{error}");

    // Nobody listens where the stranger did.
    let error = keyward(folder.path(), &format!("health --address {stranger}")).failed(1);
    assert!(error.contains("cannot connect"), "{error}");
}

#[test]
fn silence_is_not_waited_for() {
    let folder = TempDir::new().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let asked = format!("health --timeout 1s --address {address}");
    let error = keyward(folder.path(), &asked).failed(1);
    assert!(error.contains("no answer"), "{error}");
    let error = keyward_with(
        folder.path(),
        "health",
        &[("KEYWARD_LISTEN", "127.0.0.1:0")],
        "",
    )
    .failed(1);
    assert!(error.contains("--address"), "{error}");
    keyward(folder.path(), "health --timeout soon").failed(2);
}
