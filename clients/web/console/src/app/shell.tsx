/** What stands around every screen: where to go, who is there, and whether the service is. */
import {
  Button,
  makeStyles,
  Menu,
  MenuDivider,
  MenuGroup,
  MenuGroupHeader,
  MenuItem,
  MenuItemLink,
  MenuItemRadio,
  MenuList,
  MenuPopover,
  MenuTrigger,
  MessageBar,
  MessageBarActions,
  MessageBarBody,
  MessageBarTitle,
  Text,
  tokens,
} from "@fluentui/react-components";
import {
  CertificateRegular,
  HistoryRegular,
  HomeRegular,
  KeyMultipleRegular,
  KeyRegular,
  PersonInfoRegular,
  PersonRegular,
  PlugConnectedRegular,
  SettingsRegular,
} from "@fluentui/react-icons";
import { createLink } from "@tanstack/react-router";
import { lazy, Suspense, useState, type ReactElement, type ReactNode } from "react";

import { useLive } from "../api/connection";
import { useCaller, useLiveSecrets, useVault } from "../api/hooks";
import { messageOf } from "../ui/problem";
import { Time } from "../ui/time";
import { useSession, useSessionState } from "./signed-in";
import { SignInAgain } from "./sign-in";
import { usePreferences, type ThemeChoice } from "./preferences";

const PLACES = [
  { to: "/", label: "Overview", icon: <HomeRegular /> },
  { to: "/secrets", label: "Secrets", icon: <KeyRegular /> },
  { to: "/vault", label: "Key Vault", icon: <KeyMultipleRegular /> },
  { to: "/uses", label: "Uses", icon: <PlugConnectedRegular /> },
  { to: "/certificates", label: "Certificates", icon: <CertificateRegular /> },
  { to: "/activity", label: "Activity", icon: <HistoryRegular /> },
] as const;

const NARROW = "@media (max-width: 900px)";

const useStyles = makeStyles({
  shell: {
    display: "grid",
    height: "100dvh",
    gridTemplateColumns: "14rem minmax(0, 1fr)",
    gridTemplateRows: "auto minmax(0, 1fr)",
    gridTemplateAreas: '"head head" "nav main"',
    backgroundColor: tokens.colorNeutralBackground2,
    color: tokens.colorNeutralForeground1,
    [NARROW]: {
      gridTemplateColumns: "minmax(0, 1fr)",
      gridTemplateRows: "auto auto minmax(0, 1fr)",
      gridTemplateAreas: '"head" "nav" "main"',
    },
  },
  skip: {
    position: "absolute",
    insetInlineStart: tokens.spacingHorizontalM,
    top: "-4rem",
    zIndex: 10,
    padding: tokens.spacingHorizontalM,
    backgroundColor: tokens.colorNeutralBackground1,
    color: tokens.colorBrandForegroundLink,
    ":focus": { top: tokens.spacingVerticalS },
  },
  head: {
    gridArea: "head",
    display: "flex",
    alignItems: "center",
    gap: tokens.spacingHorizontalM,
    padding: `${tokens.spacingVerticalS} ${tokens.spacingHorizontalL}`,
    borderBottom: `1px solid ${tokens.colorNeutralStroke2}`,
    backgroundColor: tokens.colorNeutralBackground1,
  },
  brand: { fontWeight: tokens.fontWeightSemibold, whiteSpace: "nowrap" },
  instance: {
    color: tokens.colorNeutralForeground3,
    overflow: "hidden",
    textOverflow: "ellipsis",
    whiteSpace: "nowrap",
    flexGrow: 1,
    minWidth: 0,
  },
  nav: {
    gridArea: "nav",
    overflow: "auto",
    padding: tokens.spacingHorizontalS,
    borderRight: `1px solid ${tokens.colorNeutralStroke2}`,
    [NARROW]: { padding: `0 ${tokens.spacingHorizontalS}`, borderBottom: `1px solid ${tokens.colorNeutralStroke2}` },
  },
  places: { display: "flex", flexDirection: "column", gap: "2px", margin: 0, padding: 0, listStyleType: "none", [NARROW]: { flexDirection: "row" } },
  place: {
    display: "flex",
    alignItems: "center",
    gap: tokens.spacingHorizontalS,
    padding: `${tokens.spacingVerticalS} ${tokens.spacingHorizontalM}`,
    borderRadius: tokens.borderRadiusMedium,
    color: tokens.colorNeutralForeground2,
    textDecorationLine: "none",
    whiteSpace: "nowrap",
    fontSize: tokens.fontSizeBase300,
    "& svg": { fontSize: "20px", flexShrink: 0 },
    ":hover": { color: tokens.colorNeutralForeground2Hover, backgroundColor: tokens.colorSubtleBackgroundHover },
    ":focus-visible": { outline: `2px solid ${tokens.colorStrokeFocus2}`, outlineOffset: "-2px" },
    "&[aria-current=page]": {
      color: tokens.colorNeutralForeground2Selected,
      fontWeight: tokens.fontWeightSemibold,
      backgroundColor: tokens.colorSubtleBackgroundSelected,
      boxShadow: `inset 3px 0 0 ${tokens.colorCompoundBrandStroke}`,
    },
  },
  main: { gridArea: "main", overflow: "auto", minWidth: 0, display: "flex", flexDirection: "column" },
  screen: { flexGrow: 1, minHeight: 0 },
});

