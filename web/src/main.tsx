/** The entry: makes the state, the devices and the actions, and shows the screen that the address asks for. */

import { effect } from "@preact/signals";
import { render } from "preact";
import { Actions } from "./app/actions";
import { newState } from "./app/state";
import { clock } from "./core/clock";
import { Api } from "./io/api";
import { watchBattery } from "./io/battery";
import { PageLifecycle } from "./io/lifecycle";
import { Locator } from "./io/locator";
import { browserStorage } from "./io/storage";
import { ScreenLock } from "./io/wake_lock";
import { App } from "./views/app";
import "./views/tokens.css";
import "./views/style.css";

const TICK_MS = 1_000;

/** The root of the server, which a proxy may have put into a folder: above /assets. */
const page = new URL(/* @vite-ignore */ "../", import.meta.url);
const root = new URL(page.pathname.endsWith("/next/") ? "../" : "./", page).href;

const state = newState();
const storage = browserStorage();
const locator = new Locator({
  onFix: (fix) => {
    for (const each of state.sessions.peek()) each.located(fix);
  },
  onStatus: (status) => {
    state.location.value = status;
  },
});
const actions = new Actions(state, {
  api: new Api(root),
  storage,
  locator,
  screenLock: new ScreenLock(),
});

state.settings.value = storage.settings();
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const lookAtScheme = (): void => {
  state.prefersDark.value = dark.matches;
};
dark.addListener(lookAtScheme); // addEventListener is younger (Safari 14)
lookAtScheme();
effect(() => {
  document.documentElement.setAttribute("data-scheme", state.isDark.value ? "dark" : "light");
});
const lifecycle = new PageLifecycle(clock);
lifecycle.listen((event) => actions.lifecycle(event));
window.setInterval(() => actions.tick(), TICK_MS);
void watchBattery((battery) => {
  state.battery.value = battery;
  locator.setFrugal(battery.isLow);
});
// In a tab that shows the session already a browser goes to the host's link without loading it.
window.addEventListener("hashchange", () => {
  if (location.hash.indexOf("host=") >= 0) location.reload();
});
// A script of another build than the page's: the server has been upgraded.
window.addEventListener("vite:preloadError", () => location.reload());

// The address of the page changes when a session is opened; that of its icon must not.
for (const link of document.querySelectorAll("link")) link.href = String(link.href);

void actions.setLanguage();
void actions.open(location.pathname, location.hash);
render(<App state={state} actions={actions} storage={storage} />, document.getElementById("app")!);
