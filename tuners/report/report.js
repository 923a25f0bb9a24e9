(function () {
  var root = document.documentElement, plots = document.querySelectorAll(".js-plotly-plot");
  function press(buttons, chosen) {
    buttons.forEach(function (b) { b.setAttribute("aria-pressed", b === chosen); });
  }
  function name() {
    plots.forEach(function (plot) {
      var titles = (plot.layout.meta || {})[root.lang];
      if (titles) Plotly.relayout(plot, titles);
    });
  }
  document.querySelectorAll("[name=language]").forEach(function (b) { b.addEventListener("change", name); });
  name();

  document.querySelectorAll("[data-zoom]").forEach(function (button) {
    button.addEventListener("click", function () {
      var section = button.closest("section");
      press(section.querySelectorAll("[data-zoom]"), button);
      section.querySelectorAll(".js-plotly-plot").forEach(function (plot) {
        var better = button.dataset.zoom === "better";
        Plotly.relayout(plot, better ? { "yaxis.range": plot.layout.meta.zoom.slice() } : { "yaxis.autorange": true });
      });
    });
  });

  document.querySelectorAll(".copy").forEach(function (button) {
    button.addEventListener("click", function () {
      var command = button.parentElement.querySelector("pre");
      getSelection().selectAllChildren(command);
      if (navigator.clipboard) navigator.clipboard.writeText(command.textContent).then(function () {
        button.classList.add("done");
      }, function () {});
    });
  });

  document.querySelectorAll("[data-sort]").forEach(function (button) {
    button.addEventListener("click", function () {
      var header = button.parentElement, table = header.closest("table"), body = table.tBodies[0];
      var ascending = header.getAttribute("aria-sort") !== "ascending", at = header.cellIndex;
      table.querySelectorAll("th").forEach(function (th) { th.removeAttribute("aria-sort"); });
      header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      function key(row) {
        var cell = row.cells[at], value = cell.dataset.value;
        return value === undefined ? cell.textContent : value;
      }
      Array.from(body.rows).sort(function (one, other) {
        var a = key(one), b = key(other);
        if (a === "" || b === "") return (a === "") - (b === "");
        var order = isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b;
        return ascending ? order : -order;
      }).forEach(function (row) { body.append(row); });
    });
  });
})();
