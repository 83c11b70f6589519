import { describe, expect, test } from "vitest";
import { happenings } from "../../src/core/happenings";
import { linkPart, parseLink } from "../../src/core/link";
import type { ServerMessage, SnapshotData } from "../../src/core/protocol";
import { EMPTY, everyone, locatedMyself, reduce, type SessionState } from "../../src/core/session";

const NOW = 1_000_000;
const SEEN = "2026-03-01T12:00:00Z";

const person = (user_id: string, display_name: string) => ({
  user_id,
  display_name,
  avatar_color: "#112233",
  joined_at: "2026-03-01T11:00:00Z",
  last_seen: "2026-03-01T11:59:00Z",
  is_active: true,
  online: true,
});

function snapshot(change: Partial<SnapshotData> = {}): ServerMessage {
  return {
    type: "session_state",
    data: {
      session: {
        id: "s",
        name: "Alps",
        created_at: "2026-03-01T11:00:00Z",
        expires_at: "2026-03-01T13:00:00Z",
        locked: false,
      },
      you: { user_id: "me", role: "participant" },
      participants: [person("me", "Ada"), person("bo", "Bo")],
      positions: [{ user_id: "bo", lat: 1, lng: 2, age_ms: 5_000 }],
      server_time: "2026-03-01T12:00:00Z",
      epoch: "e1",
      seq: 4,
      ...change,
    },
  };
}

const started = (): SessionState => reduce(EMPTY, snapshot(), NOW);

describe("the snapshot", () => {
  test("puts the server's times on the clock of the page", () => {
    const state = started();
    expect(state.session?.expiresAt).toBe(NOW + 3_600_000);
    expect(state.people.get("bo")?.lastSeen).toBe(NOW - 60_000);
    expect(state.positions.get("bo")).toMatchObject({ at: NOW - 5_000, heard: NOW });
  });

  test("keeps the last position of those who are still there", () => {
    const later = reduce(started(), snapshot({ positions: [] }), NOW + 60_000);
    expect(later.positions.get("bo")?.at).toBe(NOW - 5_000);
    const alone = reduce(later, snapshot({ positions: [], participants: [] }), NOW + 61_000);
    expect(alone.positions.size).toBe(0);
  });

  test("says where to resume, and events move it on", () => {
    expect(started()).toMatchObject({ epoch: "e1", seq: 4 });
    const state = reduce(
      started(),
      { type: "session_updated", data: { locked: true, seq: 9 } },
      NOW,
    );
    expect(state.seq).toBe(9);
    expect(state.session?.locked).toBe(true);
  });
});

describe("the join link", () => {
  const updated = (locked: boolean, link_key?: string): ServerMessage => ({
    type: "session_updated",
    data: link_key === undefined ? { locked } : { locked, link_key },
  });

  test("has no key until the first one is replaced, and then the newest", () => {
    let state = started();
    expect(state.session?.linkKey).toBe("");
    state = reduce(state, updated(false, "one"), NOW);
    expect(state.session).toMatchObject({ linkKey: "one", locked: false });
    state = reduce(state, updated(true), NOW);
    expect(state.session).toMatchObject({ linkKey: "one", locked: true });
    const { data } = snapshot() as { data: SnapshotData };
    const session = { ...data.session, link_key: "two" };
    expect(reduce(state, snapshot({ session }), NOW).session?.linkKey).toBe("two");
  });

  test("is news when it is another one", () => {
    const state = reduce(started(), updated(false, "one"), NOW);
    expect(happenings(state, updated(false, "two"))).toEqual([{ kind: "new_link" }]);
    expect(happenings(state, updated(false, "one"))).toEqual([]);
    expect(happenings(state, updated(true, "one"))).toEqual([{ kind: "locked" }]);
  });

  test("is read with and without a key, and nothing else is one", () => {
    const id = "6f1c9d0e-8f0e-4a5b-9f57-0d7a4f0b3c11";
    const key = "abcdefghijklmnopqrstuv27";
    expect(parseLink(id.toUpperCase())).toEqual({ id, key: "" });
    expect(parseLink(`${id}-${key}`)).toEqual({ id, key });
    expect(linkPart({ id, key })).toBe(`${id}-${key}`);
    expect(linkPart({ id, key: "" })).toBe(id);
    for (const other of ["", "x", `${id}-`, `${id}-${key}a`, `${id}-${key.slice(1)}1`, `${id}0`]) {
      expect(parseLink(other)).toBeNull();
    }
  });
});

