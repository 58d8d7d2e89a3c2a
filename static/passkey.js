// Passkeys (WebAuthn Level 3, without a library). A form carries data-passkey-options and data-passkey-finish:
// the script asks the first address for a challenge ({"csrf", "flow"} in, {"publicKey", "ticket"} out), lets the
// browser answer it, and sends the answer to the second one as an ordinary form, so that the server can redirect.
// #passkey signs in, by its button and by autofill; #add-passkey makes a new passkey.

const form = document.querySelector('form[data-passkey-options]');
const button = form?.querySelector('#passkey, #add-passkey');
const adding = button?.id === 'add-passkey';

const WORDS = {
  unsupported: ['This browser can’t use passkeys.', adding ? 'Try another browser or device.' : 'Use your password.'],
  offline: ['The server didn’t answer.', 'Check your connection, then try again.'],
  stale: ['This page was open too long.', 'Load it again, then try once more.'],
  full: ['There are enough passkeys.', 'Remove one first.'],
  busy: ['Too many tries.', 'Wait a minute, then try again.'],
  exists: ['This device already has a passkey for your account.', 'Use that one, or add one on another device.'],
  address: ['Passkeys don’t work at this address.', 'Open the page at the address you know.'],
  failed: ['The passkey didn’t work.', adding ? 'Try again, or use another device.' : 'Try again, or use your password.'],
};

