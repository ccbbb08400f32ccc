-- The ring of signing keys, whose secrets are sealed by a master key that is not in the database. Each change replaces
-- the version, a random number, under the key 'keys'.
CREATE TABLE keys (
    kid BIGINT PRIMARY KEY,
    purpose TEXT COLLATE "C" NOT NULL,
    algorithm TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    signs_from BIGINT NOT NULL,
    signs_until BIGINT,
    verifies_until BIGINT,
    lifetime BIGINT NOT NULL, -- microseconds
    master BIGINT NOT NULL,
    sealed BYTEA NOT NULL
);

INSERT INTO meta (key, value) VALUES ('keys', 0);
-- Clients may have refresh tokens under the key that earlier versions derived.
INSERT INTO meta (key, value)
SELECT 'upgraded', 1 WHERE EXISTS (SELECT 1 FROM sessions);
