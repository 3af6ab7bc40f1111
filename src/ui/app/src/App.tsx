// The frame of every page: the top bar, the theme switch, and the page that the address names.
import type { FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import { JobPage } from "./JobPage";
import { parsePath } from "./route";
import { follow, usePath } from "./router";
import { StatePanel } from "./StatePanel";
import { currentTheme, setTheme, type Theme } from "./theme";

function useTheme(): Theme {
  const [theme, change] = useState(currentTheme);
  useEffect(() => {
    const changed = (): void => change(currentTheme());
    addEventListener("themechange", changed);
    return () => removeEventListener("themechange", changed);
  }, []);
  return theme;
}

function TopBar({ page }: { page: string }) {
  const theme = useTheme();
  const other: Theme = theme === "dark" ? "light" : "dark";
  return (
    <header class="top">
      <a class="brand" href="/" onClick={follow}>
        <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
          <path d="M2 14h4l2.5-7 4 12 3-8.5 1.5 3.5H22" />
        </svg>
        Tachograph
      </a>
      <nav aria-label="Pages">
        {([["list", "/", "Jobs"], ["fleet", "/fleet", "Fleet"]] as const).map(([name, href, label]) => (
          <a key={name} href={href} aria-current={page === name ? "page" : undefined} onClick={follow}>{label}</a>
        ))}
      </nav>
      <button type="button" class="quiet" id="theme" onClick={() => setTheme(other)}>
        {other === "dark" ? "Dark" : "Light"} theme
      </button>
    </header>
  );
}

type Pages = Readonly<Record<"list" | "fleet", FunctionComponent>>;

/** Kept once loaded, so that going to and fro shows no trace of it. */
let pages: Pages | null = null;

/** A page over many jobs: in a script of its own, so that a job's page stays small. */
function Many({ page }: { page: keyof Pages }) {
  const [state, setState] = useState<Pages | "failed" | null>(pages);
  useEffect(() => {
    if (state === null) import("./many").then((found) => setState(pages = found.PAGES), () => setState("failed"));
  }, [state]);
  if (state === "failed") {
    return (
      <StatePanel
        title="A part of this page could not be loaded" text="The service did not send it: it may have been updated or stopped since this page was opened."
        todo="Reload the page." actions={<button type="button" onClick={() => location.reload()}>Reload</button>}
      />
    );
  }
  const Page = state?.[page];
  return Page === undefined ? <p aria-busy="true">Loading…</p> : <Page />;
}

export function App() {
  const route = parsePath(usePath());
  return (
    <>
      <a class="skip" href="#main">Skip to the content</a>
      <TopBar page={route.page} />
      <main id="main" tabIndex={-1}>
        {route.page === "job" ? (
          <JobPage key={`${route.source}/${route.jobId}`} source={route.source} jobId={route.jobId} />
        ) : route.page !== "nowhere" ? (
          <Many page={route.page} />
        ) : (
          <StatePanel
            title="There is no such page"
            text="A job's page is /jobs/{source}/{job_id}, that of all jobs /fleet."
            actions={<a href="/" onClick={follow}>See the newest jobs</a>}
          />
        )}
      </main>
    </>
  );
}
