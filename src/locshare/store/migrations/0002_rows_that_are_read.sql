-- Only who is in a session is kept: leaving deletes the row, and with it the token's participant.
-- So a session has as many rows as it has people, however often they come and go.

DELETE FROM participants WHERE NOT is_active;

-- Loading a session reads its people and nobody else's row, whatever an older program leaves behind.
CREATE INDEX participants_active_of_session ON participants (session_id) WHERE is_active;

-- Readiness writes here: one row of nearly a page, so that each write needs room on the disk.
CREATE TABLE readiness (
    id         integer PRIMARY KEY CHECK (id = 1),
    written_at timestamptz NOT NULL,
    filler     text NOT NULL
);
ALTER TABLE readiness ALTER COLUMN filler SET STORAGE PLAIN;
