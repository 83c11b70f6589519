-- What the join link of a session has after the id, once the host has replaced the first link. Links
-- that were made before stay as they are.

ALTER TABLE sessions ADD COLUMN link_key varchar(64) NOT NULL DEFAULT '';
