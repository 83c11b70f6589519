/** The entry: makes the state, the devices and the actions, and shows the screen that the address asks for. */

import { effect } from "@preact/signals";
import { render } from "preact";
import { Actions } from "./app/actions";
import { newState } from "./app/state";
import { clock } from "./core/clock";
import { Api, mapsOfPage } from "./io/api";
import { watchBattery } from "./io/battery";
import { PageLifecycle } from "./io/lifecycle";
import { Locator } from "./io/locator";
import { browserStorage } from "./io/storage";
import { reloadIfUpgraded } from "./io/upgrade";
import { ScreenLock } from "./io/wake_lock";
import { App } from "./views/app";
import { newContext } from "./views/context";
import "./views/tokens.css";
import "./views/style.css";

const TICK_MS = 1_000;

/** The root of the server, which a proxy may have put into a folder: above /assets. */
const root = new URL(/* @vite-ignore */ "../", import.meta.url).href;

const state = newState();
const storage = browserStorage();
const lifecycle = new PageLifecycle(clock);
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
  lifecycle,
});

storage.sweep();
state.settings.value = storage.settings();
state.maps.value = mapsOfPage();
lifecycle.listen((event) => actions.lifecycle(event));
window.setInterval(() => actions.tick(), TICK_MS);
void watchBattery((battery) => {
  state.battery.value = battery;
  locator.setFrugal(battery.isLow);
});

const dark = window.matchMedia("(prefers-color-scheme: dark)");
const lookAtScheme = (): void => {
  state.prefersDark.value = dark.matches;
};
dark.addListener(lookAtScheme); // addEventListener is younger (Safari 14)
lookAtScheme();
effect(() => {
  document.documentElement.setAttribute("data-scheme", state.isDark.value ? "dark" : "light");
});

// In a tab that shows the session already a browser goes to the host's link without loading it.
window.addEventListener("hashchange", () => {
  if (location.hash.indexOf("host=") >= 0) location.reload();
});
// Fired by other tabs only.
window.addEventListener("storage", ({ key }) => {
  if (storage.isOfSettings(key)) actions.settingsChanged();
});
window.addEventListener("popstate", () => void actions.open(location.pathname, location.hash));
// Parts that come later, and the styles: those of this build may be gone.
const checkBuild = (): void => void reloadIfUpgraded(root, import.meta.url);
window.addEventListener("vite:preloadError", checkBuild);
for (const link of document.querySelectorAll<HTMLLinkElement>("link[rel=stylesheet]")) {
  if (link.sheet === null) checkBuild();
}

// The address of the page changes when a session is opened; those of its icons must not.
for (const link of document.querySelectorAll("link")) link.href = String(link.href);

void actions.open(location.pathname, location.hash);
/** A language that comes later than this replaces English on the screen. */
const LANGUAGE_MS = 800;
const show = (): void => {
  render(<App {...newContext(state, actions, storage)} />, document.getElementById("app")!);
};
// The reader's language is loaded first, so that nobody sees the screen change its words.
const late = new Promise<void>((resolve) => window.setTimeout(resolve, LANGUAGE_MS));
void Promise.race([actions.setLanguage(), late]).then(show);

/** After the first screen has what it needs. */
const REGISTER_MS = 4_000;
if ("serviceWorker" in navigator) {
  window.setTimeout(() => {
    navigator.serviceWorker.register(new URL("sw.js", root)).catch(() => undefined);
  }, REGISTER_MS);
}
