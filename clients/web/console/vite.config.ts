import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** Where `npm run dev` finds the service that the page calls. */
const SERVICE = process.env["SECRET_SERVICE"] ?? "http://127.0.0.1:50051";

export default defineConfig({
  plugins: [react()],
  build: {
    // What every browser has that has Trusted Types and nested workers of ES modules.
    target: "es2023",
    // A polyfill would be an inline script.
    modulePreload: { polyfill: false },
    // Nothing inline: the Content-Security-Policy allows no data in its place.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1_000,
    reportCompressedSize: false,
    // Whose work the page holds, and under which terms: the licences ask for it.
    license: { fileName: "licenses.txt" },
  },
  server: {
    proxy: {
      "/iotoperations.secrets.v1.SecretService": SERVICE,
      "/console.json": SERVICE,
    },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["tools/vitest.ts"],
    testTimeout: 30_000,
    restoreMocks: true,
  },
});
