/**
 * What of MapLibre GL the page uses, from its sources: page and worker then share what both need, where
 * the published files have it twice: 364 KB of brotli, against 266 KB (`python -m tools.web_map weigh`).
 */

import { config } from "./node_modules/maplibre-gl/src/util/config.ts";

export { Map } from "./node_modules/maplibre-gl/src/ui/map.ts";

export const setWorkerUrl = (url) => {
  config.WORKER_URL = url;
};
