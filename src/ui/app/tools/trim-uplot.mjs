// Leaves out of uPlot what this page does not use, at build time: the legend (ours stands in HTML), calendar axes (ours
// count from the job's start), logarithmic scales, scatter mode, bars and splines, chart-to-chart messages. It turns the
// switches that uPlot reads from its options into constants; the minifier then drops the dead branches. About a third of
// the library goes. Every edit must match, so another version of uPlot fails the build instead of drawing wrongly.

/** [what to find, what stands there instead, how often it must be found] */
const EDITS = [
  // One kind of chart: aligned data, time to the right.
  [/const mode = self\.mode;/, "const mode = 1;", 1],
  [/\bmode == 2\b/g, "false", 16],
  [/\bmode == 1\b/g, "true", 16],
  [/\bscaleX\.ori == 0\b/g, "true", 24],
  [/\bscaleX\.ori == 1\b/g, "false", 9],
  // Linear scales.
  [/\b(?:\w+\.)?distr ==\s+(?:2|3|4|100)(?!\d)/g, "false", 30],
  [/\b\w+\.distr >= 3/g, "false", 1],
  [/\b\w+\.distr == 1/g, "true", 1],
  // No calendar.
  [/const FEAT_TIME\s+= true;/, "const FEAT_TIME = false;", 1],
  [/let isTime = [^;]+;/g, "const isTime = false;", 3],
  [/const \[ timeIncrs(?:Ms|S),[^\]]+\] = genTimeStuffs\([^)]+\);/g, "", 2],
  [/\n\tconst _(?:tzDate|fmtDate|timeAxisSplits|timeAxisVals|timeSeriesVal)\s+=[^;]+;/g, "", 5],
  // No legend and no hover focus of its own.
  [/const showLegend = legend\.show;/, "const showLegend = false;", 1],
  [/\blegend\.(?:live|show)\b/g, "false", 8],
  [/const cursorFocus = focus\.prox >= 0;/, "const cursorFocus = false;", 1],
  [/const cursorOnePt = cursorFocus && points\.one;/, "const cursorOnePt = false;", 1],
  // The page moves the crosshair of all charts itself.
  [/if \(src != null\) \{(?=\s+let \[xKey, yKey\])/, "if (false) {", 1],
  [/\be != null\b/g, "true", 8],
  // No points that follow the cursor: the readout names the values.
  [/if \(cursor\.dataIdx == null\) \{/, "if (false) {", 1],
  [/\/\/ closest pt values[\s\S]+?(?=\t\t\}\n\n\t\t\/\/ nit: cursor\.drag)/, "", 1],
  // No areas between two series.
  [/flags != 0 && bands\.forEach\(/, "false && bands.forEach(", 1],
  [/let \[ bandFillDir, bandClipDir \] = bandFillClipDirs\(u, seriesIdx\);/g, "const bandFillDir = 0, bandClipDir = 0;", 3],
  // The page brings its own paths, and labels its charts in HTML.
  [/const linearPath = linear\(\) ;/, "const linearPath = null;", 1],
  [/\(paths\.linear +=[^;]+;/, "", 1],
  [/return \(sx\.ori == 0/, "return (true", 1],
  [/let angle = axis\._rotate \* -PI\/180;/, "const angle = 0;", 1],
  [/if \(opts\.title\) \{/, "if (false) {", 1],
  // The page gives every scale its range.
  [/if \(scaleKey != xScaleKey \|\| \([\s\S]+?sc\.range = fnOrSelf\(rn[\s\S]+?\)\s*\);\n/, "sc.range = rn;\n", 1],
  [/(?<=const (?:days|months)3 = )/g, "/*@__PURE__*/ ", 2],
  [/const localTz = [^;]+;/, "", 1],
  // Every scale gets its range from the page: nothing is found from the data.
  [/function autoScaleX\(\) \{[\s\S]+?\n\t\}\n/, "function autoScaleX() {}\n", 1],
  [/function accScale\([^\n]+[\s\S]+?\n\t\}\n/, "function accScale() {}\n", 1],
  [/\b(?:sc|wsc|scaleOpts)\.from != null\b/g, "false", 3],
  [/\b(?:sc|wsc)\.from == null\b/g, "true", 4],
  // No messages between charts.
  [/(?:_pub && )?pubSync\([^;{]+\);/g, "{}", 5],
  [/const syncOpts = assign\(\{[\s\S]+?self\.pub = pub;\n/, "", 1],
  [/events\["setSeries"\] = [\s\S]+?\n\t\};\n/, "", 1],
  [/if \(syncKey != null\) \{/, "if (false) {", 1],
  [/sync\.unsub\(self\);/, "", 1],
  // No axis titles, border lines or tick marks; paddings are numbers; no plugins.
  [/axis\.label != null/g, "false", 3],
  [/\b(?:ticks|border)\.show\b/g, "false", 3],
  [/\(opts\.padding \|\| \[[^\]]+\]\)\.map\(p => [^\n]+\);/, "opts.padding.map(fnOrSelf);", 1],
  [/\(opts\.plugins \|\| \[\]\)\.forEach\(/g, "[].forEach(", 2],
  [/ : av \|\| numAxisVals\b/, " : av", 1],
  [/ : sv \|\| numSeriesVal;/, " : sv;", 1],
  [/assign\(\{\}, legendOpts, opts\.legend\)/, "{}", 1],
  [/\{\n\t\tlegend\.idxs = activeIdxs;[\s\S]+?\n\t\}\n/, "", 1],
  [/if \(opts\.focus != null\)/, "if (false)", 1],
  // Series and bands do not come and go.
  [/self\.(?:addSeries|delSeries|addBand|setBand|delBand|setLegend) = \w+;/g, "", 6],
  [/pt = initCursorPt\(s, i\);/g, "pt = null;", 2],
  [/let pt = (?:cursorOnePt \? cursorPts\[0\] : )?cursorPts\[i\];/g, "let pt = null;", 3],
  // Dragging goes sideways only.
  [/\bif \(dragY\)/g, "if (false)", 2],
  [/\bif \(!dragY\)/, "if (true)", 1],
  [/dragY = drag\.y && rawDY >= drag\.dist;/, "dragY = false;", 1],
  [/if \(uni != null\) \{/, "if (false) {", 1],
  [/else if \(drag\.x && drag\.y && \(dragX \|\| dragY\)\)/, "else if (false)", 1],
  // Exports nobody here imports.
  [/\nuPlot\.(?:fmtNum|rangeNum|rangeLog|rangeAsinh|orient)\s+= \w+;/g, "", 5],
  [/uPlot\.(?:join|fmtDate|tzDate|addGap|clipGaps|assign|sync) +=[^;]+;/g, "", 7],
  [/\(paths\.(?:stepped|bars|spline) +=[^;]+;/g, "", 3],
];

export function trimUplot() {
  return {
    name: "trim-uplot",
    apply: "build",
    transform(code, id) {
      if (!id.replace(/\\/g, "/").endsWith("/uplot/dist/uPlot.esm.js")) return null;
      let text = code;
      for (const [find, replacement, expected] of EDITS) {
        let found = 0;
        text = text.replace(find, () => {
          found += 1;
          return replacement;
        });
        if (found !== expected) this.error(`uPlot has changed: ${find} matches ${found} times, expected ${expected}`);
      }
      return { code: text, map: null };
    },
  };
}
