// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Actions, type Devices } from "../../src/app/actions";
import { type AppState, newState } from "../../src/app/state";
import { now } from "../../src/core/clock";
import { Refused } from "../../src/io/api";
import { Storage } from "../../src/io/storage";

const ROOT = "https://where.example/";
const ID = "5f3c6f0e-9f43-4c1e-8d3a-0d8a4d1f5b11";
const OTHER = "6f3c6f0e-9f43-4c1e-8d3a-0d8a4d1f5b22";
const pathOf = (id: string): string => `/join/${id}`;

class FakeSocket {
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readonly readyState = 1;
  readonly sent: { type: string; data: object }[] = [];
  readonly protocol = "locshare.v1";
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  readonly url: string;

  constructor(url: string) {
    this.url = url;
    FakeSocket.all.push(this);
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.onclose = null;
  }
  /** A session that ends in an hour by the server's clock. */
  snapshot(): void {
    const data = {
      session: { id: ID, name: "Alps", expires_at: "2030-01-01T13:00:00Z", locked: false },
      you: { user_id: "u", role: "participant" },
      participants: [],
      positions: [],
      server_time: "2030-01-01T12:00:00Z",
      epoch: "e",
      seq: 1,
    };
    this.onmessage?.({ data: JSON.stringify({ type: "session_state", data }) });
  }
}

let kept: Map<string, string>;
let answers: Map<string, (session: object) => void>;
let lifecycle: { isHidden: boolean; isOffline: boolean; listen: () => () => void };
let located: string[];
let removes: () => Promise<unknown>;
let joins: () => Promise<unknown>;
let state: AppState;
let actions: Actions;

/** Of one browser: each tab has its own object on the same store. */
const storage = (): Storage => {
  const methods = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => void kept.set(key, value),
    removeItem: (key: string) => void kept.delete(key),
  };
  const store = new Proxy(methods, {
    ownKeys: () => [...kept.keys()],
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
  });
  return new Storage(store as unknown as globalThis.Storage);
};

function tab(): { state: AppState; actions: Actions } {
  const devices = {
    api: {
      root: ROOT,
      describe: (id: string) =>
        new Promise((resolve) => answers.set(id, (session) => resolve(session))),
      remove: () => removes(),
      becomeHost: () => Promise.reject(new Refused(403, "FORBIDDEN", "", null)),
      create: () =>
        Promise.resolve({ session_id: ID, host_token: "h", host_key: "k", name: "Alps" }),
      join: () => joins(),
    },
    storage: storage(),
    locator: {
      current: null,
      start: () => located.push("start"),
      stop: () => located.push("stop"),
      resume: () => located.push("resume"),
    },
    screenLock: { set: () => Promise.resolve(false) },
    lifecycle,
  } as unknown as Devices;
  const its = newState();
  its.settings.value = devices.storage.settings();
  return { state: its, actions: new Actions(its, devices) };
}

const flushed = async (): Promise<void> => {
  for (let i = 0; i < 10; i += 1) await Promise.resolve();
};
const last = (): FakeSocket => FakeSocket.all[FakeSocket.all.length - 1]!;
const session = { is_active: true, name: "Alps", participant_count: 1 };

