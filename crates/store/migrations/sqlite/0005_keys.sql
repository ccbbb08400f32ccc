-- The ring of signing keys, whose secrets are sealed by a master key that is not in the database. Each change replaces
-- the version, a random number, under the key 'keys'.
CREATE TABLE keys (
    kid INTEGER PRIMARY KEY,
    purpose TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    signs_from INTEGER NOT NULL,
    signs_until INTEGER,
    verifies_until INTEGER,
    lifetime INTEGER NOT NULL, -- microseconds
    master INTEGER NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

INSERT INTO meta (key, value) VALUES ('keys', 0);
-- Clients may have refresh tokens under the key that earlier versions derived.
INSERT INTO meta (key, value)
SELECT 'upgraded', 1 WHERE EXISTS (SELECT 1 FROM sessions);
