import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Api, type Refused } from "../../src/io/api";

const ID = "5f3c6f0e-9f43-4c1e-8d3a-0d8a4d1f5b11";
const api = new Api("https://where.example/sub/");
let asked: string[];

/** The next answer of the network; null for none. */
function answers(status: number, body: string | null, headers: Record<string, string> = {}): void {
  vi.stubGlobal("fetch", (url: string) => {
    asked.push(url);
    if (body === null) return Promise.reject(new TypeError("no network"));
    return Promise.resolve(new Response(body, { status, headers }));
  });
}

const refusal = (call: Promise<unknown>): Promise<Refused> =>
  call.then(
    () => Promise.reject(new Error("not refused")),
    (error: unknown) => error as Refused,
  );

beforeEach(() => {
  asked = [];
  vi.stubGlobal("window", globalThis);
});
afterEach(() => vi.unstubAllGlobals());

test("an answer is what the server says, in the folder where it is served", async () => {
  answers(200, '{"is_active":true}');
  expect(await api.describe(ID, "k")).toEqual({ is_active: true });
  expect(asked).toEqual([`https://where.example/sub/api/sessions/${ID}?link_key=k`]);
});

test.each(["<!doctype html><title>Wi-Fi</title>", "", "null", '"ok"'])(
  "a success that this server cannot have said is no answer: %j",
  async (body) => {
    answers(200, body);
    const { status, code } = await refusal(api.describe(ID, ""));
    expect([status, code]).toEqual([0, "NO_ANSWER"]);
  },
);

test("a refusal has its code, its words and the time to wait, and a proxy's page its status", async () => {
  answers(429, '{"code":"RATE_LIMITED","detail":"slow down"}', { "Retry-After": "7" });
  expect(await refusal(api.lock(ID, true, "t"))).toMatchObject({
    status: 429,
    code: "RATE_LIMITED",
    message: "slow down",
    retryAfter: 7,
  });
  answers(502, "<h1>Bad Gateway</h1>");
  expect(await refusal(api.end(ID, "t"))).toMatchObject({ status: 502, code: "" });
  answers(0, null);
  expect(await refusal(api.end(ID, "t"))).toMatchObject({ status: 0, retryAfter: null });
});
