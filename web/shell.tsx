/**
 * The frame around all views: navigation, the server's state, light or dark.
 *
 * @module
 */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { client, isOnline } from "./api.ts";
import { Icon, type IconName } from "./components/icon.tsx";
import { href, route } from "./route.ts";
import { type Theme, theme, THEMES } from "./theme.ts";

/** A view that the frame leads to. */
export interface Place {
  path: string;
  name: string;
  icon: IconName;
}

const THEME_ICONS: Record<Theme, IconName> = { auto: "auto", light: "sun", dark: "moon" };

/** The views that belong to the runs, and have addresses of their own. */
const VIEWS_OF_RUNS = ["new", "compare"];

/** The frame. */
export function Shell(
  { places, keyName = null, onSignOut, children }: {
    places: readonly Place[];
    /** The name of the key in use, if any. */
    keyName?: string | null;
    onSignOut?: () => void;
    children: ComponentChildren;
  },
) {
  const [first = places[0]?.path ?? ""] = route.value.path;
  const here = VIEWS_OF_RUNS.includes(first) ? "runs" : first;
  const place = places.find(({ path }) => path === here);
  useEffect(() => {
    document.title = place === undefined ? "Graft" : `${place.name} · Graft`;
  }, [place]);
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!;
  return (
    <>
      <a class="skip" href="#main" onClick={skipToMain}>To the content</a>
      <aside class="sidebar">
        <a class="brand" href={href([])}>
          <img src="ui/icon.svg" alt="" width="24" height="24" />
          Graft
        </a>
        <nav aria-label="Views">
          <ul>
            {places.map(({ path, name, icon }) => (
              <li key={path}>
                <a href={href([path])} aria-current={path === here ? "page" : undefined}>
                  <Icon name={icon} />
                  {name}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <div class="sidebar-end">
          <a class="side-link" href="docs">API</a>
          {keyName !== null && (
            <button
              type="button"
              class="side-link"
              title={`Signed in with the key ${keyName}`}
              onClick={() => void client.DELETE("/v1/session").then(onSignOut)}
            >
              Sign out
            </button>
          )}
          <button
            type="button"
            class="side-link"
            aria-label={`Colours: ${theme.value}; change to ${next}`}
            onClick={() => theme.value = next}
          >
            <Icon name={THEME_ICONS[theme.value]} />
            <span aria-hidden="true">{theme.value}</span>
          </button>
        </div>
      </aside>
      <main id="main" tabIndex={-1}>
        <div role="status" aria-live="polite">
          {!isOnline.value && (
            <div class="offline">
              <i aria-hidden="true" />The server does not answer. The page tries again every second.
            </div>
          )}
        </div>
        {children}
      </main>
    </>
  );
}

/** Moves the focus to the view; a link cannot, as the part after `#` is the view's address. */
function skipToMain(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}
