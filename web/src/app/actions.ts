/**
 * Everything that can be done on the page. Views and the map call these; nothing else writes the
 * signals of state.ts. Calls to the server that fail throw Refused: `explain` puts it in words.
 */

import type { StayReason } from "../core/backoff";
import { now } from "../core/clock";
import type { Happening } from "../core/happenings";
import type { Role } from "../core/session";
import { load } from "../i18n";
import { type Api, type Created, Refused } from "../io/api";
import type { LifecycleEvent } from "../io/lifecycle";
import type { Locator } from "../io/locator";
import { copy, type Handed, share } from "../io/sharing";
import type { Membership, Profile, Settings, Storage } from "../io/storage";
import type { ScreenLock } from "../io/wake_lock";
import { SessionModel } from "./session_model";
import type { AppState, EndKind, Follow } from "./state";

/** A socket and its traffic for each: more at once would cost the battery, and nobody needs them. */
const MOST_SESSIONS = 5;
const MOST_NOTICES = 3;
const NOTICE_MS = 6_000;
const LEAVE_DEADLINE_MS = 2_000;
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export interface Devices {
  readonly api: Api;
  readonly storage: Storage;
  readonly locator: Locator;
  readonly screenLock: ScreenLock;
}

export class Actions {
  private readonly state: AppState;
  private readonly devices: Devices;
  private noticeCount = 0;

  constructor(state: AppState, devices: Devices) {
    this.state = state;
    this.devices = devices;
  }

  // --- coming and going

  /** Show what an address asks for. `path` is below the root: `` or `join/ID`; `hash` may have a key. */
  async open(path: string, hash: string): Promise<void> {
    const found = /(?:^|\/)join\/([^/]*)\/?$/.exec(path);
    if (found === null) {
      this.state.screen.value = { kind: "home" };
      return;
    }
    await this.openSession(decoded(found[1]!).toLowerCase(), decoded(hash));
  }

  async openSession(id: string, hash = ""): Promise<void> {
    const { api, storage } = this.devices;
    if (!ID.test(id)) return this.showEnd(id, "unknown");
    try {
      const host = await this.comeAsHost(id, hash);
      const kept = storage.membership(id);
      if (kept !== null) return this.enter(id, kept);
      const session = await api.describe(id);
      if (!session.is_active) {
        storage.forgetSession(id);
        return this.showEnd(id, "ended");
      }
      this.state.screen.value = { kind: "join", id, session, host };
    } catch (error) {
      this.refused(id, error);
    }
  }

  /** Create a session and become its host. */
  async create(name: string, hours: number): Promise<Created> {
    const body = { name: name.trim() || null, expires_in_minutes: Math.round(hours * 60) };
    const created = await this.devices.api.create(body);
    this.devices.storage.keepHost(created.session_id, {
      token: created.host_token,
      key: created.host_key,
    });
    return created;
  }

