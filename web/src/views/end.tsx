/** When there is nothing to see of a session: why, and what can be done. */

import { useEffect, useRef } from "preact/hooks";
import type { EndKind, Screen } from "../app/state";
import type { Key } from "../i18n";
import type { Context } from "./context";
import { Icon, type IconName } from "./icons";
import { Button } from "./parts";

type EndScreen = Extract<Screen, { kind: "end" }>;

const LOOKS: {
  readonly [kind in EndKind]: { readonly icon: IconName; readonly again: Key | null };
} = {
  unknown: { icon: "alert", again: null },
  ended: { icon: "clock", again: null },
  left: { icon: "exit", again: "end.again" },
  removed: { icon: "exit", again: "end.again" },
  replaced: { icon: "copy", again: "end.here" },
  old_link: { icon: "link", again: null },
  failed: { icon: "alert", again: "end.reload" },
  unreachable: { icon: "offline", again: "end.retry" },
};
const TEXTS: { readonly [kind in EndKind]?: Key } = {
  unknown: "end.unknown.text",
  left: "end.left.text",
  removed: "end.removed.text",
  replaced: "end.replaced.text",
  old_link: "end.old_link.text",
  failed: "end.failed.text",
};

export function End({ state, actions, screen }: Context & { readonly screen: EndScreen }) {
  const t = state.t.value;
  const title = useRef<HTMLHeadingElement>(null);
  // Also when a try has come to the same end.
  useEffect(() => title.current?.focus(), [screen]);
  const { icon, again } = LOOKS[screen.why];
  const text = TEXTS[screen.why];
  return (
    <main class="front front-end">
      <div class="end">
        <span class="end-icon">
          <Icon name={icon} />
        </span>
        <h1 ref={title} tabIndex={-1}>
          {t(`end.${screen.why}`)}
        </h1>
        <p class="lead">{screen.detail || (text === undefined ? "" : t(text))}</p>
        {again !== null && (
          <Button
            kind="primary"
            onClick={() => {
              if (screen.why === "failed") location.reload();
              // The address may still have a host's key.
              else if (screen.why === "unreachable")
                void actions.open(location.pathname, location.hash);
              else if (screen.link !== null) void actions.openSession(screen.link);
            }}
          >
            {t(again)}
          </Button>
        )}
        <Button kind={again === null ? "primary" : "plain"} onClick={() => actions.home()}>
          {t("end.create")}
        </Button>
      </div>
    </main>
  );
}
