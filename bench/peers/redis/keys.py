"""The keys in Redis, and the three changes that must be atomic.

Of a session: a hash of its fields (``name``, times, ``ended``, ``seq``), a hash of its participants
in JSON by id, a hash of when each was last seen. Of a participant: a key with the id of the
connection, which its worker renews, and a key with the position. All have an expiry, so that
nothing has to be swept.
"""

RENEWAL_S = 15
"""How often a worker renews the presence of its connections…"""
PRESENCE_S = 45
"""…and after which time without renewal they count as gone."""


def session(session_id: str) -> str:
    """Hash: ``name``, ``created_at``, ``expires_at``, ``ended`` when it has, ``seq``."""
    return f"session:{session_id}"


def participants(session_id: str) -> str:
    """Hash: user id to participant."""
    return f"session:{session_id}:participants"


def last_seen(session_id: str) -> str:
    """Hash: user id to time."""
    return f"session:{session_id}:last_seen"


def presence(session_id: str, user_id: str) -> str:
    """The id of the participant's connection, on whichever worker."""
    return f"session:{session_id}:presence:{user_id}"


def position(session_id: str, user_id: str) -> str:
    """The last one, in JSON."""
    return f"session:{session_id}:position:{user_id}"


def channel(session_id: str) -> str:
    """Pub/sub: to all workers with connections of this session."""
    return f"session:{session_id}:channel"


# KEYS: the session, its participants, last_seen. ARGV: user id, participant, time, seats, expiry.
JOIN = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 'SESSION_NOT_FOUND' end
if redis.call('HEXISTS', KEYS[1], 'ended') == 1 then return 'SESSION_ENDED' end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[4]) then return 'SESSION_FULL' end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
redis.call('EXPIREAT', KEYS[2], ARGV[5])
redis.call('EXPIREAT', KEYS[3], ARGV[5])
return 'OK'
"""

# KEYS: the session. 1 for the first who ends it.
END = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
return redis.call('HSETNX', KEYS[1], 'ended', '1')
"""

# KEYS: a presence. ARGV: the id of the connection that is gone. 1 when it was the newest.
GONE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
