// What the demo's pages do beyond being pages: they follow what happens. Without this script they work
// too, with a click on the reload button; without the feature `live` they do.
import { follow } from '/coursegate.js';

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const said = document.getElementById('said');
const say = (text, bad = false) => {
  said.textContent = text;
  said.className = bad ? 'bad' : '';
};
const retry = 'The server did not answer. What you wrote is still here: try again in a moment.';

// --- Pages that come anew ------------------------------------------------------------------------

/** What a person has done to the page that the server does not know of. */
function remember() {
  const fields = all('main [id]').filter((field) => 'value' in field && field.tagName !== 'BUTTON');
  return {
    fields: fields.map(({ id, value, checked, defaultValue, defaultChecked }) =>
      ({ id, value, checked, touched: checked !== defaultChecked || (defaultValue !== undefined && value !== defaultValue) }))
      .filter(({ touched }) => touched),
    open: all('main details[open][id]').map(({ id }) => id),
    focus: document.activeElement?.id,
  };
}

function restore({ fields, open, focus }) {
  for (const { id, value, checked } of fields) {
    const field = document.getElementById(id);
    if (!field) continue;
    if (field.type === 'checkbox') field.checked = checked;
    else field.value = value;
  }
  for (const id of open) document.getElementById(id)?.setAttribute('open', '');
  if (focus) document.getElementById(focus)?.focus({ preventScroll: true });
}

/** What the server sent last, part by part. */
const sent = {};

/** Puts what the server sent in the place of what is shown; what is the same stays as it is. */
/** What only works with this script. */
function reveal() {
  for (const part of all('main [data-script], main [data-tick]')) part.hidden = false;
  for (const box of all('main [data-all]')) box.parentElement.hidden = false;
}

function swap(html, keep) {
  const page = new DOMParser().parseFromString(html, 'text/html');
  const before = keep && remember();
  for (const part of ['main', 'nav', 'header']) {
    const [old, fresh] = [document.querySelector(part), page.querySelector(part)];
    if (!old || !fresh || (keep && sent[part] === fresh.outerHTML)) continue;
    sent[part] = fresh.outerHTML;
    old.replaceWith(fresh);
  }
  document.title = page.title;
  reveal();
  if (before) restore(before);
  if (page.body.dataset.live !== document.body.dataset.live) {
    // Signed in, or out: another page altogether.
    location.reload();
  }
}

// A click is over where it began.
let pressed = false;
addEventListener('pointerdown', () => { pressed = true; });
for (const end of ['pointerup', 'pointercancel']) addEventListener(end, () => { pressed = false; });

let busy = false;
let wanted = false;
/** Shows this page as it is now. One request at a time: the last one sees everything. */
async function anew() {
  wanted = true;
  if (busy) return;
  busy = true;
  while (wanted) {
    wanted = false;
    try {
      const here = location.href;
      const answer = await fetch(here);
      const html = await answer.text();
      if (pressed) await new Promise((done) => addEventListener('pointerup', () => setTimeout(done), { once: true }));
      if (answer.ok && here === location.href && !working) swap(html, true);
    } catch {
      // Not reachable: the stream says when it is again.
    }
  }
  busy = false;
}

/** Goes to another page of the admin, with its outline shown while it is fetched. */
async function go(url, { push = true, request } = {}) {
  const main = document.querySelector('main');
  const kept = main.innerHTML;
  main.setAttribute('aria-busy', 'true');
  const outline = !request && setTimeout(() => {
    main.innerHTML = '<div class="skeleton"></div>'.repeat(3);
  }, 80);
  try {
    const answer = await fetch(url, request);
    const html = await answer.text();
    clearTimeout(outline);
    if (!answer.ok && request) {
      const problem = new DOMParser().parseFromString(html, 'text/html').querySelector('main p.bad');
      say(problem?.textContent ?? html.slice(0, 200), true);
      return;
    }
    if (push && answer.url !== location.href) history.pushState(null, '', answer.url);
    swap(html, false);
    if (request) say('Done.');
    else document.querySelector('main h1')?.focus();
  } catch {
    clearTimeout(outline);
    if (!request) main.innerHTML = kept;
    say(retry, true);
  } finally {
    document.querySelector('main').removeAttribute('aria-busy');
  }
}

