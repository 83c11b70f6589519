// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test } from "vitest";
import { attachGestures } from "../../src/map/gestures";

let element: HTMLElement;
let said: string[];
let stop: () => void;

/** A mouse at `x`; `buttons` are those that are held. */
const mouse = (type: string, x: number, buttons: number): boolean =>
  element.dispatchEvent(
    new PointerEvent(type, {
      clientX: x,
      clientY: 50,
      buttons,
      pointerId: 1,
      pointerType: "mouse",
    }),
  );

beforeEach(() => {
  said = [];
  element = document.body.appendChild(document.createElement("div"));
  Object.assign(element, { hasPointerCapture: () => true, setPointerCapture: () => undefined });
  stop = attachGestures(element, {
    onPan: (dx) => said.push(`pan ${dx}`),
    onZoom: (delta) => said.push(`zoom ${delta}`),
    onThrow: () => said.push("throw"),
    onTouch: () => said.push("touch"),
  });
});
afterEach(() => {
  stop();
  element.remove();
});

test("a mouse that is held drags the map, and one that is not moves over it", () => {
  mouse("pointerdown", 100, 1);
  mouse("pointermove", 90, 1);
  mouse("pointerup", 90, 0);
  mouse("pointermove", 40, 0);
  expect(said).toEqual(["touch", "pan -10"]);
});

test("a press that was let go beside the map does not make the map stick to the mouse", () => {
  mouse("pointerdown", 3, 1);
  mouse("pointermove", 1, 1);
  // Over the list: the map hears nothing of the release.
  mouse("pointermove", 60, 0);
  mouse("pointermove", 90, 0);
  expect(said).toEqual(["touch"]);
  mouse("pointerdown", 90, 1);
  mouse("pointermove", 100, 1);
  expect(said).toEqual(["touch", "touch", "pan 10"]);
});
