// Runs before the first paint, so that a page in the dark does not flash.
{
  let chosen = null;
  try { chosen = localStorage.getItem('llamacy.theme'); } catch { /* storage is off: follow the system */ }
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
}
