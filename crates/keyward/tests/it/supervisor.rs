//! The server under systemd: what it tells its supervisor, and a socket that it is given.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::server::{Server, keyward_with};

/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(40);

/// Becomes the program with a listening socket as its third file, as systemd starts it.
const ACTIVATE: &str = "
import os, socket, sys
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ['LISTEN_FDS'] = sys.argv[1]
os.environ['LISTEN_PID'] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
";

fn next(socket: &UnixDatagram) -> String {
    let mut message = [0; 256];
    let length = socket.recv(&mut message).expect("a message");
    String::from_utf8(message[..length].to_vec()).expect("text")
}

#[test]
fn the_supervisor_is_told_that_the_server_is_ready_lives_and_stops() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let env = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("WATCHDOG_USEC", "100000"),
    ];
    let server = Server::start_with(folder.path(), "", &env);
    let messages = [next(&socket), next(&socket), next(&socket)];
    assert_eq!(
        messages.each_ref().map(|text| text.trim()),
        ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
    );
    let (status, _) = server.stop();
    assert!(status.success());
    let mut last = next(&socket);
    while last.trim() == "WATCHDOG=1" {
        last = next(&socket);
    }
    assert_eq!(last.trim(), "STOPPING=1");
}

#[test]
fn the_server_listens_on_the_socket_that_it_is_given() {
    let folder = TempDir::new().unwrap();
    let start = |count: &str| {
        let mut command = Command::new("python3");
        command
            .args([
                "-c",
                ACTIVATE,
                count,
                env!("CARGO_BIN_EXE_keyward"),
                "serve",
            ])
            .args(["--listen", "192.0.2.1:1"])
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("KEYWARD_METRICS__LISTEN", "off")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().expect("python3")
    };
    let mut server = start("1");
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let port = lines.next().unwrap().unwrap();
    let ready = lines.next().map(Result::unwrap).unwrap_or_default();
    let _ = server.kill();
    let log = server.wait_with_output().unwrap();
    assert_eq!(ready, format!("ready http://127.0.0.1:{port}"), "{log:?}");

    let refused = start("2").wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("systemd passes 2 sockets"), "{told}");
    // Without the variables the setting counts.
    let refused = keyward_with(folder.path(), "serve --listen 192.0.2.1:1", &[], "");
    assert!(refused.failed(1).contains("cannot listen on 192.0.2.1:1"));
}
