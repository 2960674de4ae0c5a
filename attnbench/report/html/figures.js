"use strict";

// Figures: each `draw…(box, place, data, look)` fills a box and returns its caption, or null where there is nothing to draw.

const NARROW_PX = 560;
const BAR_PX = 26;
const LABEL_PX = 15;
const SYMBOLS = {o: "circle", s: "square", D: "diamond", "^": "triangle-up", v: "triangle-down", P: "cross", "<": "triangle-left"};
const CONFIG = {displayModeBar: false};
const LADDERS = [[1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8], [1, 1.5, 2, 3, 5, 7], [1, 2, 5], [1]];

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
function shortened(text, letters) {
  const [first, second, ...more] = linesOf(text, letters);
  return [first, ...(second ? [more.length ? `${second}…` : second] : [])].map(plain).join("<br>");
}

function number(value) {
  return Number(value.toPrecision(3)).toLocaleString("en");
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
    isNarrow: box.clientWidth < NARROW_PX,
    canZoom: matchMedia("(pointer: fine)").matches,
  };
  probe.remove();
  return look;
}

function layoutOf(look, changes) {
  return {
    font: {family: look.font, size: 12, color: look.ink},
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: {l: 8, r: 12, t: 8, b: 40},
    showlegend: false,
    dragmode: look.canZoom ? "zoom" : false, // a finger that moves over a figure scrolls the page
    hoverlabel: {bgcolor: look.sheet, bordercolor: look.line, align: "left", font: {family: look.font, size: 12, color: look.ink}},
    ...changes,
  };
}

function plot(box, traces, layout) {
  Plotly.react(box, traces, {...layout, width: box.clientWidth}, CONFIG);
}

function axisOf(look, title, changes) {
  return {
    title: {text: title, font: {size: 12, color: look.muted}, standoff: 10},
    tickfont: {size: 11, color: look.muted},
    gridcolor: look.line,
    zeroline: false,
    automargin: true,
    ...changes,
  };
}

function namesOf(rows, look) {
  const letters = look.isNarrow ? 18 : 30;
  return {
    tickvals: rows.map((_, index) => index),
    ticktext: rows.map((row) => shortened(row.title, letters)),
    range: [-0.6, rows.length - 0.4],
    tickfont: {size: 12, color: look.ink},
    ticklen: 4,
    tickcolor: "rgba(0,0,0,0)",
    showgrid: false,
    automargin: true,
    zeroline: false,
    fixedrange: true,
  };
}

function errorsOf(values, colour) {
  return {
    type: "data",
    symmetric: false,
    array: values.map(({value, high}) => (high ?? value) - value),
    arrayminus: values.map(({value, low}) => value - (low ?? value)),
    color: colour,
    thickness: 1.2,
    width: 3,
  };
}

function described(row, place, data) {
  const lines = [`<b>${plain(row.title)}</b>`, wrapped(place.title, 48)];
  for (const [name, {text, published}] of Object.entries(row.values)) {
    const {title, unit} = data.columns[name];
    const theirs = published === null ? "" : ` (paper: ${published.toLocaleString("en", {maximumFractionDigits: 2})})`;
    lines.push(`${title}: ${text} ${unit}${theirs}`);
  }
  if (row.outcome !== "measured") lines.push(wrapped(`${row.outcome.replaceAll("_", " ")}: ${row.reason}`, 48));
  else if (row.verdict !== "—") lines.push(row.verdict);
  return lines.join("<br>");
}

function withHover(rows, place, data) {
  return {hovertext: rows.map((row) => described(row, place, data)), hoverinfo: "text"};
}

function logTicks(low, high, most) {
  const ticks = LADDERS.map((ladder) => ticksOn(ladder, low, high));
  return ticks.find((found) => found.length <= most) ?? ticks.at(-1);
}

function ticksOn(ladder, low, high) {
  const decades = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) decades.push(10 ** power);
  return decades.flatMap((decade) => ladder.map((step) => step * decade)).filter((tick) => tick >= low && tick <= high);
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

function ends({value, low, high}) {
  return [low ?? value, high ?? value];
}

function drawThroughput(box, place, data, look) {
  const rows = place.rows.filter((row) => row.values.imgs_per_s).sort((a, b) => a.values.imgs_per_s.value - b.values.imgs_per_s.value);
  if (!rows.length) return null;
  const values = rows.map((row) => row.values.imgs_per_s);
  const trace = {
    type: "bar",
    orientation: "h",
    x: values.map(({value}) => value),
    y: rows.map((_, index) => index),
    width: 0.72,
    marker: {color: rows.map((row) => row.colour)},
    error_x: errorsOf(values, look.ink),
    ...withHover(rows, place, data),
  };
  const layout = layoutOf(look, {
    height: rows.length * BAR_PX + 56,
    dragmode: false,
    xaxis: axisOf(look, "images per second", {range: [0, 1.14 * Math.max(...values.flatMap(ends))], fixedrange: true}),
    yaxis: namesOf(rows, look),
    annotations: values.map((value, index) => ({
      x: ends(value)[1],
      y: index,
      text: value.text.split(" [")[0],
      xanchor: "left",
      xshift: 5,
      showarrow: false,
      font: {size: 11, color: look.ink},
    })),
  });
  plot(box, [trace], layout);
  return "With 95 % intervals.";
}

