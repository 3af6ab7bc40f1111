// The pages over many jobs, loaded when one of them is opened: the fleet and the list.
import styles from "../styles/many.css?url";
import { FleetPage } from "./FleetPage";
import { ListPage } from "./ListPage";

export const PAGES = { list: ListPage, fleet: FleetPage };

// Whoever waits for this module waits for its style sheet as well: no page is shown without one.
await new Promise((loaded, failed) => {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = styles;
  link.addEventListener("load", loaded);
  link.addEventListener("error", failed);
  document.head.append(link);
});
