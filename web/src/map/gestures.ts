/**
 * Fingers, mouse, wheel and keys on the map, as moves of a camera in CSS pixels of `element`. A press
 * that did not move is no gesture: the click that the browser then sends is the caller's. Safari on
 * iOS 12 has no pointer events; touches and the mouse say the same there.
 */

import type { Point } from "../core/geo";

export interface GestureEvents {
  onPan(dx: number, dy: number): void;
  /** `delta` is in levels. `isSmooth`: of fingers, which are followed exactly. */
  onZoom(delta: number, about: Point, isSmooth: boolean): void;
  /** A finger has let go while it moved, with so many pixels per millisecond. */
  onThrow(vx: number, vy: number): void;
  /** Something has touched the map: what moves by itself stops. */
  onTouch(): void;
}

const SLOP_PX = 6;
const KEY_PX = 96;
/** A speed is of the last moments, and of no finger that rested before it let go. */
const RECENT_MS = 90;
const MOST_PACE = 4;
const DOUBLE_MS = 320;
const DOUBLE_PX = 28;
/** One finger that comes down a second time zooms by moving: so many pixels a level. */
const LEVEL_PX = 110;
const KEYS: { readonly [key: string]: readonly [number, number] } = {
  ArrowLeft: [KEY_PX, 0],
  ArrowRight: [-KEY_PX, 0],
  ArrowUp: [0, KEY_PX],
  ArrowDown: [0, -KEY_PX],
};

interface Moment extends Point {
  readonly at: number;
}