class Trouble extends Error {
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

/** The server wants a sign-in of the last minutes before it takes a new passkey. */
class SignInFirst extends Error {}

/* base64url, for browsers that cannot read and write the JSON forms themselves */

function bytes(text) {
  const plain = atob(text.replace(/-/g, '+').replace(/_/g, '/'));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

function text(buffer) {
  let plain = '';
  for (const byte of new Uint8Array(buffer)) plain += String.fromCharCode(byte);
  return btoa(plain).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

const withBytes = (list) => list?.map((entry) => ({ ...entry, id: bytes(entry.id) }));

function readOptions(json) {
  const parse = adding ? 'parseCreationOptionsFromJSON' : 'parseRequestOptionsFromJSON';
  if (typeof PublicKeyCredential[parse] === 'function') return PublicKeyCredential[parse](json);
  const options = { ...json, challenge: bytes(json.challenge) };
  if (json.user) options.user = { ...json.user, id: bytes(json.user.id) };
  if (json.excludeCredentials) options.excludeCredentials = withBytes(json.excludeCredentials);
  if (json.allowCredentials) options.allowCredentials = withBytes(json.allowCredentials);
  return options;
}

function writeCredential(credential) {
  try {
    if (typeof credential.toJSON === 'function') return JSON.stringify(credential.toJSON());
  } catch {
    // Some password managers put in a credential of their own whose toJSON throws; its parts are sound.
  }
  const { response } = credential;
  const answer = { clientDataJSON: text(response.clientDataJSON) };
  if (response.attestationObject) {
    answer.attestationObject = text(response.attestationObject);
    answer.transports = response.getTransports?.() ?? [];
  } else {
    answer.authenticatorData = text(response.authenticatorData);
    answer.signature = text(response.signature);
    if (response.userHandle) answer.userHandle = text(response.userHandle);
  }
  return JSON.stringify({
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: answer,
  });
}

/* The two questions to the server */

const hidden = (name) => form.querySelector(`input[type=hidden][name=${name}]`)?.value ?? '';

async function challenge(signal) {
  let reply;
  try {
    reply = await fetch(form.dataset.passkeyOptions, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
      body: JSON.stringify(adding ? { csrf: hidden('csrf') } : { csrf: hidden('csrf'), flow: hidden('flow') }),
      credentials: 'same-origin',
      redirect: 'error',
      signal,
    });
  } catch (error) {
    throw error.name === 'AbortError' ? error : new Trouble('offline');
  }
  if (reply.status === 429 || reply.status === 503) throw new Trouble('busy');
  if (reply.status === 403 && form.dataset.passkeyAgain) throw new SignInFirst();
  if (reply.status === 409) throw new Trouble('full');
  if (reply.status === 404) throw new Trouble('address');
  if (reply.status >= 400 && reply.status < 500) throw new Trouble('stale');
  if (!reply.ok) throw new Trouble('failed');
  const { publicKey, ticket } = await reply.json();
  return { publicKey, ticket };
}

function finish(fields) {
  const answer = document.createElement('form');
  answer.method = 'post';
  answer.action = form.dataset.passkeyFinish;
  answer.hidden = true;
  for (const [name, value] of Object.entries(fields)) {
    const field = document.createElement('input');
    field.type = 'hidden';
    field.name = name;
    field.value = value;
    answer.append(field);
  }
  document.body.append(answer);
  answer.submit();
}

function sendSignIn(ticket, credential) {
  const fields = { csrf: hidden('csrf'), ticket, credential: writeCredential(credential) };
  for (const name of ['flow', 'app', 'next', 'continue']) {
    if (hidden(name)) fields[name] = hidden(name);
  }
  if (form.querySelector('input[name=remember]')?.checked) fields.remember = '1';
  finish(fields);
}

/* What the person sees */

function tell(kind) {
  document.getElementById('passkey-error')?.remove();
  if (!kind) return;
  const [lead, then] = WORDS[kind];
  const notice = document.createElement('div');
  notice.id = 'passkey-error';
  notice.className = 'notice bad';
  notice.setAttribute('role', 'alert');
  const icon = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  icon.setAttribute('class', 'icon');
  icon.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `/static/icons.svg${new URL(import.meta.url).search}#warning`);
  icon.append(use);
  const words = document.createElement('div');
  const strong = document.createElement('strong');
  strong.textContent = lead;
  words.append(strong, ` ${then}`);
  notice.append(icon, words);
  // What the page said before no longer answers what was just done.
  for (const old of document.querySelectorAll('#login-error, .notice[role=status]')) old.remove();
  const head = form.closest('.head');
  if (head) head.after(notice);
  else form.before(notice);
}

/** Which words a failure deserves; none where the person turned the browser's question away. */
function kindOf(error) {
  if (error instanceof Trouble) return error.kind;
  switch (error?.name) {
    case 'NotAllowedError':
    case 'AbortError':
      return null;
    case 'InvalidStateError':
      return adding ? 'exists' : 'failed';
    case 'SecurityError':
      return 'address';
    case 'NotSupportedError':
      return 'unsupported';
    default:
      return 'failed';
  }
}

let busy = false;

async function press() {
  if (busy) return;
  if (!window.PublicKeyCredential) {
    tell(window.isSecureContext ? 'unsupported' : 'address');
    return;
  }
  busy = true;
  button.setAttribute('aria-busy', 'true');
  tell(null);
  try {
    await (adding ? add() : signIn());
  } catch (error) {
    if (error instanceof SignInFirst) {
      window.location.assign(form.dataset.passkeyAgain);
      return;
    }
    tell(kindOf(error));
    if (!adding) autofill();
  } finally {
    busy = false;
    button.removeAttribute('aria-busy');
  }
}

async function add() {
  const { publicKey, ticket } = await challenge();
  const credential = await navigator.credentials.create({ publicKey: readOptions(publicKey) });
  finish({ csrf: hidden('csrf'), ticket, credential: writeCredential(credential), name: nameOfThis() });
}

async function signIn() {
  // The browser answers one question at a time.
  waiting?.abort();
  const { publicKey, ticket } = await challenge();
  const credential = await navigator.credentials.get({ publicKey: readOptions(publicKey) });
  sendSignIn(ticket, credential);
}

/* Autofill: the browser offers passkeys in the username field for as long as the page is open */

const RENEW = 4 * 60 * 1000;
let waiting = null;

async function autofill() {
  if (!(await window.PublicKeyCredential?.isConditionalMediationAvailable?.())) return;
  const mine = new AbortController();
  waiting?.abort();
  waiting = mine;
  try {
    const { publicKey, ticket } = await challenge(mine.signal);
    // A challenge dies after some minutes; a page in view asks for a new one before that.
    const timer = setTimeout(() => renew(mine), RENEW);
    mine.signal.addEventListener('abort', () => clearTimeout(timer));
    const credential = await navigator.credentials.get({
      publicKey: readOptions(publicKey),
      mediation: 'conditional',
      signal: mine.signal,
    });
    clearTimeout(timer);
    sendSignIn(ticket, credential);
  } catch {
    // Nobody asked for anything yet, so there is nothing to say: button and password still work.
  }
}

function renew(old) {
  if (waiting !== old || busy) return;
  if (document.visibilityState === 'visible') {
    autofill();
  } else {
    document.addEventListener('visibilitychange', () => renew(old), { once: true });
  }
}

/** A first name for a new passkey: "Chrome on Linux". People can change it. */
function nameOfThis() {
  const agent = navigator.userAgent;
  const first = (pairs, otherwise) => pairs.find(([pattern]) => pattern.test(agent))?.[1] ?? otherwise;
  const browser = first([
    [/Edg(e|A|iOS)?\//, 'Edge'],
    [/OPR\/|Opera/, 'Opera'],
    [/SamsungBrowser\//, 'Samsung Internet'],
    [/Firefox\/|FxiOS\//, 'Firefox'],
    [/Chrome\/|CriOS\/|Chromium\//, 'Chrome'],
    [/Safari\//, 'Safari'],
  ], 'Browser');
  const system = first([
    [/iPhone/, 'iPhone'],
    [/iPad/, 'iPad'],
    [/Android/, 'Android'],
    [/CrOS/, 'ChromeOS'],
    [/Windows/, 'Windows'],
    [/Macintosh|Mac OS X/, 'Mac'],
    [/Linux/, 'Linux'],
  ], null);
  return system ? `${browser} on ${system}` : browser;
}

if (form && button) {
  button.addEventListener('click', press);
  if (!adding) autofill();
}
