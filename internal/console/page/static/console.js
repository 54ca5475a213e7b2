// What a page can do more with JavaScript: keys, live updates, local times, copying. Every page works without it.

const root = document.documentElement;
root.classList.add('scripted');

const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

// Times: in UTC as the server writes them, or in the zone of this browser; relative ones go on while the page is open.
let skew = Date.parse(document.body.dataset.now) - Date.now();
let local = stored('zone') === 'local';

function stored(key) {
  try { return localStorage.getItem('afterchat.' + key); } catch { return null; }
}

function store(key, value) {
  try { localStorage.setItem('afterchat.' + key, value); } catch { /* private windows may refuse */ }
}

function span(ms) {
  const s = ms / 1000;
  if (s < 60) return Math.floor(s) + ' s';
  if (s < 3600) return Math.floor(s / 60) + ' min';
  if (s < 172800) {
    const h = Math.floor(s / 3600), m = Math.floor(s % 3600 / 60);
    return h + ' h' + (m && h < 10 ? ' ' + m + ' min' : '');
  }
  return Math.floor(s / 86400) + ' days';
}

function exact(at) {
  if (!local) return at.toISOString().slice(0, 19).replace('T', ' ') + ' UTC';
  return at.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
}

function showTimes() {
  const now = Date.now() + skew;
  for (const el of $$('time[datetime]')) {
    const at = new Date(el.dateTime);
    el.title = exact(at);
    if (el.dataset.clock ?? /^\d\d:\d\d:\d\d$/.test(el.textContent)) {
      el.dataset.clock = '';
      el.textContent = local ? at.toLocaleTimeString() : at.toISOString().slice(11, 19);
      continue;
    }
    const d = now - at;
    el.textContent = Math.abs(d) < 1000 ? 'now' : d < 0 ? 'in ' + span(-d) : span(d) + ' ago';
  }
  const button = $('[data-zone]');
  if (button) {
    button.textContent = local ? 'Local' : 'UTC';
    button.setAttribute('aria-pressed', local);
  }
}

// On a narrow screen the cells of a table stand below each other, each with the name of its column.
function nameCells() {
  for (const table of $$('table.list')) {
    const names = $$('thead th', table).map((th) => th.textContent);
    for (const cell of $$('tbody td', table)) {
      if (cell.colSpan === 1) cell.dataset.name = names[cell.cellIndex] ?? '';
      cell.toggleAttribute('data-empty', !cell.textContent.trim());
    }
  }
}

