/** The name of a resource, as a link to where it is shown. */
import type { ReactNode } from "react";

import { Link } from "../app/navigation";

/** A name such as `syncedSecrets/edp1secrets`; `full` shows all of it, not the id alone. What has no screen is text. */
export function ResourceLink({ name, full = false }: { name: string; full?: boolean }): ReactNode {
  const [kind, id = ""] = name.split("/");
  const text = full || id === "" ? name : id;
  // A dash stands for all of them.
  if (id !== "" && id !== "-") {
    if (kind === "syncedSecrets") {
      return (
        <Link to="/secrets/$id" params={{ id }}>
          {text}
        </Link>
      );
    }
    if (kind === "vaultSecrets") {
      return (
        <Link to="/vault/$id" params={{ id }}>
          {text}
        </Link>
      );
    }
  }
  return name === "vault" ? <Link to="/">vault</Link> : name;
}
