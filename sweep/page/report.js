// The report's script: a heat map of any two axes, the other axes as sliders, drawn by Vega from the page's own figures.
// What the page shows without scripts stays until the first drawing is ready, and for good if that fails.
"use strict";
{
  const figures = document.getElementById("landscape-figures");
  const live = document.getElementById("landscape-live");
  // Behind the first paint: the reader sees the answer before the bundle is compiled.
  if (figures && live) {
    requestAnimationFrame(() => setTimeout(() => start(JSON.parse(figures.textContent), live), 0));
  }

  const MINUS = "\u2212";
  const ANY = -1;

  /** Hundredths of bps as the page prints them: signed, two decimals, thousands separated. */
  function bps(hundredths) {
    const [whole, decimals] = (Math.abs(hundredths) / 100).toFixed(2).split(".");
    const sign = hundredths > 0 ? "+" : hundredths < 0 ? MINUS : "";
    return `${sign}${whole.replace(/\B(?=(\d{3})+$)/g, ",")}.${decimals}`;
  }

  /** An element with attributes and text; text is never markup. */
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children);
    return made;
  }

  /** The combinations as columns: where each lies on every axis, and which comes first where several share a cell. */
  function latticeOf(figures) {
    const { axes, saved } = figures;
    const count = saved.length;
    let positions = figures.positions;
    if (!positions) {
      positions = axes.map(() => new Int32Array(count));
      for (let row = 0; row < count; row += 1) {
        for (let axis = axes.length - 1, place = row; axis >= 0; axis -= 1) {
          const values = axes[axis].labels.length;
          positions[axis][row] = place % values;
          place = Math.floor(place / values);
        }
      }
    }
    const best = new Set(figures.best);
    const bit = (digits, row) => ((parseInt(digits[row >> 2], 16) >> (3 - (row & 3))) & 1) === 1;
    const inSet = (row) => figures.inSet !== null && bit(figures.inSet, row);
    const enough = (row) => figures.enough === null || bit(figures.enough, row);
    // What fills enough first; of equal savings the best of a world first, then the first combination.
    const better = (one, other) =>
      enough(one) !== enough(other) ? enough(one)
      : saved[one] !== saved[other] ? saved[one] > saved[other]
      : best.has(one) !== best.has(other) ? best.has(one)
      : one < other;
    return { positions, count, best, inSet, enough, better };
  }

  /** The first and last of `count` values in each of at most `most` neighbourhoods: value v is in v * bins / count. */
  function binsOf(count, most) {
    const bins = Math.min(count, most);
    const starts = Array.from({ length: bins + 1 }, (_, at) => Math.ceil((at * count) / bins));
    return starts.slice(0, -1).map((first, at) => [first, starts[at + 1] - 1]);
  }

  /** The best combination of each cell, -1 where none was looked at, row by row, and how many there are. */
  function slice(figures, lattice, state) {
    const { x, y, at } = state;
    const columns = binsOf(figures.axes[x].labels.length, figures.most);
    const rows = binsOf(figures.axes[y].labels.length, figures.most);
    const best = new Int32Array(columns.length * rows.length).fill(-1);
    const count = new Int32Array(best.length);
    const held = at.map((position, axis) => [axis, position]).filter(([axis, position]) => position !== ANY && axis !== x && axis !== y);
    const [across, down] = [lattice.positions[x], lattice.positions[y]];
    for (let row = 0; row < lattice.count; row += 1) {
      if (held.some(([axis, position]) => lattice.positions[axis][row] !== position)) continue;
      const column = Math.floor((across[row] * columns.length) / figures.axes[x].labels.length);
      const line = Math.floor((down[row] * rows.length) / figures.axes[y].labels.length);
      const cell = line * columns.length + column;
      count[cell] += 1;
      if (best[cell] < 0 || lattice.better(row, best[cell])) best[cell] = row;
    }
    return { columns, rows, best, count };
  }

  function start(figures, live) {
    const part = (name) => document.getElementById(`landscape-${name}`);
    const [controls, chart, readout, tableOf] = ["controls", "chart", "readout", "table"].map(part);
    const canvas = element("div", { "aria-hidden": "true" });
    const lattice = latticeOf(figures);
    const { axes } = figures;
    const state = { x: figures.start.x, y: figures.start.y, at: [...figures.start.at] };
    let shown = slice(figures, lattice, state);
    let cursor = null;
    let view = null;
    let drawn = 0;
    let rows = [];
    const library = loadCharts();

    const label = (axis, [first, last]) =>
      first === last ? axes[axis].labels[first] : `${axes[axis].labels[first]} to ${axes[axis].labels[last]}`;
    const cellAt = (column, line) => line * shown.columns.length + column;
    const span = (centre) => [centre - 0.5, centre + 0.5];

    /** The rows of Vega's datasets. */
    function datasets() {
      const cells = [];
      const edges = [];
      const written = shown.best.length <= figures.texts && chart.clientWidth / shown.columns.length >= 54;
      const member = (column, line) => {
        if (column < 0 || line < 0 || column >= shown.columns.length || line >= shown.rows.length) return false;
        const row = shown.best[cellAt(column, line)];
        return row >= 0 && lattice.inSet(row);
      };
      shown.rows.forEach((_, line) => {
        const [y0, y1] = span(line);
        shown.columns.forEach((_, column) => {
          const row = shown.best[cellAt(column, line)];
          if (row < 0) return;
          const [x0, x1] = span(column);
          const saving = figures.saved[row] / 100;
          const text = written ? bps(figures.saved[row]) : "";
          cells.push({ x: column, y: line, x0, x1, y0, y1, saving, text, best: lattice.best.has(row) });
          if (!member(column, line)) return;
          if (!member(column - 1, line)) edges.push({ x: x0, x2: x0, y: y0, y2: y1 });
          if (!member(column + 1, line)) edges.push({ x: x1, x2: x1, y: y0, y2: y1 });
          if (!member(column, line - 1)) edges.push({ x: x0, x2: x1, y: y0, y2: y0 });
          if (!member(column, line + 1)) edges.push({ x: x0, x2: x1, y: y1, y2: y1 });
        });
      });
      return { cells, edges, cursor: cursorRows() };
    }

    function cursorRows() {
      if (!cursor) return [];
      const [[x0, x1], [y0, y1]] = cursor.map(span);
      return [{ x0, x1, y0, y1 }];
    }

    /** The specification of the page with these two axes. */
    function specification() {
      const spec = structuredClone(figures.spec);
      const { encoding } = spec.layer[0];
      const every = (count) => Math.ceil(count / Math.max(2, Math.min(12, Math.floor(chart.clientWidth / 60))));
      spec.params = [];
      for (const [channel, axis, spans] of [["x", state.x, shown.columns], ["y", state.y, shown.rows]]) {
        spec.params.push({ name: `${channel}_labels`, value: spans.map((each) => label(axis, each)) });
        encoding[channel].title = axes[axis].title;
        encoding[channel].axis.values = spans.map((_, at) => at).filter((at) => at % every(spans.length) === 0);
        encoding[channel].scale.domain = [-0.5, spans.length - 0.5];
      }
      spec.height = Math.max(200, Math.min(460, 110 + 30 * shown.rows.length));
      return { ...spec, datasets: { cells: [], edges: [], cursor: [] } };
    }

    /** Draw anew, after other axes were chosen. */
    async function draw() {
      if (view) view.finalize();
      canvas.replaceChildren();
      const compiled = library.compile(specification()).spec;
      view = new library.View(library.parse(compiled, null, { ast: true }), {
        expr: library.expressionInterpreter,
        renderer: "svg",
        container: canvas,
        hover: false,
        tooltip: () => {},
      });
      view.addEventListener("pointermove", (_, item) => point(item));
      view.addEventListener("pointerdown", (_, item) => point(item));
      rows = [];
      await renew();
    }

    /** Draw the same axes with other figures; cells that stay are changed in place, so that no mark is made anew. */
    async function renew() {
      const { cells, edges, cursor: at } = datasets();
      const same = cells.length === rows.length && cells.every(({ x, y }, each) => rows[each].x === x && rows[each].y === y);
      if (same) {
        const changes = view.changeset();
        cells.forEach((cell, each) => {
          for (const name of ["saving", "text", "best"]) {
            if (rows[each][name] !== cell[name]) changes.modify(rows[each], name, cell[name]);
          }
        });
        view.change("cells", changes);
      } else {
        rows = cells;
        view.data("cells", rows);
      }
      await view.data("edges", edges).data("cursor", at).runAsync();
      finish();
    }

    function finish() {
      drawn += 1;
      chart.dataset.drawn = String(drawn);
    }

    function point(item) {
      const datum = item && item.datum;
      if (datum && Number.isInteger(datum.x) && Number.isInteger(datum.y)) move(datum.x, datum.y);
    }

    /** Put the cursor on a cell and say what is there. */
    function move(column, line) {
      if (cursor && cursor[0] === column && cursor[1] === line) return;
      cursor = [column, line];
      readout.textContent = describe(column, line);
      view.data("cursor", cursorRows()).runAsync();
    }

    function describe(column, line) {
      const cell = cellAt(column, line);
      const row = shown.best[cell];
      if (row < 0) {
        return `${axes[state.x].name} ${label(state.x, shown.columns[column])}, ${axes[state.y].name} ${label(state.y, shown.rows[line])}: not looked at.`;
      }
      const values = axes.map((axis, at) => `${axis.name} ${axis.labels[lattice.positions[at][row]]}`).join(", ");
      const world = figures.worlds ? figures.worlds[row] : 0;
      const number = figures.numbers ? figures.numbers[row] : row;
      const several = shown.count[cell] > 1 ? `; the best of ${shown.count[cell].toLocaleString("en-US")} here` : "";
      const set =
        lattice.best.has(row) ? "; the best combination"
        : figures.inSet === null ? ""
        : lattice.inSet(row) ? "; cannot be told from the best" : "; can be told from the best";
      const lacks = lattice.enough(row) ? "" : "; fills less than best_ask, so it cannot be the best";
      return `${values}: saves ${bps(figures.saved[row])} bps against ${figures.against[world]}${set}${lacks}${several} (combination ${number}).`;
    }

    /** The table of what is shown: columns and rows, or the extremes. */
    function tabulate() {
      const head = (text, scope) => element("th", { scope, class: scope === "col" ? "figure" : null }, text);
      const printed = (row) => bps(figures.saved[row]) + (lattice.enough(row) ? "" : " \u2020") + (lattice.inSet(row) ? " *" : "");
      const figure = (row) => element("td", { class: "figure" }, row < 0 ? "" : printed(row));
      const body = element("tbody");
      let columns;
      let note = figures.inSet === null ? "" : "* cannot be told from the best. ";
      if (shown.best.length <= figures.matrix) {
        columns = [`${axes[state.y].title} \\ ${axes[state.x].title}`, ...shown.columns.map((each) => label(state.x, each))];
        shown.rows.forEach((each, line) => {
          const cells = shown.columns.map((_, column) => figure(shown.best[cellAt(column, line)]));
          body.append(element("tr", {}, head(label(state.y, each), "row"), ...cells));
        });
      } else {
        columns = [axes[state.x].title, axes[state.y].title, "saves, bps"];
        const cells = [...shown.best.keys()].filter((cell) => shown.best[cell] >= 0);
        cells.sort((one, other) => (lattice.better(shown.best[one], shown.best[other]) ? -1 : 1));
        const few = cells.length <= 2 * figures.extremes;
        const listed = few ? cells : [...cells.slice(0, figures.extremes), ...cells.slice(-figures.extremes)];
        for (const cell of listed) {
          const [line, column] = [Math.floor(cell / shown.columns.length), cell % shown.columns.length];
          const place = [label(state.x, shown.columns[column]), label(state.y, shown.rows[line])];
          body.append(element("tr", {}, ...place.map((text) => element("td", {}, text)), figure(shown.best[cell])));
        }
        if (!few) note += `The ${figures.extremes} best and the ${figures.extremes} worst of ${cells.length.toLocaleString("en-US")} cells; all are in combinations.parquet.`;
      }
      const name = `Saving in bps by ${axes[state.x].name} and ${axes[state.y].name}`;
      const made = element(
        "table", {},
        element("caption", { class: "aloud" }, name),
        element("thead", {}, element("tr", {}, ...columns.map((text) => head(text, "col")))),
        body,
      );
      tableOf.replaceChildren(
        element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": name }, made),
        element("p", { class: "note" }, note),
      );
    }

    // Folded, it is wanted when it is opened or printed: then it is filled once the sliders rest.
    let late = 0;
    function tabulateSoon() {
      clearTimeout(late);
      if (tableOf.closest("details").open) tabulate();
      else late = setTimeout(tabulate, 100);
    }

    const refresh = (change) => {
      shown = slice(figures, lattice, state);
      if (cursor && (cursor[0] >= shown.columns.length || cursor[1] >= shown.rows.length)) cursor = null;
      readout.textContent = cursor ? describe(...cursor) : "";
      tabulateSoon();
      return change();
    };

    // A slider moves faster than a screen draws: one drawing at a time, the last position wins.
    let waiting = false;
    const soon = () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        refresh(renew);
      });
    };

    /** The two choices of axes, and a slider for each other axis. */
    function control() {
      controls.replaceChildren();
      for (const [channel, name] of [["x", "across"], ["y", "upward"]]) {
        const select = element("select", { id: `landscape-${channel}` });
        axes.forEach((axis, at) => select.append(element("option", { value: at, selected: at === state[channel] }, axis.name)));
        select.addEventListener("change", () => choose(channel, Number(select.value)));
        controls.append(element("label", {}, `axis ${name}`, select));
      }
      axes.forEach((axis, at) => {
        if (at === state.x || at === state.y) return;
        // Savings of two markets have different baselines, so that the best over markets says nothing.
        const lowest = axis.market ? 0 : ANY;
        const output = element("output");
        const slider = element("input", {
          type: "range", min: lowest, max: axis.labels.length - 1, step: 1, id: `landscape-at-${at}`,
        });
        slider.value = String(state.at[at]);
        const show = () => {
          const text = state.at[at] === ANY ? "any, the best shown" : axis.labels[state.at[at]];
          output.textContent = text;
          slider.setAttribute("aria-valuetext", text);
        };
        show();
        slider.addEventListener("input", () => {
          state.at[at] = Number(slider.value);
          show();
          soon();
        });
        controls.append(element("label", {}, element("span", {}, `${axis.title}: `, output), slider));
      });
    }

    function choose(channel, axis) {
      const other = channel === "x" ? "y" : "x";
      const before = [state.x, state.y];
      if (state[other] === axis) state[other] = state[channel];
      state[channel] = axis;
      // An axis that was drawn until now is held where the page began.
      state.at = state.at.map((held, at) => (before.includes(at) ? figures.start.rest[at] : held));
      cursor = null;
      control();
      document.getElementById(`landscape-${channel}`).focus();
      refresh(draw);
    }

    const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };
    chart.addEventListener("keydown", (event) => {
      const step = MOVES[event.key];
      if (!step) return;
      event.preventDefault();
      const within = (at, count) => Math.max(0, Math.min(count - 1, at));
      const [column, line] = cursor ?? [0, 0];
      const from = cursor ? step : [0, 0];
      move(within(column + from[0], shown.columns.length), within(line + from[1], shown.rows.length));
    });

    // A drawing is as wide as the page lets it be; labels and figures in cells depend on that.
    let width = 0;
    new ResizeObserver(() => {
      if (view && Math.abs(chart.clientWidth - width) > 1) {
        width = chart.clientWidth;
        draw();
      }
    }).observe(chart);

    chart.append(canvas);
    control();
    tabulateSoon();
    live.hidden = false;
    width = chart.clientWidth;
    draw().then(
      () => {
        const still = document.getElementById("landscape-still");
        if (still) still.hidden = true;
      },
      (problem) => {
        live.hidden = true;
        throw problem;
      },
    );
  }
}
