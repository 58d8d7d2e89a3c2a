// What pages do beyond HTML. Every page works without this file; nothing moves when it arrives.
// Signing in with a passkey is in passkey.js.

// <button data-reveal="ID">: shows or hides what is typed in that password field.
function reveal(button) {
  const field = document.getElementById(button.dataset.reveal);
  if (!field) return;
  const show = field.type === 'password';
  field.type = show ? 'text' : 'password';
  button.textContent = show ? 'Hide' : 'Show';
  button.setAttribute('aria-label', show ? 'Hide the password' : 'Show the password');
}

// <button data-copy> copies the <code> beside it, or the value it carries: data-copy="VALUE".
async function copy(button) {
  const source = button.closest('.copy')?.querySelector('code');
  const text = button.dataset.copy || source?.textContent.trim();
  if (!text) return;
  try {
    await navigator.clipboard.writeText(text);
    sayCopied(button);
  } catch {
    // No clipboard without https: select it, so that the person's own keys copy it.
    if (source) getSelection().selectAllChildren(source);
  }
}

function sayCopied(button) {
  if (button.dataset.copied !== undefined) return;
  const use = button.querySelector('use');
  const icon = use?.getAttribute('href');
  const label = button.getAttribute('aria-label');
  button.dataset.copied = '';
  use?.setAttribute('href', icon.replace(/#.*/, '#check'));
  button.setAttribute('aria-label', 'Copied');
  status('Copied');
  setTimeout(() => {
    delete button.dataset.copied;
    use?.setAttribute('href', icon);
    if (label === null) button.removeAttribute('aria-label');
    else button.setAttribute('aria-label', label);
  }, 1600);
}

// Said by screen readers, seen by nobody. The region has to stand in the page before its text changes.
const spoken = document.createElement('p');
spoken.className = 'sr';
spoken.setAttribute('role', 'status');
document.body.append(spoken);

function status(text) {
  spoken.textContent = '';
  setTimeout(() => { spoken.textContent = text; }, 50);
}

document.addEventListener('click', (event) => {
  for (const menu of document.querySelectorAll('.menu[open]')) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const button = event.target.closest('[data-reveal], [data-copy]');
  if (!button) return;
  if (button.dataset.reveal !== undefined) reveal(button);
  else copy(button);
});

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  for (const menu of document.querySelectorAll('.menu[open]')) {
    const inside = menu.contains(document.activeElement);
    menu.open = false;
    if (inside) menu.querySelector('summary')?.focus();
  }
});

// A password that is shown goes out as a password, so that the browser offers to keep it as one.
document.addEventListener('submit', (event) => {
  for (const button of event.target.querySelectorAll('[data-reveal]')) {
    if (document.getElementById(button.dataset.reveal)?.type === 'text') reveal(button);
  }
});

// <time data-relative>: "5 minutes ago", a plain date after a week; the exact time stays as its title.
const language = document.documentElement.lang || 'en';
const relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
const date = new Intl.DateTimeFormat(language === 'en' ? 'en-GB' : language, { day: 'numeric', month: 'short', year: 'numeric' });
const exact = new Intl.DateTimeFormat(language === 'en' ? 'en-GB' : language, { dateStyle: 'medium', timeStyle: 'long' });
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

function inWords(then) {
  const seconds = Math.round((then - Date.now()) / 1000);
  const distance = Math.abs(seconds);
  if (distance < MINUTE) return 'just now';
  if (distance < HOUR) return relative.format(Math.trunc(seconds / MINUTE), 'minute');
  if (distance < DAY) return relative.format(Math.trunc(seconds / HOUR), 'hour');
  if (distance < 7 * DAY) return relative.format(Math.trunc(seconds / DAY), 'day');
  return date.format(then);
}

function tellTimes() {
  for (const element of document.querySelectorAll('time[data-relative]')) {
    const then = new Date(element.dateTime);
    if (Number.isNaN(then.getTime())) continue;
    element.title ||= exact.format(then);
    const words = inWords(then);
    if (element.textContent !== words) element.textContent = words;
  }
}

tellTimes();
if (document.querySelector('time[data-relative]')) setInterval(tellTimes, MINUTE * 1000);