test("a position that comes before its participant is shown once they are announced", () => {
  let state = reduce(
    started(),
    { type: "positions", data: [{ user_id: "cy", lat: 3, lng: 4 }] },
    NOW,
  );
  expect(everyone(state).map((each) => each.name)).toEqual(["Ada", "Bo"]);
  const data = { user_id: "cy", display_name: "Cy", avatar_color: "#000000" };
  state = reduce(state, { type: "participant_joined", data }, NOW);
  state = reduce(
    state,
    { type: "participant_updated", data: { user_id: "cy", online: true, last_seen: SEEN } },
    NOW,
  );
  expect(everyone(state).map((each) => each.place?.lat)).toEqual([undefined, 1, 3]);
});

test("who leaves is gone with their position", () => {
  const state = reduce(
    started(),
    { type: "participant_left", data: { user_id: "bo", reason: "left" } },
    NOW,
  );
  expect(state.people.has("bo")).toBe(false);
  expect(state.positions.has("bo")).toBe(false);
});

test("the own position is of this device, and the old state stays as it was", () => {
  const before = started();
  const after = locatedMyself(before, { lat: 5, lng: 6, timestamp: "2026-03-01T12:00:00Z" }, NOW);
  expect(after.positions.get("me")?.lat).toBe(5);
  expect(before.positions.has("me")).toBe(false);
});

test("a new role is known, and mine too", () => {
  const data = { user_id: "me", online: true, last_seen: SEEN, role: "host" } as const;
  const state = reduce(started(), { type: "participant_updated", data }, NOW);
  expect(state.me?.role).toBe("host");
  expect(state.people.get("me")?.role).toBe("host");
});

test("what is not understood changes nothing", () => {
  const state = started();
  expect(reduce(state, { type: "pong", data: {} }, NOW)).toBe(state);
});

describe("what happened", () => {
  test("is told by name, and not of oneself", () => {
    const state = started();
    const left: ServerMessage = {
      type: "participant_left",
      data: { user_id: "bo", reason: "removed" },
    };
    expect(happenings(state, left)).toEqual([{ kind: "removed", name: "Bo" }]);
    const me = { user_id: "me", display_name: "Ada", avatar_color: "#000000" };
    expect(happenings(state, { type: "participant_joined", data: me })).toEqual([]);
  });

  test("while one was away is told with the snapshot, but not who came and went", () => {
    const joined = (user_id: string): ServerMessage => ({
      type: "participant_joined",
      data: { user_id, display_name: user_id.toUpperCase(), avatar_color: "#000000" },
    });
    const left = (user_id: string): ServerMessage => ({
      type: "participant_left",
      data: { user_id, reason: "left" },
    });
    const host = (user_id: string): ServerMessage => ({
      type: "participant_updated",
      data: { user_id, online: true, last_seen: SEEN, role: "host" },
    });
    const shut: ServerMessage = { type: "session_updated", data: { locked: true } };
    const missed = [
      joined("cy"),
      joined("di"),
      left("cy"),
      host("di"),
      shut,
      left("bo"),
      host("me"),
    ];
    const participants = [person("me", "Ada"), person("di", "DI")];
    expect(happenings(started(), snapshot({ missed, participants }))).toEqual([
      { kind: "joined", name: "DI" },
      { kind: "host", name: "DI" },
      { kind: "locked" },
      { kind: "left", name: "Bo" },
      { kind: "host_me" },
    ]);
  });
});
