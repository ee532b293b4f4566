// Filters, parallel coordinates and a Pareto front of the rows of a table; all of it is made anew when a choice changes.
function more() {
  const {columns, rows} = kvplace.json("result");
  const place = Object.fromEntries(columns.map(({name}, i) => [name, i]));
  const root = document.getElementById("explore");
  const name = columns.find(({name}) => name === "label" || name === "policy" || name === "best_policy")?.name;
  const most = 40;  // values of a filter
  const colours = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee7733", "#44aa99", "#999933"];

  // A cell as a number: itself, or the quantity that its text is, in the unit of the axis.
  const units = {"bytes/s": ["GB/s", 1e9], bytes: ["GiB", 2 ** 30]};
  const number = (row, i) => {
    const cell = row[i];
    const plain = typeof cell === "string" ? columns[i].numbers[cell] : cell === null ? undefined : cell;
    return plain === undefined ? undefined : plain / (units[columns[i].unit]?.[1] ?? 1);
  };
  const values = (i) => [...new Set(rows.map((row) => row[i]))];
  const numeric = columns.map((_, i) => rows.every((row) => row[i] === null || Number.isFinite(number(row, i))) &&
    rows.some((row) => row[i] !== null));
  const measured = columns.map((_, i) => i).filter((i) => numeric[i] && values(i).length > 1);
  const title = (i) => columns[i].name.split(".").at(-1) + (columns[i].unit ? ", " + (units[columns[i].unit]?.[0] ?? columns[i].unit) : "");

  const element = (tag, parent, properties = {}) =>
    parent.appendChild(Object.assign(document.createElement(tag), properties));
  const choice = (parent, text, options, chosen, change) => {
    const label = element("label", parent, {textContent: text + " "});
    const select = element("select", label, {name: text});
    options.forEach(([value, shown]) => element("option", select, {value, textContent: shown}));
    select.value = chosen;
    select.addEventListener("change", change);
    return select;
  };

  element("h2", root, {textContent: "Filters"});
  const filterBox = element("div", root, {className: "choices"});
  const filters = columns.map((column, i) => [column, i])
    .filter(([column, i]) => (column.varied || column.name === name) && values(i).length > 1 && values(i).length <= most)
    .map(([column, i]) => [i, choice(filterBox, column.name,
      [["", "all"], ...values(i).map((value, at) => [String(at), String(value)])], "", draw)]);
  const count = element("p", root, {ariaLive: "polite"});

  element("h2", root, {textContent: "Parallel coordinates"});
  const parallel = element("div", root, {className: "drawing", role: "img"});
  element("p", root, {textContent: "Drag along an axis to keep a part of the lines; drag its name to move it."});

  element("h2", root, {textContent: "Pareto front"});
  const axisBox = element("div", root, {className: "choices"});
  const options = measured.map((i) => [String(i), columns[i].name]);
  const prefer = (...names) => String(names.map((n) => place[n]).find((i) => measured.includes(i)) ?? measured[0]);
  const varied = measured.find((i) => columns[i].varied);
  const x = choice(axisBox, "along", options, varied === undefined ? prefer("near_bytes") : String(varied), draw);
  const y = choice(axisBox, "upright", options, prefer("tokens_per_s", "best_tokens_per_s", "any_s"), draw);
  const wanted = [["less", "less is better"], ["more", "more is better"]];
  const xWanted = choice(axisBox, "along, wanted", wanted, "less", draw);
  const yWanted = choice(axisBox, "upright, wanted", wanted, "more", draw);
  const pareto = element("div", root, {className: "drawing", role: "img"});
  element("p", root, {textContent: "Nothing shown is better than a point of the front in one of the two and as good in the other."});

  const chosen = () => rows.filter((row) => filters.every(([i, select]) =>
    select.value === "" || row[i] === values(i)[Number(select.value)]));

  function parallelFigure(kept) {
    const shown = columns.map((_, i) => i).filter((i) => columns[i].varied || columns[i].name === name ||
      ["tokens_per_s", "gap_to_bound", "aggregate_utilization", "best_tokens_per_s"].includes(columns[i].name))
      .filter((i) => values(i).length > 1);
    const dimensions = shown.map((i) => {
      if (numeric[i]) return {label: title(i), values: kept.map((row) => number(row, i) ?? 0)};
      const all = values(i);
      return {label: title(i), values: kept.map((row) => all.indexOf(row[i])), tickvals: all.map((_, at) => at),
        ticktext: all.map(String), range: [0, Math.max(1, all.length - 1)]};
    });
    const of = Number(y.value);
    const slim = parallel.clientWidth < 600;
    return {data: [{type: "parcoords", dimensions, labelangle: slim ? -30 : 0, line: {color: kept.map((row) => number(row, of) ?? 0), colorscale: "Viridis",
      showscale: !slim, colorbar: {thickness: 10, title: {text: columns[of].name}}}}],
      layout: {height: 420, margin: {l: 50, r: slim ? 40 : 60, t: slim ? 110 : 60, b: 30}}};
  }

  // Points that no other betters: sorted by x, each that is better in y than all before it.
  function frontOf(points) {
    const sign = [xWanted.value === "less" ? 1 : -1, yWanted.value === "less" ? 1 : -1];
    const sorted = [...points].sort((a, b) => sign[0] * (a.x - b.x) || sign[1] * (a.y - b.y));
    const front = [];
    for (const point of sorted) {
      if (!front.length || sign[1] * point.y < sign[1] * front.at(-1).y) front.push(point);
    }
    return front;
  }

  function paretoFigure(kept) {
    const [ix, iy] = [Number(x.value), Number(y.value)];
    const points = kept.map((row) => ({x: number(row, ix), y: number(row, iy), name: String(name ? row[place[name]] : "rows"),
      text: columns.map((column, i) => [column, row[i]]).filter(([column]) => column.varied)
        .map(([column, value]) => column.name + " " + value).join("<br>")}))
      .filter((point) => point.x !== undefined && point.y !== undefined);
    const names = name ? values(place[name]).map(String) : ["rows"];
    const data = names.map((one, at) => [one, points.filter((point) => point.name === one), at])
      .filter(([, mine]) => mine.length)
      .map(([one, mine, at]) => ({type: "scatter", mode: "markers", name: one, x: mine.map((point) => point.x),
        y: mine.map((point) => point.y), text: mine.map((point) => point.text), marker: {color: colours[at % colours.length], size: 7}}));
    const front = frontOf(points);
    data.push({type: "scatter", mode: "lines+markers", name: "front", x: front.map((point) => point.x), y: front.map((point) => point.y),
      text: front.map((point) => point.name + "<br>" + point.text), line: {color: "#888888", dash: "dash"},
      marker: {symbol: "circle-open", size: 13, color: "#888888"}});
    return {data, layout: {height: 460, hovermode: "closest", margin: {l: 10, r: 10, t: 20, b: 10},
      xaxis: {title: {text: title(ix)}, automargin: true}, yaxis: {title: {text: title(iy)}, automargin: true},
      legend: {orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom"}}};
  }

  function draw() {
    const kept = chosen();
    count.textContent = kept.length + " of " + rows.length + " rows.";
    parallel.ariaLabel = "Parallel coordinates of " + kept.length + " rows.";
    const figure = paretoFigure(kept);
    pareto.ariaLabel = columns[Number(y.value)].name + " against " + columns[Number(x.value)].name + " of " + kept.length +
      " rows, " + figure.data.at(-1).x.length + " of them on the front.";
    return Promise.all([kvplace.show(parallel, parallelFigure(kept)), kvplace.show(pareto, figure)]);
  }

  return draw();
}
