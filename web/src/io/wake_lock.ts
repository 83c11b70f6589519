/** Keeping the screen on, where the platform can (Chrome 84, Safari 16.4): docs of the Wake Lock API. */

/**
 * Whether a page on the home screen of an iPhone gets a lock that does nothing: before iOS 18.4
 * (https://bugs.webkit.org/show_bug.cgi?id=254545). `userAgent` names the version there.
 */
export function hasIdleLock(userAgent: string, isInstalled: boolean): boolean {
  const found = /\((?:iPhone|iPad|iPod)[^)]* OS (\d+)_(\d+)/.exec(userAgent);
  if (!isInstalled || found === null) return false;
  return Number(found[1]) + Number(found[2]) / 100 < 18.04;
}

export function canStayAwake(): boolean {
  const { standalone } = navigator as { readonly standalone?: boolean };
  return "wakeLock" in navigator && !hasIdleLock(navigator.userAgent, standalone === true);
}

export class ScreenLock {
  private wanted = false;
  private sentinel: WakeLockSentinel | null = null;

  /** The browser lets a lock go whenever the page is hidden: call it again when it is shown. */
  async set(wanted: boolean): Promise<boolean> {
    this.wanted = wanted;
    if (!wanted) {
      const { sentinel } = this;
      this.sentinel = null;
      await sentinel?.release().catch(() => undefined);
      return false;
    }
    if (!canStayAwake() || document.hidden) return false;
    if (this.sentinel !== null && !this.sentinel.released) return true;
    try {
      const sentinel = await navigator.wakeLock.request("screen");
      if (!this.wanted) await sentinel.release();
      else this.sentinel = sentinel;
      return this.wanted;
    } catch {
      return false; // a low battery, or the operator of the device, forbids it
    }
  }
}