// --- The learner's page --------------------------------------------------------------------------

/** Shows a card in the place that the server made for it. */
function show({ course, card, version, optimistic }) {
  const place = all('article[data-course]').find((article) => article.dataset.course === course);
  if (!place || !card) return;
  const shown = place.dataset;
  shown.version = version;
  shown.optimistic = optimistic;
  const part = (name) => place.querySelector(`[data-part=${name}]`);
  const does = card.action === 'enroll' || card.action === 'pay' ? 'pay' : card.action === 'open' ? 'open' : 'wait';
  for (const name of ['pay', 'open', 'wait']) part(name).hidden = name !== does;
  part('renew').hidden = !card.until;
  part('until').textContent = card.until ? `Open until ${card.until.slice(0, 10)}.` : '';
  for (const label of all('[data-text]', place)) label.textContent = card.text;
  part('message').textContent = card.message ?? '';
  part('note').textContent = card.note ? `The school wrote: ${card.note}` : '';
  const step = { not_enrolled: 0, awaiting_payment: 1, payment_failed: 1, refund_due: 1, bank_transfer: 1, access: 4 }[card.reason]
    ?? (card.action === 'wait' ? 2 : 0);
  all('.steps li', place).forEach((item, at) => {
    item.className = at < step ? 'done' : at === step ? 'now' : '';
    if (at === step) item.setAttribute('aria-current', 'step');
    else item.removeAttribute('aria-current');
  });
  place.querySelector('.steps').hidden = step === 0;
}

function learner(live, who) {
  const cards = all('article[data-card]').map(({ dataset }) => JSON.parse(dataset.card));
  addEventListener('coursegate:card', ({ detail }) => show(detail));
  window.coursegate = follow(live, { who, cards });
  const back = new URL(location.href);
  if (back.searchParams.has('paid')) {
    // Back from the pay page, in the tab that went there.
    back.searchParams.delete('paid');
    history.replaceState(null, '', back);
    const course = sessionStorage.getItem('paying');
    if (cards.find((card) => card.course === course)?.card.action === 'pay') window.coursegate.confirming(course);
  }
  document.addEventListener('submit', ({ target }) => {
    if (target.dataset.part === 'pay') sessionStorage.setItem('paying', target.elements.course.value);
  });
}

// --- The admin's pages ---------------------------------------------------------------------------

let working = false;

/** Approves one by one, or says what would happen, and shows how far it is and what came of each. */
async function bulk(form, dry) {
  const chosen = all('main input[data-enrollment]:checked').map(({ dataset }) => dataset);
  if (!chosen.length) return say('Tick the enrollments first.', true);
  const panel = document.getElementById('results');
  const list = document.createElement('ul');
  const bar = document.createElement('progress');
  const title = document.createElement('h2');
  [bar.max, bar.value] = [chosen.length, 0];
  panel.replaceChildren(title, bar, list);
  panel.hidden = false;
  working = true;
  const counts = {};
  for (const { enrollment, title: name } of chosen) {
    const line = document.createElement('li');
    let result = 'failed';
    let why = retry;
    try {
      const answer = await fetch('/api/admin/approve', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ enrollments: [enrollment], note: form.elements.note.value, dry_run: dry, bulk: true }),
      });
      const body = await answer.json();
      ({ result = 'failed', why = '' } = body.items?.[0] ?? { why: body.error });
    } catch {
      // It stays "failed", with what to do.
    }
    counts[result] = (counts[result] ?? 0) + 1;
    const word = { approved: dry ? 'would be approved' : 'approved', already_approved: 'was approved before',
      awaits_second: `${dry ? 'would wait' : 'waits'} for a second person` }[result];
    line.textContent = `${name}: ${word ?? `not approved: ${why}`}`;
    line.className = word ? 'good' : 'bad';
    list.append(line);
    bar.value += 1;
    title.textContent = `${dry ? 'Dry run' : 'Approval'}: ${bar.value} of ${chosen.length}`;
  }
  working = false;
  const failed = counts.failed ?? 0;
  say(`${dry ? 'Dry run' : 'Approval'} of ${chosen.length}: ${chosen.length - failed} fine, ${failed} not.`, failed > 0);
  if (!dry) anew();
}

