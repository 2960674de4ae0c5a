"use strict";

// What all figures share: words that are safe in them, colours of the page's theme, axes.

const NARROW_PX = 560;
const LINE_PX = 26;
const AXIS_PX = 56;
const HOVER_PX = 240;
const LADDERS = [[1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8], [1, 1.5, 2, 3, 5, 7], [1, 2, 5], [1]];
const DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"};
const SYMBOLS = {
  o: "circle",
  s: "square",
  D: "diamond",
  d: "diamond-tall",
  "^": "triangle-up",
  v: "triangle-down",
  "<": "triangle-left",
  ">": "triangle-right",
  P: "cross",
  "*": "star",
};

// plotly.js reads some tags and entities in its texts, and names come from anyone.
function plain(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function linesOf(text, letters) {
  const lines = [""];
  for (const word of text.match(new RegExp(`\\S{1,${letters}}`, "gu")) ?? []) {
    const line = lines.at(-1);
    if (line && line.length + word.length > letters) lines.push(word);
    else lines[lines.length - 1] = line ? `${line} ${word}` : word;
  }
  return lines;
}

function wrapped(text, letters) {
  return linesOf(text, letters).map(plain).join("<br>");
}

// A name beside an axis; all of a longer one is in what hovering shows.
function shortened(text, letters, most) {
  const lines = linesOf(text, letters);
  const shown = lines.slice(0, most).map(plain).join("<br>");
  return lines.length > most ? `${shown}…` : shown;
}

function number(value) {
  return Number(value.toPrecision(3)).toLocaleString("en");
}

function isDark() {
  const {theme} = document.documentElement.dataset;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function currentLook(box) {
  const probe = box.appendChild(document.createElement("i"));
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const look = {
    ink: colour("ink"),
    muted: colour("muted"),
    line: colour("line"),
    band: colour("band"),
    sheet: colour("sheet"),
    font: getComputedStyle(box).fontFamily,
    isDark: isDark(),
    isNarrow: box.clientWidth < NARROW_PX,
    canZoom: matchMedia("(pointer: fine)").matches,
  };
  probe.remove();
  return look;
}

// Colours are chosen for white paper; on a dark page they are as much lighter as the dots of the table.
function colourOf({ink}, look) {
  if (!look.isDark) return ink.colour;
  const parts = ink.colour.match(/[0-9a-f]{2}/g).map((part) => Math.round(0.6 * parseInt(part, 16) + 0.4 * 255));
  return `rgb(${parts.join(", ")})`;
}

function symbolOf({ink}) {
  return SYMBOLS[ink.marker] + (ink.fill === "none" ? "-open" : "");
}

function plot(box, traces, layout) {
  Plotly.react(box, traces, {...layout, width: box.clientWidth}, {displayModeBar: false});
}

function layoutOf(look, changes) {
  const font = {family: look.font, size: 12, color: look.ink};
  return {
    font,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: {l: 8, r: 12, t: 8, b: 40},
    showlegend: false,
    dragmode: look.canZoom ? "zoom" : false, // a finger that moves over a figure scrolls the page
    hoverlabel: {bgcolor: look.sheet, bordercolor: look.line, align: "left", font},
    ...changes,
  };
}

function axisOf(look, title, changes) {
  return {
    title: {text: title, font: {size: 12, color: look.muted}, standoff: 10},
    tickfont: {size: 11, color: look.muted},
    gridcolor: look.line,
    zeroline: false,
    automargin: true,
    tickangle: 0,
    ...changes,
  };
}

// plotly.js shows nothing where what it would show on hovering is higher than the figure.
function heightOf(rows) {
  return Math.max(rows.length * LINE_PX + AXIS_PX, HOVER_PX);
}

// An axis of names, as far from each other whatever their number.
function namesOf(rows, look) {
  const letters = look.isNarrow ? 18 : 30;
  const spare = ((heightOf(rows) - AXIS_PX) / LINE_PX - rows.length) / 2;
  return axisOf(look, "", {
    tickvals: rows.map((_, index) => index),
    ticktext: rows.map((row) => shortened(row.title, letters, 2)),
    range: [-0.5 - spare, rows.length - 0.5 + spare],
    tickfont: {size: 12, color: look.ink},
    ticklen: 4,
    tickcolor: "rgba(0,0,0,0)",
    showgrid: false,
    fixedrange: true,
  });
}

function logAxis(look, title, values, most, suffix = "") {
  const margin = (Math.max(...values) / Math.min(...values)) ** 0.05 * 1.04;
  const [low, high] = [Math.min(...values) / margin, Math.max(...values) * margin];
  const ticks = logTicks(low, high, most);
  return axisOf(look, title, {
    type: "log",
    range: [Math.log10(low), Math.log10(high)],
    tickvals: ticks,
    ticktext: ticks.map((tick) => number(tick) + suffix),
  });
}

function logTicks(low, high, most) {
  const choices = LADDERS.map((ladder) => ticksOn(ladder, low, high));
  return choices.find((ticks) => ticks.length <= most) ?? choices.at(-1);
}

function ticksOn(ladder, low, high) {
  const decades = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) decades.push(10 ** power);
  const all = decades.flatMap((decade) => ladder.map((step) => step * decade));
  return all.filter((tick) => tick >= low && tick <= high);
}

function ends({value, low, high}) {
  return [low ?? value, high ?? value];
}

function errorsOf(values, colour) {
  return {
    type: "data",
    symmetric: false,
    array: values.map((each) => ends(each)[1] - each.value),
    arrayminus: values.map((each) => each.value - ends(each)[0]),
    color: colour,
    thickness: 1.2,
    width: 3,
  };
}

// What hovering over a row's mark shows: its case, and all its values with their intervals.
function described(row, setting, data) {
  const lines = [`<b>${wrapped(row.title, 48)}</b>`, wrapped(setting.title, 48)];
  for (const [title, {text, published}] of Object.entries(row.values)) {
    const theirs = published === null ? "" : ` (paper: ${published.toLocaleString("en", {maximumFractionDigits: 2})})`;
    lines.push(`${title}: ${text} ${data.units[title]}${theirs}`);
  }
  if (row.outcome !== "measured") lines.push(wrapped(`${row.outcome.replaceAll("_", " ")}: ${row.reason}`, 48));
  else if (row.verdict !== "—") lines.push(row.verdict);
  return lines.join("<br>");
}

function withHover(rows, setting, data) {
  return {hovertext: rows.map((row) => described(row, setting, data)), hoverinfo: "text"};
}
