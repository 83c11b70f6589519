/**
 * Everything that can be done on the page; a host's part is in hosting.ts, what the page says in
 * notices.ts. Views and the map call these; nothing else writes the signals of state.ts. Calls to the
 * server that fail throw Refused: `explain` puts it in words.
 */

import { effect } from "@preact/signals";
import type { StayReason } from "../core/backoff";
import { now } from "../core/clock";
import { joinAddress, type Link, linkPart, parseLink } from "../core/link";
import { pictureOf, stateOf } from "../core/picture";
import { load } from "../i18n";
import { type Api, type Described, Refused, type Setup, type SetupApp } from "../io/api";
import type { Lifecycle, LifecycleEvent } from "../io/lifecycle";
import type { Locator } from "../io/locator";
import { copy, type Handed, share } from "../io/sharing";
import type { Membership, Profile, Settings, Storage } from "../io/storage";
import type { ScreenLock } from "../io/wake_lock";
import { Hosting } from "./hosting";
import { Notices } from "./notices";
import { SessionModel } from "./session_model";
import type { AppState, EndKind, Follow } from "./state";

/** A socket and its traffic for each: more at once would cost the battery, and nobody needs them. */
const MOST_SESSIONS = 5;
const LEAVE_DEADLINE_MS = 2_000;
/** What the server says of somebody who is in no session any more. */
const GONE: readonly number[] = [401, 403, 404, 410];
/** So long a session counts as running that was joined just now: until it is known when it ends. */
const JOINED_MS = 600_000;
/** By how much this device's clock may differ from the server's before it counts. */
const CLOCK_ERROR_MS = 60_000;
/** How often the group's last picture is kept on the device. */
const PICTURE_MS = 10_000;

export interface Devices {
  readonly api: Api;
  readonly storage: Storage;
  readonly locator: Locator;
  readonly screenLock: ScreenLock;
  readonly lifecycle: Lifecycle;
}

export class Actions {
  readonly host: Hosting;
  readonly notices: Notices;

  private readonly state: AppState;
  private readonly devices: Devices;
  private pictureAt = 0;
  /** Of what was asked for last, by a link or a button: what comes late for an earlier one is dropped. */
  private visits = 0;

  constructor(state: AppState, devices: Devices) {
    this.state = state;
    this.devices = devices;
    this.host = new Hosting(state, devices.api, devices.storage);
    this.notices = new Notices(state, devices.lifecycle);
    // The address in the bar is shared as well: it is the link that the session has now.
    effect(() => {
      const model = state.active.value;
      if (model !== null) this.go(`join/${linkPart(model.joinLink)}`);
    });
  }

  /** What happens to the page, for the map. */
  get page(): Lifecycle {
    return this.devices.lifecycle;
  }

  // --- coming and going

  /** Where the server is: relative addresses lie below it. */
  get root(): string {
    return this.devices.api.root;
  }

  /** Show what an address asks for: `…/join/ID`, or the first page; `hash` may have a host's key. */
  async open(path: string, hash: string): Promise<void> {
    const found = /(?:^|\/)join\/([^/]*)\/?$/.exec(path);
    this.visits += 1;
    if (found === null) {
      this.state.screen.value = { kind: "home" };
      return;
    }
    const link = parseLink(decoded(found[1]!));
    if (link === null) this.showEnd(null, "unknown");
    else await this.openSession(link, decoded(hash));
  }

  async openSession(link: Link, hash = ""): Promise<void> {
    const { storage } = this.devices;
    this.visits += 1;
    const visit = this.visits;
    try {
      const host = await this.host.become(link.id, hash);
      if (visit !== this.visits) return;
      const kept = storage.membership(link.id);
      if (kept !== null) {
        this.enter(link, kept);
        if (host === "wrong") this.notices.say(this.state.t.peek()("join.host.wrong"));
        return;
      }
      const session = await this.describe(link);
      if (!session.is_active) storage.forgetSession(link.id);
      if (visit !== this.visits) return;
      if (!session.is_active) return this.showEnd(link, "ended");
      this.state.screen.value = { kind: "join", link, session, host };
    } catch (error) {
      if (visit === this.visits) this.refused(link, error);
    }
  }

  /** A host needs no link: the token does, if it is still good. */
  private async describe({ id, key }: Link): Promise<Described> {
    const { api, storage } = this.devices;
    const token = storage.host(id)?.token;
    try {
      return await api.describe(id, key, token);
    } catch (error) {
      const isStale = error instanceof Refused && (error.status === 401 || error.status === 403);
      if (token === undefined || !isStale) throw error;
      return api.describe(id, key);
    }
  }

