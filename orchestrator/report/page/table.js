"use strict";
// The comparison table: sorted by its headers, filtered by words; a row leads to its cell. With the line of its reason a row
// is a body of its own.
{
  const UNKNOWN = "–";
  const table = document.getElementById("comparison");
  const planned = Array.from(table.tBodies);
  const sections = new Map(planned.map((row) => [row, document.getElementById(row.dataset.cell)]));
  const elsewhere = new Map(planned.map((row) => [row.dataset.cell, []])); // the same cells in the other tables
  for (const row of document.querySelectorAll("[data-of]")) elsewhere.get(row.dataset.of).push(row);
  const collator = new Intl.Collator("en", { numeric: true });

  // What is unknown comes last, whichever way the rest is sorted.
  const keyOf = (row, column, isNumber) => {
    const text = row.rows[0].cells[column].textContent.trim();
    if (text === "" || text === UNKNOWN) return null;
    return isNumber ? parseFloat(text.replace(/^[~≈]/, "")) : text;
  };

  const sort = (header, column) => {
    const next = { ascending: "descending", descending: "" };
    const had = header.getAttribute("aria-sort");
    const order = had === null ? "ascending" : next[had];
    for (const other of header.parentElement.cells) other.removeAttribute("aria-sort");
    let rows = planned;
    if (order) {
      header.setAttribute("aria-sort", order);
      const isNumber = header.classList.contains("number");
      const sign = order === "ascending" ? 1 : -1;
      const keys = new Map(planned.map((row) => [row, keyOf(row, column, isNumber)]));
      rows = planned.slice().sort((left, right) => {
        const [a, b] = [keys.get(left), keys.get(right)];
        if (a === null || b === null) return (a === null) - (b === null);
        return sign * (isNumber ? a - b : collator.compare(a, b));
      });
    }
    const sorted = document.createDocumentFragment();
    for (const row of rows) sorted.append(row);
    table.append(sorted);
  };

  Array.from(table.tHead.rows[0].cells).forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sort(header, column));
  });

  // A table that fits needs no frame to scroll in: then its header stays at the top of the window.
  const frame = table.parentElement;
  const measure = () => frame.classList.toggle("fits", table.scrollWidth <= frame.clientWidth);
  new ResizeObserver(measure).observe(document.body);
  measure();

  const input = document.getElementById("filter");
  const count = document.getElementById("filter-count");
  const texts = new Map(planned.map((row) => [row, Array.from(row.querySelectorAll("th, td"), (cell) => cell.textContent).join(" ").toLowerCase()]));
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of planned) {
      const fits = words.every((word) => texts.get(row).includes(word));
      row.hidden = sections.get(row).hidden = !fits;
      for (const other of elsewhere.get(row.dataset.cell)) other.hidden = !fits;
      shown += fits;
    }
    count.textContent = words.length ? `${shown} of ${planned.length} cells` : "";
  };
  document.getElementById("table-tools").hidden = false;
  input.addEventListener("input", filter);
  filter(); // a browser may have kept the words over a reload

  const openTarget = () => {
    const section = document.getElementById(location.hash.slice(1));
    if (!section || !section.matches("details.cell")) return;
    section.hidden = false;
    section.open = true;
    section.scrollIntoView();
    section.querySelector("summary").focus({ preventScroll: true });
  };
  table.addEventListener("click", (event) => {
    const row = event.target.closest("tbody");
    if (!row) return;
    const link = event.target.closest("a");
    if ((link && !link.hash) || (link && link.hostname) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (String(getSelection())) return; // somebody marks text to copy it
    event.preventDefault();
    if (location.hash === `#${row.dataset.cell}`) openTarget();
    else location.hash = row.dataset.cell;
  });
  addEventListener("hashchange", openTarget);
  openTarget();
}
