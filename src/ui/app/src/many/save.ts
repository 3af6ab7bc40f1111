// What is shown, as a file: CSV made here from the very numbers on the screen, other formats by the service from the
// same question.

/** One line of CSV; quotes where a spreadsheet needs them, and no cell that it would take for a formula. */
export function csvLine(cells: readonly (string | number | null)[]): string {
  return cells.map((cell) => {
    if (cell === null) return "";
    if (typeof cell === "number") return String(cell);
    const safe = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  }).join(",");
}

export type Table = readonly (readonly (string | number | null)[])[];

export function csv(table: Table): string {
  return `${table.map(csvLine).join("\r\n")}\r\n`;
}

/** Gives the browser a file to save. */
export function save(name: string, content: Blob): void {
  const address = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // Not at once: some browsers begin to read it later.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
