//! The program on a terminal: its password prompt, which asks twice and shows nothing, and its log, which is text there.

use std::io::{self, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::server::{Server, keyward_with, program};

/// Runs a command on a terminal of its own, types each line once a prompt stands and the terminal does not echo,
/// and prints what the terminal showed.
const TERMINAL: &str = r#"
import os, pty, sys, termios, time
typed, command = sys.stdin.read().split("\n"), sys.argv[1:]
child, terminal = pty.fork()
if child == 0:
    os.execv(command[0], command)
shown = b""
def read():
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""
for line in typed:
    while not shown.endswith(b": "):
        more = read()
        if not more:
            break
        shown += more
    else:
        until = time.monotonic() + 20
        while termios.tcgetattr(terminal)[3] & termios.ECHO and time.monotonic() < until:
            time.sleep(0.01)
        os.write(terminal, line.encode() + b"\n")
        shown += b"\n"
while more := read():
    shown += more
sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

/// The exit code and what the terminal showed; `None`, said visibly, without a Python.
fn type_into(folder: &Path, args: &str, lines: &str) -> Option<(i32, String)> {
    type_with(folder, args, &[], lines)
}

/// As [`type_into`], with these variables.
fn type_with(
    folder: &Path,
    args: &str,
    env: &[(&str, &str)],
    lines: &str,
) -> Option<(i32, String)> {
    let keyward = program(folder, args, env);
    let mut command = Command::new("python3");
    command
        .args(["-c", TERMINAL])
        .arg(keyward.get_program())
        .args(keyward.get_args())
        .current_dir(folder)
        .env_clear();
    for (name, value) in keyward.get_envs() {
        command.env(name, value.expect("a value"));
    }
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            let mut stderr = io::stderr();
            writeln!(stderr, "skipped: a terminal: python3: {error}").unwrap();
            return None;
        }
    };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines.as_bytes()).unwrap();
    drop(stdin);
    let ended = child.wait_with_output().unwrap();
    let shown = String::from_utf8(ended.stdout).unwrap();
    Some((ended.status.code().unwrap_or(-1), shown))
}

#[tokio::test]
async fn a_password_is_asked_for_twice_and_never_shown() {
    let folder = TempDir::new().unwrap();
    let add = "account add --username alice";
    let Some((code, shown)) = type_into(folder.path(), add, "s3cret é\ns3cret é") else {
        return;
    };
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("Password: ") && shown.contains("Once more: "),
        "{shown}"
    );
    assert!(shown.contains("added account 1"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
    let server = Server::start(folder.path());
    server.log_in("alice", "s3cret é").await;

    let set = "account set-password alice";
    let (code, shown) = type_into(folder.path(), set, "0ne\nother").unwrap();
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("the two passwords differ"), "{shown}");
    assert!(!shown.contains("0ne"), "{shown}");
    server.log_in("alice", "s3cret é").await;
    let (code, shown) = type_into(folder.path(), set, "an0ther\nan0ther").unwrap();
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("an0ther"), "{shown}");
    server.log_in("alice", "an0ther").await;
}

#[test]
fn an_empty_password_is_refused_on_a_terminal_too() {
    let folder = TempDir::new().unwrap();
    let add = "account add --username alice";
    if let Some((code, shown)) = type_into(folder.path(), add, "\n") {
        assert_eq!(code, 2, "{shown}");
        assert!(shown.contains("must not be empty"), "{shown}");
    }
}

#[test]
fn the_log_is_text_on_a_terminal_and_json_elsewhere() {
    let folder = TempDir::new().unwrap();
    // The server warns of the key and then finds its port taken.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let args = format!("serve --listen {}", taken.local_addr().unwrap());
    let weak = "secret".repeat(8);
    let env = [
        ("KEYWARD_LOG__FORMAT", "auto"),
        ("JWT_SECRET", weak.as_str()),
    ];
    let elsewhere = keyward_with(folder.path(), &args, &env, "").failed(1);
    let line = elsewhere.lines().next().unwrap();
    let line: serde_json::Value = serde_json::from_str(line).expect(line);
    assert_eq!(line["log.level"], "warn");
    let Some((code, shown)) = type_with(folder.path(), &args, &env, "") else {
        return;
    };
    assert_eq!(code, 1, "{shown}");
    let line = shown
        .lines()
        .find(|line| line.contains("WARN"))
        .expect(&shown);
    assert!(line.contains("weak") && !line.contains('{'), "{line}");
    assert!(
        !shown.contains(&weak) && !shown.contains("log.level"),
        "{shown}"
    );
}
