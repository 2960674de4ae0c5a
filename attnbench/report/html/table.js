// The table: a heading's button sorts by its column, the controls hide rows.

function sortable(table) {
  const [body] = table.tBodies;
  const rows = [...body.rows];
  let cell = 0;
  for (const head of table.tHead.rows[0].cells) {
    const index = cell;
    head.querySelector("button").addEventListener("click", () => {
      const direction = nextDirection(head);
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      if (direction) head.setAttribute("aria-sort", direction);
      table.classList.toggle("sorted", direction !== null);
      body.append(...(direction ? inOrder(rows, index, direction) : rows));
    });
    cell += head.colSpan;
  }
}

// First as most readers want it, then the other way round, then as measured.
function nextDirection(head) {
  const first = head.dataset.first;
  const second = first === "ascending" ? "descending" : "ascending";
  if (head.ariaSort === first) return second;
  return head.ariaSort === second ? null : first;
}

function inOrder(rows, index, direction) {
  const key = (row) => row.cells[index].dataset.sort;
  const sign = direction === "ascending" ? 1 : -1;
  const known = rows.filter((row) => key(row) !== undefined);
  const missing = rows.filter((row) => key(row) === undefined);
  const areNumbers = known.every((row) => !Number.isNaN(Number(key(row))));
  const compare = areNumbers ? (a, b) => a - b : (a, b) => a.localeCompare(b, "en", {numeric: true});
  return [...known.sort((a, b) => sign * compare(key(a), key(b))), ...missing];
}

function filterable(table, controls) {
  const rows = [...table.tBodies[0].rows];
  const words = controls.querySelector("input");
  const choices = [...controls.querySelectorAll("select")];
  const count = controls.querySelector("output");
  const apply = () => {
    const wanted = words.value.toLowerCase().split(/\s+/);
    const hasWords = (row) => wanted.every((word) => row.dataset.words.includes(word));
    const isChosen = (row) => choices.every(({value, dataset}) => !value || row.dataset[dataset.facet] === value);
    const isShown = (row) => hasWords(row) && isChosen(row);
    for (const row of rows) row.hidden = !isShown(row);
    const shown = rows.filter((row) => !row.hidden).length;
    count.textContent = shown === rows.length ? `${rows.length} rows` : `${shown} of ${rows.length} rows`;
  };
  for (const kind of ["input", "change"]) controls.addEventListener(kind, apply);
  apply();
}
