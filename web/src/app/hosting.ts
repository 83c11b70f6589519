/** What a host may do, and how one becomes it. Calls that fail throw Refused. */

import { joinAddress } from "../core/link";
import type { Role } from "../core/session";
import { type Api, Refused } from "../io/api";
import type { Storage } from "../io/storage";
import type { SessionModel } from "./session_model";
import type { AppState } from "./state";

export class Hosting {
  private readonly state: AppState;
  private readonly api: Api;
  private readonly storage: Storage;

  constructor(state: AppState, api: Api, storage: Storage) {
    this.state = state;
    this.api = api;
    this.storage = storage;
  }

  async lock(model: SessionModel, locked: boolean): Promise<void> {
    await this.api.lock(model.id, locked, this.token(model));
  }

  /** Make a new join link: nobody joins by the one of before. */
  async replaceLink(model: SessionModel): Promise<void> {
    const before = model.linkKey.peek();
    const { link_key: key } = await this.api.replaceLink(model.id, this.token(model));
    model.setLinkKey(key, before);
  }

  /** End the session for everybody. */
  async end(model: SessionModel): Promise<void> {
    try {
      await this.api.end(model.id, this.token(model));
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 410) throw error;
    }
  }

  async remove(model: SessionModel, userId: string, ban: boolean): Promise<void> {
    try {
      await this.api.remove(model.id, userId, this.token(model), ban);
    } catch (error) {
      if (!(error instanceof Refused) || error.status !== 404) throw error;
    }
  }

  async setRole(model: SessionModel, userId: string, role: Role): Promise<void> {
    await this.api.setRole(model.id, userId, role, this.token(model));
  }

  /** Be a participant like the others from now on. The token that came with the session goes too. */
  async stepDown(model: SessionModel): Promise<void> {
    const { userId, token } = model.membership;
    if (model.state.peek().me?.role === "host") {
      await this.api.setRole(model.id, userId, "participant", token);
    }
    this.storage.keepHost(model.id, null);
    model.hasHostToken.value = false;
  }

  /** The link that makes its bearer the host, or null on a device that has no key. */
  link(model: SessionModel): string | null {
    const key = this.storage.host(model.id)?.key;
    if (key === undefined) return null;
    return `${joinAddress(this.api.root, model.joinLink)}#host=${encodeURIComponent(key)}`;
  }

  /** Become the host by the key in the address, and take it out: what is there is passed on. */
  async become(id: string, hash: string): Promise<"yes" | "no" | "wrong"> {
    // No more than the key: messengers leave a full stop or a bracket on this link too.
    const key = /[#&]host=([\w-]+)/.exec(hash)?.[1];
    if (key === undefined) return this.storage.host(id) === null ? "no" : "yes";
    let token: string | null = null;
    try {
      token = (await this.api.becomeHost(id, key)).host_token;
    } catch (error) {
      const isWrong = error instanceof Refused && (error.status === 403 || error.status === 400);
      if (!isWrong) throw error; // a reload tries again
    }
    history.replaceState(null, "", location.pathname + location.search);
    if (token === null) return "wrong";
    this.storage.keepHost(id, { token, key });
    for (const each of this.state.sessions.peek()) {
      if (each.id === id) each.hasHostToken.value = true;
    }
    return "yes";
  }

  /** The host's own token, else the one that a host joined with: both are good for this. */
  private token(model: SessionModel): string {
    return this.storage.host(model.id)?.token ?? model.membership.token;
  }
}