function drawRatios(box, place, data, look) {
  const speed = "speed_vs_baseline";
  const rows = place.rows.filter((row) => row.values[speed] && row.verdict !== "baseline").sort((a, b) => a.values[speed].value - b.values[speed].value);
  if (!rows.length) return null;
  const values = rows.map((row) => row.values[speed]);
  const ours = {
    mode: "markers",
    x: values.map(({value}) => value),
    y: rows.map((_, index) => index),
    marker: {color: rows.map((row) => row.colour), size: 9},
    error_x: errorsOf(values, look.ink),
    ...withHover(rows, place, data),
  };
  const published = values.map(({published}, index) => [published, index]).filter(([ratio]) => ratio !== null);
  const theirs = {
    mode: "markers",
    x: published.map(([ratio]) => ratio),
    y: published.map(([, index]) => index),
    marker: {symbol: "diamond-open", color: look.muted, size: 9},
    hovertext: published.map(([ratio]) => `${ratio.toFixed(2)}× on the paper's ${place.paper}`),
    hoverinfo: "text",
  };
  const floor = place.noise_floor ?? 0;
  const all = [...values.flatMap(ends), ...theirs.x, 1 / (1 + floor), 1 + floor];
  const layout = layoutOf(look, {
    height: rows.length * BAR_PX + 56,
    dragmode: false,
    xaxis: {...logAxis(look, `times as fast as ${plain(place.baseline)}`, all, look.isNarrow ? 6 : 9, "×"), fixedrange: true},
    yaxis: {...namesOf(rows, look), showgrid: true, gridcolor: look.line},
    shapes: [
      {type: "rect", xref: "x", yref: "paper", x0: 1 / (1 + floor), x1: 1 + floor, y0: 0, y1: 1, fillcolor: look.band, line: {width: 0}, layer: "below"},
      {type: "line", xref: "x", yref: "paper", x0: 1, x1: 1, y0: 0, y1: 1, line: {color: look.muted, width: 1}, layer: "below"},
    ],
  });
  plot(box, published.length ? [ours, theirs] : [ours], layout);
  const band = place.noise_floor === null ? "" : ` The band is the noise floor, ±${(100 * floor).toFixed(1)} %: where an identical layer may lie.`;
  const paper = published.length ? ` Open diamonds are the paper’s, on ${place.paper}.` : "";
  return `Dots are this machine’s, with 95 % intervals; right is faster.${paper}${band}`;
}

function drawFlopsAgainstTime(box, place, data, look) {
  const perImage = ({value, low, high}) => ({value: value / place.batch, low: low && low / place.batch, high: high && high / place.batch});
  const isShown = (row) => row.values.macs && row.values.time;
  const point = (row) => ({x: row.values.macs.value, ...perImage(row.values.time)});
  const rows = place.rows.filter(isShown);
  if (rows.length < 2) return null;
  const points = rows.map(point);
  const height = Math.max(420, rows.length * LABEL_PX + 80);
  const [right, top] = [1.06 * Math.max(...points.map(({x}) => x)), 1.06 * Math.max(...points.flatMap(ends))];
  const front = place.front.map((index) => point(place.rows[index]));
  const traces = [
    {
      mode: "lines",
      line: {shape: "hv", color: look.muted, width: 1.4},
      x: [front[0].x, ...front.map(({x}) => x), right],
      y: [top, ...front.map(({value}) => value), front.at(-1).value],
      hoverinfo: "skip",
    },
    {
      mode: "markers",
      x: points.map(({x}) => x),
      y: points.map(({value}) => value),
      marker: {color: rows.map((row) => row.colour), symbol: rows.map((row) => SYMBOLS[row.marker]), size: 9},
      error_y: errorsOf(points, look.ink),
      ...withHover(rows, place, data),
    },
  ];
  const base = rows.find((row) => row.verdict === "baseline");
  if (base) {
    const {x, value} = point(base);
    traces.unshift({mode: "lines", line: {dash: "dash", color: look.muted, width: 1}, x: [0, right], y: [0, (right * value) / x], hoverinfo: "skip"});
  }
  const layout = layoutOf(look, {
    height,
    margin: {l: 8, r: look.isNarrow ? 110 : 150, t: 8, b: 40},
    xaxis: axisOf(look, "FLOPs (M multiply-adds per image)", {range: [0, right]}),
    yaxis: axisOf(look, "ms per image", {range: [0, top]}),
    annotations: labelsAtTheSide(rows, points, look, {right, top, gap: (top * LABEL_PX) / (height - 60)}),
  });
  plot(box, traces, layout);
  const rate = base ? ` On the dashed line a layer is as fast per FLOP as ${base.title}.` : "";
  return `The solid line is the Pareto front: no layer has both fewer FLOPs and less time than one on it.${rate}`;
}

