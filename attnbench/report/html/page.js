// The page: what it shows at first, and what its controls do.

const FIGURES = {
  throughput: drawThroughput,
  ratios: drawRatios,
  "flops-time": drawFlopsAgainstTime,
  scaling: drawScaling,
};

function embedded(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

function fillSettings(select, settings) {
  const runs = new Map();
  settings.forEach((setting, index) => {
    if (!runs.has(setting.run)) runs.set(setting.run, document.createElement("optgroup"));
    runs.get(setting.run).label = setting.run;
    runs.get(setting.run).append(new Option(setting.name, index));
  });
  if (runs.size > 1) select.append(...runs.values());
  else select.append(...[...runs.values()].flatMap((group) => [...group.children]));
  select.closest(".controls").hidden = settings.length < 2;
}

function drawFigures(data, setting) {
  document.getElementById("where").textContent = `${setting.title}. ${setting.machine}.`;
  for (const [id, draw] of Object.entries(FIGURES)) {
    const figure = document.getElementById(id);
    const box = figure.querySelector(".plot");
    figure.hidden = false; // a hidden box has no width to draw in
    const caption = draw(box, setting, data, currentLook(box));
    figure.hidden = caption === null;
    figure.querySelector("figcaption p").textContent = caption;
  }
}

async function save({name, gzip}) {
  const packed = Uint8Array.from(atob(gzip), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await new Response(stream).blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// A narrow screen has the table first, and unfolds what decides its numbers when it is asked to.
function foldWhereNarrow(details) {
  const narrow = matchMedia(`(max-width: ${NARROW_PX}px)`);
  const fold = () => {
    details.open = !narrow.matches;
  };
  narrow.addEventListener("change", fold);
  fold();
}

function start() {
  const root = document.documentElement;
  const data = embedded("data");
  const table = document.getElementById("results");
  const select = document.getElementById("setting");
  const theme = document.getElementById("theme");

  const draw = () => {
    theme.textContent = isDark() ? "Light" : "Dark";
    drawFigures(data, data.settings[Number(select.value)]);
  };
  foldWhereNarrow(document.getElementById("about"));
  sortable(table);
  filterable(table, document.querySelector("#table .controls"));
  fillSettings(select, data.settings);
  select.addEventListener("change", draw);
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    draw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("resize", draw);
  for (const button of document.querySelectorAll("[data-save]")) {
    button.addEventListener("click", () => save(embedded("files")[button.dataset.save]));
  }

  printable(root, draw);
  // The table is on the screen before figures are drawn.
  requestAnimationFrame(() => setTimeout(() => {
    draw();
    performance.mark("drawn");
  }));
}

// Paper is light and as wide as it is, and shows what is folded on a screen.
function printable(root, draw) {
  let before;
  let folded;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    folded = [...document.querySelectorAll("details:not([open])")];
    Object.assign(root.dataset, {theme: "light", printing: ""});
    for (const details of folded) details.open = true;
    draw();
  });
  addEventListener("afterprint", () => {
    delete root.dataset.printing;
    if (before) root.dataset.theme = before;
    else delete root.dataset.theme;
    for (const details of folded) details.open = false;
    draw();
  });
}

start();
