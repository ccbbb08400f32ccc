-- Beside the horizon of what was forgotten, the greatest session id that was. Of what was forgotten so far
-- no more is known than that its ids had been given.
INSERT INTO meta (key, value)
SELECT 'forgotten', nextval(pg_get_serial_sequence('sessions', 'id')) FROM meta
WHERE key = 'horizon';
