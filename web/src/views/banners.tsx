/** What is in the way just now, over the map: the connection first, then this device's position. */

import type { ComponentChildren } from "preact";
import type { Key } from "../i18n";
import type { LocationStatus } from "../io/locator";
import { Icon } from "./icons";
import type { LiveProps } from "./live";
import { Button } from "./parts";

const OBSTACLES: { readonly [status in LocationStatus]?: Key } = {
  asking: "location.asking",
  denied: "location.denied",
  unavailable: "location.unavailable",
  stale: "location.stale",
  insecure: "location.insecure",
  unsupported: "location.unsupported",
};
/** A connection that comes back at once is nothing to tell. */
const TELL_AFTER_MS = 700;

export function Banners(props: LiveProps) {
  return (
    <div class="banners">
      <Connection {...props} />
      <Location {...props} />
      <Lock {...props} />
    </div>
  );
}

interface StatusProps {
  readonly id?: string;
  readonly isShown: boolean;
  readonly isWarning?: boolean;
  readonly children: ComponentChildren;
}

/** A banner that is spoken. The region is always there: one that comes with its text is not heard. */
function Status({ id, isShown, isWarning, children }: StatusProps) {
  return (
    <div role="status">
      <div id={id} hidden={!isShown} class={isWarning ? "banner banner-warn" : "banner"}>
        {children}
      </div>
    </div>
  );
}

function Connection({ state, model }: LiveProps) {
  const t = state.t.value;
  const { kind, since, until } = model.link.value;
  const hasPicture = model.state.value.session !== null;
  const time = state.now.value;
  const isLost = kind !== "live" && (time - since >= TELL_AFTER_MS || kind === "waiting");
  const isTrying = isLost && hasPicture && !state.isOffline.value;
  let text = "";
  if (state.isOffline.value) text = t("link.offline");
  else if (isTrying) text = t("link.lost");
  const seconds = Math.ceil((until - time) / 1000);
  const isWaiting = isTrying && kind === "waiting" && seconds >= 1;
  return (
    <Status id="connection" isShown={text !== ""} isWarning>
      <Icon name="offline" />
      <span>
        <span>{text}</span>
        {/* Not spoken: a screen reader would say it anew each second. */}
        <span aria-hidden="true">
          {isWaiting ? ` ${t("link.lost.in", { n: seconds })}` : isTrying ? " …" : ""}
        </span>
      </span>
    </Status>
  );
}

function Location({ state, actions, ui, model }: LiveProps) {
  const t = state.t.value;
  const status = state.location.value;
  const key = OBSTACLES[status];
  const shares = model.shares.value && !state.isPaused.value;
  const isShown = key !== undefined && shares;
  const isDenied = status === "denied";
  return (
    <Status isShown={isShown}>
      <Icon name="pin" />
      <span>{key === undefined || !isShown ? "" : t(key)}</span>
      {isShown && (isDenied || status === "unavailable") && (
        <span class="banner-actions">
          {isDenied && (
            <Button kind="plain" onClick={() => actions.onlyWatch()}>
              {t("join.watch")}
            </Button>
          )}
          <Button
            kind="plain"
            onClick={() => {
              if (isDenied) ui.dialog.value = { kind: "location" };
              else actions.retryLocation();
            }}
          >
            {t(isDenied ? "location.help" : "end.retry")}
          </Button>
        </span>
      )}
    </Status>
  );
}

const hasTouch = (): boolean => window.matchMedia("(pointer: coarse)").matches;

/** Told once, before the phone locks: what happens then, and what can be done. */
function Lock({ state, actions, ui, model }: LiveProps) {
  const t = state.t.value;
  const { knowsLock } = state.settings.value;
  const isLive = model.link.value.kind === "live" && state.location.value === "sharing";
  if (knowsLock === true || !model.shares.value || !isLive || !hasTouch()) return null;
  const done = (): void => actions.set({ knowsLock: true });
  return (
    <div class="banner banner-tip">
      <Icon name="phone" />
      <span>{t("lock.tip")}</span>
      <span class="banner-actions">
        <Button
          kind="plain"
          onClick={() => {
            done();
            ui.dialog.value = { kind: "background" };
          }}
        >
          {t("lock.how")}
        </Button>
        <Button kind="plain" onClick={done}>
          {t("lock.ok")}
        </Button>
      </span>
    </div>
  );
}
