/** Icons: strokes on 24 × 24, in the colour of the text. Never alone: a button has a name as well. */

const PATHS = {
  pin: "M12 21s7-6.2 7-11.4A7 7 0 0 0 5 9.6C5 14.8 12 21 12 21zM12 12.3a2.6 2.6 0 1 0 0-5.2 2.6 2.6 0 0 0 0 5.2z",
  share: "M12 15V4M8 7.5 12 3.5l4 4M5 12v7.5h14V12",
  copy: "M9 9h10.5v10.5H9zM5.5 15H4.5V4.5H15v1",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  close: "M6 6l12 12M18 6 6 18",
  back: "M14.5 5.5 8 12l6.5 6.5",
  down: "M6 9.5l6 6 6-6",
  right: "M9.5 5.5 16 12l-6.5 6.5",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  me: "M12 3v3M12 18v3M3 12h3M18 12h3M12 17.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11z",
  everyone:
    "M4 9V5.5A1.5 1.5 0 0 1 5.5 4H9M15 4h3.5A1.5 1.5 0 0 1 20 5.5V9M20 15v3.5a1.5 1.5 0 0 1-1.5 1.5H15M9 20H5.5A1.5 1.5 0 0 1 4 18.5V15M12 14.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  link: "M10 14a4 4 0 0 0 5.8.2l3-3a4 4 0 0 0-5.6-5.6L11.8 7M14 10a4 4 0 0 0-5.8-.2l-3 3a4 4 0 0 0 5.6 5.6l1.4-1.4",
  lock: "M6 11h12v9H6zM8.5 11V7.5a3.5 3.5 0 0 1 7 0V11",
  unlock: "M6 11h12v9H6zM8.5 11V7.5a3.5 3.5 0 0 1 6.8-1.2",
  pause: "M8.5 5.5v13M15.5 5.5v13",
  play: "M8 5l11 7-11 7z",
  eye: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 14.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  phone: "M7 3h10v18H7zM11 18h2",
  sliders: "M4 7h9M17 7h3M4 17h3M11 17h9M15 9.5v-5M9 19.5v-5",
  exit: "M14 4.5H5.5v15H14M10 12h10M16.5 8.5 20 12l-3.5 3.5",
  stop: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM9 9l6 6M15 9l-6 6",
  way: "M4 11.5 20 4l-7.5 16-2-6.5z",
  arrow: "M12 20V4.5M6 10.5l6-6 6 6",
  star: "M12 4l2.4 5 5.6.7-4.1 3.8 1.1 5.5-5-2.7L7 19l1.1-5.5L4 9.7 9.6 9z",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20.5c.8-4 3.8-6 7.5-6s6.7 2 7.5 6",
  battery: "M3 8h15v8H3zM21 10.5v3",
  speed: "M4.5 18a9 9 0 1 1 15 0M12 14l4-5",
  clock: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM12 7.5V12l3 2",
  offline:
    "M3 3l18 18M8.5 15.5a5 5 0 0 1 7 0M5 11.5a10 10 0 0 1 5-2.7M19 11.5a10 10 0 0 0-3-2M12 19h.01",
  alert: "M12 4 2.8 19.5h18.4zM12 10v4.5M12 17.2h.01",
  check: "M5 12.5l4.5 4.5L19 7.5",
  radius: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM12 13a1 1 0 1 0 0-2 1 1 0 0 0 0 2z",
} as const;

export type IconName = keyof typeof PATHS;

interface IconProps {
  readonly name: IconName;
  /** Degrees, clockwise. */
  readonly turn?: number;
}

export function Icon({ name, turn }: IconProps) {
  const style = turn === undefined ? {} : { transform: `rotate(${Math.round(turn)}deg)` };
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false" style={style}>
      <path d={PATHS[name]} />
    </svg>
  );
}
