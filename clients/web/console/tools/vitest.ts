/** How the tests run. */
import { configure } from "@testing-library/react";

// Where happy-dom is not like browsers: it rejects an animation that is cancelled, though nobody waits for it. Without
// animations, Fluent shows and hides at once.
if (typeof Element !== "undefined") {
  Reflect.deleteProperty(Element.prototype, "animate");
}
// A busy machine is slow, not wrong.
configure({ asyncUtilTimeout: 10_000 });
