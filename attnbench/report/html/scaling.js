// The figure over sizes: what mechanisms reach and need as maps grow, on logarithmic axes.

const PANELS = [
  {
    suffix: "",
    title: "images per second",
    value: (row) => row.values.Throughput,
    need: () => undefined, // a speed that was not reached has no place
  },
  {
    suffix: "2",
    title: "memory with weights and input (MiB)",
    value: (row) => row.total_mib && {value: row.total_mib},
    need: (row) => row.need_mib,
  },
];

function drawScaling(box, setting, data, look) {
  const family = data.settings.filter((other) => other.family === setting.family).sort((a, b) => a.side - b.side);
  if (family.length < 2) return null;
  const legend = {orientation: "h", y: -0.13, yanchor: "top", font: {size: 11}};
  const layout = layoutOf(look, {height: look.isNarrow ? 860 : 460, legend, showlegend: true});
  const traces = PANELS.flatMap((panel) => tracesOf(panel, family, data, look, layout));
  plot(box, traces, layout);
  const misfits = family.some(({rows}) => rows.some(didNotFit));
  const crosses = misfits ? " A cross is a layer that ran out of memory, at the need that was predicted." : "";
  const mode = setting.mode === "training" ? "Training" : "Inference";
  return `${mode}, logarithmic axes; a click on a name hides its lines.${crosses}`;
}

function didNotFit(row) {
  return row.outcome === "out_of_memory";
}

// A panel's lines; its axes go into the layout, side by side or one above the other.
function tracesOf(panel, family, data, look, layout) {
  const curves = curvesOf(panel, family);
  const numbers = curves.flatMap(({values, needs}) => [...values.flatMap(ends), ...needs]);
  if (!numbers.length) return [];
  const isFirst = panel === PANELS[0];
  const [xaxis, yaxis] = [`x${panel.suffix}`, `y${panel.suffix}`];
  const half = look.isNarrow ? {} : {domain: isFirst ? [0, 0.46] : [0.54, 1]};
  const level = look.isNarrow ? {domain: isFirst ? [0.55, 1] : [0, 0.45]} : {};
  layout[`xaxis${panel.suffix}`] = {...sizesAxis(look, family), anchor: yaxis, ...half};
  layout[`yaxis${panel.suffix}`] = {...logAxis(look, panel.title, numbers, 8), anchor: xaxis, ...level};
  return curves.flatMap((curve) => [
    {...lineOf(curve, data, look), xaxis, yaxis, showlegend: isFirst},
    ...(curve.misfits.length ? [{...crossesOf(curve, data, look), xaxis, yaxis, showlegend: false}] : []),
  ]);
}

function curvesOf(panel, family) {
  const mechanisms = new Map(family.flatMap(({rows}) => rows.map((row) => [row.label, row])));
  return [...mechanisms].map(([label, mechanism]) => {
    const cases = family.flatMap((setting) =>
      setting.rows.filter((row) => row.label === label).map((row) => ({setting, row})),
    );
    const points = cases.filter(({row}) => panel.value(row));
    const misfits = cases.filter(({row}) => didNotFit(row) && panel.need(row));
    return {
      mechanism,
      points,
      values: points.map(({row}) => panel.value(row)),
      misfits,
      needs: misfits.map(({row}) => panel.need(row)),
    };
  });
}

function lineOf({mechanism, points, values}, data, look) {
  const colour = colourOf(mechanism, look);
  return {
    name: plain(mechanism.title),
    legendgroup: mechanism.label,
    mode: "lines+markers",
    x: points.map(({setting}) => setting.side),
    y: values.map(({value}) => value),
    line: {color: colour, width: 1.6, dash: DASHES[mechanism.ink.dash]},
    marker: {color: colour, symbol: symbolOf(mechanism), size: 7},
    error_y: errorsOf(values, colour),
    hovertext: points.map(({setting, row}) => described(row, setting, data)),
    hoverinfo: "text",
  };
}

// Crosses, joined to the last number before them by a dotted line that has no mark of its own there.
function crossesOf({mechanism, points, values, misfits, needs}, data, look) {
  const start = points.slice(-1);
  const cases = [...start, ...misfits];
  return {
    legendgroup: mechanism.label,
    mode: "lines+markers",
    x: cases.map(({setting}) => setting.side),
    y: [...values.slice(-1).map(({value}) => value), ...needs],
    line: {dash: "dot", color: colourOf(mechanism, look), width: 1.2},
    marker: {
      symbol: cases.map((_, index) => (index < start.length ? "circle" : "x-thin")),
      size: cases.map((_, index) => (index < start.length ? 0 : 8)),
      line: {color: look.ink, width: 1.6},
    },
    hovertext: cases.map(({setting, row}) => described(row, setting, data)),
    hoverinfo: "text",
  };
}

function sizesAxis(look, family) {
  const sides = family.map(({side}) => side);
  const margin = (sides.at(-1) / sides[0]) ** 0.05;
  return axisOf(look, "tokens", {
    type: "log",
    range: [Math.log10(sides[0] / margin), Math.log10(sides.at(-1) * margin)],
    tickvals: sides,
    ticktext: family.map(({size}) => size),
  });
}