  /** Take part in a session. Throws Refused, unless the session is over or unknown. */
  async join(id: string, profile: Profile): Promise<void> {
    const { api, storage } = this.devices;
    const host = storage.host(id);
    try {
      const [session, joined] = await Promise.all([
        api.describe(id),
        api.join(
          id,
          {
            display_name: profile.name,
            avatar_color: profile.color,
            device_key: storage.deviceKey(id),
          },
          host?.token,
        ),
      ]);
      const membership: Membership = {
        userId: joined.user_id,
        token: joined.websocket_token,
        url: joined.websocket_url,
        name: session.name,
        endsAt: Date.parse(session.expires_at),
      };
      storage.keepMembership(id, membership);
      storage.keepProfile(profile);
      this.enter(id, membership);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 404 || error.status === 410) return this.refused(id, error);
      if ((error.status === 401 || error.status === 403) && host !== null) {
        if (error.code !== "BANNED") storage.keepHost(id, null);
      }
      throw error;
    }
  }

  /** Show one of the sessions that this device is connected to. */
  show(model: SessionModel): void {
    this.state.screen.value = { kind: "session", model };
    this.state.follow.value = { kind: "everyone" };
    this.state.selected.value = null;
  }

  /** Leave a session for good. */
  async leave(model: SessionModel): Promise<void> {
    if (model.leave()) {
      // The server answers by closing, which ends it; do not wait for ever.
      window.setTimeout(() => {
        if (this.state.sessions.peek().includes(model)) this.ended(model, "left");
      }, LEAVE_DEADLINE_MS);
      return;
    }
    const { userId, token } = model.membership;
    await this.devices.api.remove(model.id, userId, token).catch(() => undefined);
    this.ended(model, "left");
  }

  // --- what a host may do

  async lock(model: SessionModel, locked: boolean): Promise<void> {
    await this.devices.api.lock(model.id, locked, this.hostToken(model));
  }

  async end(model: SessionModel): Promise<void> {
    try {
      await this.devices.api.end(model.id, this.hostToken(model));
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 410) throw error;
    }
  }

  async remove(model: SessionModel, userId: string, ban: boolean): Promise<void> {
    try {
      await this.devices.api.remove(model.id, userId, this.hostToken(model), ban);
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 404) throw error;
    }
  }

  async setRole(model: SessionModel, userId: string, role: Role): Promise<void> {
    await this.devices.api.setRole(model.id, userId, role, this.hostToken(model));
  }

  /** The link that makes its bearer the host, or null on a device that has no key. */
  hostLink(model: SessionModel): string | null {
    const key = this.devices.storage.host(model.id)?.key;
    return key === undefined ? null : `${this.joinLink(model)}#host=${encodeURIComponent(key)}`;
  }

  // --- sharing the link

  joinLink(model: SessionModel): string {
    return new URL(`join/${model.id}`, this.devices.api.root).href;
  }

  async shareLink(model: SessionModel): Promise<Handed> {
    const name = model.state.peek().session?.name ?? model.membership.name;
    const handed = await share(name, this.joinLink(model));
    if (handed === "copied") this.notify(this.state.t.peek()("notice.copied"));
    return handed;
  }

  async copyLink(link: string): Promise<Handed> {
    const handed = await copy(link);
    if (handed === "copied") this.notify(this.state.t.peek()("notice.copied"));
    return handed;
  }

  // --- this device

  /** Ask the browser for this device's position, and share it. */
  startSharing(): void {
    this.set({ shares: true });
    this.devices.locator.start();
  }

  /** See the others without being seen. */
  onlyWatch(): void {
    this.set({ shares: false });
    this.devices.locator.stop();
  }

  /** Try again after a refusal. */
  retryLocation(): void {
    this.devices.locator.stop();
    this.devices.locator.start();
  }

  setPaused(isPaused: boolean): void {
    this.state.isPaused.value = isPaused;
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

  /** Change settings, and keep them. */
  set(change: Settings): void {
    const settings = { ...this.state.settings.peek(), ...change };
    this.state.settings.value = settings;
    this.devices.storage.keepSettings(settings);
    for (const model of this.state.sessions.peek()) model.setBlurred(settings.isBlurred === true);
    if (change.language !== undefined) void this.setLanguage();
  }

  async setLanguage(): Promise<void> {
    const { language } = this.state.settings.peek();
    const t = await load(language === undefined ? navigator.languages : [language]);
    this.state.t.value = t;
    document.documentElement.lang = t.code;
    document.documentElement.dir = t.direction;
  }

  notify(text: string): void {
    this.noticeCount += 1;
    const id = this.noticeCount;
    const { notices } = this.state;
    notices.value = [...notices.peek(), { id, text }].slice(-MOST_NOTICES);
    window.setTimeout(() => this.dismiss(id), NOTICE_MS);
  }

  dismiss(id: number): void {
    const { notices } = this.state;
    notices.value = notices.peek().filter((each) => each.id !== id);
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
    if (error.retryAfter !== null) return t("problem.wait", { n: error.retryAfter });
    return t("problem.other", { detail: error.message });
  }

  // --- what happens by itself

  /** Each second. */
  tick(): void {
    this.state.now.value = now();
  }

  lifecycle(event: LifecycleEvent): void {
    const models = this.state.sessions.peek();
    this.state.isOffline.value = navigator.onLine === false;
    if (event === "offline") for (const each of models) each.drop();
    if (event === "shown" || event === "online") {
      for (const each of models) each.probe();
      this.devices.locator.resume();
      if (this.state.settings.peek().keepsAwake === true) void this.setAwake(true);
      this.tick();
    }
    if (event !== "offline" && event !== "online") this.tellPresence();
  }

  private tellPresence(): void {
    const paused = this.state.isPaused.peek();
    const state = paused ? "paused" : document.hidden ? "hidden" : "active";
    for (const each of this.state.sessions.peek()) each.setPresence(state);
  }

  private enter(id: string, membership: Membership): void {
    const known = this.state.sessions.peek().filter((each) => each.id === id)[0];
    if (known !== undefined) {
      this.show(known);
      return;
    }
    const model = new SessionModel(id, membership, {
      onHappening: (_, happening) => this.notify(this.happened(happening)),
      onEnd: (each, why) => this.ended(each, why),
    });
    model.setBlurred(this.state.settings.peek().isBlurred === true);
    const kept = this.state.sessions.peek().slice(1 - MOST_SESSIONS);
    for (const each of this.state.sessions.peek()) if (!kept.includes(each)) each.stop();
    this.state.sessions.value = [...kept, model];
    model.start();
    const { locator } = this.devices;
    if (this.state.settings.peek().shares === true) locator.start(); // after a reload
    if (locator.current !== null) model.located(locator.current);
    this.show(model);
  }

  private ended(model: SessionModel, why: StayReason): void {
    const { storage } = this.devices;
    model.stop();
    this.state.sessions.value = this.state.sessions.peek().filter((each) => each !== model);
    if (why === "ended") storage.forgetSession(model.id);
    else if (why !== "replaced" && why !== "failed") storage.forgetMembership(model.id);
    if (this.state.sessions.peek().length === 0) this.devices.locator.stop();
    if (this.state.active.peek() !== model) return;
    if (why === "rejoin") void this.openSession(model.id);
    else {
      const reason = why === "ended" ? model.state.peek().ended : null;
      this.showEnd(model.id, why, reason === null ? "" : this.state.t.peek()(`end.${reason}`));
    }
  }

  private happened(happening: Happening): string {
    const t = this.state.t.peek();
    const values = "name" in happening ? { name: happening.name } : {};
    return t(`notice.${happening.kind}`, values);
  }

  /** Become the host by the key in the address, and take it out: what is there is passed on. */
  private async comeAsHost(id: string, hash: string): Promise<"yes" | "no" | "wrong"> {
    const { api, storage } = this.devices;
    // No more than the key: messengers leave a full stop or a bracket on this link too.
    const key = /[#&]host=([\w-]+)/.exec(hash)?.[1];
    if (key === undefined) return storage.host(id) === null ? "no" : "yes";
    let token: string | null = null;
    try {
      token = (await api.becomeHost(id, key)).host_token;
    } catch (error) {
      const isWrong = error instanceof Refused && (error.status === 403 || error.status === 400);
      if (!isWrong) throw error; // a reload tries again
    }
    history.replaceState(null, "", location.pathname + location.search);
    if (token === null) return "wrong";
    storage.keepHost(id, { token, key });
    return "yes";
  }

  /** A host's actions are allowed with the host's token, and with the one that a host joined with. */
  private hostToken(model: SessionModel): string {
    return this.devices.storage.host(model.id)?.token ?? model.membership.token;
  }

  private refused(id: string, error: unknown): void {
    const status = error instanceof Refused ? error.status : 0;
    if (status === 404 || status === 400) this.showEnd(id, "unknown");
    else if (status === 410) {
      this.devices.storage.forgetSession(id);
      this.showEnd(id, "ended");
    } else this.showEnd(id, "unreachable", this.explain(error));
  }

  private showEnd(id: string, why: EndKind | "rejoin", detail = ""): void {
    if (why === "rejoin") return;
    this.state.screen.value = { kind: "end", id, why, detail };
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}
