/** Where a device shows the way to a place: its own maps, or a map on the web. Pure. */

import type { Place } from "./geo";

export type Platform = "android" | "ios" | "other";

export function platformOf(userAgent: string, touchPoints: number): Platform {
  if (/android/i.test(userAgent)) return "android";
  // An iPad says that it is a Mac; a Mac has no touch screen.
  if (/iphone|ipad|ipod/i.test(userAgent)) return "ios";
  return /macintosh/i.test(userAgent) && touchPoints > 1 ? "ios" : "other";
}

export function directionsLink(place: Place, name: string, platform: Platform): string {
  const at = `${place.lat.toFixed(6)},${place.lng.toFixed(6)}`;
  if (platform === "android") return `geo:${at}?q=${at}(${encodeURIComponent(name)})`;
  if (platform === "ios") return `https://maps.apple.com/?daddr=${at}`;
  return `https://www.openstreetmap.org/directions?to=${encodeURIComponent(at)}`;
}
