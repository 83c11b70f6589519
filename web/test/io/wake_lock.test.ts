import { expect, test } from "vitest";
import { hasIdleLock } from "../../src/io/wake_lock";

const iphone = (version: string): string =>
  `Mozilla/5.0 (iPhone; CPU iPhone OS ${version} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148`;

test.each([
  [iphone("16_4"), true, true],
  [iphone("18_3_1"), true, true],
  [iphone("18_4"), true, false],
  [iphone("18_10"), true, false],
  [iphone("26_0"), true, false],
  [iphone("17_0"), false, false],
  ["Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)", true, false],
])("%s, installed %s: a lock that does nothing %s", (userAgent, isInstalled, isIdle) => {
  expect(hasIdleLock(userAgent, isInstalled)).toBe(isIdle);
});
