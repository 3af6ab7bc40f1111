// The frame of every page: the top bar, the theme switch, and the page that the address names.
import { useEffect, useState } from "preact/hooks";
import { JobPage } from "./JobPage";
import { ListPage } from "./ListPage";
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

function TopBar() {
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
        <a href="/" onClick={follow}>Jobs</a>
      </nav>
      <button type="button" class="quiet" id="theme" onClick={() => setTheme(other)}>
        {other === "dark" ? "Dark" : "Light"} theme
      </button>
    </header>
  );
}

export function App() {
  const route = parsePath(usePath());
  return (
    <>
      <a class="skip" href="#main">Skip to the content</a>
      <TopBar />
      <main id="main" tabIndex={-1}>
        {route.page === "job" ? (
          <JobPage key={`${route.source}/${route.jobId}`} source={route.source} jobId={route.jobId} />
        ) : route.page === "list" ? (
          <ListPage />
        ) : (
          <StatePanel
            title="There is no such page"
            text="The address does not name a job. A job's page is /jobs/{source}/{job_id}."
            actions={<a href="/" onClick={follow}>See the newest jobs</a>}
          />
        )}
      </main>
    </>
  );
}
