/** What to do when a file of this page is missing: the server may have been upgraded beneath it. */

const RELOADED = "locshare-reloaded";
/** A proxy's cache may give the old page again. */
const AGAIN_MS = 10_000;

/**
 * Load the page again if the server has another build by now. Without a network, or when the file was
 * merely slow, the page stays: what is on it is worth more than what is missing.
 */
export async function reloadIfUpgraded(pages: string, script: string): Promise<void> {
  const name = script.slice(script.lastIndexOf("/") + 1);
  let page: string;
  try {
    const answer = await fetch(pages, { cache: "no-store", credentials: "omit" });
    if (!answer.ok) return;
    page = await answer.text();
  } catch {
    return;
  }
  if (page.includes(name)) return;
  try {
    const at = Number(sessionStorage.getItem(RELOADED));
    if (Math.abs(Date.now() - at) < AGAIN_MS) return; // the clock may have been set
    sessionStorage.setItem(RELOADED, String(Date.now()));
  } catch {
    return; // without storage it might reload for ever
  }
  location.reload();
}
