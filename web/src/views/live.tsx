/**
 * The session: the map over the whole screen, and over the map a bar, buttons, and a panel with the people.
 * The panel is a sheet at the bottom of a phone, and a card at the side where there is room.
 */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { SessionModel } from "../app/session_model";
import { leftText } from "../core/format";
import { asName } from "../core/names";
import type { MakeMap } from "../map/surface";
import { loadDialogs, useLater } from "./app";
import { Banners } from "./banners";
import type { Context } from "./context";
import { Icon } from "./icons";
import { Round, useLanding } from "./parts";
import { People } from "./people";

export interface LiveProps extends Context {
  readonly model: SessionModel;
}

/** Where the panel stands at the side: as in style.css. */
const SIDE = "(min-width: 800px), (orientation: landscape) and (max-height: 500px)";

export function Live(props: LiveProps) {
  const { state, actions, ui, model } = props;
  const t = state.t.value;
  const frame = useRef<HTMLElement>(null);
  const isUp = ui.isUp.value;
  const selected = state.selected.value;
  const person = selected === null ? null : model.roster.value.get(selected);
  const isOne = person !== null && person !== undefined;
  const PersonSheet = useLater(
    props,
    (module) => module.PersonSheet,
    isOne,
    () => actions.select(null),
  );
  useEffect(() => {
    if (selected !== null) ui.isUp.value = true;
  }, [selected]);
  useWayBack(frame, isOne ? selected : null);
  const isThere = model.state.value.session !== null;
  useEffect(() => {
    // Whoever has created a session is here to invite others; the group comes first.
    if (!isThere || ui.created.peek() !== model.id) return;
    ui.created.value = "";
    ui.dialog.value = { kind: "invite" };
  }, [isThere]);
  useCover(frame, props);
  useEffect(() => {
    const timer = window.setTimeout(() => void loadDialogs().catch(() => undefined), 2_000);
    return () => window.clearTimeout(timer);
  }, []);
  return (
    <main class="live" ref={frame}>
      <Ground {...props} />
      <Bar {...props} />
      <Banners {...props} />
      <Tools {...props} />
      <Sheet {...props} label={person ? asName(t, person.name) : t("people.title")} isUp={isUp}>
        {!isOne || PersonSheet === null ? (
          <People {...props} />
        ) : (
          <PersonSheet key={person.userId} {...props} userId={person.userId} />
        )}
      </Sheet>
    </main>
  );
}

/** Whoever comes back from a person to the list is where they were in it, with the keyboard too. */
function useWayBack(frame: { readonly current: HTMLElement | null }, shown: string | null): void {
  const before = useRef<string | null>(null);
  useEffect(() => {
    const last = before.current;
    before.current = shown;
    const list = frame.current?.querySelector<HTMLElement>("#list");
    if (shown !== null || last === null || !list) return;
    for (const row of list.querySelectorAll<HTMLElement>("li[data-user]")) {
      if (row.getAttribute("data-user") !== last) continue;
      const { offsetTop, offsetHeight } = row;
      list.scrollTop = offsetTop - list.offsetTop - (list.clientHeight - offsetHeight) / 2;
      // Unless they went elsewhere, such as to the map.
      if (document.activeElement === document.body) {
        row.querySelector("button")?.focus({ preventScroll: true });
      }
    }
  }, [shown]);
}

/** Of the map's height, for people: with less, banners lie over them. */
const LEAST_ROOM_PX = 200;

