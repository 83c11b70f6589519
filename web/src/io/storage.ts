/**
 * What the browser keeps, never in an address, and all of it in localStorage: phones close tabs at
 * will, and who comes back must be the same person. Kept until the session is over, or left: the
 * membership, the host's credentials, and the key by which a ban recognises this device. For the next
 * session: name, colour, settings. Without storage the page works, but forgets on reload.
 */

import type { Picture } from "../core/picture";

/** Longer than any session: entries of older ones are useless. */
const KEPT_MS = 48 * 3_600_000;
/** By so much a device's clock may be fast, and its owner still comes back as the same person. */
const WRONG_CLOCK_MS = 3_600_000;
const MEMBER = "locshare-member:";
const HOST = "locshare-host:";
const DEVICE = "locshare-device:";
const LAST = "locshare-last:";
const SETTINGS = "locshare-settings";
const OF_SESSION = [MEMBER, HOST, DEVICE, LAST];

export interface Membership {
  readonly userId: string;
  readonly token: string;
  readonly url: string;
  /** Of the session, and when it ends by this device's wall clock, for the switcher. */
  readonly name: string;
  readonly endsAt: number;
  /** Whether this device shares its position there; false is one that only watches. */
  readonly shares: boolean;
}

export interface HostCredentials {
  readonly token: string;
  readonly key?: string | undefined;
}

export interface Profile {
  readonly name: string;
  readonly color: string;
}

export interface Settings {
  readonly language?: string | undefined;
  readonly units?: "metric" | "imperial" | undefined;
  readonly scheme?: "light" | "dark" | undefined;
  readonly map?: string | undefined;
  readonly isBlurred?: boolean;
  readonly isPaused?: boolean;
  /** Has been told, once, what happens when the phone locks. */
  readonly knowsLock?: boolean;
  readonly keepsAwake?: boolean;
}

export class Storage {
  private readonly store: globalThis.Storage | null;
  private readonly wall: () => number;

  constructor(store: globalThis.Storage | null, wall: () => number = Date.now) {
    this.store = store;
    this.wall = wall;
  }

  membership = (id: string): Membership | null => this.read(MEMBER + id);
  keepMembership = (id: string, value: Membership): void => this.keep(MEMBER + id, value);
  host = (id: string): HostCredentials | null => this.read(HOST + id);
  keepHost = (id: string, value: HostCredentials | null): void => this.keep(HOST + id, value);
  picture = (id: string): Picture | null => this.read(LAST + id);
  keepPicture = (id: string, value: Picture): void => this.keep(LAST + id, value);
  profile = (): Profile | null => this.read("locshare-profile");
  keepProfile = (value: Profile): void => this.write("locshare-profile", value);
  settings = (): Settings => this.read(SETTINGS) ?? {};
  keepSettings = (value: Settings): void => this.write(SETTINGS, value);

  /** Whether a `storage` event is of the settings; its key is null where all was cleared. */
  isOfSettings = (key: string | null): boolean => key === SETTINGS;

  /** Forget the participant of a session: they have left, or may not come back. */
  forgetMembership(id: string): void {
    this.write(MEMBER + id, null);
    this.write(LAST + id, null);
  }

  /** Forget everything of a session that is over. */
  forgetSession(id: string): void {
    for (const prefix of OF_SESSION) this.write(prefix + id, null);
  }

  /** The sessions that this device is in, the one that ends first first. */
  memberships(): readonly { readonly id: string; readonly membership: Membership }[] {
    const found: { id: string; membership: Membership }[] = [];
    for (const key of this.keys()) {
      if (!key.startsWith(MEMBER)) continue;
      const membership = this.read<Membership>(key);
      const isOver = membership !== null && membership.endsAt < this.wall();
      if (membership === null || isOver) continue;
      found.push({ id: key.slice(MEMBER.length), membership });
    }
    return found.sort((a, b) => a.membership.endsAt - b.membership.endsAt);
  }

  /** The key by which a ban recognises this browser: random, one for each session. */
  deviceKey(id: string): string {
    const kept = this.read<{ key?: unknown }>(DEVICE + id)?.key;
    if (typeof kept === "string") return kept;
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    const key = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    this.keep(DEVICE + id, { key });
    return key;
  }

  /** Forget the sessions that ended while no page was open to hear of it. */
  sweep(): void {
    for (const key of this.keys()) {
      if (!OF_SESSION.some((prefix) => key.startsWith(prefix))) continue;
      const found = this.read<{ keptAt?: number; endsAt?: number }>(key);
      const { keptAt = Number.NaN, endsAt = Number.POSITIVE_INFINITY } = found ?? {};
      if (!(Math.abs(this.wall() - keptAt) < KEPT_MS)) this.write(key, null);
      else if (endsAt + WRONG_CLOCK_MS < this.wall()) {
        this.forgetSession(key.slice(key.indexOf(":") + 1));
      }
    }
  }

  /** Store a value of a session, and delete those of sessions that must be over. */
  private keep(key: string, value: object | null): void {
    this.write(key, value === null ? null : { ...value, keptAt: this.wall() });
    this.sweep();
  }

  private keys(): readonly string[] {
    try {
      return this.store === null ? [] : Object.keys(this.store);
    } catch {
      return [];
    }
  }

  private read<Value>(key: string): Value | null {
    try {
      return JSON.parse(this.store?.getItem(key) ?? "null") as Value | null;
    } catch {
      return null;
    }
  }

  private write(key: string, value: object | null): void {
    try {
      if (value === null) this.store?.removeItem(key);
      else this.store?.setItem(key, JSON.stringify(value));
    } catch {
      // Forbidden or full: go on without.
    }
  }
}

/** Reading the property alone may be forbidden. */
export function browserStorage(): Storage {
  try {
    return new Storage(window.localStorage);
  } catch {
    return new Storage(null);
  }
}
