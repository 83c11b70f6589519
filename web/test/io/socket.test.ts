import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Socket } from "../../src/io/socket";

/** What a browser's WebSocket does, driven by the test. */
class FakeSocket {
  static readonly OPEN = 1;
  static all: FakeSocket[] = [];
  readonly readyState = 1;
  readonly sent: string[] = [];
  readonly url: string;
  readonly offered: readonly string[];
  protocol = "locshare.v1";
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;

  constructor(url: string, offered: readonly string[]) {
    this.url = url;
    this.offered = offered;
    FakeSocket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(text);
  }

  close(): void {
    this.onclose = null;
  }

  says(text: string): void {
    this.onmessage?.({ data: text });
  }

  snapshot(): void {
    this.says('{"type":"session_state","data":{}}');
  }
}

const URL = "wss://where.example/ws";
let told: string[];
let socket: Socket;
let position: { epoch: string; seq: number } | null;

const last = (): FakeSocket => FakeSocket.all[FakeSocket.all.length - 1]!;
const count = (): number => FakeSocket.all.length;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("window", globalThis);
  vi.stubGlobal("WebSocket", FakeSocket);
  FakeSocket.all = [];
  told = [];
  position = null;
  socket = new Socket(URL, "TOKEN", {
    onMessage: ({ type }) => told.push(`message ${type}`),
    onStatus: (kind) => told.push(kind),
    onEnd: (why) => told.push(`end ${why}`),
    position: () => position,
  });
  socket.start();
});
afterEach(() => {
  socket.stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("the snapshot makes it live, and the token is in no address", () => {
  expect(last().url).toBe(URL);
  expect(last().offered).toContain("locshare.bearer.TOKEN");
  expect(socket.send({ type: "ping" })).toBe(false);
  last().snapshot();
  expect(told).toEqual(["connecting", "message session_state", "live"]);
  expect(socket.send({ type: "leave" })).toBe(true);
  expect(last().sent).toEqual(['{"type":"leave","data":{}}']);
});

test("a new connection says which events it has, and how often it wants positions", () => {
  last().snapshot();
  position = { epoch: "e1", seq: 7 };
  socket.setPace(30);
  last().onclose?.({ code: 1012 });
  vi.advanceTimersByTime(5_000);
  expect(last().url).toBe(`${URL}?resume=e1.7&pace=30`);
});

test("a connection made while nobody looks begins as hidden: nobody is told that it is active", () => {
  last().snapshot();
  socket.setPresence("hidden");
  expect(last().sent).toEqual(['{"type":"presence","data":{"state":"hidden"}}']);
  last().onclose?.({ code: 1012 });
  vi.advanceTimersByTime(5_000);
  expect(last().url).toBe(`${URL}?presence=hidden`);
  last().snapshot();
  expect(last().sent).toEqual([]);
});

test("what changes while it connects is said as soon as it is connected, and once", () => {
  socket.setPace(30);
  socket.setPresence("paused");
  last().snapshot();
  socket.setPresence("paused");
  expect(last().sent).toEqual([
    '{"type":"set_pace","data":{"interval_s":30}}',
    '{"type":"presence","data":{"state":"paused"}}',
  ]);
});

test("a lost connection comes back within the bounds that the server asks for", () => {
  last().snapshot();
  last().onclose?.({ code: 1012 });
  expect(told[told.length - 1]).toBe("waiting");
  vi.advanceTimersByTime(999);
  expect(count()).toBe(1);
  vi.advanceTimersByTime(4_001);
  expect(count()).toBe(2);
});

describe("an end for good is told once, and nothing is tried again", () => {
  test.each([
    [1000, "left"],
    [4400, "failed"],
    [4401, "rejoin"],
    [4403, "removed"],
    [4404, "unknown"],
    [4409, "replaced"],
    [4410, "ended"],
    [4499, "failed"],
  ])("%i", (code, why) => {
    last().snapshot();
    last().onclose?.({ code });
    vi.advanceTimersByTime(120_000);
    expect(count()).toBe(1);
    expect(told.filter((each) => each.startsWith("end"))).toEqual([`end ${why}`]);
  });
});

test("10 s of silence, with a ping in between, are a lost connection", () => {
  last().snapshot();
  vi.advanceTimersByTime(5_999);
  expect(last().sent).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(last().sent).toEqual(['{"type":"ping","data":{}}']);
  last().says('{"type":"pong","data":{}}');
  vi.advanceTimersByTime(9_999);
  expect(told).not.toContain("waiting");
  vi.advanceTimersByTime(1);
  expect(told[told.length - 1]).toBe("waiting");
});

test("who wants positions seldom waits longer for a sign", () => {
  last().snapshot();
  socket.setPace(30);
  last().says('{"type":"pong","data":{}}');
  vi.advanceTimersByTime(35_000);
  expect(last().sent).toEqual(['{"type":"set_pace","data":{"interval_s":30}}']);
});

test("a server that sends no snapshot within 5 s is left", () => {
  vi.advanceTimersByTime(4_999);
  expect(count()).toBe(1);
  vi.advanceTimersByTime(1 + 1_000);
  expect(count()).toBe(2);
});

test("a network on which the first attempt took too long gets more time for the next", () => {
  vi.advanceTimersByTime(5_000 + 1_000);
  expect(count()).toBe(2);
  vi.advanceTimersByTime(8_000);
  expect(count()).toBe(2);
  last().snapshot();
  expect(told[told.length - 1]).toBe("live");
});

test("an attempt that began in another network is made anew, unless it is young", () => {
  vi.advanceTimersByTime(900);
  socket.probe();
  expect(count()).toBe(1);
  vi.advanceTimersByTime(100);
  socket.probe();
  expect(count()).toBe(2);
  last().snapshot();
  expect(told[told.length - 1]).toBe("live");
});

test("what is no message is passed over", () => {
  last().snapshot();
  last().says("{");
  last().says('{"type":"news"}');
  last().says('{"type":"pong"}');
  expect(told[told.length - 1]).toBe("message pong");
});

test("a network that is back ends the wait, and one that is gone the connection", () => {
  last().snapshot();
  socket.drop();
  expect(told[told.length - 1]).toBe("waiting");
  socket.probe();
  expect(count()).toBe(2);
});

test.each([1013, 4429])("a server that asked for time gets it: %i", (code) => {
  last().snapshot();
  last().onclose?.({ code });
  socket.probe();
  vi.advanceTimersByTime(4_900);
  socket.probe();
  expect(count()).toBe(1);
  vi.advanceTimersByTime(30_000);
  expect(count()).toBeGreaterThan(1);
});

test("an older server is asked for nothing that it does not know", () => {
  last().snapshot();
  last().says('{"type":"error","data":{"code":"UNKNOWN_TYPE","message":""}}');
  expect(socket.send({ type: "presence", data: { state: "paused" } })).toBe(true);
  expect(last().sent).toEqual([]);
});

test("who stops it hears nothing more", () => {
  last().snapshot();
  socket.stop();
  const before = [...told];
  vi.advanceTimersByTime(120_000);
  socket.probe();
  expect(told).toEqual(before);
  expect(count()).toBe(1);
});
