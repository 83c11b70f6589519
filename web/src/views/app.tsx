/** The page: the screen that the state asks for, a dialog over it, and what is said in passing. */

import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Screen } from "../app/state";
import type { Context } from "./context";
import { End } from "./end";
import { Home } from "./home";
import { Join } from "./join";
import { Live } from "./live";

export function App(context: Context) {
  const { state, ui } = context;
  const screen = state.screen.value;
  const hasDialog = ui.dialog.value !== null;
  const t = state.t.value;
  const name = titleOf(screen);
  // Looked at before the page is inert, which takes the focus away.
  const opener = useRef<Element | null>(null);
  if (hasDialog && opener.current === null) opener.current = document.activeElement;
  useEffect(() => {
    if (hasDialog || opener.current === null) return;
    // What was done may have taken the opener away.
    const back = opener.current.isConnected ? opener.current : document.querySelector("h1");
    (back as HTMLElement | null)?.focus();
    opener.current = null;
  }, [hasDialog]);
  useEffect(() => {
    document.title = name === "" ? `locshare · ${t("app.title")}` : `${name} · locshare`;
  }, [name, t]);
  useEffect(() => {
    if (screen.kind !== "session") ui.dialog.value = null;
  }, [screen.kind]);
  useEffect(() => {
    const onKeyDown = ({ key }: KeyboardEvent): void => {
      if (key !== "Escape") return;
      if (ui.dialog.peek() !== null) ui.dialog.value = null;
      else context.actions.select(null);
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);
  return (
    <>
      <div class="page" aria-hidden={hasDialog ? "true" : undefined} inert={hasDialog}>
        <Shown {...context} screen={screen} />
      </div>
      {hasDialog && screen.kind === "session" && <Dialogs {...context} />}
      <Toasts {...context} />
    </>
  );
}

function titleOf(screen: Screen): string {
  if (screen.kind === "join") return screen.session.name;
  if (screen.kind !== "session") return "";
  return screen.model.state.value.session?.name ?? screen.model.membership.name;
}

function Shown({ screen, ...context }: Context & { readonly screen: Screen }) {
  switch (screen.kind) {
    case "loading":
      return (
        <main class="front front-end">
          <h1 class="visually-hidden">{context.state.t.value("app.loading")}</h1>
          <span class="spinner" aria-hidden="true" />
        </main>
      );
    case "home":
      return <Home {...context} />;
    case "join":
      return <Join key={screen.link.id} {...context} screen={screen} />;
    case "session":
      return <Live {...context} model={screen.model} />;
    case "end":
      return <End key={screen.why} {...context} screen={screen} />;
  }
}

let dialogs: Promise<typeof import("./dialogs")> | null = null;

/** The dialogs come when the group is on the screen, so that it comes first. */
export function loadDialogs(): Promise<typeof import("./dialogs")> {
  dialogs ??= import("./dialogs").catch((error: unknown) => {
    dialogs = null; // offline: the next time it may work
    throw error;
  });
  return dialogs;
}

/** A part of the dialogs' module, or null until it is there; `onFail` when it cannot be had. */
export function useLater<Props>(
  { actions, state }: Context,
  part: (module: typeof import("./dialogs")) => ComponentType<Props>,
  isWanted: boolean,
  onFail: () => void,
): ComponentType<Props> | null {
  const [Shown, set] = useState<ComponentType<Props> | null>(null);
  useEffect(() => {
    if (!isWanted || Shown !== null) return;
    loadDialogs().then(
      (module) => set(() => part(module)),
      () => {
        onFail();
        actions.notices.say(state.t.peek()("problem.no_answer"));
      },
    );
  }, [isWanted]);
  return Shown;
}

function Dialogs(context: Context) {
  const close = (): void => {
    context.ui.dialog.value = null;
  };
  const Shown = useLater(context, (module) => module.Dialogs, true, close);
  return Shown === null ? null : <Shown {...context} />;
}

function Toasts({ state }: Context) {
  return (
    // A status is read as a whole, unless it says otherwise: here each once, as it comes.
    <div class="toasts" role="status" aria-atomic="false">
      {state.notices.value.map(({ id, text }) => (
        <p key={id} class="toast">
          {text}
        </p>
      ))}
    </div>
  );
}
