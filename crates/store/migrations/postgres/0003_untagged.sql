-- From here on tokens carry the tag of their database. Those of sessions up to this id may have been issued before, by
-- a server of an earlier version; the million beyond the last one is for such servers that still run.
INSERT INTO meta (key, value)
SELECT 'untagged', nextval(pg_get_serial_sequence('sessions', 'id')) + 1048576
WHERE EXISTS (SELECT 1 FROM sessions)
    OR EXISTS (SELECT 1 FROM meta WHERE key IN ('epoch', 'horizon'));