/** Tell the map what lies over it. */
function useCover(frame: { readonly current: HTMLElement | null }, { ui }: LiveProps): void {
  const measure = (): void => {
    const root = frame.current;
    if (root === null) return;
    const whole = root.getBoundingClientRect();
    const box = (name: string): DOMRect | null =>
      root.querySelector(name)?.getBoundingClientRect() ?? null;
    const bar = box(".bar");
    const sheet = box(".sheet");
    const tools = box(".tools");
    const isRtl = document.documentElement.dir === "rtl";
    const cover = { top: 0, right: 0, bottom: 0, left: 0 };
    const isSide = sheet !== null && window.matchMedia(SIDE).matches;
    if (isSide) {
      if (isRtl) cover.right = whole.right - sheet.left;
      else cover.left = sheet.right - whole.left;
    } else {
      cover.top = bar === null ? 0 : bar.bottom - whole.top;
      cover.bottom = sheet === null ? 0 : Math.max(0, whole.bottom - sheet.top);
    }
    // What is in the way just now: people keep clear of it too, where there is room left for them.
    const said = box(".banners");
    const below = said === null || said.height === 0 ? 0 : said.bottom - whole.top;
    if (whole.height - cover.bottom - below >= LEAST_ROOM_PX) {
      cover.top = Math.max(cover.top, below);
    }
    document.documentElement.style.setProperty("--covered", `${Math.round(cover.bottom)}px`);
    const island = tools && {
      left: tools.left - whole.left,
      top: tools.top - whole.top,
      right: tools.right - whole.left,
      bottom: tools.bottom - whole.top,
    };
    ui.map.peek()?.setPadding(cover, island);
  };
  const map = ui.map.value;
  useLayoutEffect(measure);
  useEffect(() => {
    const root = frame.current;
    const late = (event: TransitionEvent): void => {
      if (event.propertyName === "transform") measure();
    };
    window.addEventListener("resize", measure);
    root?.addEventListener("transitionend", late);
    // Banners come and go by themselves; the seconds that one counts change nothing.
    const banners = root?.querySelector(".banners");
    const observer = new MutationObserver(measure);
    if (banners) {
      const what = { childList: true, subtree: true, attributes: true };
      observer.observe(banners, { ...what, attributeFilter: ["hidden"] });
    }
    return () => {
      observer.disconnect();
      window.removeEventListener("resize", measure);
      root?.removeEventListener("transitionend", late);
    };
  }, [map]);
}

/** The map's module comes beside the page, which shows the people without it. */
export const loadMap = (): Promise<{ readonly makeMap: MakeMap }> => import("../map/map");

/** After which the map's module is fetched again, when it could not be had. */
const AGAIN_MS = 5_000;

function Ground({ state, actions, ui, model }: LiveProps) {
  const host = useRef<HTMLDivElement>(null);
  const isOffline = state.isOffline.value;
  // The group comes first: what the map loads waits for it.
  const isThere = model.state.value.session !== null;
  const [tries, setTries] = useState(0);
  useEffect(() => {
    if (ui.map.peek() !== null || !isThere) return;
    let isGone = false;
    let timer = 0;
    const bring = async (): Promise<void> => {
      const { makeMap } = await loadMap();
      if (isGone || host.current === null || ui.map.peek() !== null) return;
      const { page: lifecycle, root } = actions;
      ui.map.value = makeMap(host.current, { state, actions, lifecycle, root });
    };
    bring().catch(() => {
      // No network, or one that does not know that it is none.
      if (!isGone) timer = window.setTimeout(() => setTries(tries + 1), AGAIN_MS);
    });
    return () => {
      isGone = true;
      window.clearTimeout(timer);
    };
  }, [isOffline, isThere, tries]);
  useEffect(
    () => () => {
      ui.map.peek()?.destroy();
      ui.map.value = null;
    },
    [],
  );
  return <div class="ground" ref={host} />;
}

