-- Times are microseconds since 1970-01-01T00:00:00Z. Ids are never reused.

CREATE TABLE meta (
    key TEXT COLLATE "C" PRIMARY KEY,
    value BIGINT NOT NULL
);

-- The last sequence number given to a closed session. Whoever gives one holds this row until it commits.
INSERT INTO meta (key, value) VALUES ('closures', 0);

CREATE TABLE accounts (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    realm TEXT COLLATE "C" NOT NULL,
    username TEXT,
    email TEXT,
    display_name TEXT,
    password_hash TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT
);

CREATE INDEX accounts_by_realm ON accounts (realm, id);

CREATE INDEX accounts_with_email ON accounts (id)
WHERE realm = 'default' AND email IS NOT NULL;

-- The one name space of a realm: usernames and e-mail addresses in their prepared forms. An account
-- whose two names have the same form has one row.
CREATE TABLE login_names (
    realm TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    account_id BIGINT NOT NULL REFERENCES accounts (id),
    CONSTRAINT login_name_taken PRIMARY KEY (realm, name)
);

CREATE TABLE sessions (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id BIGINT NOT NULL REFERENCES accounts (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    refresh_counter BIGINT NOT NULL,
    refreshed_at BIGINT NOT NULL,
    closed_at BIGINT,
    close_reason TEXT COLLATE "C",
    user_agent TEXT,
    CHECK ((closed_at IS NULL) = (close_reason IS NULL))
);

CREATE INDEX open_sessions_by_account ON sessions (account_id, id)
WHERE closed_at IS NULL;

CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- The feed of closed sessions, in the order of their commits: `seq` comes from `meta`, not from a
-- sequence, whose numbers are given in the order of asking.
CREATE TABLE session_closures (
    seq BIGINT PRIMARY KEY,
    session_id BIGINT NOT NULL UNIQUE REFERENCES sessions (id),
    closed_at BIGINT NOT NULL
);

CREATE TABLE customers (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name TEXT NOT NULL,
    born TEXT COLLATE "C" NOT NULL, -- YYYY-MM-DD
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE INDEX customers_by_birth ON customers (born DESC, id);

CREATE TABLE files (
    owner BIGINT NOT NULL REFERENCES accounts (id),
    name TEXT COLLATE "C" NOT NULL,
    size BIGINT NOT NULL,
    sha256 BYTEA NOT NULL,
    content_type TEXT NOT NULL,
    uploaded_at BIGINT NOT NULL,
    blob TEXT COLLATE "C" NOT NULL UNIQUE,
    PRIMARY KEY (owner, name)
);

-- What a folder of key files is to one server, for all the servers of this database.
CREATE TABLE signing_keys (
    purpose TEXT COLLATE "C" PRIMARY KEY,
    key TEXT COLLATE "C" NOT NULL
);
