// TypeScript's strictest common rules, with types, and React's.
import js from "@eslint/js";
import hooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist", "test-results", "playwright-report"] },
  js.configs.recommended,
  {
    files: ["**/*.{ts,tsx}"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/prefer-nullish-coalescing": "error",
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allow: ["bigint"] }],
      "@typescript-eslint/no-misused-promises": ["error", { checksVoidReturn: { attributes: false } }],
      // A router throws redirects and what isn't found.
      "@typescript-eslint/only-throw-error": "off",
    },
  },
  {
    files: ["src/**/*.{ts,tsx}"],
    ...hooks.configs.flat["recommended-latest"],
    // A virtual list measures as it renders; the compiler, which would skip it, is not in use.
    rules: { ...hooks.configs.flat["recommended-latest"].rules, "react-hooks/incompatible-library": "off" },
  },
  {
    files: ["src/**/*.{ts,tsx}"],
    rules: {
      "no-restricted-properties": [
        "error",
        { object: "crypto", property: "randomUUID", message: "Pages over plain http have none: use newId of the client." },
        { property: "toLocaleString", message: "It makes a formatter at each call: use grouped of ui/words." },
      ],
    },
  },
  {
    files: ["src/**/*.{ts,tsx}"],
    ignores: ["src/ui/dialog.tsx"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              group: ["@fluentui/react-components", "@fluentui/react-dialog"],
              importNamePattern: "^(use|render)?Dialog",
              message: "Dialogs have one frame, with one set of rules for closing: take those of src/ui/dialog.tsx.",
            },
          ],
        },
      ],
    },
  },
);
