import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FluentProvider, webLightTheme } from "@fluentui/react-components";
import { ConditionStatus, State, type SyncedSecret } from "@iotoperations/secret-service-client";
import { SyncedSecretSchema } from "@iotoperations/secret-service-client/v1";
import { cleanup, render } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";

import { PreferencesProvider } from "../../app/preferences";
import { columnsOf } from "./columns";
import { rowOf } from "./rows";

const NOW = Date.UTC(2026, 10, 27);

afterEach(cleanup);

function shown(column: string, parts: Exclude<MessageInitShape<typeof SyncedSecretSchema>, SyncedSecret>): string {
  const row = rowOf(create(SyncedSecretSchema, { state: State.SYNCED, syncTime: timestampFromMs(NOW), ...parts }), []);
  const { container } = render(
    <PreferencesProvider>
      <FluentProvider theme={webLightTheme}>{columnsOf(NOW).find(({ id }) => id === column)?.cell(row)}</FluentProvider>
    </PreferencesProvider>,
  );
  return container.textContent;
}

test("what was not compared with the vault is not called synced", () => {
  const conditions = [{ type: "Compared", status: ConditionStatus.FALSE }];
  expect(shown("state", {})).toBe("Synced");
  expect(shown("state", { conditions })).toBe("Not compared");
  expect(shown("synced", { conditions })).toMatch(/not compared lately$/);
});

test("the end of what the caller may not see is not called none", () => {
  const expiring = (status: ConditionStatus, reason = "") => ({ conditions: [{ type: "Expiring", status, reason }] });
  expect(shown("expires", { references: [{ key: "a" }] })).toBe("No date");
  expect(shown("expires", {})).toBe("Unknown");
  expect(shown("expires", expiring(ConditionStatus.FALSE))).toBe("Not soon");
  expect(shown("expires", expiring(ConditionStatus.TRUE, "ExpiresSoon"))).toMatch(/Soon$/);
  expect(shown("expires", expiring(ConditionStatus.TRUE, "Expired"))).toMatch(/Expired$/);
});
