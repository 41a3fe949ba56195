/** Outcomes, told in a corner of the page; the same stands in Activity for as long as the audit is kept. */
import { Link, Toast, ToastBody, Toaster, ToastTitle, ToastTrigger, useId, useToastController } from "@fluentui/react-components";
import { createContext, use, useMemo, type ReactNode } from "react";

import { messageOf, titleOf } from "./problem";

/** How to tell. */
export interface Notify {
  readonly done: (title: string, body?: ReactNode) => void;
  readonly failed: (error: unknown, title?: string) => void;
}

const SHOWN_MS = 8_000;
export const NotifyContext = createContext<Notify>({ done: () => undefined, failed: () => undefined });

export function NotifyProvider({ children }: { children: ReactNode }): ReactNode {
  const toaster = useId("toaster");
  const { dispatchToast } = useToastController(toaster);
  const notify = useMemo<Notify>(() => {
    const show = (intent: "success" | "error", title: string, body: ReactNode): void => {
      dispatchToast(
        <Toast>
          <ToastTitle
            action={
              <ToastTrigger>
                <Link>Dismiss</Link>
              </ToastTrigger>
            }
          >
            {title}
          </ToastTitle>
          {body !== undefined && <ToastBody>{body}</ToastBody>}
        </Toast>,
        { intent, timeout: intent === "error" ? -1 : SHOWN_MS, pauseOnHover: true },
      );
    };
    return {
      done: (title, body) => show("success", title, body),
      failed: (error, title) => show("error", title ?? titleOf(error), messageOf(error)),
    };
  }, [dispatchToast]);
  return (
    <NotifyContext value={notify}>
      {children}
      <Toaster toasterId={toaster} position="bottom-end" limit={4} />
    </NotifyContext>
  );
}

export function useNotify(): Notify {
  return use(NotifyContext);
}