  /** The first page. */
  home(): void {
    this.visits += 1;
    this.go("");
    this.state.screen.value = { kind: "home" };
  }

  /** Create a session, and take part in it as its host. Returns its model. Throws Refused. */
  async create(
    profile: Profile,
    name: string,
    hours: number,
    shares: boolean,
  ): Promise<SessionModel | null> {
    const { api, storage } = this.devices;
    const body = { name: name.trim() || null, expires_in_minutes: Math.round(hours * 60) };
    const created = await api.create(body);
    const link = { id: created.session_id, key: "" };
    storage.keepHost(link.id, { token: created.host_token, key: created.host_key });
    const session = { name: created.name, expires_at: created.expires_at };
    try {
      await this.join(link, profile, shares, session);
    } catch (error) {
      // There is a session now: creating another one would be wrong.
      this.notices.say(this.explain(error));
      this.go(`join/${link.id}`);
      await this.openSession(link);
      throw error;
    }
    return this.state.active.peek();
  }

  /** Take part in a session. Throws Refused, unless the session is over or unknown. */
  async join(
    link: Link,
    profile: Profile,
    shares: boolean,
    session: { readonly name: string; readonly expires_at: string },
  ): Promise<void> {
    const { api, storage } = this.devices;
    const { id, key } = link;
    const host = storage.host(id);
    storage.keepProfile(profile);
    const body = {
      display_name: profile.name,
      avatar_color: profile.color,
      device_key: storage.deviceKey(id),
      ...(key === "" ? {} : { link_key: key }),
    };
    try {
      const joined = await api.join(id, body, host?.token);
      const membership: Membership = {
        userId: joined.user_id,
        token: joined.websocket_token,
        url: joined.websocket_url,
        name: session.name,
        // Whoever has joined is in a session that is not over, whatever this device's clock says.
        endsAt: Math.max(Date.parse(session.expires_at), Date.now() + JOINED_MS),
        shares,
      };
      // A pause of yesterday is over; one that holds in another session is not lifted by coming here.
      if (shares && storage.memberships().length === 0) this.set({ isPaused: false });
      storage.keepMembership(id, membership);
      this.enter(link, membership);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const isOver = error.status === 404 || error.status === 410;
      if (isOver || error.code === "LINK_REPLACED") return this.refused(link, error);
      if ((error.status === 401 || error.status === 403) && host !== null) {
        if (error.code !== "BANNED") storage.keepHost(id, null);
      }
      throw error;
    }
  }

  /** Show one of the sessions that this device is connected to. */
  show(model: SessionModel): void {
    this.visits += 1;
    this.go(`join/${linkPart(model.joinLink)}`);
    this.state.screen.value = { kind: "session", model };
    this.state.follow.value = { kind: "everyone" };
    this.state.selected.value = null;
  }

  /** Leave a session for good. */
  async leave(model: SessionModel): Promise<void> {
    if (model.leave()) {
      // The server answers by closing, which ends it; do not wait for ever.
      window.setTimeout(() => {
        if (this.state.sessions.peek().includes(model)) void this.leaveByCall(model);
      }, LEAVE_DEADLINE_MS);
      return;
    }
    await this.leaveByCall(model);
  }

  /** Without a connection, or without an answer on it. What the server has not heard is said. */
  private async leaveByCall(model: SessionModel): Promise<void> {
    const { userId, token } = model.membership;
    let detail = "";
    try {
      await this.devices.api.remove(model.id, userId, token);
    } catch (error) {
      const isGone = error instanceof Refused && GONE.indexOf(error.status) >= 0;
      if (!isGone) detail = this.state.t.peek()("end.left.unheard");
    }
    if (this.state.sessions.peek().includes(model)) this.ended(model, "left", detail);
  }

  // --- sharing the link

  joinLink(model: { readonly joinLink: Link }): string {
    return joinAddress(this.root, model.joinLink);
  }

  /** The address of a picture of the link. */
  linkCode(model: SessionModel): string {
    return this.devices.api.linkCode(model.id, model.linkKey.value);
  }

  async shareLink(model: SessionModel): Promise<Handed> {
    const name = model.state.peek().session?.name ?? model.membership.name;
    const handed = await share(name, this.joinLink(model));
    if (handed === "copied") this.notices.say(this.state.t.peek()("notice.copied"));
    return handed;
  }

