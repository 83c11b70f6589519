-- What is left of a session whose rows are gone, so that its host can be given a receipt: that there
-- was one, when it ended, how many rows were deleted and when. Nobody's name, and no id: the hash of
-- a random id of 122 bits, which only who has the id can make.

ALTER TABLE sessions ADD COLUMN ended_at timestamptz;

CREATE TABLE deletions (
    session_hash text PRIMARY KEY,
    ended_at     timestamptz,
    participants integer NOT NULL DEFAULT 0,
    deleted_at   timestamptz
);
CREATE INDEX deletions_oldest ON deletions (deleted_at);
