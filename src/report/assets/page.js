"use strict";
// Unpacks plotly and draws each figure in the colours of the page; again whenever these change.
const kvplace = (() => {
  const narrow = 600;  // pixels
  const longest = 16;  // letters of a name on a narrow page
  const dark = matchMedia("(prefers-color-scheme: dark)");

  const json = (id) => JSON.parse(document.getElementById(id).textContent);

  async function unpack() {
    const packed = atob(document.getElementById("plotly").textContent);
    const bytes = Uint8Array.from(packed, (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  // What plotly leaves to us: colours that follow the page, and names that leave room on a phone.
  function dressed({data, layout}, plot) {
    const style = getComputedStyle(document.documentElement);
    const text = style.getPropertyValue("--text").trim();
    const line = style.getPropertyValue("--line").trim();
    const slim = plot.clientWidth < narrow;
    const out = structuredClone(layout);
    Object.assign(out, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true, dragmode: slim ? false : "zoom",
      font: {color: text, size: slim ? 11 : 13, family: "system-ui, sans-serif"}});
    for (const [name, axis] of Object.entries(out)) {
      if (/^[xy]axis/.test(name)) {
        Object.assign(axis, {gridcolor: line, linecolor: line, zerolinecolor: line});
        if (axis.type !== "category") axis.nticks = slim ? 6 : 10;
      }
    }
    const names = [...new Set(data.flatMap((trace) => trace.y || []))].slice(0, 1000);
    if (slim && names.some((name) => typeof name === "string" && name.length > longest)) {
      Object.assign(out.yaxis, {tickvals: names, ticktext: names.map(
        (name) => name && name.length > longest ? name.slice(0, longest) + "..." : name)});
    }
    return out;
  }

  // Draws a figure, and again in the colours that the page then has.
  function show(plot, figure) {
    plot.figure = figure;
    return Plotly.react(plot, figure.data, dressed(figure, plot), {responsive: true, displaylogo: false,
      displayModeBar: "hover"});
  }

  const all = () => [...document.querySelectorAll(".drawing")];
  const drawAll = () => Promise.all(all().map((plot) => show(plot, plot.figure || json(plot.dataset.figure))));

  async function start(more) {
    try {
      await unpack();
      await drawAll();
      dark.addEventListener("change", drawAll);
      matchMedia("print").addEventListener("change", drawAll);
      let width = innerWidth;
      addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; drawAll(); } });
      if (more) await more();
      document.documentElement.dataset.drawn = all().length;
    } catch (error) {
      for (const plot of all()) {
        plot.textContent = "This figure cannot be drawn here (" + error + "); its numbers stand in the table below.";
        plot.classList.add("problem");
      }
      document.documentElement.dataset.problem = String(error);
      throw error;
    }
  }

  return {start, json, show};
})();
