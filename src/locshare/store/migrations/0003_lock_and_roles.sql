-- Whether the host lets anybody else join, and who of the participants joined as the host: for the
-- host's seat, which is kept. What a token may do is not looked up here.

ALTER TABLE sessions ADD COLUMN locked boolean NOT NULL DEFAULT false;
ALTER TABLE participants ADD COLUMN role varchar(20) NOT NULL DEFAULT 'participant'
    CHECK (role IN ('participant', 'host'));
