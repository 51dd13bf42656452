"use strict";
// The waterfalls: zoomed by keys, buttons, the wheel and by dragging; searched; with a word on each row.
{
  const CLOSEST = 1 / 5000; // of the whole, at the largest zoom
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.role = "tooltip";
  tip.hidden = true;
  document.body.append(tip);
  tip.addEventListener("pointerleave", () => hideTip());

  let explained = null; // the row that the tip is about, and where the tip is
  const showTip = (row, x) => {
    explained = { row, x };
    tip.textContent = row.dataset.tip;
    tip.hidden = false;
    const [place, size] = [row.getBoundingClientRect(), tip.getBoundingClientRect()];
    const below = place.bottom + size.height < innerHeight || place.top < size.height;
    tip.style.top = `${below ? place.bottom - 2 : place.top - size.height + 2}px`;
    tip.style.left = `${Math.max(4, Math.min(x, innerWidth - size.width - 8))}px`;
    row.setAttribute("aria-describedby", "tip");
  };
  const hideTip = () => {
    tip.hidden = true;
  };
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") hideTip();
  });
  // A row that the arrows led to may have to be scrolled into sight: its tip goes with it.
  addEventListener("scroll", () => {
    if (tip.hidden) return;
    if (explained.row === document.activeElement) showTip(explained.row, explained.x);
    else hideTip();
  }, { passive: true });

  const start = (chart) => {
    const wall = Number(chart.dataset.wall);
    const units = chart.querySelector(".track").viewBox.baseVal.width;
    const list = chart.querySelector(".bars");
    const rows = Array.from(list.children);
    const tracks = rows.map((row) => row.querySelector(".track"));
    const ticks = Array.from(chart.querySelectorAll(".ruler span"));
    const tools = document.getElementById("waterfall-tools").content.firstElementChild.cloneNode(true);
    const [search, found, details] = ["[type=search]", "output", "[type=checkbox]"].map((what) => tools.querySelector(what));
    const buttons = Object.fromEntries(Array.from(tools.querySelectorAll("[data-do]"), (button) => [button.dataset.do, button]));
    let from = 0;
    let span = 1;

    // Zoom: each row's picture shows the same stretch of time.
    const show = (nextFrom, nextSpan) => {
      span = Math.min(1, Math.max(CLOSEST, nextSpan));
      from = Math.min(1 - span, Math.max(0, nextFrom));
      const view = `${from * units} 0 ${span * units} 10`;
      for (const track of tracks) track.setAttribute("viewBox", view);
      const digits = Math.max(1, Math.min(6, Math.ceil(1 - Math.log10(wall * span || 1)) + 1));
      ticks.forEach((tick, at) => {
        tick.textContent = `${((from + (span * at) / (ticks.length - 1)) * wall).toFixed(digits)} s`;
      });
      chart.dataset.from = String(from * wall);
      chart.dataset.span = String(span * wall);
      buttons.out.disabled = buttons.all.disabled = span === 1;
      buttons.in.disabled = span === CLOSEST;
    };
    const zoom = (factor, at) => show(at - (at - from) * factor, span * factor);
    const middle = () => {
      const bar = current.querySelector("rect");
      const at = (bar.x.baseVal.value + bar.width.baseVal.value / 2) / units;
      return at > from && at < from + span ? at : from + span / 2;
    };
    const timeAt = (clientX) => {
      const box = tracks.find((track) => track.getClientRects().length).getBoundingClientRect();
      return from + span * Math.min(1, Math.max(0, (clientX - box.left) / box.width));
    };

    // Rows: one of them can be reached by Tab, the others from there by the arrows.
    let current = rows[0];
    const visible = () => rows.filter((row) => details.checked || !row.classList.contains("detail"));
    const choose = (row, { focus }) => {
      current.tabIndex = -1;
      current = row;
      current.tabIndex = 0;
      if (focus) current.focus();
    };
    const KEYS = {
      "+": () => zoom(1 / 2, middle()),
      "=": () => zoom(1 / 2, middle()),
      "-": () => zoom(2, from + span / 2),
      0: () => show(0, 1),
      ArrowLeft: () => show(from - span / 5, span),
      ArrowRight: () => show(from + span / 5, span),
      ArrowUp: (all, at) => choose(all[Math.max(0, at - 1)], { focus: true }),
      ArrowDown: (all, at) => choose(all[Math.min(all.length - 1, at + 1)], { focus: true }),
      Home: (all) => choose(all[0], { focus: true }),
      End: (all) => choose(all[all.length - 1], { focus: true }),
    };
    list.addEventListener("keydown", (event) => {
      const act = KEYS[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const all = visible();
      act(all, all.indexOf(current));
    });
    rows.forEach((row) => {
      row.dataset.tip = row.title;
      row.removeAttribute("title");
      row.tabIndex = -1;
      row.setAttribute("role", "treeitem");
      const depth = /(?:^| )d(\d)/.exec(row.className)[1];
      row.setAttribute("aria-level", String(Number(depth) + 1));
    });
    list.setAttribute("role", "tree");
    list.setAttribute("aria-label", `${chart.getAttribute("aria-label")}: plus and minus zoom, left and right move along, up and down choose a row`);
    current.tabIndex = 0;
    list.addEventListener("focusin", (event) => {
      const row = event.target.closest(".bar");
      choose(row, { focus: false });
      if (row.matches(":focus-visible")) showTip(row, row.getBoundingClientRect().left + 24);
    });
    list.addEventListener("focusout", hideTip);
    list.addEventListener("pointerover", (event) => {
      const row = event.target.closest(".bar");
      if (row && event.pointerType === "mouse" && !drag) showTip(row, event.clientX + 14);
    });
    list.addEventListener("pointerout", (event) => {
      if (!tip.contains(event.relatedTarget)) hideTip();
    });

    // The wheel zooms once the waterfall was clicked, or with Ctrl: a page that is scrolled past it scrolls on.
    list.addEventListener("wheel", (event) => {
      const isMeant = event.ctrlKey || event.metaKey || list.contains(document.activeElement);
      if (!isMeant || !event.target.closest(".track")) return;
      event.preventDefault();
      hideTip();
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        show(from + Math.sign(event.deltaX || event.deltaY) * span / 10, span);
      } else {
        zoom(event.deltaY < 0 ? 1 / 1.4 : 1.4, timeAt(event.clientX));
      }
    }, { passive: false });

    // A drag along the bars shows the stretch that was dragged over.
    let drag = null;
    list.addEventListener("pointerdown", (event) => {
      const row = event.target.closest(".bar");
      if (!row || event.button !== 0) return;
      choose(row, { focus: true });
      if (!event.target.closest(".track")) return;
      event.preventDefault();
      hideTip();
      const shade = document.createElement("div");
      shade.className = "dragged";
      chart.append(shade);
      drag = { x: event.clientX, shade };
      list.setPointerCapture(event.pointerId);
    });
    list.addEventListener("pointermove", (event) => {
      if (!drag) return;
      const [inChart, inList] = [chart.getBoundingClientRect(), list.getBoundingClientRect()];
      drag.shade.style.left = `${Math.min(drag.x, event.clientX) - inChart.left}px`;
      drag.shade.style.width = `${Math.abs(event.clientX - drag.x)}px`;
      drag.shade.style.top = `${inList.top - inChart.top}px`;
      drag.shade.style.height = `${inList.height}px`;
    });
    const drop = (event) => {
      if (!drag) return;
      const { x, shade } = drag;
      drag = null;
      shade.remove();
      const [a, b] = [timeAt(Math.min(x, event.clientX)), timeAt(Math.max(x, event.clientX))];
      if (event.type === "pointerup" && Math.abs(event.clientX - x) > 4) show(a, b - a);
    };
    list.addEventListener("pointerup", drop);
    list.addEventListener("pointercancel", drop);
    list.addEventListener("dblclick", () => show(0, 1));

    // Search: what fits is marked, Enter goes from one to the next; what only a detail says shows the details.
    const look = () => {
      const word = search.value.trim().toLowerCase();
      let hits = 0;
      let isHidden = false;
      for (const row of rows) {
        const fits = word !== "" && row.dataset.tip.toLowerCase().includes(word);
        row.classList.toggle("hit", fits);
        hits += fits;
        isHidden ||= fits && row.classList.contains("detail");
      }
      chart.classList.toggle("searching", word !== "");
      if (isHidden && !details.checked) details.click();
      found.textContent = word ? `${hits} of ${rows.length} rows` : "";
    };
    search.addEventListener("input", look);
    search.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      const hits = rows.filter((row) => row.classList.contains("hit"));
      if (hits.length) choose(hits.find((row) => rows.indexOf(row) > rows.indexOf(current)) || hits[0], { focus: true });
    });

    const withDetails = tools.querySelector(".with-details");
    withDetails.hidden = !rows.some((row) => row.classList.contains("detail"));
    details.addEventListener("change", () => {
      chart.classList.toggle("brief", !details.checked);
      if (!visible().includes(current)) choose(rows[0], { focus: false });
    });
    chart.classList.add("brief");
    buttons.in.addEventListener("click", () => zoom(1 / 2, middle()));
    buttons.out.addEventListener("click", () => zoom(2, from + span / 2));
    buttons.all.addEventListener("click", () => show(0, 1));
    chart.querySelector(".ruler").before(tools);
    show(0, 1);
  };

  const started = new WeakSet();
  const startIn = (details) => {
    const chart = details.open && details.querySelector(".waterfall");
    if (!chart || started.has(chart)) return;
    started.add(chart);
    start(chart);
  };
  addEventListener("toggle", (event) => startIn(event.target), { capture: true });
  document.querySelectorAll("details.cell[open]").forEach(startIn);
}