  async copyLink(link: string): Promise<Handed> {
    const handed = await copy(link);
    if (handed === "copied") this.notices.say(this.state.t.peek()("notice.copied"));
    return handed;
  }

  // --- this device

  /** Ask the browser for this device's position, and share it in the session on the screen. */
  startSharing(): void {
    this.setShares(true);
    if (this.state.isPaused.peek()) this.setPaused(false);
    this.devices.locator.start();
  }

  /** See the others there without being seen. The device may go on showing its owner where they are. */
  onlyWatch(): void {
    this.setShares(false);
  }

  private setShares(shares: boolean): void {
    const model = this.state.active.peek();
    if (model === null) return;
    const { storage } = this.devices;
    model.setSharing(shares, this.state.settings.peek().isBlurred === true);
    const kept = storage.membership(model.id);
    if (kept !== null) storage.keepMembership(model.id, { ...kept, shares });
  }

  /** Show its owner where this device is; the others are told only while it shares. */
  locate(): void {
    this.devices.locator.start();
  }

  /** How other apps share for this participant, with the screen off. Throws Refused. */
  setup(model: SessionModel): Promise<Setup> {
    return this.devices.api.setup(model.id, model.membership.token);
  }

  setupCode(model: SessionModel, app: SetupApp): Promise<string> {
    return this.devices.api.setupCode(model.id, app, model.membership.token);
  }

  /** Try again after a refusal. */
  retryLocation(): void {
    this.devices.locator.stop();
    this.devices.locator.start();
  }

  setPaused(isPaused: boolean): void {
    this.set({ isPaused });
    this.tellPresence();
  }

  async setAwake(isAwake: boolean): Promise<void> {
    this.set({ keepsAwake: isAwake });
    this.state.isAwake.value = await this.devices.screenLock.set(isAwake);
  }

  follow(what: Follow): void {
    this.state.follow.value = what;
  }

  select(userId: string | null): void {
    this.state.selected.value = userId;
  }

  /** The same, always as the same function. */
  readonly selectPerson = (userId: string): void => this.select(userId);

  /** Change settings, and keep them. */
  set(change: Settings): void {
    const settings = { ...this.state.settings.peek(), ...change };
    this.state.settings.value = settings;
    this.devices.storage.keepSettings(settings);
    for (const model of this.state.sessions.peek()) this.apply(model);
    if ("language" in change) void this.setLanguage();
  }

  /**
   * Another tab has changed the settings, which are the device's: who pauses there shares nothing here
   * either, and the next change made here takes back nothing of it.
   */
  settingsChanged(): void {
    const before = this.state.settings.peek();
    const settings = this.devices.storage.settings();
    this.state.settings.value = settings;
    for (const model of this.state.sessions.peek()) this.apply(model);
    this.tellPresence();
    if (settings.language !== before.language) void this.setLanguage();
  }

  /** Load the reader's language and speak it, unless another was chosen while it came. */
  async setLanguage(): Promise<void> {
    const { language } = this.state.settings.peek();
    const t = await load(language === undefined ? navigator.languages : [language]);
    if (this.state.settings.peek().language !== language) return;
    this.state.t.value = t;
    document.documentElement.lang = t.code;
    document.documentElement.dir = t.direction;
  }

  /** Why the server did not do it. */
  explain(error: unknown): string {
    const t = this.state.t.peek();
    if (!(error instanceof Refused)) return t("problem.other", { detail: "" }).trim();
    if (error.status === 0) return t("problem.no_answer");
    if (error.code === "SESSION_LOCKED") return t("problem.locked");
    if (error.code === "BANNED") return t("problem.banned");
    if (error.code === "SESSION_FULL") return t("problem.full");
    if (error.status === 401 || error.status === 403) return t("problem.not_host");
    if (error.retryAfter !== null) {
      return t(error.status === 503 ? "problem.busy" : "problem.wait", { n: error.retryAfter });
    }
    return t("problem.other", { detail: error.message });
  }

  // --- what happens by itself

  /** Each second. */
  tick(): void {
    const time = now();
    this.state.now.value = time;
    if (time - this.pictureAt >= PICTURE_MS) this.keepPictures();
  }

  private keepPictures(): void {
    this.pictureAt = now();
    const { storage } = this.devices;
    for (const { id, link, state } of this.state.sessions.peek()) {
      if (link.peek().kind !== "live") continue;
      const picture = pictureOf(state.peek(), now(), Date.now());
      if (picture === null) continue;
      storage.keepPicture(id, picture);
      // The join said it by the server's clock, which this device's may differ from.
      const { endsAt } = picture.session;
      const kept = storage.membership(id);
      if (kept !== null && Math.abs(kept.endsAt - endsAt) > CLOCK_ERROR_MS) {
        storage.keepMembership(id, { ...kept, endsAt });
      }
    }
  }

