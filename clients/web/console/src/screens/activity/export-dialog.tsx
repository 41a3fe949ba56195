/** Reads all that the filter selects, with how far it is, and hands it over as a file. */
import { ProgressBar, Text } from "@fluentui/react-components";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { useTransport } from "@connectrpc/connect-query";
import { useCallback, useEffect, useRef, useState, type ReactNode } from "react";

import { auditPage, type AuditFilter } from "../../api/audit";
import { CloseButton, Dialog } from "../../ui/dialog";
import { Problem } from "../../ui/problem";
import { save } from "../../ui/save";
import { Time } from "../../ui/time";
import { count, grouped } from "../../ui/words";
import { collect, csvOf, fileNameOf, jsonOf, MOST, type Collected, type ExportFormat } from "./export";

const PAGE = 1_000;

type Progress =
  | { readonly step: "reading" }
  | { readonly step: "failed"; readonly error: unknown }
  | { readonly step: "done"; readonly name: string };

interface ExportDialogProps {
  readonly filter: AuditFilter;
  readonly format: ExportFormat;
  readonly onClose: () => void;
}

export function ExportDialog({ filter, format, onClose }: ExportDialogProps): ReactNode {
  const { progress, collected, again } = useExport(filter, format);
  const oldest = collected?.events.at(-1)?.eventTime;
  return (
    <Dialog
      onClose={onClose}
      stays
      title={`Export as ${format.toUpperCase()}`}
      actions={<CloseButton>{progress.step === "done" ? "Close" : "Cancel"}</CloseButton>}
    >
      {progress.step === "reading" && <ProgressBar aria-label="Reading the audit" />}
      <Text role="status">
        {progress.step === "done" ? "Read " : "Read so far: "}
        {count(collected?.events.length ?? 0, "event")}
        {oldest && (
          <>
            , as of <Time value={collected.asOf} />, back to <Time value={timestampDate(oldest)} />
          </>
        )}
        .
      </Text>
      {progress.step === "failed" && <Problem error={progress.error} title="It broke off, and nothing was saved." onRetry={again} />}
      {progress.step === "done" && (
        <Text>
          The browser has <code>{progress.name}</code>.{" "}
          {collected?.next !== "" && `It has the newest ${grouped(MOST)} events only: choose a shorter time span for older ones.`}
        </Text>
      )}
    </Dialog>
  );
}

/** Begins at once; goes on where it was after a failure; ends with the dialog. */
function useExport(filter: AuditFilter, format: ExportFormat) {
  const transport = useTransport();
  const [progress, setProgress] = useState<Progress>({ step: "reading" });
  const [collected, setCollected] = useState<Collected>();
  const [attempt, setAttempt] = useState(0);
  const read = useRef<Collected>(undefined);
  useEffect(() => {
    const leaving = new AbortController();
    const keep = (now: Collected): void => {
      read.current = now;
      setCollected(now);
    };
    const fetchPage = (pageToken: string) => auditPage(transport, filter, { pageToken, pageSize: PAGE, signal: leaving.signal });
    collect(fetchPage, read.current, keep).then(
      (all) => {
        if (!leaving.signal.aborted) {
          const name = fileNameOf(filter, format, all.asOf);
          save(name, format === "csv" ? "text/csv" : "application/json", format === "csv" ? csvOf(all.events) : jsonOf(all, filter));
          setProgress({ step: "done", name });
        }
      },
      (error: unknown) => {
        if (!leaving.signal.aborted) {
          setProgress({ step: "failed", error });
        }
      },
    );
    return () => leaving.abort();
  }, [transport, filter, format, attempt]);
  const again = useCallback(() => {
    setProgress({ step: "reading" });
    setAttempt((before) => before + 1);
  }, []);
  return { progress, collected, again };
}