/** Listen until the returned function is called. */
export function attachGestures(element: HTMLElement, events: GestureEvents): () => void {
  const stops: (() => void)[] = [];
  const listen = <Type extends keyof HTMLElementEventMap>(
    type: Type,
    handler: (event: HTMLElementEventMap[Type]) => void,
    options?: AddEventListenerOptions,
    target: EventTarget = element,
  ): void => {
    target.addEventListener(type, handler as EventListener, options);
    stops.push(() => target.removeEventListener(type, handler as EventListener, options));
  };

  const fingers = new Map<number, Point>();
  let trail: Moment[] = [];
  let moved = 0;
  let isGesture = false; // this press has become one: no click comes of it
  let tapped: Moment = { x: 0, y: 0, at: Number.NEGATIVE_INFINITY };
  let isZooming = false; // by one finger
  let zoomAbout: Point = tapped;

  // Asked for when a gesture begins: each time it would lay the page out.
  let box = element.getBoundingClientRect();
  const place = (x: number, y: number): Point => {
    if (fingers.size === 0) box = element.getBoundingClientRect();
    return { x: x - box.left, y: y - box.top };
  };

  const down = (id: number, at: Point, time: number, byFinger: boolean): void => {
    if (fingers.size >= 2) return;
    if (fingers.size === 0) {
      moved = 0;
      isGesture = false;
      const near = Math.hypot(at.x - tapped.x, at.y - tapped.y) < DOUBLE_PX;
      isZooming = byFinger && near && time - tapped.at < DOUBLE_MS;
      zoomAbout = at;
    } else {
      isGesture = true;
      isZooming = false;
    }
    trail = [];
    fingers.set(id, at);
    events.onTouch();
  };

  /** Whether the move belongs to a gesture. */
  const move = (id: number, now: Point, time: number): boolean => {
    const before = fingers.get(id);
    if (before === undefined) return false;
    const way = Math.hypot(now.x - before.x, now.y - before.y);
    if (!isGesture) {
      // `before` stays: the ground is under the finger from the first move on.
      if (moved + way < SLOP_PX) return false;
      moved += way;
      isGesture = true;
    }
    fingers.set(id, now);
    if (fingers.size === 1) {
      if (isZooming) events.onZoom((now.y - before.y) / LEVEL_PX, zoomAbout, true);
      else events.onPan(now.x - before.x, now.y - before.y);
      trail = [...trail.filter((each) => time - each.at < RECENT_MS), { ...now, at: time }];
      return true;
    }
    let other: Point = now;
    fingers.forEach((each, key) => {
      if (key !== id) other = each;
    });
    const spread = (each: Point): number =>
      Math.max(20, Math.hypot(each.x - other.x, each.y - other.y));
    const about = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    events.onPan((now.x - before.x) / 2, (now.y - before.y) / 2);
    events.onZoom(Math.log2(spread(now) / spread(before)), about, true);
    return true;
  };

  const up = (id: number, time: number, isCancelled: boolean): void => {
    const at = fingers.get(id);
    if (at === undefined) return;
    fingers.delete(id);
    if (fingers.size > 0) {
      trail = [];
      return;
    }
    if (!isGesture && !isCancelled) {
      if (isZooming) {
        events.onZoom(1, at, false);
        tapped = { ...tapped, at: Number.NEGATIVE_INFINITY };
      } else tapped = { ...at, at: time };
      return;
    }
    tapped = { ...tapped, at: Number.NEGATIVE_INFINITY };
    const recent = trail.filter((each) => time - each.at < RECENT_MS);
    const [first] = recent;
    const last = recent[recent.length - 1];
    if (isCancelled || isZooming || !first || !last || last.at - first.at < 10) return;
    const pace = (way: number): number =>
      Math.max(-MOST_PACE, Math.min(MOST_PACE, way / (last.at - first.at)));
    events.onThrow(pace(last.x - first.x), pace(last.y - first.y));
  };

  if ("PointerEvent" in window) {
    listen("pointerdown", (event) => {
      if (event.button !== 0) return;
      const byFinger = event.pointerType !== "mouse";
      down(event.pointerId, place(event.clientX, event.clientY), event.timeStamp, byFinger);
    });
    listen("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      if (event.buttons === 0 && event.pointerType !== "touch") {
        // Let go beside the map, before it had moved far enough to be captured: nobody told. What a
        // finger touches captures it from the beginning.
        up(event.pointerId, event.timeStamp, true);
        return;
      }
      const now = place(event.clientX, event.clientY);
      if (!move(event.pointerId, now, event.timeStamp)) return;
      // From here on: a press that does not move keeps its own target for the click.
      if (!element.hasPointerCapture(event.pointerId)) element.setPointerCapture(event.pointerId);
    });
    listen("pointerup", (event) => up(event.pointerId, event.timeStamp, false));
    listen("pointercancel", (event) => up(event.pointerId, event.timeStamp, true));
    listen("lostpointercapture", (event) => {
      // A finger is captured by what it touches, which loses it to this element at the first move.
      if (event.target === element) up(event.pointerId, event.timeStamp, true);
    });
  } else {
    const each = (event: TouchEvent, call: (touch: Touch) => void): void => {
      for (let i = 0; i < event.changedTouches.length; i += 1) call(event.changedTouches[i]!);
    };
    listen("touchstart", (event) => {
      each(event, (touch) => {
        down(touch.identifier, place(touch.clientX, touch.clientY), event.timeStamp, true);
      });
    });
    listen(
      "touchmove",
      (event) => {
        each(event, (touch) => {
          const now = place(touch.clientX, touch.clientY);
          if (move(touch.identifier, now, event.timeStamp)) event.preventDefault();
        });
      },
      { passive: false },
    );
    const end = (event: TouchEvent): void => {
      if (isGesture && event.cancelable) event.preventDefault(); // no click
      each(event, (touch) => up(touch.identifier, event.timeStamp, event.type !== "touchend"));
    };
    listen("touchend", end, { passive: false });
    listen("touchcancel", end);
    const MOUSE = -1;
    listen("mousedown", (event) => {
      if (event.button === 0)
        down(MOUSE, place(event.clientX, event.clientY), event.timeStamp, false);
    });
    listen(
      "mousemove",
      (event) => move(MOUSE, place(event.clientX, event.clientY), event.timeStamp),
      {},
      window,
    );
    listen("mouseup", (event) => up(MOUSE, event.timeStamp, false), {}, window);
  }

  // Safari's own pinch of the page, which touch-action does not stop there.
  const gesture = (event: Event): void => event.preventDefault();
  element.addEventListener("gesturestart", gesture);
  stops.push(() => element.removeEventListener("gesturestart", gesture));

  listen(
    "click",
    (event) => {
      if (!isGesture || event.detail === 0) return;
      event.stopPropagation();
      event.preventDefault();
      isGesture = false;
    },
    { capture: true },
  );

  listen(
    "wheel",
    (event) => {
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1);
      const isPinch = event.ctrlKey; // of a trackpad
      const delta = -pixels / (isPinch ? 100 : 300);
      events.onTouch();
      events.onZoom(
        Math.max(-1, Math.min(1, delta)),
        place(event.clientX, event.clientY),
        isPinch || Math.abs(pixels) < 50,
      );
    },
    { passive: false },
  );

  listen("dblclick", (event) => {
    // Of a mouse: fingers have been counted above.
    if (fingers.size > 0 || tapped.at === Number.NEGATIVE_INFINITY) return;
    tapped = { ...tapped, at: Number.NEGATIVE_INFINITY };
    events.onZoom(event.shiftKey ? -1 : 1, place(event.clientX, event.clientY), false);
  });

  listen("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== element) return;
    const middle = { x: element.clientWidth / 2, y: element.clientHeight / 2 };
    const pan = KEYS[event.key];
    if (pan !== undefined) {
      events.onTouch();
      events.onPan(pan[0], pan[1]);
    } else if (event.key === "+" || event.key === "=") events.onZoom(1, middle, false);
    else if (event.key === "-" || event.key === "_") events.onZoom(-1, middle, false);
    else return;
    event.preventDefault();
  });

  return () => {
    for (const stop of stops) stop();
  };
}
