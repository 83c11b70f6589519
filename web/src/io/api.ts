/** The REST calls of docs/reference/rest.md that the client needs. Same origin, JSON, no cookies. */

import type { Role } from "../core/session";
import type {
  SessionCreated as Created,
  SessionDescription as Described,
  HostToken,
  SessionJoined as Joined,
  JoinSession,
  MapType as MapSource,
  NewLink,
  ProblemDetails,
  ReportSetup as Setup,
} from "../generated/rest";

/** An answer that is not a success. `status` 0: there was no answer. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  /** Seconds, or null. */
  readonly retryAfter: number | null;

  constructor(status: number, code: string, detail: string, retryAfter: number | null) {
    super(detail || code);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export type {
  MapType as MapSource,
  ReportSetup as Setup,
  SessionCreated as Created,
  SessionDescription as Described,
  SessionJoined as Joined,
} from "../generated/rest";
export type SetupApp = "owntracks" | "traccar" | "gpslogger";

/** The maps that the operator has configured: the server writes them into the page. */
export function mapsOfPage(): readonly MapSource[] {
  try {
    const text = document.querySelector('meta[name="maps"]')?.getAttribute("content");
    const found: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(found) ? (found as MapSource[]) : [];
  } catch {
    return [];
  }
}

/** The platforms for which the operator names an app. */
export const appsOfPage = (): string =>
  document.querySelector('meta[name="apps"]')?.getAttribute("content") ?? "";

const DEADLINE_MS = 15_000;

interface Options {
  readonly body?: object;
  readonly token?: string | undefined;
}

/** The API below `root`, which ends with a slash: a proxy may serve everything in a folder. */
export class Api {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  create(body: { name: string | null; expires_in_minutes: number }): Promise<Created> {
    return this.call("POST", "", { body });
  }

  /** `key` is that of the link; a token of the session does as well. */
  describe(id: string, key: string, token?: string): Promise<Described> {
    return this.call("GET", at(id) + withKey(key), { token });
  }

  join(id: string, body: JoinSession, token?: string): Promise<Joined> {
    return this.call("POST", `${at(id)}/join`, { body, token });
  }

  becomeHost(id: string, key: string): Promise<HostToken> {
    return this.call("POST", `${at(id)}/host`, { body: { host_key: key } });
  }

  lock(id: string, locked: boolean, token: string): Promise<unknown> {
    return this.call("PATCH", at(id), { body: { locked }, token });
  }

  end(id: string, token: string): Promise<unknown> {
    return this.call("DELETE", at(id), { token });
  }

  setRole(id: string, userId: string, role: Role, token: string): Promise<unknown> {
    const path = `${at(id)}/participants/${encodeURIComponent(userId)}`;
    return this.call("PATCH", path, { body: { role }, token });
  }

  /** With the participant's own token: leave. With a host's: remove them; with `ban` keep them out. */
  remove(id: string, userId: string, token: string, ban = false): Promise<unknown> {
    const path = `${at(id)}/participants/${encodeURIComponent(userId)}${ban ? "?ban=true" : ""}`;
    return this.call("DELETE", path, { token });
  }

  setup(id: string, token: string): Promise<Setup> {
    return this.call("GET", `${at(id)}/setup`, { token });
  }

  /** The QR code of an app's link, as a `blob:` address; the caller revokes it. Throws. */
  async setupCode(id: string, app: SetupApp, token: string): Promise<string> {
    const url = `${this.root}api/sessions${at(id)}/setup/${app}.svg`;
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await withDeadline(fetch(url, { headers, credentials: "omit" }));
    if (!answer.ok) throw new Refused(answer.status, "", "", null);
    return URL.createObjectURL(await withDeadline(answer.blob()));
  }

  /** Make a new join link: nobody joins by the one of before. */
  replaceLink(id: string, token: string): Promise<NewLink> {
    return this.call("POST", `${at(id)}/link`, { token });
  }

  /** The join link as a QR code. */
  linkCode(id: string, key: string): string {
    return `${this.root}api/sessions${at(id)}/link.svg${withKey(key)}`;
  }

  private async call<Answer>(
    method: string,
    path: string,
    { body, token }: Options = {},
  ): Promise<Answer> {
    const headers: Record<string, string> = {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (token !== undefined) headers["Authorization"] = `Bearer ${token}`;
    const request: RequestInit = { method, headers, cache: "no-store", credentials: "omit" };
    if (body !== undefined) request.body = JSON.stringify(body);
    let answer: Response;
    let text: string;
    try {
      answer = await withDeadline(fetch(`${this.root}api/sessions${path}`, request));
      text = await withDeadline(answer.text());
    } catch {
      throw new Refused(0, "NO_ANSWER", "", null);
    }
    let data: unknown = null;
    try {
      data = JSON.parse(text);
    } catch {
      // Perhaps a proxy's page: use the status.
    }
    const isObject = typeof data === "object" && data !== null;
    if (answer.ok) {
      // The page of a portal, say, comes with a 200: nothing that this server has said.
      if (!isObject) throw new Refused(0, "NO_ANSWER", "", null);
      return data as Answer;
    }
    const problem = (isObject ? data : {}) as Partial<ProblemDetails>;
    const wait = Number.parseInt(answer.headers.get("Retry-After") ?? "", 10);
    const detail = problem.errors?.map((each) => each.message).join("; ") || problem.detail;
    throw new Refused(
      answer.status,
      problem.code ?? "",
      detail ?? "",
      Number.isNaN(wait) ? null : wait,
    );
  }
}

const at = (id: string): string => `/${encodeURIComponent(id)}`;
const withKey = (key: string): string => (key === "" ? "" : `?link_key=${key}`);

/** AbortSignal.timeout is younger than what this runs on; what comes too late is ignored. */
function withDeadline<Value>(promise: Promise<Value>): Promise<Value> {
  let timer = 0;
  const late = new Promise<never>((_, reject) => {
    timer = window.setTimeout(() => reject(new Error("no answer in time")), DEADLINE_MS);
  });
  const done = (): void => window.clearTimeout(timer);
  promise.then(done, done);
  return Promise.race([promise, late]);
}
