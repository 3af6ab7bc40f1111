// How the page is built: one script, one style sheet, hashed names, nothing inlined, because the server's
// content security policy is `default-src 'self'` and refuses inline script, inline style and data: URLs.
import { defineConfig } from "vite";
import { trimUplot } from "./tools/trim-uplot.mjs";

export default defineConfig({
  base: "/",
  plugins: [trimUplot()],
  // h(...) packs smaller than the automatic runtime's jsx({children: ...}).
  esbuild: { jsx: "transform", jsxFactory: "h", jsxFragment: "Fragment", jsxInject: 'import { h, Fragment } from "preact"' },
  build: {
    outDir: "../dist",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
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
