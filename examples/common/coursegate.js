// Keeps a page in step with the school: one connection for all tabs of a browser, cards that never go
// back, and DOM events for whatever front end there is. No dependencies; it works without the demo's pages.
//
//   import { follow } from '/coursegate.js';
//   const live = follow('/api/live', { who: 'learner-7' });
//   addEventListener('coursegate:card', ({ detail }) => show(detail.course, detail.card));
//   live.confirming('rust-101'); // the learner came back from the pay page
//
// Events on `window`:
//   coursegate:card    { course, version, card, optimistic }   what a course's button shows now
//   coursegate:event   the admins' stream: an update as the server sent it
//   coursegate:status  { connected, leader, refused }         refused: the server answered, and said no
//
// It decides nothing about access: a card is for show, and the server asks again at every door.

const CHANNEL = 'coursegate';

/**
 * Follows a stream. `who` keeps what one person saw from the next one on the same browser; `cards` are those that
 * the page was made with: what an earlier page has seen is not shown in their place.
 */
export function follow(url, { who = '', cards: made = [] } = {}) {
  const name = `${CHANNEL}:${url}:${who}`;
  const tabs = 'BroadcastChannel' in window ? new BroadcastChannel(name) : null;
  const cards = new Map(made.map((card) => [card.course, card]));
  const hopes = new Map();
  let source = null;
  let leads = false;
  let stopped = false;
  let release = () => {};

  const tell = (type, detail) => dispatchEvent(new CustomEvent(`coursegate:${type}`, { detail }));
  const read = () => {
    try {
      return JSON.parse(localStorage.getItem(name)) ?? {};
    } catch {
      return {};
    }
  };
  const keep = (token) => {
    try {
      localStorage.setItem(name, JSON.stringify({ token, cards: [...cards.values()], at: Date.now() }));
    } catch {
      // Private windows may have no storage: the stream goes on without.
    }
  };

  /** Shows a card, unless a newer one was shown; one that is `old` only if it is newer after all. */
  const show = (card, old = false) => {
    const known = cards.get(card.course);
    // Another enrollment is another story: the school's data was made anew.
    const same = known?.enrollment === card.enrollment;
    const older = known && (same ? known.version >= card.version + (old ? 0 : 1) : old);
    if (older || JSON.stringify(known) === JSON.stringify(card)) return;
    cards.set(card.course, card);
    const hope = hopes.get(card.course);
    if (hope !== undefined && card.version > hope) hopes.delete(card.course);
    if (!hopes.has(card.course)) tell('card', { ...card, optimistic: false });
  };

  const take = (update) => {
    if (Array.isArray(update.cards)) update.cards.forEach((card) => show(card));
    else tell('event', update);
  };

  /** The leader hears from the server, and tells the other tabs. */
  const lead = () => {
    if (stopped) return;
    leads = true;
    const since = read().token;
    const query = since ? `${url.includes('?') ? '&' : '?'}since=${encodeURIComponent(since)}` : '';
    source = new EventSource(url + query);
    const heard = ({ data, lastEventId }) => {
      const update = JSON.parse(data);
      take(update);
      tabs?.postMessage(update);
      keep(lastEventId);
    };
    source.addEventListener('learner', heard);
    source.addEventListener('admin', heard);
    source.onopen = () => tell('status', { connected: true, leader: true });
    source.onerror = () => {
      // The browser tries again by itself, unless the server said no for good.
      const refused = source?.readyState === EventSource.CLOSED;
      tell('status', { connected: false, leader: true, refused });
      if (refused) again(3000);
    };
  };
  const again = (wait) => {
    source?.close();
    source = null;
    setTimeout(() => !source && navigator.onLine && lead(), wait);
  };

  if (tabs) tabs.onmessage = ({ data }) => take(data);
  const showKept = () => {
    const { cards: kept = [], at = 0 } = read();
    kept.forEach((card) => show(card, at < performance.timeOrigin));
  };
  // Where tabs cannot speak to each other, storage tells that another one heard something.
  const stored = ({ key }) => key === name && !tabs && showKept();
  // A connection that looks open may be dead: close it when the network goes, and open it when it comes.
  const offline = () => {
    if (!leads) return;
    source?.close();
    source = null;
    tell('status', { connected: false, leader: true });
  };
  const online = () => leads && again(0);
  addEventListener('storage', stored);
  addEventListener('online', online);
  addEventListener('offline', offline);

  showKept();
  if (navigator.locks) {
    // Whoever holds the lock leads; when its tab is closed, the next one does.
    navigator.locks.request(name, () => new Promise((done) => {
      release = done;
      lead();
    }));
  } else {
    lead();
  }

  return {
    /** The cards as they were last shown. */
    cards: () => [...cards.values()],
    /** Shows "confirming" until the server's next word on this course, or for so long. */
    confirming(course, patience = 15000) {
      const known = cards.get(course);
      hopes.set(course, known?.version ?? -1);
      tell('card', {
        ...known,
        course,
        optimistic: true,
        card: { ...known?.card, text: 'Confirming\u2026', action: 'wait', disabled: true, reason: 'confirming' },
      });
      setTimeout(() => {
        if (!hopes.delete(course)) return;
        const now = cards.get(course);
        if (now) tell('card', { ...now, optimistic: false });
      }, patience);
    },
    /** Stops following, and lets another tab lead. */
    stop() {
      stopped = true;
      source?.close();
      tabs?.close();
      removeEventListener('storage', stored);
      removeEventListener('online', online);
      removeEventListener('offline', offline);
      release();
    },
  };
}
