/** The join link as the phone app takes it: clients/phone/src/phone/deep_link.py reads it. Pure. */

import type { Platform } from "./directions";

/** The server is in it, so that the app asks for none. A link over http says so. */
export function appLink(joinLink: string): string {
  return `locshare://join/${joinLink.replace(/^https:\/\//, "").replace("://", "/")}`;
}

/** Whether there is an app for this device; `apps` is what the server has written into the page. */
export const hasApp = (apps: string, platform: Platform): boolean =>
  apps.split(" ").indexOf(platform) >= 0;
