/** What nobody needs to see at first. */
import { Accordion, AccordionHeader, AccordionItem, AccordionPanel } from "@fluentui/react-components";
import type { ReactNode } from "react";

export function Folded({ title, children }: { title: string; children: ReactNode }): ReactNode {
  return (
    <Accordion collapsible>
      <AccordionItem value="folded">
        <AccordionHeader as="h3" size="small">
          {title}
        </AccordionHeader>
        <AccordionPanel>{children}</AccordionPanel>
      </AccordionItem>
    </Accordion>
  );
}
