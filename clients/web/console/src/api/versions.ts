/** Versions of a vault secret in the order in which people think of them. */
import type { VaultSecretVersion } from "@iotoperations/secret-service-client";
import { timestampMs } from "@bufbuild/protobuf/wkt";

/** The pages of a list, the newest of all that were read first: the vault lists versions in no order. */
export function newestFirst<Page extends { readonly versions: readonly VaultSecretVersion[] }>(pages: readonly Page[]): Page[] {
  const made = ({ createTime }: VaultSecretVersion): number => (createTime === undefined ? 0 : timestampMs(createTime));
  const versions = pages.flatMap((page) => page.versions).sort((one, other) => made(other) - made(one));
  return pages.map((page) => ({ ...page, versions: versions.splice(0, page.versions.length) }));
}
