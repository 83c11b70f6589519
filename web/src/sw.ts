/**
 * The service worker: the page opens without a network. It keeps the page and its parts, and nothing of a
 * session: what the API says is never kept, and neither are tiles, which the browser's own cache has.
 *
 * The page comes from the network if that answers soon, since a new build has to be seen; its parts, which
 * have the hash of their content in their names, from the cache. Registered by main.tsx after the group
 * is on the screen.
 */

export {}; // makes it a module for the compiler; the build leaves none of it

interface Worker extends EventTarget {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
}
interface Extended extends Event {
  waitUntil(promise: Promise<unknown>): void;
}
interface Fetched extends Extended {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

/** Put in by vite.config.ts: the parts of this build, and its hash. */
declare const __FILES__: readonly string[];
declare const __BUILD__: string;

const worker = self as unknown as Worker;
const scope = worker.registration.scope;
const PREFIX = "locshare-";
const CACHE = PREFIX + __BUILD__;
const HOME = scope;
/** Any session's page is the same; that of one that cannot be. */
const JOIN = `${scope}join/00000000-0000-4000-8000-000000000000`;
const PAGE_MS = 3_000;

worker.addEventListener("install", (event) => {
  (event as Extended).waitUntil(install());
});
worker.addEventListener("activate", (event) => {
  (event as Extended).waitUntil(activate());
});
worker.addEventListener("fetch", (event) => {
  const { request } = event as Fetched;
  if (request.method !== "GET" || !request.url.startsWith(scope)) return;
  const path = request.url.slice(scope.length).split(/[?#]/)[0]!;
  if (request.mode === "navigate") {
    if (path === "" || path.startsWith("join/"))
      (event as Fetched).respondWith(page(request, path));
  } else if (path.startsWith("assets/")) (event as Fetched).respondWith(part(request));
  else if (/^[\w-]+\.(?:svg|png|webmanifest)$/.test(path)) {
    (event as Fetched).respondWith(part(request));
  }
});

async function install(): Promise<void> {
  const cache = await caches.open(CACHE);
  await cache.addAll([HOME, JOIN, ...__FILES__.map((each) => scope + each)]);
  await worker.skipWaiting();
}

async function activate(): Promise<void> {
  const names = await caches.keys();
  const old = names.filter((each) => each.startsWith(PREFIX) && each !== CACHE);
  await Promise.all(old.map((each) => caches.delete(each)));
  await worker.clients.claim();
}

async function page(request: Request, path: string): Promise<Response> {
  const kept = (): Promise<Response | undefined> =>
    caches.match(path === "" ? HOME : JOIN, { ignoreVary: true });
  const network = fetch(request);
  let timer = 0;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), PAGE_MS) as unknown as number;
  });
  try {
    const answer = await Promise.race([network, late]);
    // A proxy in front of a server that is down answers for it.
    if (answer !== "late" && answer.status < 500) return answer;
  } catch {
    // Offline.
  } finally {
    clearTimeout(timer);
  }
  return (await kept()) ?? network;
}

async function part(request: Request): Promise<Response> {
  const kept = await caches.match(request, { ignoreVary: true, ignoreSearch: true });
  if (kept !== undefined) return kept;
  const answer = await fetch(request);
  if (answer.ok && request.url.startsWith(`${scope}assets/`)) {
    const copy = answer.clone();
    // Large parts are kept when they are first used. A full disk is no reason to fail.
    void caches
      .open(CACHE)
      .then((cache) => cache.put(request, copy))
      .catch(() => undefined);
  }
  return answer;
}
