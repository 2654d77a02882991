// Runs before the first paint: the chosen theme, and whether the side bar is folded. Without a choice the system's theme holds.
(() => {
  try {
    const root = document.documentElement;
    const theme = localStorage.getItem('isobar.theme');
    if (theme === 'dark' || theme === 'light') root.dataset.theme = theme;
    if (localStorage.getItem('isobar.side') === 'folded') root.dataset.side = 'folded';
  } catch {
    // Storage can be forbidden; the defaults are fine.
  }
})();
