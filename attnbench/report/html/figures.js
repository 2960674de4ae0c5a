// Figures of one setting: each fills a box and returns its caption, or null where there is nothing to draw.

const LABEL_PX = 15;
const SPEED = "Speed-up";

function sorted(rows, name) {
  const known = rows.filter((row) => row.values[name]);
  return known.sort((a, b) => a.values[name].value - b.values[name].value);
}

function drawThroughput(box, setting, data, look) {
  const rows = sorted(setting.rows, "Throughput");
  if (!rows.length) return null;
  const values = rows.map((row) => row.values.Throughput);
  const bars = {
    type: "bar",
    orientation: "h",
    x: values.map(({value}) => value),
    y: rows.map((_, index) => index),
    width: 0.72,
    marker: {color: rows.map((row) => colourOf(row, look))},
    error_x: errorsOf(values, look.ink),
    ...withHover(rows, setting, data),
  };
  const numbers = values.map((value, index) => ({
    x: ends(value)[1],
    y: index,
    text: value.text.split(" [")[0],
    xanchor: "left",
    xshift: 5,
    showarrow: false,
    font: {size: 11, color: look.ink},
  }));
  const range = [0, (look.isNarrow ? 1.3 : 1.14) * Math.max(...values.flatMap(ends))];
  const layout = layoutOf(look, {
    height: heightOf(rows),
    dragmode: false,
    xaxis: axisOf(look, "images per second", {range, fixedrange: true}),
    yaxis: namesOf(rows, look),
    annotations: numbers,
  });
  plot(box, [bars], layout);
  return "With 95 % intervals.";
}

function drawRatios(box, setting, data, look) {
  const rows = sorted(setting.rows, SPEED).filter((row) => row.verdict !== "baseline");
  if (!rows.length) return null;
  const values = rows.map((row) => row.values[SPEED]);
  const ours = {
    mode: "markers",
    x: values.map(({value}) => value),
    y: rows.map((_, index) => index),
    marker: {color: rows.map((row) => colourOf(row, look)), size: 9},
    error_x: errorsOf(values, look.ink),
    ...withHover(rows, setting, data),
  };
  const published = values.map((value, index) => [value.published, index]).filter(([ratio]) => ratio !== null);
  const theirs = {
    mode: "markers",
    x: published.map(([ratio]) => ratio),
    y: published.map(([, index]) => index),
    marker: {symbol: "diamond-open", color: look.muted, size: 9},
    hovertext: published.map(([ratio]) => `${ratio.toFixed(2)}× on the paper’s ${setting.paper}`),
    hoverinfo: "text",
  };
  const floor = setting.noise_floor ?? 0;
  const [low, high] = [1 / (1 + floor), 1 + floor];
  const shape = {xref: "x", yref: "paper", y0: 0, y1: 1, layer: "below"};
  const title = `times as fast as ${plain(setting.baseline)}`;
  const axis = logAxis(look, title, [...values.flatMap(ends), ...theirs.x, low, high], look.isNarrow ? 5 : 9, "×");
  const layout = layoutOf(look, {
    height: heightOf(rows),
    dragmode: false,
    xaxis: {...axis, fixedrange: true},
    yaxis: {...namesOf(rows, look), showgrid: true},
    shapes: [
      {...shape, type: "rect", x0: low, x1: high, fillcolor: look.band, line: {width: 0}},
      {...shape, type: "line", x0: 1, x1: 1, line: {color: look.muted, width: 1}},
    ],
  });
  plot(box, published.length ? [ours, theirs] : [ours], layout);
  return [
    "Dots are this machine’s, with 95 % intervals; right is faster.",
    published.length ? `Open diamonds are the paper’s, on ${setting.paper}.` : "",
    setting.noise_floor === null
      ? ""
      : `The band is the noise floor, ±${(100 * floor).toFixed(1)} %: where an identical layer may lie.`,
  ].join(" ");
}

function drawFlopsAgainstTime(box, setting, data, look) {
  const rows = setting.rows.filter((row) => row.values.FLOPs && row.values.Time);
  if (rows.length < 2) return null;
  const points = rows.map((row) => pointOf(row, setting));
  const height = Math.max(420, rows.length * LABEL_PX + 80);
  const [right, top] = [1.06 * Math.max(...points.map(({x}) => x)), 1.06 * Math.max(...points.flatMap(ends))];
  const layers = {
    mode: "markers",
    x: points.map(({x}) => x),
    y: points.map(({value}) => value),
    marker: {color: rows.map((row) => colourOf(row, look)), symbol: rows.map(symbolOf), size: 9},
    error_y: errorsOf(points, look.ink),
    ...withHover(rows, setting, data),
  };
  const base = rows.find((row) => row.verdict === "baseline");
  const lines = [frontLine(setting, look, right, top), ...(base ? [rateLine(pointOf(base, setting), look, right)] : [])];
  const gap = (top * LABEL_PX) / (height - 60);
  const layout = layoutOf(look, {
    height,
    margin: {l: 8, r: look.isNarrow ? 110 : 150, t: 8, b: 40},
    xaxis: axisOf(look, "FLOPs (M multiply-adds per image)", {range: [0, right]}),
    yaxis: axisOf(look, "ms per image", {range: [0, top]}),
    annotations: labelsAtTheSide(rows, points, look, {right, top, gap}),
  });
  plot(box, [...lines, layers], layout);
  const rate = base ? ` On the dashed line a layer is as fast per FLOP as ${base.title}.` : "";
  return `The solid line is the Pareto front: no layer has both fewer FLOPs and less time than one on it.${rate}`;
}

function pointOf(row, setting) {
  const {value, low, high} = row.values.Time;
  const perImage = (time) => (time === null ? null : time / setting.batch);
  return {x: row.values.FLOPs.value, value: perImage(value), low: perImage(low), high: perImage(high)};
}

function frontLine(setting, look, right, top) {
  const front = setting.front.map((index) => pointOf(setting.rows[index], setting));
  return {
    mode: "lines",
    line: {shape: "hv", color: look.muted, width: 1.4},
    x: [front[0].x, ...front.map(({x}) => x), right],
    y: [top, ...front.map(({value}) => value), front.at(-1).value],
    hoverinfo: "skip",
  };
}

function rateLine({x, value}, look, right) {
  return {
    mode: "lines",
    line: {dash: "dash", color: look.muted, width: 1},
    x: [0, right],
    y: [0, (right * value) / x],
    hoverinfo: "skip",
  };
}

// Names in a column at the right, in the order of their points and `gap` or more apart.
function labelsAtTheSide(rows, points, look, {right, top, gap}) {
  const order = rows.map((_, index) => index).sort((a, b) => points[a].value - points[b].value);
  const ys = apart(order.map((index) => points[index].value), top, gap);
  return order.map((index, rank) => ({
    x: points[index].x,
    y: points[index].value,
    ax: 1.03 * right,
    ay: ys[rank],
    axref: "x",
    ayref: "y",
    text: shortened(rows[index].title, look.isNarrow ? 16 : 22, 1),
    xanchor: "left",
    arrowhead: 0,
    arrowwidth: 0.7,
    arrowcolor: look.muted,
    standoff: 6,
    font: {size: 11, color: look.ink},
  }));
}

// Ascending `ys` are moved up where they are too close, and down again from the top.
function apart(ys, top, gap) {
  let last = -Infinity;
  const raised = ys.map((y) => (last = Math.max(y, last + gap)));
  return raised.map((y, index) => Math.min(y, top - gap * (raised.length - 1 - index)));
}
