"use strict";
{
  const table = document.getElementById("class");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return "by" in cell.dataset ? Number(cell.dataset.by) : cell.textContent.trim();
  };
  const compare = (a, b) =>
    typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });

  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      rows.sort((a, b) => compare(valueOf(a, column), valueOf(b, column)));
      if (down) rows.reverse();
      body.append(...rows);
    });
  });

  const label = document.createElement("label");
  label.textContent = "Show lines with ";
  const input = document.createElement("input");
  input.type = "search";
  const told = document.createElement("span");
  told.setAttribute("role", "status");
  const filter = () => {
    const wanted = input.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    told.textContent = wanted ? ` ${shown} of ${rows.length}` : "";
  };
  input.addEventListener("input", filter);
  label.append(input);
  document.getElementById("tools").append(label, told);
}
