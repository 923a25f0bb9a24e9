(function () {
  const lines = [...document.querySelectorAll(".line")];
  const search = document.getElementById("search"), script = document.getElementById("script");
  const shown = document.getElementById("shown");
  function filter() {
    const sought = search.value.normalize("NFC").toLowerCase();
    let count = 0;
    for (const line of lines) {
      const fits = line.dataset.text.includes(sought) && (!script.value || line.dataset.scripts.split(" ").includes(script.value));
      line.hidden = !fits;
      count += fits;
    }
    shown.value = count + " / " + lines.length;
  }
  search.addEventListener("input", filter);
  script.addEventListener("change", filter);
  filter();
})();