  lifecycle(event: LifecycleEvent): void {
    const models = this.state.sessions.peek();
    this.state.isOffline.value = this.devices.lifecycle.isOffline;
    if (event === "hidden" || event === "leaving") this.keepPictures();
    if (event === "offline") for (const each of models) each.drop();
    if (event === "slept") for (const each of models) each.renew();
    if (event === "shown" || event === "online") {
      for (const each of models) each.probe();
      this.devices.locator.resume();
      if (this.state.settings.peek().keepsAwake === true) void this.setAwake(true);
      this.tick();
    }
    if (event === "shown") this.notices.seen();
    if (event === "hidden" || event === "leaving" || event === "shown") this.tellPresence();
  }

  private tellPresence(): void {
    const { isHidden } = this.devices.lifecycle;
    const state = this.state.isPaused.peek() ? "paused" : isHidden ? "hidden" : "active";
    for (const each of this.state.sessions.peek()) each.setPresence(state, isHidden);
  }

  private enter({ id, key }: Link, membership: Membership): void {
    const known = this.state.sessions.peek().filter((each) => each.id === id)[0];
    if (known !== undefined) {
      this.show(known);
      return;
    }
    const { storage, locator } = this.devices;
    const model = new SessionModel(
      id,
      membership,
      {
        onHappening: (_, happening) => this.notices.tell(happening),
        onEnd: (each, why) => this.ended(each, why),
      },
      stateOf(id, storage.picture(id), now(), Date.now()),
      storage.host(id) !== null,
      key,
    );
    this.apply(model);
    const kept = this.state.sessions.peek().slice(1 - MOST_SESSIONS);
    for (const each of this.state.sessions.peek()) if (!kept.includes(each)) each.stop();
    this.state.sessions.value = [...kept, model];
    this.tellPresence();
    model.start();
    if (model.shares.peek()) locator.start();
    if (locator.current !== null) model.located(locator.current);
    if (this.state.settings.peek().keepsAwake === true) void this.setAwake(true);
    this.show(model);
  }

  private apply(model: SessionModel): void {
    model.setSharing(model.shares.peek(), this.state.settings.peek().isBlurred === true);
  }

  /** Put the address of what is shown into the bar: a reload, or a bookmark, shows it again. */
  private go(path: string): void {
    const url = new URL(path, this.root).href;
    const [here] = location.href.split("#");
    if (here === url) return;
    // A new link of the session that is shown takes the place of the one of before.
    const idOf = (address = ""): string | undefined => parseLink(address.replace(/^.*\//, ""))?.id;
    const isSame = idOf(url) !== undefined && idOf(url) === idOf(here);
    history[isSame ? "replaceState" : "pushState"](null, "", url);
  }

  private ended(model: SessionModel, why: StayReason, detail = ""): void {
    const { storage } = this.devices;
    model.stop();
    this.state.sessions.value = this.state.sessions.peek().filter((each) => each !== model);
    if (why === "ended") storage.forgetSession(model.id);
    else if (why !== "replaced" && why !== "failed") storage.forgetMembership(model.id);
    if (this.state.sessions.peek().length === 0) {
      this.devices.locator.stop();
      void this.devices.screenLock.set(false);
      this.state.isAwake.value = false;
    }
    if (this.state.active.peek() !== model) return;
    if (why === "rejoin") void this.openSession(model.joinLink);
    else {
      const reason = why === "ended" ? model.state.peek().ended : null;
      this.showEnd(
        model.joinLink,
        why,
        reason === null ? detail : this.state.t.peek()(`end.${reason}`),
      );
    }
  }

  private refused(link: Link, error: unknown): void {
    const { status, code } = error instanceof Refused ? error : { status: 0, code: "" };
    if (status === 404 || status === 400) this.showEnd(link, "unknown");
    else if (code === "LINK_REPLACED") this.showEnd(link, "old_link");
    else if (status === 410) {
      this.devices.storage.forgetSession(link.id);
      this.showEnd(link, "ended");
    } else this.showEnd(link, "unreachable", this.explain(error));
  }

  private showEnd(link: Link | null, why: EndKind | "rejoin", detail = ""): void {
    if (why === "rejoin") return;
    this.state.screen.value = { kind: "end", link, why, detail };
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
