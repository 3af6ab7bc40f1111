// How the page is built: one script and one style sheet for the page of a job, another pair for the pages over many jobs,
// hashed names, nothing inlined, because the server's content security policy is `default-src 'self'` and refuses inline
// script, inline style and data: URLs.
import { defineConfig } from "vite";
import { trimUplot } from "./tools/trim-uplot.mjs";

/** Vite's helper for parts loaded later preloads what they need; the only such part here needs nothing, and links its style sheet itself. */
function plainImport() {
  return {
    name: "plain-import",
    apply: "build",
    enforce: "pre",
    load: (id) => (id === "\0vite/preload-helper.js" ? "export const __vitePreload = (load) => load();" : null),
  };
}

export default defineConfig({
  base: "/",
  plugins: [trimUplot(), plainImport()],
  // h(...) packs smaller than the automatic runtime's jsx({children: ...}).
  esbuild: { jsx: "transform", jsxFactory: "h", jsxFragment: "Fragment", jsxInject: 'import { h, Fragment } from "preact"' },
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: false,
    target: "es2022",
    minify: "terser",
    terserOptions: {
      module: true,
      compress: { passes: 4, ecma: 2020, pure_getters: true, unsafe_arrows: true, unsafe_methods: true, hoist_props: true },
    },
    reportCompressedSize: false,
  },
  // For `npm run dev` only: where a running service answers the API.
  server: { proxy: { "/api": process.env.TACHOGRAPH_URL ?? "http://127.0.0.1:8750" } },
  test: { include: ["test/**/*.test.ts"], environment: "node", css: true },
});
