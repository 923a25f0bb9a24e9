(function () {
  var dialog = document.querySelector("dialog");
  document.querySelectorAll(".view").forEach(function (view) {
    view.addEventListener("keydown", function (event) { if (event.key === "Enter") view.click(); });
    view.addEventListener("click", function () {
      var copy = view.cloneNode(true);
      copy.querySelectorAll("[id]").forEach(function (e) { e.removeAttribute("id"); });
      dialog.className = view.closest(".page").className.indexOf("tall") >= 0 ? "tall" : "";
      dialog.replaceChildren(copy);
      dialog.showModal();
    });
  });
  dialog.addEventListener("click", function () { dialog.close(); });
})();
