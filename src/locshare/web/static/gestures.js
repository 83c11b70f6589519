/**
 * Fingers, mouse, wheel and keys on the map, as moves of a camera: `onPan(dx, dy)`,
 * `onZoom(delta, about)`, in CSS pixels of `element`. A press that did not move is no gesture.
 */

const SLOP_PX = 5;
const KEY_PX = 80;
const KEYS = {
  ArrowLeft: [KEY_PX, 0],
  ArrowRight: [-KEY_PX, 0],
  ArrowUp: [0, KEY_PX],
  ArrowDown: [0, -KEY_PX],
};

export function attachGestures(element, { onPan, onZoom }) {
  const fingers = new Map(); // pointer id → {x, y}
  let moved = 0;

  const at = (event) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const middle = () => {
    const { width, height } = element.getBoundingClientRect();
    return { x: width / 2, y: height / 2 };
  };

  element.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || fingers.size >= 2) return;
    if (fingers.size === 0) moved = 0;
    fingers.set(event.pointerId, at(event));
  });

  element.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (before === undefined) return;
    const now = at(event);
    moved += Math.hypot(now.x - before.x, now.y - before.y);
    if (moved < SLOP_PX) return;
    if (!element.hasPointerCapture(event.pointerId)) element.setPointerCapture(event.pointerId);
    const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    fingers.set(event.pointerId, now);
    if (other === undefined) {
      onPan(now.x - before.x, now.y - before.y);
      return;
    }
    const spread = (place) => Math.max(20, Math.hypot(place.x - other.x, place.y - other.y));
    const about = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
    onPan((now.x - before.x) / 2, (now.y - before.y) / 2);
    onZoom(Math.log2(spread(now) / spread(before)), about);
  });

  const lift = (event) => fingers.delete(event.pointerId);
  element.addEventListener("pointerup", lift);
  element.addEventListener("pointercancel", lift);
  element.addEventListener("lostpointercapture", lift);

  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1);
      const pace = event.ctrlKey ? 100 : 300; // ctrl: a pinch on a trackpad
      onZoom(Math.max(-1, Math.min(1, -pixels / pace)), at(event));
    },
    { passive: false },
  );

  element.addEventListener("dblclick", (event) => onZoom(1, at(event)));

  element.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in KEYS) onPan(...KEYS[event.key]);
    else if (event.key === "+" || event.key === "=") onZoom(0.5, middle());
    else if (event.key === "-") onZoom(-0.5, middle());
    else return;
    event.preventDefault();
  });
}
