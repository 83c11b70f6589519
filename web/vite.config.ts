/**
 * The build: into src/locshare/web/dist, from where the server reads it. Names of assets carry a hash of
 * their content, so that browsers keep them for ever; beside each stands its .br and .gz. All
 * addresses are relative: a proxy may serve the page in a folder.
 */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const DIST = new URL("../src/locshare/web/dist", import.meta.url).pathname;
const TEXT = /\.(?:js|css|html|svg|json|webmanifest)$/;
/** Below this a compressed body saves no packet. */
const WORTH_BYTES = 1_000;

/** Write `.br` and `.gz` beside every text: once here, instead of for each request. */
function compressed(): Plugin {
  let folder = DIST;
  return {
    name: "compressed",
    apply: "build",
    configResolved(config) {
      folder = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      for (const name of readdirSync(folder, { recursive: true }) as string[]) {
        if (!TEXT.test(name) || name.endsWith("index.html")) continue;
        const path = join(folder, name);
        const body = readFileSync(path);
        if (body.length < WORTH_BYTES) continue;
        const brotli = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };
        writeFileSync(`${path}.br`, brotliCompressSync(body, brotli));
        writeFileSync(`${path}.gz`, gzipSync(body, { level: 9 }));
      }
    },
  };
}

/** Larger parts are kept by the service worker when they are first used. */
const KEPT_BYTES = 150_000;

/** Tell the service worker which parts there are, and give it a new version whenever one changes. */
function precached(): Plugin {
  return {
    name: "precached",
    apply: "build",
    generateBundle(_, bundle) {
      const worker = Object.values(bundle).filter((each) => each.fileName === "sw.js")[0];
      if (worker?.type !== "chunk") return;
      const files: string[] = ["icon.svg", "manifest.webmanifest"];
      const hash = createHash("sha256");
      for (const each of Object.values(bundle)) {
        if (each === worker || !each.fileName.startsWith("assets/")) continue;
        const size = each.type === "chunk" ? each.code.length : each.source.length;
        if (/\.(?:js|css)$/.test(each.fileName) && size < KEPT_BYTES) files.push(each.fileName);
        hash.update(each.fileName);
      }
      hash.update(worker.code);
      worker.code = worker.code
        .replace(/__FILES__/g, JSON.stringify(files.sort()))
        .replace(/__BUILD__/g, JSON.stringify(hash.digest("hex").slice(0, 12)));
    },
  };
}

const at = (path: string): string => new URL(path, import.meta.url).pathname;

/**
 * The worker of MapLibre as a chunk of this build, which shares what the page's part has too. What is
 * imported as `virtual:maplibre-worker` is its address.
 */
function mapWorker(): Plugin {
  const name = "virtual:maplibre-worker";
  let chunk = "";
  return {
    name: "map-worker",
    apply: "build",
    resolveId: (id) => (id === name ? `\0${name}` : undefined),
    buildStart() {
      const id = at("node_modules/maplibre-gl/src/source/worker.ts");
      chunk = this.emitFile({ type: "chunk", id, name: "map-worker" });
    },
    load: (id) =>
      id === `\0${name}` ? `export default import.meta.ROLLUP_FILE_URL_${chunk};` : undefined,
  };
}

export default defineConfig({
  base: "./",
  plugins: [precached(), compressed(), mapWorker()],
  resolve: { alias: [{ find: /^maplibre-gl$/, replacement: at("maplibre.js") }] },
  // MapLibre's sources count on it: a field that is only declared is not set. And fields are assigned,
  // which is shorter in browsers without them.
  oxc: {
    assumptions: { setPublicClassFields: true },
    typescript: { removeClassFieldsWithoutInitializer: true },
  },
  build: {
    target: ["safari12", "chrome64"],
    outDir: DIST,
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    cssCodeSplit: false, // one file less to wait for
    assetsInlineLimit: 0, // the policy of the page allows no data: scripts, and images few
    chunkSizeWarningLimit: 2_000,
    rollupOptions: {
      input: { index: "index.html", sw: "src/sw.ts" },
      output: {
        // A service worker is found by its address, which must not change.
        entryFileNames: ({ name }) => (name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
      },
      // BigInt, of which the browsers that MapLibre runs in know; and how long compressing takes.
      onLog: (level, log, handle) => {
        const isKnown = log.code === "TOLERATED_TRANSFORM" || log.code === "PLUGIN_TIMINGS";
        if (!isKnown) handle(level, log);
      },
    },
  },
  // Without a worker for each file: a fresh one takes longer than most files do.
  test: { include: ["test/**/*.test.ts"], environment: "node", isolate: false },
});
