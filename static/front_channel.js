// The page at the end of a session: its frames tell the apps, and when all have loaded, or after five seconds, it goes on
// to the address behind its link. Without this file the page does so by itself, later.

const next = document.querySelector('a[data-next]');

function goOn() {
  clearTimeout(patience);
  removeEventListener('load', goOn);
  location.replace(next.href);
}

const patience = next && setTimeout(goOn, 5000);
if (next) {
  // The page has loaded when its frames have, those that failed too.
  if (document.readyState === 'complete') goOn();
  else addEventListener('load', goOn);
}
