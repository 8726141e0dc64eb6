"use strict";
(() => {
  const all = JSON.parse(document.getElementById("results").textContent), byId = (id) => document.getElementById(id);
  const choice = byId("contrast"), search = byId("find"), plot = byId("volcano"), body = byId("rows"), said = byId("said");
  const W = 720, H = 360, PAD = 40, NS = "http://www.w3.org/2000/svg";
  for (const name of Object.keys(all)) choice.append(new Option(name, name));
  const cell = (row, text) => { row.insertCell().textContent = text; };
  const make = (tag, values) => {
    const made = document.createElementNS(NS, tag);
    for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
    return made;
  };
  function draw() {
    const rows = all[choice.value].map(([entity, effect, p, q, modelled]) => ({ entity, effect, p, q, modelled }));
    const wanted = search.value.trim().toLowerCase();
    const fits = (one) => wanted !== "" && one.entity.toLowerCase().includes(wanted);
    const far = Math.max(0.1, ...rows.map((one) => Math.abs(one.effect)));
    const high = Math.max(1, ...rows.map((one) => -Math.log10(Math.max(one.p, 1e-300))));
    const x = (value) => PAD + ((value + far) / (2 * far)) * (W - 2 * PAD);
    const y = (p) => H - PAD - (-Math.log10(Math.max(p, 1e-300)) / high) * (H - 2 * PAD);
    plot.replaceChildren(make("line", { x1: PAD, x2: W - PAD, y1: H - PAD, y2: H - PAD, stroke: "#8a8f98" }),
      make("line", { x1: x(0), x2: x(0), y1: PAD, y2: H - PAD, stroke: "#d8dee4" }));
    for (const [text, left, top, anchor] of [[(-far).toFixed(2), PAD, H - 22, "start"], [far.toFixed(2), W - PAD, H - 22, "end"],
      ["effect", W / 2, H - 8, "middle"], [`-log10 p, to ${high.toFixed(1)}`, PAD, PAD - 12, "start"]]) {
      const label = make("text", { x: left, y: top, "text-anchor": anchor, "font-size": 12, fill: "#57606a" });
      label.textContent = text;
      plot.append(label);
    }
    for (const one of [...rows].sort((a, b) => fits(a) - fits(b))) {
      const color = one.q > 0.05 ? "#b6bcc4" : one.effect > 0 ? "#d9822b" : "#2f6db5";
      const point = make("circle", { cx: x(one.effect), cy: y(one.p), r: fits(one) ? 6 : 2.5, fill: color,
        stroke: fits(one) || one.modelled ? "#1c2128" : "none" });
      const title = make("title", {});
      title.textContent = `${one.entity}: effect ${one.effect}, p ${one.p}, q ${one.q}` +
        (one.modelled ? `; missing values modelled: ${one.modelled}` : "");
      point.append(title);
      point.addEventListener("click", () => { search.value = one.entity; draw(); });
      plot.append(point);
    }
    const shown = rows.filter((one) => wanted === "" || fits(one));
    body.replaceChildren();
    for (const one of shown.slice(0, 100)) {
      const row = body.insertRow();
      for (const text of [one.entity, one.effect, one.p, one.q]) cell(row, text);
    }
    said.textContent = `${shown.length} of ${rows.length} rows${shown.length > 100 ? ", the first 100 shown" : ""}`;
  }
  choice.addEventListener("change", draw);
  search.addEventListener("input", draw);
  draw();
})();