function labelsAtTheSide(rows, points, look, {right, top, gap}) {
  const order = rows.map((_, index) => index).sort((a, b) => points[a].value - points[b].value);
  let height = -Infinity;
  const heights = order.map((index) => (height = Math.max(points[index].value, height + gap)));
  for (let place = heights.length - 1, most = top; place >= 0; place--, most -= gap) heights[place] = Math.min(heights[place], most);
  return order.map((index, place) => ({
    x: points[index].x,
    y: points[index].value,
    ax: 1.03 * right,
    ay: heights[place],
    axref: "x",
    ayref: "y",
    text: shortened(rows[index].title, 18),
    xanchor: "left",
    arrowhead: 0,
    arrowwidth: 0.7,
    arrowcolor: look.muted,
    standoff: 6,
    font: {size: 11, color: look.ink},
  }));
}

function drawScaling(box, place, data, look) {
  const family = data.places.filter((other) => other.family === place.family).sort((a, b) => a.side - b.side);
  if (family.length < 2) return null;
  const total = (row) => row.total_mib && {value: row.total_mib};
  const panels = [
    {title: "images per second", value: (row) => row.values.imgs_per_s, need: () => undefined, suffix: ""},
    {title: "memory with weights and input (MiB)", value: total, need: (row) => row.need_mib, suffix: "2"},
  ];
  const layout = layoutOf(look, {height: look.isNarrow ? 860 : 460, legend: {orientation: "h", y: -0.13, yanchor: "top", font: {size: 11}}, showlegend: true});
  const traces = panels.flatMap((panel, index) => {
    const {curves, crosses, numbers} = curvesOf(family, panel, data, look);
    const isFirst = index === 0;
    const [xaxis, yaxis] = [`x${panel.suffix}`, `y${panel.suffix}`];
    if (!numbers.length) return [];
    const side = isFirst ? [0, 0.46] : [0.54, 1];
    const level = isFirst ? [0.55, 1] : [0, 0.45];
    layout[`xaxis${panel.suffix}`] = sizesAxis(look, family, look.isNarrow ? {anchor: yaxis} : {anchor: yaxis, domain: side});
    layout[`yaxis${panel.suffix}`] = {...logAxis(look, panel.title, numbers, 8), anchor: xaxis, ...(look.isNarrow && {domain: level})};
    return [...curves, ...crosses].map((trace) => ({...trace, xaxis, yaxis, showlegend: isFirst && trace.isCurve}));
  });
  plot(box, traces, layout);
  const misfits = family.some(({rows}) => rows.some(({outcome}) => outcome === "out_of_memory"));
  const crosses = misfits ? " A cross is a layer that ran out of memory, at the need that was predicted." : "";
  return `${place.mode === "training" ? "Training" : "Inference"}, logarithmic axes; a click on a name hides its lines.${crosses}`;
}

function curvesOf(family, panel, data, look) {
  const labels = new Map(family.flatMap(({rows}) => rows.map((row) => [row.label, row])));
  const curves = [];
  const crosses = [];
  const numbers = [];
  for (const [label, {title, colour, marker}] of labels) {
    const members = family.flatMap((place) => place.rows.filter((row) => row.label === label).map((row) => ({place, row})));
    const points = members.filter(({row}) => panel.value(row));
    const values = points.map(({row}) => panel.value(row));
    const misfits = members.filter(({row}) => row.outcome === "out_of_memory" && panel.need(row));
    const line = {name: plain(title), legendgroup: label};
    curves.push({
      ...line,
      isCurve: true,
      mode: "lines+markers",
      x: points.map(({place}) => place.side),
      y: values.map(({value}) => value),
      line: {color: colour, width: 1.6},
      marker: {color: colour, symbol: SYMBOLS[marker], size: 7},
      error_y: errorsOf(values, colour),
      hovertext: points.map(({place, row}) => described(row, place, data)),
      hoverinfo: "text",
    });
    if (misfits.length) crosses.push({...line, ...crossesOf(points.slice(-1), misfits, panel, data, look, colour)});
    numbers.push(...values.flatMap(ends), ...misfits.map(({row}) => panel.need(row)));
  }
  return {curves, crosses, numbers};
}

function crossesOf(last, misfits, panel, data, look, colour) {
  const members = [...last, ...misfits];
  return {
    isCurve: false,
    mode: "lines+markers",
    x: members.map(({place}) => place.side),
    y: members.map(({row}) => panel.value(row)?.value ?? panel.need(row)),
    line: {dash: "dot", color: colour, width: 1.2},
    marker: {symbol: members.map((_, index) => (index < last.length ? "circle" : "x-thin")), size: members.map((_, index) => (index < last.length ? 0 : 8)), line: {color: look.ink, width: 1.6}},
    hovertext: members.map(({place, row}) => described(row, place, data)),
    hoverinfo: "text",
  };
}

function sizesAxis(look, family, changes) {
  const sides = family.map(({side}) => side);
  const margin = (sides.at(-1) / sides[0]) ** 0.05;
  return axisOf(look, "tokens", {
    type: "log",
    range: [Math.log10(sides[0] / margin), Math.log10(sides.at(-1) * margin)],
    tickvals: sides,
    ticktext: family.map(({size}) => size),
    ...changes,
  });
}
