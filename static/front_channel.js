// The page at the end of a session: its frames tell the apps, and when all have loaded, or after five seconds, it goes on
// to the address behind its link. Without this file the page does so by itself, later. No module and nothing newer than
// ECMAScript 5, like form_post.js.

(function () {
  var next = document.querySelector('a[data-next]');
  if (!next) return;

  function goOn() {
    clearTimeout(patience);
    window.removeEventListener('load', goOn);
    location.replace(next.href);
  }

  var patience = setTimeout(goOn, 5000);
  // The page has loaded when its frames have, those that failed too.
  if (document.readyState === 'complete') goOn();
  else window.addEventListener('load', goOn);
})();
