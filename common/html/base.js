// CSS shows the chosen language; this chooses the browser's and names it to screen readers.
(function () {
  const languages = [...document.querySelectorAll("[name=language]")];
  function choose() { document.documentElement.lang = languages.find((each) => each.checked).value; }
  if (navigator.language.startsWith("ko")) document.getElementById("korean").checked = true;
  languages.forEach((each) => each.addEventListener("change", choose));
  choose();
})();
