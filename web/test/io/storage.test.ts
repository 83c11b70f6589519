import { beforeEach, expect, test } from "vitest";
import { Storage } from "../../src/io/storage";

const HOUR = 3_600_000;
const member = (endsAt: number) => ({
  userId: "u",
  token: "t",
  url: "ws://x",
  name: "Alps",
  endsAt,
  shares: true,
});

let wall: number;
let map: Map<string, string>;

/** As the browser's: its keys are own properties. */
function store(): globalThis.Storage {
  const methods = {
    getItem: (key: string) => map.get(key) ?? null,
    setItem: (key: string, value: string) => void map.set(key, value),
    removeItem: (key: string) => void map.delete(key),
  };
  return new Proxy(methods, {
    ownKeys: () => [...map.keys()],
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
  }) as unknown as globalThis.Storage;
}

let storage: Storage;

beforeEach(() => {
  wall = 1_000 * HOUR;
  map = new Map();
  storage = new Storage(store(), () => wall);
});

test("who comes back until the end of a session is the same person", () => {
  storage.keepMembership("a", member(wall + 6 * HOUR));
  wall += 5 * HOUR;
  expect(storage.membership("a")).toMatchObject({ token: "t" });
  expect(storage.memberships().map((each) => each.id)).toEqual(["a"]);
  wall += 2 * HOUR;
  expect(storage.memberships()).toEqual([]);
});

test("leaving erases the token and the picture, and keeps what a ban knows the device by", () => {
  const key = storage.deviceKey("a");
  storage.keepMembership("a", member(wall + HOUR));
  storage.keepPicture("a", { session: {} } as never);
  storage.forgetMembership("a");
  expect(storage.membership("a")).toBeNull();
  expect(storage.picture("a")).toBeNull();
  expect(storage.deviceKey("a")).toBe(key);
});

test("the end of a session erases all of it, and nothing of others", () => {
  for (const id of ["a", "b"]) {
    storage.keepMembership(id, member(wall + HOUR));
    storage.keepHost(id, { token: "h" });
    storage.deviceKey(id);
  }
  storage.keepProfile({ name: "Ada", color: "#112233" });
  storage.forgetSession("a");
  expect([...map.keys()].filter((key) => key.endsWith(":a"))).toEqual([]);
  expect(storage.host("b")).toMatchObject({ token: "h" });
  expect(storage.profile()?.name).toBe("Ada");
});

test("what is left of sessions that must be over goes when the next thing is kept", () => {
  storage.keepHost("old", { token: "h" });
  wall += 49 * HOUR;
  storage.keepHost("new", { token: "h" });
  expect(storage.host("old")).toBeNull();
});

test("what is left of a session that ended unheard goes at the next visit, with some patience", () => {
  for (const id of ["a", "b"]) {
    storage.keepMembership(id, member(wall + (id === "a" ? HOUR : 9 * HOUR)));
    storage.keepPicture(id, { session: {} } as never);
    storage.keepHost(id, { token: "h" });
  }
  wall += 1.5 * HOUR;
  new Storage(store(), () => wall).sweep();
  expect(storage.membership("a")).toMatchObject({ token: "t" });
  wall += HOUR;
  new Storage(store(), () => wall).sweep();
  expect([...map.keys()].filter((key) => key.endsWith(":a"))).toEqual([]);
  expect([...map.keys()].filter((key) => key.endsWith(":b"))).toHaveLength(3);
});

test("a device is known again in its session, and in no other", () => {
  const key = storage.deviceKey("a");
  expect(key).toMatch(/^[0-9a-f]{32}$/);
  expect(storage.deviceKey("a")).toBe(key);
  expect(storage.deviceKey("b")).not.toBe(key);
});

test("without storage the page works, and forgets", () => {
  const none = new Storage(null);
  none.keepProfile({ name: "Ada", color: "#112233" });
  expect(none.profile()).toBeNull();
  expect(none.memberships()).toEqual([]);
});

test("what is damaged is nothing", () => {
  map.set("locshare-member:a", "{");
  expect(storage.membership("a")).toBeNull();
});
