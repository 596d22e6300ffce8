// Zooms into the figure of the run and shows what lies under the pointer. The page is
// complete without it. All times are microseconds since the start of the run.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("detail").textContent);
  const run = document.getElementById("run");
  if (!data || !run) return;
  const plot = run.querySelector(".plot"), zoom = plot.querySelector(".zoom"), single = plot.querySelector(".single");
  const axis = plot.querySelector(".axis"), cross = plot.querySelector(".cross"), drag = plot.querySelector(".drag");
  const tip = document.getElementById("tip");
  const left = plot.x.baseVal.value, width = plot.width.baseVal.value;
  const types = ["ok", "fail", "info"], mostSingle = 3000, mostRows = 14, leastSpan = 2000;
  const ops = unpack();
  let from = 0, till = data.end, shown = [];

  // unpack turns the columns into operations, and gives each a row of its node's lane that
  // is free while it lasts.
  function unpack() {
    const free = new Map();
    let sent = 0;
    return (data.sent || []).map((delta, i) => {
      sent += delta;
      const open = data.took[i] < 0, node = data.nodes[data.node[i]];
      const end = open ? data.end : sent + data.took[i];
      const rows = free.get(node) || free.set(node, []).get(node);
      let row = rows.findIndex(busyUntil => busyUntil <= sent);
      if (row < 0) row = rows.length < mostRows ? rows.length : mostRows - 1;
      rows[row] = end;
      return { i, sent, end, open, node, row, rows };
    });
  }

  const x = t => (t - from) / (till - from) * width;
  const time = px => from + px / width * (till - from);

  function element(name, attributes, text) {
    const e = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) e.setAttribute(key, value);
    if (text !== undefined) e.textContent = text;
    return e;
  }

  function draw() {
    const factor = data.end / (till - from);
    zoom.setAttribute("transform", `matrix(${factor} 0 0 1 ${-from / (till - from) * width} 0)`);
    for (const label of plot.querySelectorAll("[data-t]")) {
      const gone = +label.dataset.till <= from && +label.dataset.t < from;
      label.setAttribute("x", (gone ? x(+label.dataset.t) : Math.max(x(+label.dataset.t), 0)) + +label.dataset.dx);
    }
    drawAxis();
    drawSingle(factor);
  }

  function drawAxis() {
    const y = axis.querySelector("text")?.getAttribute("y") || 0;
    const step = [1, 2, 5].flatMap(m => [3, 4, 5, 6, 7, 8, 9].map(p => m * 10 ** p / 10))
      .sort((a, b) => a - b).find(s => (till - from) / s <= 12) || (till - from) / 6;
    const ticks = [];
    for (let t = Math.ceil(from / step) * step; t <= till; t += step) {
      const at = x(t), anchor = at < 12 ? "start" : at > width - 22 ? "end" : "middle";
      ticks.push(element("text", { class: "time", x: at, y, "text-anchor": anchor }, +(t / 1e6).toFixed(4) + "s"));
    }
    axis.replaceChildren(...ticks);
  }

  // drawSingle replaces the crowd by single operations where they are few enough to see.
  function drawSingle(factor) {
    shown = factor > 1.01 ? ops.filter(o => o.sent <= till && o.end >= from && data.lanes[o.node]) : [];
    if (shown.length > mostSingle) shown = [];
    plot.classList.toggle("zoomed", shown.length > 0);
    single.replaceChildren(...shown.map(o => {
      const [top, high] = place(o), begin = Math.max(x(o.sent), -5);
      return element("rect", { class: "op " + types[data.type[o.i]], x: begin, y: top,
        width: Math.max(Math.min(x(o.end), width + 5) - begin, 1.5), height: Math.max(high - 0.6, 0.8) });
    }));
  }

  function place(o) {
    const lane = data.lanes[o.node], high = Math.min(lane.height / o.rows.length, 9);
    return [lane.top + lane.height - (o.row + 1) * high, high];
  }

  function tellOp(o) {
    const i = o.i, kind = data.kinds[data.kind[i]], type = types[data.type[i]];
    const arrow = kind === "read" && type === "ok" ? " → " : " ";
    const mode = data.modes[data.mode[i]], error = data.errors[data.error[i]];
    return `process ${data.process[i]} at ${o.node}\n${kind} ${data.keys[data.key[i]]}${arrow}${data.argument[i]}${mode ? " (" + mode + ")" : ""}\n` +
      `${type}${error ? ": " + error : ""}\nsent ${(o.sent / 1000).toFixed(3)} ms, ` +
      (o.open ? "never answered" : `${type === "info" ? "given up" : "answered"} after ${(data.took[i] / 1000).toFixed(3)} ms`);
  }

  function tellTime(t) {
    const lines = [(t / 1e6).toFixed(3) + " s"];
    const b = (data.buckets || [])[Math.floor(t / data.width)];
    const within = list => (list || []).filter(s => s.from <= t && t <= s.till).map(s => s.name);
    if (b) lines.push(`${b.map((n, i) => Math.round(n * 1e6 / data.width) + " " + types[i]).join(", ")} a second`);
    const leaders = within(data.leaders), faults = within(data.faults);
    lines.push(leaders.length ? "says it leads: " + leaders.join(", ") : "no node reports that it leads");
    for (const fault of faults) lines.push("fault " + fault);
    return lines.join("\n");
  }

  function point(event) {
    const box = run.getBoundingClientRect(), unit = run.viewBox.baseVal.width / box.width;
    return [Math.min(Math.max((event.clientX - box.left) * unit - left, 0), width), (event.clientY - box.top) * unit];
  }

  let dragFrom = null;
  plot.addEventListener("pointermove", event => {
    const [px, py] = point(event);
    cross.setAttribute("x1", px); cross.setAttribute("x2", px);
    if (dragFrom !== null) {
      drag.setAttribute("x", Math.min(px, dragFrom)); drag.setAttribute("width", Math.abs(px - dragFrom));
    }
    const t = time(px), slack = (till - from) / width;
    const hit = shown.find(o => { const [top, high] = place(o); return py >= top && py <= top + high && t >= o.sent - slack && t <= o.end + slack; });
    const own = event.target.dataset?.title;
    tip.textContent = hit ? tellOp(hit) : own ? own : tellTime(t);
    tip.hidden = false;
    const w = tip.offsetWidth, h = tip.offsetHeight;
    tip.style.left = Math.min(event.clientX + 14, innerWidth - w - 8) + "px";
    tip.style.top = (event.clientY + 18 + h > innerHeight ? event.clientY - h - 12 : event.clientY + 18) + "px";
  });
  plot.addEventListener("pointerleave", () => { tip.hidden = true; cross.setAttribute("x1", -9); cross.setAttribute("x2", -9); });
  plot.addEventListener("pointerdown", event => {
    if (event.pointerType === "touch" || event.button !== 0) return;
    dragFrom = point(event)[0];
    plot.setPointerCapture(event.pointerId);
  });
  plot.addEventListener("pointerup", event => {
    if (dragFrom === null) return;
    const to = point(event)[0], a = time(Math.min(dragFrom, to)), b = time(Math.max(dragFrom, to));
    dragFrom = null;
    drag.setAttribute("width", 0);
    if (Math.abs(to - x(a)) + Math.abs(to - x(b)) > 5) show(a, b);
  });
  plot.addEventListener("dblclick", () => show(0, data.end));

  function show(a, b) {
    const length = Math.min(Math.max(b - a, leastSpan), data.end);
    from = Math.min(Math.max(a, 0), data.end - length);
    till = from + length;
    draw();
  }

  const steps = { in: [0.25, 0.75], out: [-0.5, 1.5], left: [-0.5, 0.5], right: [0.5, 1.5] };
  document.querySelector(".controls").addEventListener("click", event => {
    const what = event.target.dataset.do, length = till - from;
    if (what === "all") show(0, data.end);
    else if (steps[what]) show(from + steps[what][0] * length, from + steps[what][1] * length);
  });

  // The tooltips that work without this script would lie over the ones that it shows.
  for (const title of plot.querySelectorAll("title")) {
    title.parentNode.dataset.title = title.textContent;
    title.remove();
  }

  // An address that ends in #seconds-12.5-13 shows that stretch of time.
  function follow() {
    const found = /^#seconds-([\d.]+)-([\d.]+)$/.exec(location.hash);
    if (!found) return;
    show(found[1] * 1e6, found[2] * 1e6);
    run.scrollIntoView({ block: "center" });
  }
  for (const hidden of document.querySelectorAll(".needs-script")) hidden.hidden = false;
  addEventListener("hashchange", follow);
  follow();
})();