$('.pages [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });

// Live updates: the parts of the page that change are fetched again and replaced, every three seconds while the page is
// seen. A part in which somebody types, selects or has opened something stays as it is.
const every = 3000;
let paused = stored('paused') === 'yes', tag = '', busy = false;

async function update(force) {
  if (busy || !document.body.hasAttribute('data-live')) return;
  if (!force && (paused || document.hidden)) return;
  busy = true;
  try {
    const headers = tag ? { 'If-None-Match': tag } : {};
    const answer = await fetch(location.href, { headers, credentials: 'same-origin', cache: 'no-store' });
    if (answer.status === 200 && !answer.redirected) {
      tag = answer.headers.get('ETag') ?? '';
      replace(new DOMParser().parseFromString(await answer.text(), 'text/html'));
    }
    root.classList.remove('offline');
  } catch {
    root.classList.add('offline');
  } finally {
    busy = false;
  }
}

// What each part was made of, without the words for times, which change by themselves.
const made = new Map();
const timeless = (part) => part.innerHTML.replace(/(<time [^>]*>)[^<]*/g, '$1');

function replace(page) {
  skew = Date.parse(page.body.dataset.now) - Date.now();
  const row = nameOf(here());
  for (const part of $$('[data-part]')) {
    const fresh = page.getElementById(part.id);
    if (!fresh || touched(part) || made.get(part.id) === timeless(fresh)) continue;
    const focus = part.contains(document.activeElement) ? document.activeElement : null;
    const nth = focus && alike(focus, part).indexOf(focus);
    made.set(part.id, timeless(fresh));
    part.innerHTML = fresh.innerHTML;
    if (focus) (alike(focus, part)[nth] ?? alike(focus, part)[0])?.focus({ preventScroll: true });
  }
  // The marked line may have moved, for others came in above it.
  if (row) mark(rows().find((r) => nameOf(r) === row));
  showTimes();
  nameCells();
}

// What does the same as an element, in a part: it keeps the focus when the part is replaced.
function alike(el, part) {
  return $$(el.tagName, part).filter((e) => e.getAttribute('href') === el.getAttribute('href') && e.form?.action === el.form?.action && (el.matches('a, input') || e.textContent === el.textContent));
}

function touched(part) {
  const selection = getSelection();
  return part.contains(document.activeElement) && document.activeElement.matches('input, textarea, select')
    || $('details[open]:not(.request)', part) !== null
    || !selection.isCollapsed && part.contains(selection.anchorNode);
}

function showPaused() {
  const button = $('[data-pause]');
  if (!button) return;
  button.textContent = paused ? 'Paused' : 'Live';
  button.setAttribute('aria-pressed', paused);
}

function pause() {
  paused = !paused;
  store('paused', paused ? 'yes' : 'no');
  showPaused();
}

// Lines of a list, by keys.
const rows = () => $$('[data-row]');
const here = () => $('[data-row].here');
const nameOf = (row) => row && (row.id || $('[data-open]', row)?.getAttribute('href') || row.textContent);

function mark(row) {
  here()?.classList.remove('here');
  row?.classList.add('here');
}

function step(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.indexOf(here());
  const next = all[Math.min(Math.max(at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by, 0), all.length - 1)];
  mark(next);
  next.scrollIntoView({ block: 'nearest' });
  ($('[data-open]', next) ?? $('a, button', next))?.focus({ preventScroll: true });
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches?.('input, textarea, select');
  if (typing) {
    if (event.key === 'Escape') event.target.blur();
    return;
  }
  const act = {
    '/': () => $('#q')?.focus(), 'j': () => step(1), 'k': () => step(-1), 'r': () => update(true), 'p': pause,
    '?': () => $('#keys')?.showModal(),
  }[event.key];
  if (act && !$('dialog[open]')) {
    event.preventDefault();
    act();
  }
});

document.addEventListener('click', async (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  if (button.hasAttribute('data-zone')) {
    local = !local;
    store('zone', local ? 'local' : 'utc');
    showTimes();
  } else if (button.hasAttribute('data-pause')) {
    pause();
  } else if (button.hasAttribute('data-help')) {
    $('#keys')?.showModal();
  } else if (button.dataset.copy) {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Select and copy it';
    }
  }
});

document.addEventListener('change', (event) => {
  if (event.target.matches('[data-submit]')) event.target.form.requestSubmit();
});

// An empty field stays out of the address; what cannot be undone is asked first.
document.addEventListener('submit', (event) => {
  const form = event.target;
  if (form.dataset.confirm && !confirm(form.dataset.confirm)) {
    event.preventDefault();
    return;
  }
  if (form.matches('.facets, .search')) {
    for (const field of $$('[name]', form)) if (!field.value) field.disabled = true;
    setTimeout(() => { for (const field of $$('[name]', form)) field.disabled = false; });
  }
});

// The playground tries by itself when typing rests.
const playground = $('[data-try]');
if (playground) {
  let timer, running;
  const attempt = async () => {
    running?.abort();
    running = new AbortController();
    try {
      const answer = await fetch(playground.action, {
        method: 'POST', body: new URLSearchParams(new FormData(playground)), signal: running.signal, credentials: 'same-origin',
      });
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const fresh = page.getElementById('result');
      if (fresh) $('#result').innerHTML = fresh.innerHTML;
    } catch { /* a later attempt replaced this one, or the gateway is away: the button still works */ }
  };
  playground.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(attempt, 400);
  });
}

for (const part of $$('[data-part]')) made.set(part.id, timeless(part));
showTimes();
nameCells();
showPaused();
setInterval(showTimes, 1000);
setInterval(update, every);
document.addEventListener('visibilitychange', () => { if (!document.hidden) update(); });
