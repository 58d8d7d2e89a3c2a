// Answers an app's page that embeds us whether the browser's session is still the one of its session_state:
// "unchanged", "changed", or "error" for what is no question (OpenID Connect Session Management 1.0, section 3.2).

const cookie = document.documentElement.dataset.cookie;

// Empty when nobody is signed in.
function browserState() {
  for (const pair of document.cookie.split('; ')) {
    if (pair.startsWith(`${cookie}=`)) return pair.slice(cookie.length + 1);
  }
  return '';
}

async function salted(client, origin, salt) {
  const text = new TextEncoder().encode(`${client} ${origin} ${browserState()} ${salt}`);
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', text));
  const base64 = btoa(String.fromCharCode(...hash));
  return `${base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}.${salt}`;
}

async function answer(question, origin) {
  if (typeof question !== 'string') return 'error';
  const parts = /^([^ ]+) ([^ .]+\.([^ .]+))$/.exec(question);
  if (!parts) return 'error';
  // Where the browser keeps our cookies from frames, nothing can be said: "changed" would make the app ask for ever.
  if (document.hasStorageAccess && !(await document.hasStorageAccess())) return 'error';
  const [, client, state, salt] = parts;
  return (await salted(client, origin, salt)) === state ? 'unchanged' : 'changed';
}

addEventListener('message', async ({ data, origin, source }) => {
  // A page without an origin has none to be answered at.
  if (!source || source === window || !origin.includes('://')) return;
  const words = await answer(data, origin).catch(() => 'error');
  source.postMessage(words, origin);
});
