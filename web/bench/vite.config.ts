/** Builds the map alone into web/.bench, as the page is built. */

import { mergeConfig } from "vite";
import page from "../vite.config.ts";

const at = (path: string): string => new URL(path, import.meta.url).pathname;

export default mergeConfig(page, {
  root: at("."),
  publicDir: false,
  build: {
    outDir: at("../.bench"),
    emptyOutDir: true,
    rollupOptions: { input: at("map.html") },
  },
});
