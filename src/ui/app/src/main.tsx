// Starts the page.
import "./styles/base.css";
import "./styles/page.css";
import "./styles/charts.css";
import { render } from "preact";
import { App } from "./App";
import { startTheme } from "./theme";

startTheme();
const root = document.getElementById("root");
if (root !== null) render(<App />, root);
