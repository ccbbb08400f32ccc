//! The binary under test: commands that run to their end, and a server that is killed when dropped.
//!
//! Nothing of the test's own environment reaches it but `PATH`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempPath};

use crate::secrets::{Secrets, without_purpose};

/// How long the program may take to start or stop before a test fails.
const PATIENCE: Duration = Duration::from_secs(40);
/// Settings of tests: hashes as cheap as can be, no limits, a log for people, and no metrics, whose usual port only one
/// server can have.
const CHEAP: [(&str, &str); 5] = [
    ("KEYWARD_LOG__FORMAT", "text"),
    ("KEYWARD_METRICS__LISTEN", "off"),
    ("KEYWARD_LIMITS__ENABLED", "false"),
    ("KEYWARD_PASSWORDS__MEMORY_KIB", "8"),
    ("KEYWARD_PASSWORDS__PASSES", "1"),
];

/// What a command that has ended left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program, to be started in `folder`; its arguments are separated by spaces.
pub(crate) fn program(folder: &Path, args: &str, env: &[(&str, &str)]) -> Command {
    program_at(Path::new(env!("CARGO_BIN_EXE_keyward")), folder, args, env)
}

/// As [`program`], for another build of it.
pub(crate) fn program_at(
    program: &Path,
    folder: &Path,
    args: &str,
    env: &[(&str, &str)],
) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .args(args.split_whitespace())
        .env_clear();
    #[expect(
        clippy::disallowed_methods,
        reason = "the program is found by its own path, PATH is for it"
    )]
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.envs(CHEAP);
    // Servers that share a database need one master key.
    if env
        .iter()
        .any(|(name, value)| *name == "KEYWARD_DATABASE" && value.starts_with("postgres"))
    {
        command.env("KEYWARD_KEYS__MASTER_KEY_FILE", master_key());
    }
    command.envs(env.iter().copied());
    command
}

/// A file with a master key, for all databases of this process.
fn master_key() -> &'static Path {
    static FILE: OnceLock<TempPath> = OnceLock::new();
    FILE.get_or_init(|| {
        let mut file = NamedTempFile::new().expect("a file");
        write!(file, "{}", "5a".repeat(32)).expect("the key");
        file.into_temp_path()
    })
}

/// The secret of the key that signs for `purpose`.
pub(crate) fn secret_of(folder: &Path, purpose: &str, env: &[(&str, &str)]) -> String {
    let keys = keyward_with(folder, "keys list --json", env, "").json();
    let signs = |key: &&Value| key["purpose"] == purpose && key["state"] == "active";
    let key = keys
        .as_array()
        .expect("a list")
        .iter()
        .find(signs)
        .expect("a key");
    let show = format!("keys show --secret {}", key["id"].as_str().expect("an id"));
    keyward_with(folder, &show, env, "")
        .fine()
        .trim_end()
        .to_owned()
}

/// Runs a command to its end, with nothing on its standard input.
pub(crate) fn keyward(folder: &Path, args: &str) -> Ended {
    keyward_with(folder, args, &[], "")
}

/// Runs a command to its end, with these variables and this input.
pub(crate) fn keyward_with(folder: &Path, args: &str, env: &[(&str, &str)], input: &str) -> Ended {
    let mut command = program(folder, args, env);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    // A command that does not read its input has closed it.
    let _ = child
        .stdin
        .take()
        .expect("stdin")
        .write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    let ended = Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    };
    let mut secrets = secrets_of(env);
    // Passwords and tokens that were typed.
    for line in input.lines() {
        secrets.add(line);
    }
    // The example explains a header with a token.
    if !args.starts_with("config example") {
        for text in [&without_purpose(args, &ended.stdout), &ended.stderr] {
            assert_eq!(secrets.found(text), None, "{args}");
        }
    }
    ended
}

impl Ended {
    /// The standard output of a command that must have succeeded.
    #[track_caller]
    pub(crate) fn fine(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// As [`fine`](Self::fine), read as JSON.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        serde_json::from_str(&self.fine()).expect("JSON")
    }

    /// The standard error of a command that must have ended with `code`.
    #[track_caller]
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        self.stderr
    }
}

/// A running server.
pub(crate) struct Server {
    child: Child,
    /// Its address, as its ready line names it.
    pub(crate) url: String,
    client: Client,
    log: PathBuf,
    rest: mpsc::Receiver<String>,
    /// What its log must not contain.
    secrets: Mutex<Secrets>,
}

