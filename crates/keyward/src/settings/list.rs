//! The list of settings: each with its type, its default and what it does. Nothing else in the
//! program names a key, a default or an explanation.

use std::net::SocketAddr;
use std::path::PathBuf;

use keyward_core::secret::SecretText;
use keyward_jose::Algorithm;
use keyward_server::address::TrustedProxies;
use keyward_server::hosts::HostList;

use super::declare::settings;
use super::value::{Budget, Count, Database, LogFilter, LogFormat, Size, Span};

settings! {
    /// Where Keyward listens and keeps its data.
    place "": Place {
        /// The address and port to listen on; port 0 takes a free one. The variable PORT changes the port alone.
        listen: SocketAddr = "127.0.0.1:5000";
        /// The folder of the database, the keys and the files, made at the first start (mode 0700).
        /// A relative path is taken from the folder that Keyward is started in.
        data_dir: PathBuf = "./keyward-data";
        /// Where the rows are kept: empty for SQLite in the data folder, "sqlite:PATH", or for PostgreSQL, which
        /// several servers may share, "postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full". PostgreSQL
        /// keeps the keys that are made as well. On a command line others can read a password: set it here or as
        /// KEYWARD_DATABASE.
        database: Database = "";
    }

    /// The keys that sign, and how long tokens and sessions live.
    tokens "tokens.": Tokens {
        /// The algorithm of login tokens: HS256, HS384 or HS512. Also read from JWT_ALGO.
        algorithm: Algorithm = "HS256";
        /// The key of login tokens: its UTF-8 bytes, at least 32, 48 or 64 for the algorithm. Also read from
        /// JWT_SECRET. Empty: a random key is made at the first start and kept in the data folder.
        secret: Option<SecretText> = "";
        /// A file that holds the key of login tokens instead; a line break at its end is left out.
        secret_file: Option<PathBuf> = "";
        /// The key of the notary (POST /generateToken), at least 64 bytes. Empty: made and kept, likewise.
        notary_key: Option<SecretText> = "";
        /// A file that holds the notary's key instead.
        notary_key_file: Option<PathBuf> = "";
        /// The life of an access token that comes with a refresh token.
        access_ttl: Span<1> = "10m";
        /// The life of a refresh token; each one works once.
        refresh_ttl: Span<1> = "30d";
        /// The life of a session, however often it is refreshed.
        session_span: Span<1> = "365d";
        /// The life of the single token of the user directory and the vector generator.
        single_ttl: Span<1> = "24h";
        /// The life of a file exchange token.
        exchange_ttl: Span<1> = "365d";
        /// How long after a refresh the used token is answered with its successor again, for clients whose answer
        /// got lost. Off at 0s. While it is on, a stolen token can be used within that time without being noticed.
        refresh_grace: Span = "0s";
        /// How far the clocks of two machines may be apart.
        leeway: Span = "5s";
        /// The issuer ("iss") of file exchange tokens.
        issuer: String = "Keyward";
    }

    /// Sessions that several servers share.
    sessions "sessions.": Sessions {
        /// How old what a server knows of closed sessions may be where others close some too (PostgreSQL). Beyond
        /// that it asks the database about each token, and answers 503 where it cannot.
        feed_bound: Span<1> = "2s";
    }

    /// What hashing a password costs (Argon2id, one lane).
    passwords "passwords.": Passwords {
        /// Memory of a hash, KiB.
        memory_kib: Count<8, 262_144> = 19456;
        /// Passes over that memory.
        passes: Count<1, 16> = 2;
        /// Threads that hash, each with memory of its own; 0 is one for each core.
        threads: Count<0, 1_024> = 0;
        /// How many hashes may wait for a thread; beyond that a login is answered with 503.
        queue: Count<1, 1_000_000> = 256;
    }

    /// The file exchange.
    files "files.": Files {
        /// The largest file; on S3 at most 78 GiB.
        max_size: Size = "1GiB";
        /// How many files an operator may have; one more is answered with 507.
        max_files: Count<1, 1_000_000> = 10000;
        /// How many bytes the files of an operator may have together; an upload beyond that is answered with 507.
        /// Never less than max_size.
        max_bytes_per_operator: Size = "10GiB";
        /// How many bytes all unfinished uploads of this server may have together; beyond that an upload is answered
        /// with 507. Never less than max_size.
        max_unfinished: Size = "10GiB";
        /// How long an upload may take from its first byte to its last; on S3 at most 12h. Then it is answered with 408.
        upload_timeout: Span<1> = "12h";
        /// How much of the disk of the data folder uploads must leave free: below that they are answered with 507, so that
        /// logins, logouts and closed sessions can always be written. SQLite needs up to 64 MiB of it for its log and
        /// the rest for growth. It does not apply to a bucket.
        min_free: Size = "128MiB";
        /// Where the bytes of files are kept: empty for the data folder, or a bucket, which several servers may share:
        /// "s3://BUCKET" or "s3://BUCKET/PREFIX". The settings below are for a bucket alone.
        url: Option<String> = "";
        /// The server that speaks S3, "https://HOST" or "https://HOST:PORT". Empty: Amazon's for the region.
        endpoint: Option<String> = "";
        /// The region that requests are signed for. Empty: that of the variable AWS_REGION, or us-east-1.
        region: Option<String> = "";
        /// Whether the bucket is named in the path rather than in the host name, as most servers but Amazon's want it.
        path_style: bool = false;
        /// Whether the endpoint may begin with http://, which sends files unencrypted.
        allow_http: bool = false;
        /// The id of the access key. Empty: the AWS_* variables say who this server is, or the machine's role does.
        key_id: Option<String> = "";
        /// The secret access key.
        secret: Option<SecretText> = "";
        /// A file that holds the secret access key instead; a line break at its end is left out.
        secret_file: Option<PathBuf> = "";
    }

    /// Connections.
    http "http.": Http {
        /// How long a client may take to send a request's header.
        header_timeout: Span<1> = "10s";
        /// How long a client may pause while it sends a body. It may also fall behind a rate of 100 bytes a second by
        /// twice that time. A body that is no file may take three minutes in all.
        body_timeout: Span<1> = "30s";
        /// How long a client may pause while it takes an answer. It may also fall behind a rate of 1,000 bytes a second
        /// by twice that time.
        write_timeout: Span<1> = "30s";
        /// How long a connection may wait for its next request.
        idle_timeout: Span<1> = "75s";
        /// How many connections there may be.
        max_connections: Count<1, 1_000_000> = 10000;
        /// How many of one address (an IPv6 /64 counts as one).
        max_connections_per_address: Count<1, 1_000_000> = 1000;
        /// How much memory everything that waits for clients may take together: bodies that are still on their way and
        /// answers that are not taken yet. One address may use half of it. Beyond it the answer is 503.
        memory_budget: Budget = "64MiB";
        /// The proxies whose X-Forwarded-For is believed, as addresses or networks: ["10.0.0.0/8", "::1"].
        trusted_proxies: TrustedProxies = [];
        /// The hosts that requests may name, without ports: ["keyward.example.org", "*.example.org"]. ["*"]: any. Empty:
        /// any, but on a loopback address only its names and addresses, and any that a trusted proxy passes on.
        hosts: HostList = [];
        /// Whether each request is logged: method, route, status and time, never what was sent.
        access_log: bool = true;
        /// Whether Swagger UI and the OpenAPI document are served.
        docs: bool = true;
    }

    /// Rate limits, each a number a minute with bursts of the same size; beyond them the answer is 429. 0 switches one off.
    limits "limits.": Limits {
        /// Whether there are limits; off only for load tests.
        enabled: bool = true;
        /// Logins to one account, by whichever of its names.
        logins_per_account: Count<0, 1_000_000> = 10;
        /// Logins from one address (an IPv6 /64 counts as one).
        logins_per_address: Count<0, 1_000_000> = 60;
        /// Sign-ups from one address.
        sign_ups_per_address: Count<0, 1_000_000> = 20;
        /// Sign-ups under one account name.
        sign_ups_per_account_name: Count<0, 1_000_000> = 20;
        /// Refreshes from one address.
        refreshes_per_address: Count<0, 1_000_000> = 600;
        /// Calls of /generate_array by one account.
        arrays_per_account: Count<0, 1_000_000> = 120;
        /// Calls of every other guarded path by one account.
        guarded_per_account: Count<0, 1_000_000> = 3000;
        /// Requests to the notary from one address. Each server counts them alone, also with a Redis.
        notary_per_address: Count<0, 1_000_000> = 6000;
        /// A Redis in which several servers count together, as "redis://HOST:PORT" or "rediss://…" with TLS. While it
        /// does not answer each server counts alone. They must have the same login key.
        redis: Option<SecretText> = "";
    }

    /// Which of the services that Keyward replaces are served.
    contracts "contracts.": Contracts {
        /// The token notary: /generateToken, /verifyToken.
        notary: bool = true;
        /// The user directory: /, /signup, /users, and /login with an e-mail address.
        directory: bool = true;
        /// The file exchange: /ops, /client, /logout.
        exchange: bool = true;
        /// The vector generator: /register, /generate_array, and /login with a username.
        vectors: bool = true;
        /// The customers API: /api/v1/authentication, /api/v1/customers.
        customers: bool = true;
    }

    /// The log, on standard error.
    log "log.": Log {
        /// What is logged: off, error, warn, info, debug, trace, or a filter such as "info,keyward_server=debug".
        level: LogFilter = "info";
        /// One line of text or one JSON object for each event: text or json.
        format: LogFormat = "text";
    }
}
