/** All that belongs to whoever is signed in. */
import type { ReactNode } from "react";

import { ConnectionProvider } from "../api/connection";
import { NotifyProvider } from "../ui/notify";
import { useSession, useSessionState } from "./signed-in";

/** What is known, shown and typed on the page; somebody else who signs in over it gets one of their own. */
export function PersonsPage({ children }: { children: ReactNode }): ReactNode {
  const session = useSession();
  const { page } = useSessionState();
  return (
    <NotifyProvider key={page}>
      <ConnectionProvider session={session} page={page}>
        {children}
      </ConnectionProvider>
    </NotifyProvider>
  );
}