function Bar({ state, ui, model }: LiveProps) {
  const t = state.t.value;
  const { session } = model.state.value;
  const left = session === null ? null : leftText(t, session.expiresAt - state.now.value);
  const others = state.sessions.value.length - 1;
  const heading = useLanding(model);
  return (
    <header class="bar">
      <h1 class="visually-hidden" ref={heading} tabIndex={-1}>
        {session?.name ?? model.membership.name}
      </h1>
      <button
        type="button"
        class="bar-title"
        aria-haspopup="dialog"
        onClick={() => {
          ui.dialog.value = { kind: "menu" };
        }}
      >
        <span class="bar-text">
          <span class="bar-name">
            <bdi>{session?.name ?? model.membership.name}</bdi>
          </span>
          <small>
            {left === null ? t("link.connecting") : t("session.ends", { left })}
            {session?.locked === true && ` · ${t("session.locked")}`}
            {others > 0 && ` · ${t("session.others", { n: others })}`}
          </small>
        </span>
        <span class="visually-hidden">{t("menu.word")}</span>
        <Icon name="down" />
      </button>
      <Round
        icon="share"
        label={t("action.share")}
        onClick={() => {
          ui.dialog.value = { kind: "invite" };
        }}
      />
    </header>
  );
}

function Tools({ state, actions, ui, model }: LiveProps) {
  const t = state.t.value;
  const follow = state.follow.value.kind;
  const map = ui.map.value;
  const own = model.own.value;
  return (
    <div class="tools" role="group" aria-label={t("map.tools")}>
      <Round
        icon="me"
        label={t("map.me")}
        isPressed={follow === "me"}
        onClick={() => {
          if (own === null) actions.locate();
          actions.follow({ kind: "me" });
        }}
      />
      <Round
        icon="everyone"
        label={t("map.everyone")}
        isPressed={follow === "everyone"}
        onClick={() => actions.follow({ kind: "everyone" })}
      />
      <span class="zoom">
        <Round icon="plus" label={t("map.in")} onClick={() => map?.zoomBy(1)} />
        <Round icon="minus" label={t("map.out")} onClick={() => map?.zoomBy(-1)} />
      </span>
    </div>
  );
}

interface SheetProps extends LiveProps {
  readonly label: string;
  readonly isUp: boolean;
  readonly children: preact.ComponentChildren;
}

/** How far a finger has to go for the sheet to follow it to the other end. */
const DRAG_PX = 40;

function Sheet({ state, ui, label, isUp, children }: SheetProps) {
  const t = state.t.value;
  const sheet = useRef<HTMLElement>(null);
  const drag = useRef<{ readonly from: number; dy: number } | null>(null);
  const settle = (): void => {
    const { dy } = drag.current ?? { dy: 0 };
    drag.current = null;
    if (sheet.current !== null) {
      sheet.current.style.transform = "";
      sheet.current.classList.remove("dragged");
    }
    if (Math.abs(dy) > DRAG_PX) ui.isUp.value = dy < 0;
  };
  return (
    <section
      ref={sheet}
      class={isUp ? "sheet up" : "sheet"}
      aria-label={label}
      onTouchStart={(event) => {
        const head = (event.target as Element).closest(".grip, .sheet-head");
        const touch = event.touches[0];
        if (head === null || touch === undefined || window.matchMedia(SIDE).matches) return;
        drag.current = { from: touch.clientY, dy: 0 };
        sheet.current?.classList.add("dragged");
      }}
      onTouchMove={(event) => {
        const touch = event.touches[0];
        const element = sheet.current;
        if (drag.current === null || touch === undefined || element === null) return;
        const dy = touch.clientY - drag.current.from;
        drag.current.dy = dy;
        // It gives a little beyond its end, so that one feels that it is one.
        const shown = isUp ? Math.max(-8, dy) : Math.min(8, dy);
        element.style.transform = isUp
          ? `translateY(${Math.max(0, shown)}px)`
          : `translateY(calc(100% - var(--peek) + ${shown}px))`;
      }}
      onTouchEnd={settle}
      onTouchCancel={settle}
    >
      <button
        type="button"
        class="grip"
        aria-expanded={isUp}
        aria-label={isUp ? t("people.less") : t("people.more")}
        onClick={() => {
          ui.isUp.value = !isUp;
        }}
      >
        <span aria-hidden="true" />
      </button>
      {children}
    </section>
  );
}
