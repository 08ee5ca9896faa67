// Before the first paint, so that the page does not flash in the other theme.
(function () {
  try {
    var kept = localStorage.getItem('bd.theme');
    if (kept === 'light' || kept === 'dark') document.documentElement.dataset.theme = kept;
  } catch (e) {
    /* storage is blocked: the system's theme holds */
  }
})();
