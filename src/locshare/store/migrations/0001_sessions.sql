-- Sessions and the people in them. Positions are in no table.
--
-- Never edit a migration that was released: its checksum is recorded in every database.

CREATE TABLE sessions (
    id            uuid PRIMARY KEY,
    name          varchar(255) NOT NULL CHECK (name <> ''),
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    creator_id    uuid NOT NULL,
    is_active     boolean NOT NULL DEFAULT true,
    last_activity timestamptz NOT NULL DEFAULT now(),
    CHECK (expires_at > created_at)
);

-- The two questions of the sweep, over the few sessions that are live.
CREATE INDEX sessions_live_expiry ON sessions (expires_at) WHERE is_active;
CREATE INDEX sessions_live_activity ON sessions (last_activity) WHERE is_active;
-- The question of the purge.
CREATE INDEX sessions_over_expiry ON sessions (expires_at) WHERE NOT is_active;

CREATE TABLE participants (
    id           uuid PRIMARY KEY,
    session_id   uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    user_id      varchar(255) NOT NULL CHECK (user_id <> ''),
    display_name varchar(100) NOT NULL CHECK (display_name <> ''),
    avatar_color varchar(7) NOT NULL DEFAULT '#FF5733' CHECK (avatar_color ~ '^#[0-9A-Fa-f]{6}$'),
    joined_at    timestamptz NOT NULL DEFAULT now(),
    last_seen    timestamptz NOT NULL DEFAULT now(),
    is_active    boolean NOT NULL DEFAULT true
);

-- A token names a session and a user_id: they find one participant. Also the foreign key's index.
CREATE UNIQUE INDEX participants_of_session ON participants (session_id, user_id);