/** The frame. */
export function Shell({ children }: { children: ReactNode }): ReactNode {
  const styles = useStyles();
  return (
    <div className={styles.shell}>
      <a href="#main" className={styles.skip}>
        Skip to the content
      </a>
      <header className={styles.head}>
        <Text className={styles.brand}>Secret Service</Text>
        <Instance />
        <PreferencesMenu />
        <PersonMenu />
      </header>
      <nav className={styles.nav} aria-label="Screens">
        <ul className={styles.places}>
          {PLACES.map((place) => (
            <li key={place.to}>
              <Place {...place} />
            </li>
          ))}
        </ul>
      </nav>
      <main id="main" className={styles.main}>
        <Interruption />
        <SignInAgain />
        <div className={styles.screen}>{children}</div>
      </main>
    </div>
  );
}

const PlaceLink = createLink("a");

function Place({ to, label, icon }: { to: (typeof PLACES)[number]["to"]; label: string; icon: ReactElement }): ReactNode {
  return (
    <PlaceLink to={to} activeOptions={{ exact: to === "/", includeSearch: false }} className={useStyles().place}>
      {icon}
      {label}
    </PlaceLink>
  );
}

/** Of which instance all this is. */
function Instance(): ReactNode {
  const { data } = useVault();
  return <Text className={useStyles().instance}>{data?.uri.replace(/^https:\/\/|\/$/g, "") ?? ""}</Text>;
}

/** Whether what is shown may be old, and since when. */
function Interruption(): ReactNode {
  const { status, heard, error } = useLiveSecrets();
  const live = useLive();
  if (status !== "interrupted" && status !== "failed") {
    return null;
  }
  return (
    <MessageBar intent="warning" layout="multiline" role="status">
      <MessageBarBody>
        <MessageBarTitle>{error === undefined ? "The service can't be reached." : "Nothing is heard from the service."}</MessageBarTitle>{" "}
        {heard > 0 && (
          <>
            What is shown is as of <Time value={new Date(heard)} />.{" "}
          </>
        )}
        {error !== undefined && messageOf(error)} The page tries again by itself, and keeps what was typed.
      </MessageBarBody>
      <MessageBarActions>
        <Button onClick={() => live.start()}>Try now</Button>
      </MessageBarActions>
    </MessageBar>
  );
}

const THEME_LABELS: readonly (readonly [ThemeChoice, string])[] = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
  ["high-contrast", "High contrast"],
];

function PreferencesMenu(): ReactNode {
  const { theme, timeZone, prefer } = usePreferences();
  return (
    <Menu
      checkedValues={{ theme: [theme], timeZone: [timeZone] }}
      onCheckedValueChange={(_, { name, checkedItems }) => prefer({ [name]: checkedItems[0] })}
    >
      <MenuTrigger disableButtonEnhancement>
        <Button appearance="subtle" icon={<SettingsRegular />} aria-label="Preferences" />
      </MenuTrigger>
      <MenuPopover>
        <MenuList>
          <MenuGroup>
            <MenuGroupHeader>Theme</MenuGroupHeader>
            {THEME_LABELS.map(([value, label]) => (
              <MenuItemRadio key={value} name="theme" value={value}>
                {label}
              </MenuItemRadio>
            ))}
          </MenuGroup>
          <MenuDivider />
          <MenuGroup>
            <MenuGroupHeader>Times</MenuGroupHeader>
            <MenuItemRadio name="timeZone" value="local">
              Local
            </MenuItemRadio>
            <MenuItemRadio name="timeZone" value="utc">
              UTC
            </MenuItemRadio>
          </MenuGroup>
          <MenuDivider />
          <MenuItemLink href="/licenses.txt" target="_blank">
            Licences of what this page is made of
          </MenuItemLink>
        </MenuList>
      </MenuPopover>
    </Menu>
  );
}

/** Loaded when somebody asks who they are. */
const PersonDialog = lazy(() => import("./person").then((module) => ({ default: module.PersonDialog })));

/** Who is signed in, and what the service knows of them. */
function PersonMenu(): ReactNode {
  const { data } = useCaller();
  const session = useSession();
  const { kind } = useSessionState();
  const [isAsked, setAsked] = useState(false);
  return (
    <>
      <Menu>
        <MenuTrigger disableButtonEnhancement>
          <Button appearance="subtle" icon={<PersonRegular />} aria-label="Who is signed in" />
        </MenuTrigger>
        <MenuPopover>
          <MenuList>
            <MenuGroup>
              <MenuGroupHeader>{data === undefined ? "Nobody is known" : data.user}</MenuGroupHeader>
              <MenuItem icon={<PersonInfoRegular />} onClick={() => setAsked(true)}>
                Who am I, and what may I do
              </MenuItem>
            </MenuGroup>
            {kind !== undefined && kind !== "none" && <MenuItem onClick={() => session.signOut()}>Sign out</MenuItem>}
          </MenuList>
        </MenuPopover>
      </Menu>
      {isAsked && (
        <Suspense>
          <PersonDialog onClose={() => setAsked(false)} />
        </Suspense>
      )}
    </>
  );
}
