import { expect, test } from "vitest";

import { wordsOfReturn } from "./redirect";

test.each([
  ["?code=abc&state=s", /^The issuer has answered\. /],
  ["?error=access_denied&state=s", /^Nobody was signed in\. /],
  ["", /^Nobody was signed in\. /],
])("a window that came back with %s doesn't claim more than it knows", (search, words) => {
  expect(wordsOfReturn(search)).toMatch(words);
  expect(wordsOfReturn(search)).not.toContain("You are signed in");
});
