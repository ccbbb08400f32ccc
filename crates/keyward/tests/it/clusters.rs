//! PostgreSQL clusters that a test makes for itself: a primary, and a standby that can be left behind and promoted.
//!
//! They need PostgreSQL's programs on this machine. Where those are not, this is said visibly and the tests end at once.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use crate::authority::Issued;

/// Where Debian and its relatives install the versions.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Who runs them where the test runs as root, which PostgreSQL refuses.
const USER: &str = "postgres";

/// Small, with durable commits as in production.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
max_connections = 80
shared_buffers = 16MB
wal_level = replica
hot_standby = on
log_min_messages = warning
";

/// A running cluster, killed when it is dropped.
pub(crate) struct Cluster {
    programs: PathBuf,
    home: TempDir,
    pub(crate) port: u16,
}

impl Cluster {
    /// A primary; `None` where PostgreSQL's programs are not installed.
    pub(crate) fn primary() -> Option<Self> {
        let cluster = Self::init()?;
        cluster.configure(SETTINGS);
        cluster.start();
        Some(cluster)
    }

    /// A primary that speaks TLS; `None` likewise.
    pub(crate) fn primary_with_tls(issued: &Issued) -> Option<Self> {
        let cluster = Self::init()?;
        cluster.write(issued);
        cluster.configure(&format!(
            "{SETTINGS}ssl = on\nssl_cert_file = '../server.crt'\nssl_key_file = '../server.key'\n"
        ));
        cluster.start();
        Some(cluster)
    }

    /// Presents this certificate from now on, or a moment later.
    pub(crate) fn present(&self, issued: &Issued) {
        self.write(issued);
        self.run("pg_ctl", &["-D", &self.data(), "reload"]);
    }

    fn write(&self, issued: &Issued) {
        for (name, text) in [
            ("server.crt", &issued.certificate),
            ("server.key", &issued.key),
        ] {
            let file = self.home.path().join(name);
            fs::write(&file, text).expect("a file");
            fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("permissions");
            give_away(&file);
        }
    }

    fn init() -> Option<Self> {
        let Some(programs) = find_programs() else {
            writeln!(
                std::io::stderr(),
                "skipped: a standby of PostgreSQL: there is no {VERSIONS}/*/bin/initdb"
            )
            .expect("standard error");
            return None;
        };
        let cluster = Self::make(programs);
        let data = cluster.data();
        cluster.run(
            "initdb",
            &["-D", &data, "-A", "trust", "-U", USER, "-E", "UTF8"],
        );
        Some(cluster)
    }

    /// A standby that receives what the primary at `port` writes, asynchronously.
    pub(crate) fn standby_of(&self, port: u16) -> Self {
        let standby = Self::make(self.programs.clone());
        let (data, from) = (standby.data(), self.port.to_string());
        standby.run(
            "pg_basebackup",
            &[
                "-D",
                &data,
                "-h",
                "127.0.0.1",
                "-p",
                &from,
                "-U",
                USER,
                "-c",
                "fast",
                "-X",
                "stream",
            ],
        );
        standby.configure(&format!(
            "primary_conninfo = 'host=127.0.0.1 port={port} user={USER}'\n"
        ));
        fs::write(Path::new(&data).join("standby.signal"), "").expect("the cluster's folder");
        standby.start();
        standby
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&self) {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "-t", "60", "promote"]);
    }

    /// Ends all its processes at once, as a power cut does.
    pub(crate) fn kill(&self) {
        let file = Path::new(&self.data()).join("postmaster.pid");
        let Ok(text) = fs::read_to_string(file) else {
            return;
        };
        let pid = text.lines().next().expect("a process").to_owned();
        let children = Command::new("ps")
            .args(["-o", "pid=", "--ppid", &pid])
            .output();
        let children = String::from_utf8(children.expect("ps").stdout).expect("numbers");
        // One that has ended meanwhile is no failure.
        _ = Command::new("kill")
            .arg("-9")
            .arg(&pid)
            .args(children.split_whitespace())
            .output();
    }

    /// Runs one of PostgreSQL's client programs on the cluster's database.
    pub(crate) fn client_program(&self, name: &str, args: &[&str]) -> Output {
        let port = self.port.to_string();
        let all = [
            &["-h", "127.0.0.1", "-p", &port, "-U", USER, "-d", USER],
            args,
        ]
        .concat();
        self.run(name, &all)
    }

    /// A plain connection.
    pub(crate) async fn client(&self) -> Client {
        let url = format!("postgres://{USER}@127.0.0.1:{}/{USER}", self.port);
        let (client, connection) = tokio_postgres::connect(&url, NoTls)
            .await
            .expect("the cluster");
        tokio::spawn(connection);
        client
    }

    fn make(programs: PathBuf) -> Self {
        let home = TempDir::new().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        give_away(home.path());
        Self {
            programs,
            home,
            port,
        }
    }

    fn data(&self) -> String {
        self.home.path().join("data").display().to_string()
    }

    fn configure(&self, settings: &str) {
        let file = Path::new(&self.data()).join("postgresql.conf");
        let mut file = fs::File::options()
            .append(true)
            .open(file)
            .expect("the settings");
        let (port, sockets) = (self.port, self.home.path().display());
        let own = format!("{settings}port = {port}\nunix_socket_directories = '{sockets}'\n");
        file.write_all(own.as_bytes()).expect("the settings");
    }

    fn start(&self) {
        let log = self.home.path().join("log");
        let log = log.to_string_lossy();
        self.run(
            "pg_ctl",
            &["-D", &self.data(), "-w", "-t", "60", "-l", &log, "start"],
        );
    }

    fn run(&self, name: &str, args: &[&str]) -> Output {
        let program = self.programs.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", USER, "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.home.path()).args(args);
        // The server that is started keeps what it inherits open.
        let output = if args.contains(&"start") {
            let null = std::process::Stdio::null;
            let status = command.stdout(null()).stderr(null()).status();
            Output {
                status: status.expect("the program starts"),
                stdout: Vec::new(),
                stderr: Vec::new(),
            }
        } else {
            command.output().expect("the program starts")
        };
        let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
        assert!(
            output.status.success(),
            "{name} {args:?}: {output:?}\n{log}"
        );
        output
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}

fn find_programs() -> Option<PathBuf> {
    let mut versions: Vec<_> = fs::read_dir(VERSIONS)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|programs| programs.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop()
}

/// Makes a file or a folder belong to who runs the cluster.
fn give_away(path: &Path) {
    if is_root() {
        let owned = Command::new("chown").arg(USER).arg(path).status();
        assert!(owned.expect("chown").success());
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id");
    id.stdout == b"0\n"
}
