//! The list of settings: each with its name, its type, its default and what it does.
//!
//! Invariant: a default and an explanation stand here and nowhere else. A renamed setting keeps its former
//! name as `(was NAME)`, which is still read.

use std::net::SocketAddr;
use std::path::PathBuf;

use keyward_core::accounts::SignUps;
use keyward_core::secret::SecretText;
use keyward_jose::Algorithm;
use keyward_server::address::TrustedProxies;
use keyward_server::hosts::HostList;

use super::declare::settings;
use super::share::Share;
use super::value::{Budget, Count, Database, LogFilter, LogFormat, MetricsListen, Size, Span};

/// Adds a switch for each contract of the server between the sections.
macro_rules! declare_settings {
    ({ $($before:tt)* } { $($after:tt)* } $( $(#[doc = $doc:literal])+ $contract:ident )+) => {
        settings! {
            $($before)*

            /// Which of the replaced services are served.
            contracts "contracts.": Contracts {
                $( $(#[doc = $doc])+ $contract: bool = true; )+
            }

            $($after)*
        }
    };
}

keyward_server::contracts! { declare_settings {
    /// Where Keyward listens and where it keeps its data.
    place "": Place {
        /// The address and port to listen on. Port 0 takes a free port. The variable PORT changes the port alone.
        listen: SocketAddr = "127.0.0.1:5000";
        /// The data folder, for the database, the keys and the files. The first start creates it with mode 0700. A
        /// relative path starts at the folder that Keyward is started in.
        data_dir: PathBuf = "./keyward-data";
        /// The database. Empty: SQLite in the data folder. "sqlite:PATH": SQLite in that file.
        /// "postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full": PostgreSQL, which several servers can
        /// share. Set a URL with a password here or as KEYWARD_DATABASE: other
        /// users of the machine can read a command line.
        database: Database = "";
        /// A file with the value of `database`. One line break at the end of the file is ignored.
        database_file: Option<PathBuf> = "";
    }

    /// The signing keys, and how long tokens and sessions are valid.
    tokens "tokens.": Tokens {
        /// The signature algorithm of access tokens: HS256, HS384 or HS512. Also read from the variable JWT_ALGO.
        algorithm: Algorithm = "HS256";
        /// The key that signs access tokens. Its UTF-8 bytes are the key: at least 32 bytes for HS256, 48 for HS384, 64
        /// for HS512. Also read from the variable JWT_SECRET. Empty: the first start generates a random key and keeps it.
        access_token_secret (was secret): Option<SecretText> = "";
        /// A file with the key that signs access tokens. One line break at the end of the file is ignored.
        access_token_secret_file (was secret_file): Option<PathBuf> = "";
        /// The key that signs notary tokens (POST /generateToken), at least 64 bytes. Empty: the first start generates a
        /// random key and keeps it.
        notary_key: Option<SecretText> = "";
        /// A file with the key that signs notary tokens. One line break at the end of the file is ignored.
        notary_key_file: Option<PathBuf> = "";
        /// Lifetime of an access token that comes with a refresh token (customers API).
        access_ttl: Span<1> = "10m";
        /// Lifetime of a refresh token. Each refresh token works once.
        refresh_ttl: Span<1> = "30d";
        /// Maximum lifetime of a session. Refreshing its tokens does not extend it.
        session_max_lifetime (was session_span): Span<1> = "365d";
        /// Lifetime of an access token that comes without a refresh token (user directory and vector generator).
        standalone_access_ttl (was single_ttl): Span<1> = "24h";
        /// Lifetime of a file exchange token.
        exchange_access_ttl (was exchange_ttl): Span<1> = "365d";
        /// For this long after a refresh, the used refresh token returns the same new tokens again, for clients that lost
        /// the response. 0s: never. Within this time the use of a stolen refresh token goes unnoticed.
        refresh_grace: Span = "0s";
        /// Accepted clock difference between machines, when the times in a token are checked.
        leeway: Span = "5s";
        /// The issuer (claim "iss") of file exchange tokens.
        issuer: String = "Keyward";
    }

    /// The keys that the settings do not give: they are random, and replaced one after another.
    keys "keys.": Keys {
        /// The file of the master key, which encrypts the other keys in the database. Empty: master.key in the folder
        /// `keys` of the data folder. The first start makes the file. Servers that share a database need the same one.
        master_key_file: Option<PathBuf> = "";
        /// How long a new key is known to all servers before it signs.
        announce: Span<1> = "10m";
        /// The age at which the keys of access and refresh tokens are replaced. Tokens of the old key stay valid until
        /// they expire. 0s: never.
        rotate_every: Span = "90d";
    }

    /// Sessions that several servers share.
    sessions "sessions.": Sessions {
        /// With PostgreSQL: how stale a server's list of closed sessions may be. A server with an older list checks each
        /// token in the database, and answers 503 if it cannot reach the database.
        max_revocation_lag (was feed_bound): Span<1> = "2s";
    }

    /// The cost of hashing a password (Argon2id with one lane).
    passwords "passwords.": Passwords {
        /// Memory for one hash, in KiB.
        memory_kib: Count<8, 262_144> = 19456;
        /// Number of passes over the memory.
        passes: Count<1, 16> = 2;
        /// Number of hashing threads. Each has its own memory. 0: one thread for each core.
        threads: Count<0, 1_024> = 0;
        /// Number of hashes that may wait for a thread. Further logins are answered with 503.
        queue: Count<1, 1_000_000> = 256;
    }

    /// Who may sign up. `keyward account add` works with every value.
    accounts "accounts.": Accounts {
        /// Who may sign up: open (everybody), invited (with the code of an invitation in the header X-Invitation, see
        /// `keyward account invite`) or closed (nobody). Everybody else is answered with 403.
        sign_up: SignUps = "open";
        /// The same for the user directory and the vector generator. Empty: the value of accounts.sign_up.
        sign_up_default: Option<SignUps> = "";
        /// The same for operators of the file exchange. Empty: the value of accounts.sign_up.
        sign_up_ops: Option<SignUps> = "";
        /// The same for clients of the file exchange. Empty: the value of accounts.sign_up.
        sign_up_client: Option<SignUps> = "";
    }

    /// The file exchange.
    files "files.": Files {
        /// Maximum size of a file. On S3 at most 78 GiB.
        max_size: Size = "1GiB";
        /// Maximum number of files of one operator. Further uploads are answered with 507.
        max_files: Count<1, 1_000_000> = 10000;
        /// Maximum total size of the files of one operator. An upload beyond it is answered with 507. At least max_size.
        max_bytes_per_operator: Size = "10GiB";
        /// Maximum total size of all unfinished uploads to this server. An upload beyond it is answered with 507. At least
        /// max_size.
        max_unfinished: Size = "10GiB";
        /// Maximum duration of an upload, from its first byte to its last. On S3 at most 12h. A longer upload is answered
        /// with 408.
        upload_timeout: Span<1> = "12h";
        /// Free space that uploads leave on the disk of the data folder, so that logins, logouts and closed sessions can
        /// always be written. Below it, uploads are answered with 507. SQLite needs up to 64 MiB of it for its log.
        /// Not used with a bucket.
        min_free: Size = "128MiB";
        /// Where file contents are kept. Empty: in the data folder. "s3://BUCKET" or "s3://BUCKET/PREFIX": in a bucket,
        /// which several servers can share. The settings below apply to a bucket only.
        url: Option<String> = "";
        /// The S3 endpoint: "https://HOST" or "https://HOST:PORT". Empty: Amazon S3 in the region below.
        endpoint: Option<String> = "";
        /// The region for signing requests. Empty: the variable AWS_REGION, otherwise us-east-1.
        region: Option<String> = "";
        /// Put the name of the bucket in the path, not in the host name. Most servers other than Amazon S3 need this.
        path_style: bool = false;
        /// Allow an endpoint that begins with http://. Files then cross the network unencrypted.
        allow_http: bool = false;
        /// The access key ID. Empty: the AWS_* variables or the machine's role give the credentials.
        key_id: Option<String> = "";
        /// The secret access key.
        secret: Option<SecretText> = "";
        /// A file with the secret access key. One line break at the end of the file is ignored.
        secret_file: Option<PathBuf> = "";
    }

    /// HTTP connections.
    http "http.": Http {
        /// Close the connection if the header of a request does not arrive within this time.
        header_timeout: Span<1> = "10s";
        /// Give up on a request body when nothing arrives for this long, or when it falls behind 100 bytes per second by
        /// twice this time. A body other than a file must arrive within three minutes.
        body_timeout: Span<1> = "30s";
        /// Close the connection if the client reads nothing of the response for this long, or falls behind 1,000 bytes per
        /// second by twice this time.
        write_timeout: Span<1> = "30s";
        /// Close a connection that sends no further request for this long.
        idle_timeout: Span<1> = "75s";
        /// Maximum number of open connections. The redirect of tls.redirect_listen counts its connections separately.
        max_connections: Count<1, 1_000_000> = 10000;
        /// Maximum number of open connections from one address. An IPv6 /64 network counts as one address.
        max_connections_per_address: Count<1, 1_000_000> = 1000;
        /// Maximum number of concurrent requests on one connection of HTTP/2.
        max_streams: Count<1, 10_000> = 100;
        /// Accept HTTP/2 in clear text too, from clients that begin with it (h2c with prior knowledge), such as a proxy.
        /// With TLS it needs no setting.
        h2c: bool = false;
        /// Maximum memory for everything that waits for clients: request bodies that are still arriving and responses
        /// that are not yet read. One address can use half of it. Further requests are answered with 503.
        memory_budget: Budget = "64MiB";
        /// Addresses or networks of proxies whose X-Forwarded-For header is trusted, such as ["10.0.0.0/8", "::1"].
        trusted_proxies: TrustedProxies = [];
        /// The hosts that requests may name, without ports, such as ["keyward.example.org", "*.example.org"]. Empty or
        /// ["*"]: any host. With --demo, empty allows only loopback names and addresses, and any host that a trusted
        /// proxy passes on.
        hosts: HostList = [];
        /// Log each request: method, route, status and duration. Bodies, headers and query strings are never logged.
        access_log: bool = true;
        /// Serve Swagger UI and the OpenAPI document.
        docs: bool = true;
    }

    /// TLS, version 1.2 and 1.3. Without a certificate Keyward speaks clear text, for a proxy in front of it.
    tls "tls.": TlsSection {
        /// A file with the certificate in PEM, followed by those of the authorities between it and the root. The server
        /// reads a changed file when a client connects, and on SIGHUP.
        certificate_file: Option<PathBuf> = "";
        /// A file with the private key of the certificate in PEM.
        key_file: Option<PathBuf> = "";
        /// How long browsers must use https alone for this host (Strict-Transport-Security). A browser that has seen the
        /// header cannot be told otherwise before the time is over. 0s: the header is not sent.
        hsts: Span = "0s";
        /// An address and a port, such as "0.0.0.0:80", on which requests in clear text are redirected to https. It needs a
        /// list in http.hosts, so that nobody is redirected to a foreign host. At most a tenth of http.max_connections may
        /// be open there. Empty: no redirect.
        redirect_listen: Option<SocketAddr> = "";
        /// The port of the URLs that the redirect names. 0: the port of listen.
        redirect_port: Count<0, 65_535> = 0;
    }

    /// Rate limits, in requests per minute. As many requests may come at once. Further requests are answered with 429.
    /// 0 turns a limit off.
    limits "limits.": Limits {
        /// Apply the rate limits. Turn them off for load tests only.
        enabled: bool = true;
        /// Logins to one account, by any of its names.
        logins_per_account: Count<0, 1_000_000> = 10;
        /// Logins from one address. An IPv6 /64 network counts as one address.
        logins_per_address: Count<0, 1_000_000> = 60;
        /// Sign-ups from one address. 0 means no limit. To stop sign-ups, set accounts.sign_up = "closed".
        sign_ups_per_address: Count<0, 1_000_000> = 20;
        /// Sign-ups with one account name. 0 means no limit.
        sign_ups_per_account_name: Count<0, 1_000_000> = 20;
        /// Token refreshes from one address.
        refreshes_per_address: Count<0, 1_000_000> = 600;
        /// Requests to /generate_array by one account.
        arrays_per_account: Count<0, 1_000_000> = 120;
        /// All other requests with a token of one account.
        requests_per_account (was guarded_per_account): Count<0, 1_000_000> = 3000;
        /// Requests to the notary from one address. Each server counts alone, also with a Redis.
        notary_per_address: Count<0, 1_000_000_000> = 6000;
        /// A Redis server, "redis://HOST:PORT" or "rediss://HOST:PORT" with TLS. Servers of one database that name it count
        /// requests together. While Redis is unreachable, each server counts alone.
        redis: Option<SecretText> = "";
        /// A file with the URL of the Redis server. One line break at the end of the file is ignored.
        redis_file: Option<PathBuf> = "";
    }
} {
    /// Metrics for Prometheus.
    metrics "metrics.": Metrics {
        /// The address and port on which GET /metrics is answered, without authentication. The port must be free. "auto":
        /// 127.0.0.1:9464; if that port is taken, the log has a warning and no metrics are served. "off": no metrics.
        listen: MetricsListen = "auto";
    }

    /// Traces of requests, sent to an OpenTelemetry collector.
    traces "traces.": Traces {
        /// The collector's endpoint for OTLP over HTTP, such as "http://127.0.0.1:4318". Spans are sent to /v1/traces below
        /// it. Empty: nothing is traced.
        otlp_endpoint: Option<String> = "";
        /// A header that authenticates Keyward to the collector, such as "Authorization: Bearer TOKEN".
        header: Option<SecretText> = "";
        /// A file with that header. One line break at the end of the file is ignored.
        header_file: Option<PathBuf> = "";
        /// The share of requests that are traced: a number from "0" to "1". Requests of one trace are traced together.
        sampling: Share = "1";
        /// The name of the service in its traces.
        service_name: String = "keyward";
    }

    /// The log, which goes to standard error.
    log "log.": Log {
        /// What is logged: off, error, warn, info, debug, trace, or a filter such as "info,keyward_server=debug".
        level: LogFilter = "info";
        /// "text": one line of text for each event. "json": one JSON object for each event, on one line, with the names
        /// of the Elastic Common Schema. "auto": text on a terminal, JSON elsewhere.
        format: LogFormat = "auto";
    }
} }