/** The articles one can walk through with the keyboard. */
function walk(by) {
  const items = all('main article[tabindex]');
  const at = items.indexOf(document.activeElement?.closest('article'));
  items[Math.min(Math.max(at + by, 0), items.length - 1)]?.focus();
}

const keys = {
  j: () => walk(1),
  k: () => walk(-1),
  x: () => document.activeElement?.querySelector('input[type=checkbox]')?.click(),
  a: () => document.activeElement?.querySelector('form[action="/admin/approve"] button')?.click(),
  r: () => document.activeElement?.querySelector('form[action="/admin/reject"] input[name=reason]')?.focus(),
  '/': () => document.querySelector('main input[type=search]')?.focus(),
  '?': () => { const help = document.getElementById('keys'); help.hidden = !help.hidden; },
};

function admin(live, who) {
  let due;
  const soon = () => {
    clearTimeout(due);
    due = setTimeout(() => !working && anew(), 30);
  };
  addEventListener('coursegate:event', soon);
  window.coursegate = follow(live, { who });

  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Escape') document.activeElement?.closest('article')?.focus();
    if (event.target.closest('input, select, textarea')) return;
    if (keys[event.key]) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  document.addEventListener('click', (event) => {
    const link = event.target.closest('a[href^="/admin"]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    say('');
    go(link.href);
  });
  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (!form.closest('main')) return;
    event.preventDefault();
    const filled = new FormData(form, event.submitter);
    // Not form.action: a field of that name would hide it.
    const action = form.getAttribute('action');
    if (form.enctype === 'multipart/form-data') {
      say('The file is being read.');
      go(action, { request: { method: 'POST', body: filled } });
      return;
    }
    const fields = new URLSearchParams(filled);
    if (form.id === 'bulk') bulk(form, event.submitter.value === 'try');
    else if (form.getAttribute('method') === 'get') go(`${action}?${fields}`);
    else go(action, { request: { method: 'POST', body: fields } });
  });
  document.addEventListener('change', ({ target }) => {
    if (target.id === 'everything') all('main input[data-enrollment]').forEach((box) => { box.checked = target.checked; });
    if (target.dataset.all) all(`main input[form=${target.dataset.all}]`).forEach((box) => { box.checked = target.checked; });
  });
  document.addEventListener('click', ({ target }) => {
    if (target.dataset.tick) all(`main input[data-${target.dataset.tick}]`).forEach((box) => { box.checked = true; });
  });
  // A file that is dropped is looked at, as if it were chosen.
  for (const name of ['dragover', 'dragleave', 'drop']) {
    document.addEventListener(name, (event) => {
      const place = event.target.closest?.('[data-drop]');
      if (!place) return;
      event.preventDefault();
      place.toggleAttribute('data-over', name === 'dragover');
      const file = place.querySelector('input[type=file]');
      if (name !== 'drop' || !event.dataTransfer.files.length) return;
      file.files = event.dataTransfer.files;
      file.form.requestSubmit();
    });
  }
  // How far a large import is.
  addEventListener('coursegate:event', ({ detail }) => {
    const { done, of } = detail.import ?? {};
    if (done < of) say(`Imported ${done} of ${of} rows.`);
  });
  reveal();
  addEventListener('popstate', () => go(location.href, { push: false }));
}

// --- Both ----------------------------------------------------------------------------------------

addEventListener('coursegate:status', ({ detail: { connected, refused } }) => {
  document.getElementById('offline').hidden = connected;
  // Nobody is signed in any more, perhaps: the server knows.
  if (refused) anew();
});
const { live, who } = document.body.dataset;
if (live === '/api/admin/live') admin(live, who);
else if (live) learner(live, who);
