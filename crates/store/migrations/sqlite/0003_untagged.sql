-- From here on tokens carry the tag of their database. Those of sessions up to this id may have been issued before, by
-- a server of an earlier version.
INSERT INTO meta (key, value)
SELECT 'untagged', seq + 1048576 FROM sqlite_sequence
WHERE name = 'sessions';
