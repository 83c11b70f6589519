/**
 * The build: into src/locshare/web/dist, from where the server reads it. Names of assets carry a hash of
 * their content, so that browsers keep them for ever; beside each stands its .br and .gz. All
 * addresses are relative: a proxy may serve the page in a folder.
 */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const DIST = new URL("../src/locshare/web/dist", import.meta.url).pathname;
const TEXT = /\.(?:js|css|html|svg|json|webmanifest)$/;
/** Below this a compressed body saves no packet. */
const WORTH_BYTES = 1_000;

/** Write `.br` and `.gz` beside every text: once here, instead of for each request. */
function compressed(): Plugin {
  return {
    name: "compressed",
    apply: "build",
    closeBundle() {
      for (const name of readdirSync(DIST, { recursive: true }) as string[]) {
        if (!TEXT.test(name) || name.endsWith("index.html")) continue;
        const path = join(DIST, name);
        const body = readFileSync(path);
        if (body.length < WORTH_BYTES) continue;
        const brotli = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };
        writeFileSync(`${path}.br`, brotliCompressSync(body, brotli));
        writeFileSync(`${path}.gz`, gzipSync(body, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  base: "./",
  plugins: [compressed()],
  build: {
    target: ["safari12", "chrome64"],
    outDir: DIST,
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // the policy of the page allows no data: scripts, and images few
    chunkSizeWarningLimit: 2_000,
  },
  test: { include: ["test/**/*.test.ts"], environment: "node" },
});
