// What the page can do beyond being read: narrow down, sort, highlight, search logs. All text it shows
// comes from the page's own texts, and is set as text.
"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector, within = document) => within.querySelector(selector);
  const rows = all("#images tbody tr");
  const drawn = all(".bar[data-image], .node");
  const edges = all(".edge");
  const article = (image) => document.getElementById("image-" + image);
  for (const part of all("[hidden]")) {
    if (part.matches(".controls")) part.hidden = false;
  }

  // What a log ends with is what matters of it.
  for (const end of all("pre.end")) end.scrollTop = end.scrollHeight;

  // --- Which images are shown
  const words = one("#words");
  const inLogs = one("#in-logs");
  const chips = all(".chip");
  const logs = new Map();
  const logOf = (image) => {
    if (!logs.has(image)) logs.set(image, all(".steps .code, .log .text", article(image)).map((e) => e.textContent.toLowerCase()).join("\n"));
    return logs.get(image);
  };
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const results = chips.filter((c) => c.getAttribute("aria-pressed") === "true").map((c) => c.dataset.status);
    const shown = new Set();
    for (const row of rows) {
      const { image, status, text } = row.dataset;
      const has = (word) => text.includes(word) || (inLogs.checked && logOf(image).includes(word));
      const fits = (results.length === 0 || results.includes(status)) && wanted.every(has);
      row.hidden = !fits;
      if (fits) shown.add(image);
    }
    for (const element of drawn) element.classList.toggle("out", !shown.has(element.dataset.image));
    for (const edge of edges) {
      const seen = shown.has(edge.dataset.from) && edge.dataset.to.split(" ").some((to) => shown.has(to));
      edge.classList.toggle("out", !seen);
    }
    const all = shown.size === rows.length;
    one("#shown").textContent = all ? rows.length + " images" : shown.size + " of " + rows.length + " images";
    one("#reset").hidden = wanted.length === 0 && results.length === 0;
    one("#none").hidden = shown.size > 0;
  };
  let waiting;
  const soon = (work) => () => {
    clearTimeout(waiting);
    waiting = setTimeout(work, 120);
  };
  words.addEventListener("input", soon(filter));
  inLogs.addEventListener("change", filter);
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", chip.getAttribute("aria-pressed") !== "true");
      filter();
    });
  }
  const reset = () => {
    words.value = "";
    for (const chip of chips) chip.setAttribute("aria-pressed", "false");
    filter();
  };
  one("#reset").addEventListener("click", reset);
  filter();

  // --- In which order
  for (const head of all("#images thead th")) {
    const key = head.dataset.key;
    if (!key) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    const number = head.classList.contains("number");
    button.addEventListener("click", () => {
      // Of numbers the largest are looked for first.
      const now = head.getAttribute("aria-sort");
      const way = now === null ? (number ? "descending" : "ascending") : now === "ascending" ? "descending" : "ascending";
      for (const other of all("#images thead th")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", way);
      const sign = way === "ascending" ? 1 : -1;
      const by = (a, b) => {
        const [x, y] = [a.dataset[key], b.dataset[key]];
        return sign * (number ? x - y : x < y ? -1 : x > y ? 1 : 0) || a.dataset.image - b.dataset.image;
      };
      one("#images tbody").append(...[...rows].sort(by));
    });
  }

  // --- What stands on what
  const nodes = all(".node");
  const parents = new Map(nodes.map((n) => [n.dataset.image, n.dataset.parents.split(" ").filter(Boolean)]));
  const children = new Map(nodes.map((n) => [n.dataset.image, []]));
  for (const [image, above] of parents) for (const parent of above) children.get(parent).push(image);
  const reach = (start, next) => {
    const seen = new Set([start]);
    for (const image of seen) for (const other of next.get(image) || []) seen.add(other);
    return seen;
  };
  const drawings = all(".chart, .graph");
  const point = (image) => {
    const above = image === null ? new Set() : reach(image, parents);
    const below = image === null ? new Set() : reach(image, children);
    for (const drawing of drawings) drawing.classList.toggle("pointing", image !== null);
    for (const element of drawn) {
      element.classList.toggle("related", above.has(element.dataset.image) || below.has(element.dataset.image));
      element.classList.toggle("pointed", element.dataset.image === image);
    }
    for (const edge of edges) {
      const to = edge.dataset.to.split(" ");
      const on = (set) => set.has(edge.dataset.from) && to.some((t) => set.has(t));
      const related = image !== null && (on(above) || on(below));
      edge.classList.toggle("related", related);
      // Lines that lie on each other: these are to be seen.
      if (related) edge.parentNode.insertBefore(edge, nodes[0]);
    }
  };
  const opened = () => {
    const found = /^#image-(\d+)$/.exec(location.hash);
    return found && article(found[1]) ? found[1] : null;
  };
  const settle = () => point(opened());
  for (const drawing of drawings) {
    const over = (event) => {
      const element = event.target.closest("[data-image]");
      if (element) point(element.dataset.image);
    };
    drawing.addEventListener("mouseover", over);
    drawing.addEventListener("focusin", over);
    drawing.addEventListener("mouseout", settle);
    drawing.addEventListener("focusout", settle);
    // One stop for Tab, arrows within.
    drawing.addEventListener("keydown", (event) => {
      const stops = all("a[data-image]", drawing);
      const at = stops.indexOf(event.target.closest("a"));
      const image = at < 0 ? null : stops[at].dataset.image;
      const related = (map) => stops.find((s) => s.dataset.image === (map.get(image) || [])[0]);
      const graph = drawing.classList.contains("graph");
      const next = {
        ArrowDown: stops[at + 1],
        ArrowUp: stops[at - 1],
        ArrowRight: graph ? related(children) : stops[at + 1],
        ArrowLeft: graph ? related(parents) : stops[at - 1],
        Home: stops[0],
        End: stops[stops.length - 1],
      }[event.key];
      if (at < 0 || !next) return;
      event.preventDefault();
      stops[at].setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus();
    });
  }

  // --- The details of one image
  let opener = null;
  document.addEventListener("click", (event) => {
    const to = event.target.closest("a[href^='#image-']");
    if (to && !to.closest("article")) opener = to;
  });
  addEventListener("hashchange", () => {
    const image = opened();
    settle();
    if (image !== null) {
      const shown = article(image);
      shown.scrollTop = 0;
      shown.focus({ preventScroll: true });
    } else if (opener) {
      opener.focus({ preventScroll: true });
      opener = null;
    }
  });
  settle();
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input");
    if (event.key === "Escape" && opened() !== null && !(typing && event.target.value)) location.hash = "#-";
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      words.focus();
    }
  });

  // --- Searching a log: the lines that have the words, below the steps they are of
  const MOST = 500;
  for (const log of all(".log")) {
    const [input, said, text] = [one("input", log), one("output", log), one(".text", log)];
    let found = null;
    const search = () => {
      const word = input.value.toLowerCase();
      if (found) found.remove();
      found = null;
      text.hidden = word !== "";
      said.textContent = "";
      if (word === "") return;
      found = document.createElement("div");
      found.className = "found";
      let [hits, heading, block] = [0, null, null];
      for (const part of text.children) {
        if (part.tagName === "H5") {
          [heading, block] = [part, null];
        }
        for (const line of part.textContent.split("\n")) {
          const at = line.toLowerCase().indexOf(word);
          if (at < 0 || ++hits > MOST) continue;
          if (!block) {
            if (heading) found.append(heading.cloneNode(true));
            block = document.createElement("pre");
            found.append(block);
          }
          const mark = document.createElement("mark");
          mark.textContent = line.slice(at, at + word.length);
          block.append(line.slice(0, at), mark, line.slice(at + word.length) + "\n");
        }
      }
      said.textContent = hits === 0 ? "no line has it" : hits + (hits === 1 ? " line" : " lines") + (hits > MOST ? ", the first " + MOST + " of them below" : "");
      text.after(found);
    };
    input.addEventListener("input", soon(search));
  }

  // --- A wider timeline
  const chart = one(".chart");
  let width = 1;
  for (const button of all("[data-zoom]")) {
    button.addEventListener("click", () => {
      width = Math.min(16, Math.max(1, button.dataset.zoom === "in" ? width * 2 : width / 2));
      chart.setAttribute("width", width * 100 + "%");
    });
  }
})();
