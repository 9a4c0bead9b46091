// Runs before the first paint: the stored theme and language, so that neither flashes by in the wrong one.
// Everything else about them is in theme.js and i18n.js.
(function () {
  try {
    const theme = JSON.parse(localStorage.getItem("madang.theme"));
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
    const language = JSON.parse(localStorage.getItem("madang.language"));
    document.documentElement.lang = language || (/^ko\b/.test(navigator.language) ? "ko" : "en");
  } catch {
    // Without storage the browser's own preferences hold.
  }
})();