impl Server {
    /// A server on a free port, its data and log in `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, "", &[])
    }

    /// A server with further arguments and variables.
    pub(crate) fn start_with(folder: &Path, args: &str, env: &[(&str, &str)]) -> Self {
        let args = format!("serve --listen 127.0.0.1:0 {args}");
        Self::start_exactly(folder, &args, env)
    }

    /// A server with exactly these arguments; it must print its ready line.
    pub(crate) fn start_exactly(folder: &Path, args: &str, env: &[(&str, &str)]) -> Self {
        Self::start_command(folder, program(folder, args, env), env)
    }

    /// A server that this command starts in `folder`, which knows the secrets of `env`.
    pub(crate) fn start_command(folder: &Path, mut command: Command, env: &[(&str, &str)]) -> Self {
        let log = folder.join("server.log");
        let errors = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("log");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors);
        let mut child = command.spawn().expect("the program starts");
        let (ready, rest) = read_stdout(&mut child);
        let line = ready.recv_timeout(PATIENCE).unwrap_or_default();
        let Some(url) = line.strip_prefix("ready ") else {
            let _ = child.kill();
            let _ = child.wait();
            panic!(
                "not ready: {line:?}, log:\n{}",
                std::fs::read_to_string(&log).unwrap()
            );
        };
        Self {
            child,
            url: url.trim_end().to_owned(),
            client: Client::new(),
            log,
            rest,
            secrets: Mutex::new(secrets_of(env)),
        }
    }

    /// Checks that the log has no secret.
    fn assert_no_secret(&self) {
        // A test may have removed the folder, and what fails already says why.
        let Ok(log) = std::fs::read(&self.log) else {
            return;
        };
        if thread::panicking() {
            return;
        }
        let secrets = self.secrets.lock().unwrap();
        if let Some(why) = secrets.found(&String::from_utf8_lossy(&log)) {
            panic!("{why}");
        }
    }

    /// The file of its standard error, which outlives it.
    pub(crate) fn log_path(&self) -> PathBuf {
        self.log.clone()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("log")
    }

    /// A `GET` of a path.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    /// A `POST` to a path.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    /// Logs in by username (vectors) and gives the token.
    pub(crate) async fn log_in(&self, username: &str, password: &str) -> String {
        let answer = self.try_log_in(username, password).await;
        assert_eq!(answer.status(), 200, "{}", self.log());
        answer.json::<Value>().await.unwrap()["token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Tries to log in by username (vectors).
    pub(crate) async fn try_log_in(&self, username: &str, password: &str) -> Response {
        self.secrets.lock().unwrap().add(password);
        let body = json!({"username": username, "password": password});
        self.post("/login")
            .json(&body)
            .send()
            .await
            .expect("an answer")
    }

    /// Registers a username (vectors).
    pub(crate) async fn register(&self, username: &str, password: &str) {
        self.secrets.lock().unwrap().add(password);
        let body = json!({"username": username, "password": password});
        let answer = self
            .post("/register")
            .json(&body)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200, "{}", self.log());
    }

    /// The status that a guarded path answers to this token.
    pub(crate) async fn status_for(&self, token: &str) -> u16 {
        let request = self.get("/api/v1/customers/customers").bearer_auth(token);
        request.send().await.expect("an answer").status().as_u16()
    }

    /// Asks the guarded path until it refuses the token, and tells how long that took.
    pub(crate) async fn time_until_refused(&self, token: &str) -> Duration {
        let start = Instant::now();
        loop {
            let status = self.status_for(token).await;
            if status == 401 {
                return start.elapsed();
            }
            let waits = start.elapsed() < PATIENCE;
            assert!(
                waits,
                "the token is not refused but {status}: {}",
                self.log()
            );
        }
    }

    /// Sends a signal, such as `TERM`, to the process.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .expect("kill");
        assert!(sent.success());
    }

    /// Asks it to stop, and gives its end and what it printed after its ready line.
    pub(crate) fn stop(self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.end()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                let rest = self.rest.recv_timeout(PATIENCE).unwrap_or_default();
                assert_eq!(self.secrets.lock().unwrap().found(&rest), None);
                return (status, rest);
            }
            assert!(
                start.elapsed() < PATIENCE,
                "it does not stop: {}",
                self.log()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it without notice, as a crash does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("an end");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.assert_no_secret();
    }
}

/// The secrets that these variables give a server.
fn secrets_of(env: &[(&str, &str)]) -> Secrets {
    let mut secrets = Secrets::default();
    for (name, value) in env {
        // A file of a secret is named by its path.
        let is_secret = ["SECRET", "NOTARY_KEY"]
            .iter()
            .any(|part| name.contains(part));
        if is_secret && !name.ends_with("_FILE") {
            secrets.add(value);
        }
        // The password in a URL.
        let credentials = value
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('@'));
        if let Some((_, password)) = credentials.and_then(|(user, _)| user.split_once(':')) {
            secrets.add(password);
        }
    }
    secrets
}

/// The first line of its standard output when that comes, and the rest when it ends.
fn read_stdout(child: &mut Child) -> (mpsc::Receiver<String>, mpsc::Receiver<String>) {
    let mut stdout = BufReader::new(child.stdout.take().expect("stdout"));
    let (ready, first) = mpsc::channel();
    let (after, rest) = mpsc::channel();
    thread::spawn(move || {
        let (mut line, mut remainder) = (String::new(), String::new());
        // What is not text is not the ready line either.
        let _ = stdout.read_line(&mut line);
        let _ = ready.send(line);
        let _ = stdout.read_to_string(&mut remainder);
        let _ = after.send(remainder);
    });
    (first, rest)
}
