-- Beside the horizon of what was forgotten, the greatest session id that was. Of what was forgotten so far
-- no more is known than that its ids had been given.
INSERT INTO meta (key, value)
SELECT 'forgotten', seq FROM sqlite_sequence
WHERE name = 'sessions' AND EXISTS (SELECT 1 FROM meta WHERE key = 'horizon');
