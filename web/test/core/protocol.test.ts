import { decode, encode } from "@msgpack/msgpack";
import { describe, expect, test } from "vitest";
import { type ClientMessage, CompactDialect, PlainDialect } from "../../src/core/protocol";

const SNAPSHOT = {
  session: { id: "s", name: "Alps", expires_at: "2026-03-01T14:00:00Z", locked: false },
  you: { user_id: "me", role: "participant" },
  participants: [
    { number: 7, user_id: "me", display_name: "Ada", online: true },
    { number: 9, user_id: "bo", display_name: "Bo", online: true },
  ],
  positions: [[9, 525163720, 133777220, 12, 8, 4200]],
  time_base: 1_772_000_000_000,
  server_time: "2026-03-01T12:00:00Z",
  epoch: "e",
  seq: 12,
};

const frame = (value: unknown): ArrayBuffer => new Uint8Array(encode(value)).buffer;

describe("the compact dialect", () => {
  test("names the senders of positions by the numbers of the snapshot", () => {
    const dialect = new CompactDialect();
    const [first] = dialect.decode(frame([0, SNAPSHOT]));
    expect(first?.type).toBe("session_state");
    expect(first?.data).toMatchObject({
      positions: [{ user_id: "bo", lat: 52.516372, lng: 13.377722, accuracy: 8, age_ms: 4200 }],
    });
    const row = [9, 10_000_000, -20_000_000, 50, null, null, 150, 905, 1200, 80];
    expect(dialect.decode(frame([1, [row]]))).toEqual([
      {
        type: "positions",
        data: [
          {
            user_id: "bo",
            lat: 1,
            lng: -2,
            accuracy: null,
            age_ms: null,
            speed: 1.5,
            heading: 90.5,
            altitude: 120,
            battery: 80,
          },
        ],
      },
    ]);
  });

  test("leaves out the own position, and those of numbers that nobody announced", () => {
    const dialect = new CompactDialect();
    dialect.decode(frame([0, SNAPSHOT]));
    const rows = [
      [7, 1, 1, 0],
      [8, 1, 1, 0],
    ];
    expect(dialect.decode(frame([1, rows]))).toEqual([{ type: "positions", data: [] }]);
    dialect.decode(frame([6, { number: 8, user_id: "cy", display_name: "Cy" }]));
    const [message] = dialect.decode(frame([1, rows]));
    expect(message).toMatchObject({ data: [{ user_id: "cy" }] });
  });

  test("reads the events that were missed", () => {
    const missed = [
      [6, { user_id: "x", display_name: "X", seq: 11 }],
      [99, {}],
      [8, { user_id: "x", reason: "left", seq: 12 }],
    ];
    const [message] = new CompactDialect().decode(
      frame([0, { ...SNAPSHOT, missed, resumed: true }]),
    );
    expect(message?.data).toMatchObject({
      resumed: true,
      missed: [{ type: "participant_joined" }, { type: "participant_left" }],
    });
  });

  test.each<[ClientMessage, unknown]>([
    [{ type: "ping" }, [2]],
    [{ type: "leave" }, [3]],
    [{ type: "set_pace", data: { interval_s: 30 } }, [11, 30]],
    [{ type: "presence", data: { state: "hidden" } }, [13, 2]],
    [
      {
        type: "location_update",
        data: { lat: 52.5, lng: -13.4, timestamp: "1970-01-01T00:00:01Z", accuracy: 7.1 },
      },
      [1, 525000000, -134000000, 1000, 8],
    ],
    [
      {
        type: "location_update",
        data: { lat: 0, lng: 0, timestamp: "1970-01-01T00:00:01Z", heading: 12.34 },
      },
      [1, 0, 0, 1000, null, null, null, 123],
    ],
  ])("writes %j", (message, written) => {
    expect(decode(new CompactDialect().encode(message))).toEqual(written);
  });

  test.each([
    new ArrayBuffer(0),
    frame({}),
    frame([99, {}]),
    frame(["x"]),
    "text",
    new Uint8Array([0xc1]).buffer,
  ])("skips what it does not know", (strange) => {
    expect(new CompactDialect().decode(strange)).toEqual([]);
  });
});

describe("the plain dialect", () => {
  test("makes a list of one of each position", () => {
    const text = '{"type":"location_update","data":{"user_id":"bo","lat":1,"lng":2}}';
    expect(new PlainDialect().decode(text)).toEqual([
      { type: "positions", data: [{ user_id: "bo", lat: 1, lng: 2 }] },
    ]);
  });

  test("writes a message without data with an empty object", () => {
    expect(new PlainDialect().encode({ type: "ping" })).toBe('{"type":"ping","data":{}}');
  });

  test.each(["", "{", "null", "3", '{"type":3}', '{"type":"of_tomorrow","data":{}}'])(
    "skips %j",
    (text) => {
      expect(new PlainDialect().decode(text)).toEqual([]);
    },
  );
});
