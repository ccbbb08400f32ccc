-- Times are microseconds since 1970-01-01T00:00:00Z. Ids are never reused.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    realm TEXT NOT NULL,
    username TEXT,
    email TEXT,
    display_name TEXT,
    password_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT;

CREATE INDEX accounts_by_realm ON accounts (realm, id);

CREATE INDEX accounts_with_email ON accounts (id)
WHERE realm = 'default' AND email IS NOT NULL;

-- The one name space of a realm: usernames and e-mail addresses in their prepared forms. An account
-- whose two names have the same form has one row.
CREATE TABLE login_names (
    realm TEXT NOT NULL,
    name TEXT NOT NULL,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    PRIMARY KEY (realm, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    refresh_counter INTEGER NOT NULL,
    refreshed_at INTEGER NOT NULL,
    closed_at INTEGER,
    close_reason TEXT,
    user_agent TEXT,
    CHECK ((closed_at IS NULL) = (close_reason IS NULL))
) STRICT;

CREATE INDEX open_sessions_by_account ON sessions (account_id, id)
WHERE closed_at IS NULL;

CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- The feed of closed sessions, in the order of their commits.
CREATE TABLE session_closures (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id INTEGER NOT NULL UNIQUE REFERENCES sessions (id),
    closed_at INTEGER NOT NULL
) STRICT;

CREATE TABLE customers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    born TEXT NOT NULL, -- YYYY-MM-DD
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
) STRICT;

CREATE INDEX customers_by_birth ON customers (born DESC, id);

CREATE TABLE files (
    owner INTEGER NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL COLLATE BINARY,
    size INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    content_type TEXT NOT NULL,
    uploaded_at INTEGER NOT NULL,
    blob TEXT NOT NULL UNIQUE,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;