/** In the session, connected. */
async function enter(): Promise<void> {
  const membership = {
    userId: "u",
    token: "t",
    url: "wss://where.example/ws",
    name: "Alps",
    shares: true,
  };
  storage().keepMembership(ID, { ...membership, endsAt: Date.now() + 3_600_000 });
  await actions.open(pathOf(ID), "");
  last().snapshot();
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
  (window as unknown as { happyDOM: { setURL(url: string): void } }).happyDOM.setURL(ROOT);
  FakeSocket.all = [];
  kept = new Map();
  answers = new Map();
  located = [];
  removes = () => Promise.resolve({});
  joins = () => Promise.reject(new Refused(503, "UNAVAILABLE", "", 5));
  lifecycle = { isHidden: false, isOffline: false, listen: () => () => undefined };
  ({ state, actions } = tab());
});
afterEach(() => {
  for (const each of state.sessions.value) each.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("what a slow server says of a link that was left since changes nothing", async () => {
  const first = actions.open(pathOf(ID), "");
  await flushed();
  actions.home();
  answers.get(ID)!(session);
  await first;
  expect(state.screen.value.kind).toBe("home");

  const second = actions.open(pathOf(ID), "");
  await flushed();
  const third = actions.open(pathOf(OTHER), "");
  await flushed();
  answers.get(OTHER)!(session);
  await third;
  answers.get(ID)!(session);
  await second;
  expect(state.screen.value).toMatchObject({ kind: "join", link: { id: OTHER } });
});

test("who pauses in one tab shares nothing in another one, and no tab takes it back", async () => {
  await enter();
  const other = tab();
  other.actions.setPaused(true);
  actions.settingsChanged();
  expect(state.isPaused.value).toBe(true);
  expect(last().sent.map((each) => each.data)).toContainEqual({ state: "paused" });
  actions.set({ units: "imperial" });
  expect(storage().settings()).toEqual({ isPaused: true, units: "imperial" });
  other.actions.settingsChanged();
  other.actions.setPaused(false);
  actions.settingsChanged();
  expect(state.isPaused.value).toBe(false);
});

/** Join a session that runs for another hour. */
function join(id: string, shares: boolean): Promise<void> {
  joins = () =>
    Promise.resolve({ user_id: "u", websocket_token: "t", websocket_url: `wss://x/${id}` });
  const expires_at = new Date(Date.now() + 3_600_000).toISOString();
  const profile = { name: "Ada", color: "#123456" };
  return actions.join({ id, key: "" }, profile, shares, { name: "Alps", expires_at });
}

test("who only watches one session goes on sharing in another one", async () => {
  await join(ID, true);
  await join(OTHER, false);
  expect(state.sessions.value.map((each) => each.shares.value)).toEqual([true, false]);
  expect(state.active.value?.id).toBe(OTHER);
  actions.startSharing();
  actions.onlyWatch();
  const kept = (id: string) => storage().membership(id)?.shares;
  expect([kept(ID), kept(OTHER)]).toEqual([true, false]);
  for (const each of FakeSocket.all) each.snapshot();
  const data = { lat: 52, lng: 13, timestamp: "2030-01-01T12:00:00Z" };
  for (const each of state.sessions.value) each.located({ timestamp: 0, taken: now(), data });
  const senders = FakeSocket.all.filter((each) => each.sent.length > 0);
  expect(senders.map((each) => each.url)).toEqual([`wss://x/${ID}`]);
});

test("a join ends the pause of yesterday, and none that holds in another session", async () => {
  actions.setPaused(true);
  await join(ID, true);
  expect(state.isPaused.value).toBe(false);
  actions.setPaused(true);
  await join(OTHER, true);
  expect(state.isPaused.value).toBe(true);
});

test("a page that nobody sees wants positions seldom, also while it is paused", async () => {
  await enter();
  actions.setPaused(true);
  lifecycle.isHidden = true;
  actions.lifecycle("hidden");
  expect(last().sent).toEqual([
    { type: "presence", data: { state: "paused" } },
    { type: "set_pace", data: { interval_s: 30 } },
  ]);
});

test("after a long sleep another connection says how much time is left", async () => {
  await enter();
  const before = FakeSocket.all.length;
  actions.lifecycle("shown");
  expect(FakeSocket.all).toHaveLength(before);
  actions.lifecycle("slept");
  actions.lifecycle("shown");
  expect(FakeSocket.all).toHaveLength(before + 1);
  expect(last().url).toContain("resume=e.1");
});

test.each([
  ["hears it", () => Promise.resolve({}), ""],
  ["had let them go", () => Promise.reject(new Refused(403, "FORBIDDEN", "", null)), ""],
  ["cannot be reached", () => Promise.reject(new Refused(0, "", "", null)), "not be reached"],
])("who leaves without a connection is told whether the server %s", async (_, remove, says) => {
  await enter();
  const [model] = state.sessions.value;
  model!.drop();
  removes = remove;
  await actions.leave(model!);
  const { screen } = state;
  expect(screen.value).toMatchObject({ kind: "end", why: "left" });
  expect((screen.value as { detail: string }).detail).toContain(says);
  expect((screen.value as { detail: string }).detail === "").toBe(says === "");
  expect(storage().membership(ID)).toBeNull();
});

test("a server that is busy is no crowd, and a crowd is", () => {
  const said = (status: number): string => actions.explain(new Refused(status, "", "", 5));
  expect(said(503)).toBe("The server is busy, or starts again. Try again in 5 seconds.");
  expect(said(429)).toBe("Too many at once. Try again in 5 seconds.");
});

test("who is in the session already is told that a host's link is wrong", async () => {
  await enter();
  await actions.open(pathOf(ID), "#host=wrong");
  expect(state.notices.value.map((each) => each.text)).toEqual([
    "The host’s link is not the right one: you join like everyone else.",
  ]);
});

test("a session that was created and could not be joined is there to be joined, and why is said", async () => {
  const created = actions.create({ name: "Ada", color: "#123456" }, "", 6, true);
  created.catch(() => undefined);
  for (let i = 0; i < 5; i += 1) await flushed();
  answers.get(ID)!(session);
  await expect(created).rejects.toThrow(Refused);
  expect(state.screen.value).toMatchObject({ kind: "join", link: { id: ID }, host: "yes" });
  expect(state.notices.value[0]?.text).toContain("Try again in 5 seconds");
});

test("who has a clock that is a day fast comes back as the same person", async () => {
  const joined = { user_id: "u", websocket_token: "t", websocket_url: "wss://where.example/ws" };
  joins = () => Promise.resolve(joined);
  const expires_at = new Date(Date.now() - 23 * 3_600_000).toISOString(); // in an hour, there
  const profile = { name: "Ada", color: "#123456" };
  await actions.join({ id: ID, key: "" }, profile, false, { name: "Alps", expires_at });
  const mine = (): string[] =>
    storage()
      .memberships()
      .map((each) => each.id);
  expect(mine()).toEqual([ID]);
  last().snapshot();
  actions.lifecycle("hidden");
  vi.advanceTimersByTime(1_800_000);
  storage().sweep();
  expect(mine()).toEqual([ID]);
  expect(storage().membership(ID)?.endsAt).toBeCloseTo(Date.now() + 1_800_000, -4);
});
