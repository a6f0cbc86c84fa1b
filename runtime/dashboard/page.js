// The page of the dashboard: it asks /api for what there is, then follows /api/stream. docs/dashboard.md is the
// contract.
//
// Names of clients and texts of events come from other machines, so whatever the API says becomes text
// (`textContent`), never markup. What has come is kept here as it came. It is drawn at most once a second, only what
// changed of it, and only while the page can be seen.

const kDrawEvery_ms = 1000;
const kSilence_ms = 15000;    // after so long without a word the server is asked whether it is there
const kPatience_ms = 10000;   // for one answer
const kLongestPause_ms = 5000;
const kVersionsAtOnce = 5000;
const kEvents = 500;
const kRowsAtOnce = 50;
const kStretches = 240;       // of a curve
const kRateBins = 60;
const kStalenessBins = 32;    // the last one holds all above
const kFewPoints = 40;        // are drawn as points, too
const kLongWait_s = 10;
const kDay_s = 86400;

const kStates = ['training', 'waiting', 'lost', 'quarantined', 'absent'];
const kWorstFirst = ['lost', 'quarantined', 'training', 'waiting', 'absent'];

const $ = (id) => document.getElementById(id);
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const within = (ms, promise) =>
  Promise.race([promise, pause(ms).then(() => { throw new Error('the server does not answer'); })]);

// -- What is known, and how it is looked at

const known = {
  run: null, versions: [], clients: [], staleness: [], events: [], settings: [],
  link: 'connecting',  // or connected, lost, denied
  heard_ms: null,      // when the last word came
};

const view = {
  byTime: false,
  state: '', name: '', sort: null, page: 0,  // of the clients
  setting: '', onlyChanged: false,
};

const newest = () => known.versions.at(-1)?.version ?? 0;
const seconds = (version) => (known.run?.virtual_time ? version.virtual_s ?? version.time_s : version.time_s);

function forget() {
  Object.assign(known, { run: null, versions: [], clients: [], staleness: [], events: [], settings: [] });
  changed('run', 'charts', 'staleness', 'clients', 'events', 'settings');
}

/// What is done with each kind of news, by its name in the stream.
const take = {
  run(run) {
    if (known.run && known.run.state !== run.state) announce(`The run is now: ${run.state}`);
    known.run = run;
    changed('run');
  },
  versions(list) {
    const { versions } = known;
    for (const version of list) {
      // Versions that are made again, after a restart from an older state, replace what was there.
      while (versions.length > 0 && newest() >= version.version) versions.pop();
      versions.push(version);
    }
    if (list.length > 0) changed('charts');
  },
  clients(list) {
    known.clients = list;
    changed('clients');
  },
  staleness(histogram) {
    known.staleness = histogram.counts;
    changed('staleness');
  },
  events(list) {
    const last = known.events.at(-1)?.id ?? -Infinity;
    const fresh = list.filter((event) => event.id > last);
    const serious = fresh.filter((event) => event.level !== 'info').at(-1);
    if (serious && known.link === 'connected') announce(serious.text);
    known.events = [...known.events, ...fresh].slice(-kEvents);
    changed('events');
  },
};

// -- Asking the server

const token = new URLSearchParams(location.search).get('token');

function address(what, after) {
  const url = new URL(`/api/${what}`, location.origin);
  if (after !== undefined) url.searchParams.set('after', after);
  if (token !== null) url.searchParams.set('token', token);
  return url;
}

class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function ask(what, after) {
  const signal = AbortSignal.timeout(kPatience_ms);
  const answer = await fetch(address(what, after), { cache: 'no-store', signal });
  const body = await answer.json().catch(() => null);
  if (!answer.ok || body === null) throw new Refused(answer.status, body?.error ?? `HTTP status ${answer.status}`);
  known.heard_ms = Date.now();
  return body;
}

/// Asks for what there is, or for what was missed while there was no connection.
async function catchUp() {
  const [settings, clients, staleness, events] =
    await Promise.all([ask('config'), ask('clients'), ask('staleness'), ask('events')]);
  known.settings = settings;
  changed('settings');
  take.clients(clients);
  take.staleness(staleness);
  // All events anew, they are few: a server that was started again may count them from the beginning.
  known.events = [];
  take.events(events);
  for (let more = true; more;) {
    const versions = await ask('versions', known.versions.length > 0 ? newest() : undefined);
    take.versions(versions);
    more = versions.length >= kVersionsAtOnce;
  }
}

/// Follows the stream until the connection is lost, which it throws.
async function follow(onConnected) {
  const run = await ask('run');  // says why it is refused, which an EventSource does not
  if (known.run && (run.run_id !== known.run.run_id || run.version < newest())) forget();
  take.run(run);
  const stream = new EventSource(address('stream'));
  try {
    let fail;
    const failed = new Promise((_, reject) => { fail = reject; });
    failed.catch(() => {});  // it may fail while something else is waited for
    stream.addEventListener('error', () => fail(new Error('the stream ended')));
    // From its opening on, what is new comes by the stream. What was before is asked for and goes first; the news
    // wait for it.
    const opened = new Promise((open) => stream.addEventListener('open', open));
    const ready = within(kPatience_ms, opened).then(catchUp);
    for (const [kind, taken] of Object.entries(take)) {
      stream.addEventListener(kind, (event) => {
        known.heard_ms = Date.now();
        ready.then(() => taken(JSON.parse(event.data))).catch(fail);
      });
    }
    await Promise.race([ready, failed]);
    onConnected();
    for (;;) {
      await Promise.race([pause(kSilence_ms / 3), failed]);
      if (Date.now() - known.heard_ms < kSilence_ms) continue;
      // A connection can be gone without its end ever being told.
      take.run(await ask('run'));
    }
  } finally {
    stream.close();
  }
}

async function stayConnected() {
  for (let pause_ms = 1000; ; pause_ms = Math.min(2 * pause_ms, kLongestPause_ms)) {
    try {
      await follow(() => {
        pause_ms = 500;
        setLink('connected');
      });
    } catch (error) {
      setLink(error.status === 401 ? 'denied' : 'lost');
    }
    await pause(pause_ms);
  }
}

function setLink(link) {
  if (known.link === link) return;
  if (link !== 'connected') announce('The connection to the server is lost');
  else if (known.link !== 'connecting') announce('The connection to the server is back');
  known.link = link;
  changed('link', 'run');
}

// -- Drawing: when, and the small things

const dirty = new Set();
let drawTimer = 0;
let drawn_ms = -Infinity;

function changed(...parts) {
  for (const part of parts) dirty.add(part);
  if (drawTimer || document.hidden) return;
  drawTimer = setTimeout(drawChanged, Math.max(0, drawn_ms + kDrawEvery_ms - performance.now()));
}

function drawChanged() {
  drawTimer = 0;
  if (document.hidden) return;
  drawn_ms = performance.now();
  const parts = [...dirty];
  dirty.clear();
  for (const part of parts) {
    try {
      draw[part]();
    } catch (error) {
      reportError(error);  // the other parts go on
    }
  }
}

/// Setting a text that is already there would still cost a layout.
function write(place, text) {
  const element = typeof place === 'string' ? $(place) : place;
  if (element.textContent !== text) element.textContent = text;
}

function make(tag, className, ...content) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...content);
  return element;
}

function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.append(document.createElementNS('http://www.w3.org/2000/svg', 'use'));
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  setIcon(svg, name);
  return svg;
}

function setIcon(element, name) {
  const use = element.querySelector('use');
  const href = `#icon-${name}`;
  if (use.getAttribute('href') !== href) use.setAttribute('href', href);
}

/// For a screen reader. A text that is already there would not be read again.
function announce(text) {
  const last = $('announcer').textContent;
  $('announcer').textContent = last === text ? `${text}\u00a0` : text;
}

// -- Numbers as text, as the program itself writes them (runtime/quantities.hpp)

const kNone = '–';
const grouped = new Intl.NumberFormat('en');
const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);
/// A format of numbers that says so when there is none.
const orNone = (format) => (value) => (isNumber(value) ? format(value) : kNone);

const count = orNone((value) => grouped.format(value));
const counted = (value, noun) => `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
const percent = orNone((share) => `${(100 * share).toFixed(2)}\u00a0%`);
const loss = orNone((value) =>
  (value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(2) : value.toFixed(4)));
const mean = orNone((value) => value.toFixed(1));
const rate = orNone((value) => {
  const size = Math.abs(value);
  return size < 9.995 ? value.toFixed(2) : size < 99.95 ? value.toFixed(1) : grouped.format(Math.round(value));
});

const bytes = orNone((value) => {
  if (value < 1000) return `${value}\u00a0B`;
  let size = value / 1000;
  let unit = 0;
  for (; size >= 999.5 && unit < 5; ++unit) size /= 1000;
  return `${rate(size)}\u00a0${['kB', 'MB', 'GB', 'TB', 'PB', 'EB'][unit]}`;
});

const twoDigits = (value) => String(value).padStart(2, '0');

const duration = orNone((value) => {
  if (value < 9.95) return `${value.toFixed(1)}\u00a0s`;
  if (value < 59.5) return `${value.toFixed(0)}\u00a0s`;
  if (value < 3599.5) {
    const whole = Math.round(value);
    return `${Math.floor(whole / 60)} min ${twoDigits(whole % 60)} s`;
  }
  if (value < kDay_s - 30) {
    const minutes = Math.round(value / 60);
    return `${Math.floor(minutes / 60)} h ${twoDigits(minutes % 60)} min`;
  }
  const hours = Math.round(value / 3600);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
});

/// How long ago something was: without the tenths, which would only flicker.
const age = orNone((value) => (value < 59.5 ? `${value.toFixed(0)}\u00a0s` : duration(value)));

const seen = orNone((value) => (value < 1 ? 'now' : `${age(value)} ago`));

const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const dayAndTime = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });
const timeOfDay = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });

function timeElement(iso, format) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return make('span', '', String(iso ?? kNone));
  const element = make('time', '', format(date));
  element.dateTime = date.toISOString();
  element.title = iso;
  return element;
}

// -- Drawing: the run and the connection

/// What a state of the run looks like. Any other is one that the run does not want to stay in.
const kLooks = {
  training: ['good', 'training'],
  running: ['good', 'training'],
  finished: ['busy', 'done'],
  completed: ['busy', 'done'],
  stopped: ['idle', 'stopped'],
  failed: ['bad', 'error'],
  'waiting for clients': ['warning', 'waiting'],
};

const kEnded = ['finished', 'completed', 'stopped', 'failed'];

/// The goal that is nearest, as a share of the way to it; null: there is none.
function progressOf(run) {
  const shares = [];
  const consider = (done, goal) => { if (goal > 0) shares.push(Math.min(Math.max(done / goal, 0), 1)); };
  consider(run.version, run.max_versions);
  consider(run.updates_accepted, run.max_updates);
  if (isNumber(run.remaining_s)) consider(run.elapsed_s, run.elapsed_s + run.remaining_s);
  return shares.length > 0 ? Math.max(...shares) : null;
}

function goalText(run, share) {
  if (['finished', 'completed'].includes(run.state)) return `Completed after ${duration(run.elapsed_s)}`;
  if (share === null) return 'No goal is set: the run goes on until it is stopped';
  const done = `${Math.floor(100 * share)} % done`;
  return kEnded.includes(run.state) ? `Ended with ${done}` : done;
}

function drawRun() {
  const { run } = known;
  if (!run) return;

  write('strategy', run.strategy);
  write('subject', `${run.model} on ${run.data} · ${counted(run.clients_count, 'client')}`);
  const [tone, shape] = kLooks[run.state] ?? ['warning', 'info'];
  const isOld = known.link !== 'connected' && !kEnded.includes(run.state);
  $('state').dataset.tone = isOld ? 'idle' : tone;
  setIcon($('state'), shape);
  write($('state').lastElementChild, isOld ? `was ${run.state}` : run.state);
  const reached = isNumber(run.accuracy) ? `${percent(run.accuracy)} · ` : '';
  document.title = `${reached}v${run.version} · ${run.state} – fl_actor`;

  write('run-id', String(run.run_id ?? kNone).slice(0, 12));
  $('run-id').title = run.run_id ?? '';
  write('folder', run.folder || kNone);
  if ($('created-at').dataset.value !== run.created_at) {
    $('created-at').dataset.value = run.created_at;
    $('created-at').replaceChildren(timeElement(run.created_at, dayAndTime.format));
  }
  write('software', run.software_version || kNone);

  $('not-ready').hidden = !run.live || !run.not_ready;
  write($('not-ready').lastElementChild, `No client can be given work: ${run.not_ready}`);

  const share = progressOf(run);
  write('goal-text', goalText(run, share));
  const goesOn = isNumber(run.remaining_s) && !kEnded.includes(run.state);
  write('remaining', goesOn ? `about ${duration(run.remaining_s)} left` : '');
  $('goal').hidden = share === null;
  $('goal').value = ['finished', 'completed'].includes(run.state) ? 1 : share ?? 0;

  write('accuracy', percent(run.accuracy));
  write('accuracy-note', isNumber(run.best_accuracy) ? `best ${percent(run.best_accuracy)}` : 'not evaluated yet');
  write('loss', loss(run.loss));
  write('loss-note', isNumber(run.train_loss) ? `training ${loss(run.train_loss)}` : '');
  write('version', count(run.version));
  write('version-note', run.max_versions > 0 ? `of ${count(run.max_versions)}` : '');
  write('updates', count(run.updates_accepted));
  write('updates-note', updatesNote(run));
  const measured = isNumber(run.updates_per_s);
  write('rate', rate(measured ? run.updates_per_s : run.updates_accepted / run.elapsed_s));
  write('rate-note', !measured ? 'mean of the run'
    : isNumber(run.staleness_mean) ? `mean staleness ${mean(run.staleness_mean)}` : '');
  write('time-name', run.virtual_time ? 'Simulated time' : 'Time');
  write('time', duration(run.elapsed_s));
  const waits = Boolean(run.live && run.waited_for) && !kEnded.includes(run.state);
  write('time-note', waits ? `waiting ${age(run.waited_s)} for ${run.waited_for}` : '');
  $('time-note').dataset.long = waits && run.waited_s >= kLongWait_s;
  write('bytes-up', bytes(run.bytes_up));
  write('bytes-down', `${bytes(run.bytes_down)} downloaded`);
  write('restarts', count(run.restarts));
  write('restarts-note', run.restarts > 0 ? 'see the events' : '');

  drawFleet(run);
  drawLink();
}

function updatesNote(run) {
  const reasons = Object.entries(run.updates_rejected ?? {});
  const refused = reasons.reduce((sum, [, number]) => sum + number, 0);
  const parts = [];
  if (run.max_updates > 0) parts.push(`of ${count(run.max_updates)}`);
  if (refused > 0) parts.push(`${count(refused)} refused (${reasons.map(([reason]) => reason).join(', ')})`);
  return parts.join(', ');
}

function drawFleet(run) {
  const counts = { ...run.clients };
  const came = kStates.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
  counts.absent ??= Math.max(0, run.clients_count - came);
  // Of a run that nobody works on only the quarantined are known.
  const shown = run.live ? kStates : ['quarantined'];
  write('fleet-size',
    run.live ? `${count(came)} of ${count(run.clients_count)} came` : counted(run.clients_count, 'client'));

  const shares = $('fleet-shares');
  const list = $('fleet-counts');
  if (list.children.length !== shown.length) {
    shares.replaceChildren(...shown.map(() => make('span')));
    list.replaceChildren(...shown.map((state) => make('li', '', icon(state), make('b'), make('span', '', state))));
  }
  shares.hidden = !run.live;
  shown.forEach((state, i) => {
    for (const { children } of [shares, list]) children[i].dataset.state = state;
    shares.children[i].hidden = !counts[state];
    shares.children[i].style.flexGrow = counts[state] ?? 0;
    write(list.children[i].querySelector('b'), count(counts[state] ?? 0));
  });
}

function drawLink() {
  const { run, link } = known;
  const [look, shape, text] = {
    connecting: ['connecting', 'absent', 'Connecting'],
    connected: run?.live ? ['live', 'live', 'Live'] : ['stored', 'stored', 'Recorded'],
    lost: ['lost', 'lost', 'Disconnected'],
    denied: ['denied', 'lost', 'No access'],
  }[link];
  $('link').dataset.link = look;
  setIcon($('link'), shape);
  write($('link').lastElementChild, text);

  const broken = link === 'lost' || link === 'denied';
  $('banner').hidden = !broken;
  if (!broken) return;
  const over = link === 'lost' && run !== null && kEnded.includes(run.state);
  $('banner').dataset.tone = over ? 'calm' : 'bad';
  setIcon($('banner'), over ? 'info' : 'error');
  if (over) {
    write('banner-title', 'The run has ended, and its server with it.');
    write('banner-text', `This is the last it said. To look again: fl_actor_node view ${run.folder}`);
  } else if (link === 'denied') {
    write('banner-title', token === null ? 'The server wants a token.' : 'The server does not know this token.');
    write('banner-text', `Open this page as ${location.origin}/?token=TOKEN`);
  } else {
    write('banner-title', 'The connection to the server is lost.');
    write('banner-text', run === null ? 'Trying again …'
      : `What you see is ${age((Date.now() - known.heard_ms) / 1000)} old. Trying again …`);
  }
}

// -- Drawing: charts

/// The colours of the style sheet, as the theme has them now.
const paint = {};

function readColours() {
  const probe = document.body.appendChild(make('span'));
  for (const name of ['text', 'muted', 'line', 'raised', 'card', 'blue', 'orange', 'green']) {
    probe.style.color = `var(--${name})`;
    paint[name] = getComputedStyle(probe).color;
  }
  probe.remove();
}

const washed = (colour) => colour.replace('rgb(', 'rgba(').replace(')', ', 0.13)');

/// The versions as points of a curve. Of many, each stretch gives its lowest and its highest, so that no peak is
/// lost, and the last one is always there.
function curve(value) {
  const { versions } = known;
  const length = Math.max(1, Math.ceil(versions.length / kStretches));
  const chosen = [];
  for (let begin = 0; begin < versions.length; begin += length) {
    let low = -1;
    let high = -1;
    for (let i = begin; i < Math.min(begin + length, versions.length); ++i) {
      const y = value(versions[i]);
      if (!isNumber(y)) continue;
      if (low < 0 || y < value(versions[low])) low = i;
      if (high < 0 || y >= value(versions[high])) high = i;
    }
    if (low < 0) continue;
    chosen.push(Math.min(low, high));
    if (low !== high) chosen.push(Math.max(low, high));
  }
  const last = versions.findLastIndex((version) => isNumber(value(version)));
  if (last >= 0 && chosen.at(-1) !== last) chosen.push(last);
  return chosen.map((i) => ({
    x: view.byTime ? seconds(versions[i]) : versions[i].version, y: value(versions[i]), version: versions[i],
  }));
}

/// Updates a second, by equal stretches of the run's time. A version's updates came some time since the one before.
function rates() {
  const { versions } = known;
  const end = versions.length > 0 ? seconds(versions.at(-1)) : 0;
  if (!(end > 0)) return [];
  const bins = Math.min(kRateBins, Math.max(versions.length, 2));
  const width = end / bins;
  const updates = new Float64Array(bins);
  const binOf = (time) => Math.min(bins - 1, Math.max(0, Math.floor(time / width)));
  let from = 0;
  for (const version of versions) {
    const to = Math.max(from, seconds(version));
    const last = binOf(to);
    if (to === from) updates[last] += version.updates;
    for (let bin = binOf(from); to > from && bin <= last; ++bin) {
      const part = Math.min(to, (bin + 1) * width) - Math.max(from, bin * width);
      updates[bin] += version.updates * Math.max(0, part) / (to - from);
    }
    from = to;
  }
  return Array.from(updates, (sum, bin) => ({ x: (bin + 0.5) * width, y: sum / width }));
}

const kTimeSteps_s = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600,
  7200, 10800, 21600, 43200, kDay_s];

function shortTime(value) {
  if (value < 60) return `${Number(value.toFixed(2))} s`;
  const [big, small, unit] =
    value < 3600 ? [60, 1, 'min'] : value < kDay_s ? [3600, 60, 'h'] : [kDay_s, 3600, 'd'];
  const whole = Math.floor(value / big);
  const rest = Math.round((value % big) / small);
  if (rest === 0) return `${whole} ${unit}`;
  return unit === 'd' ? `${whole} d ${rest} h` : `${whole}:${twoDigits(rest)} ${unit}`;
}

/// One chart: its series, their values as text (`format`, shorter on the axis: `tick`), and what it says in words,
/// which is also its text for those who cannot see it.
class Figure {
  constructor(name, { series, format, tick = format, say, title, fromZero = false, grace = 0, ...rest }) {
    Object.assign(this, { series, say, ofTime: rest.ofTime ?? (() => view.byTime) });
    this.figure = document.querySelector(`[data-chart="${name}"]`);
    this.text = this.figure.querySelector('p');
    if (series.length > 1) this.figure.querySelector('ul').append(...series.map((one) => {
      const item = make('li', one.dash ? 'dashed' : '', one.name);
      item.dataset.series = one.colour;
      return item;
    }));
    if (!window.Chart) return;
    const bars = series[0].bars;
    this.chart = new Chart(this.figure.querySelector('canvas'), {
      type: bars ? 'bar' : 'line',
      data: { labels: [], datasets: series.map((one) => ({
        label: one.name,
        data: [],
        borderColor: () => paint[one.colour],
        backgroundColor: () => (one.fill ? washed(paint[one.colour]) : paint[one.colour]),
        fill: Boolean(one.fill),
        borderWidth: bars ? 0 : 1.75,
        borderDash: one.dash ?? [],
        pointRadius: 0,
        clip: 6,
        pointHitRadius: 8,
        pointHoverRadius: 3.5,
        pointBackgroundColor: () => paint[one.colour],
        categoryPercentage: 1,
        barPercentage: 0.86,
        maxBarThickness: 36,
      })) },
      options: {
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        ...(bars ? {} : { parsing: false, normalized: true }),
        interaction: { mode: bars ? 'index' : 'nearest', axis: 'x', intersect: false },
        layout: { padding: { top: 4, right: 4 } },
        scales: {
          x: {
            ...(bars ? {} : { type: 'linear', min: 0, afterBuildTicks: (axis) => this.setTimeTicks(axis) }),
            grid: { display: false, borderColor: () => paint.line },
            ticks: {
              color: () => paint.muted, maxRotation: 0, autoSkipPadding: 16, includeBounds: false,
              ...(bars ? {} : {
                precision: 0, callback: (value) => (this.ofTime() ? shortTime(value) : count(value)),
              }),
            },
          },
          y: {
            beginAtZero: fromZero,
            grace,
            grid: { color: () => paint.line, drawBorder: false, drawTicks: false },
            ticks: { color: () => paint.muted, maxTicksLimit: 6, padding: 8, callback: tick },
          },
        },
        plugins: {
          legend: { display: false },
          tooltip: {
            backgroundColor: () => paint.card,
            borderColor: () => paint.muted,
            borderWidth: 1,
            titleColor: () => paint.text,
            bodyColor: () => paint.text,
            padding: 9,
            cornerRadius: 6,
            boxWidth: 8,
            boxHeight: 8,
            boxPadding: 5,
            callbacks: {
              title: (items) => (items.length > 0 ? title(items[0]) : ''),
              label: (item) => `${item.dataset.label}: ${format(item.parsed.y)}`,
            },
          },
        },
      },
    });
  }

  /// Chart.js knows decimal steps only.
  setTimeTicks(axis) {
    if (!this.ofTime()) return;
    const step = kTimeSteps_s.find((one) => axis.max / one <= 6) ?? Math.ceil(axis.max / 6 / kDay_s) * kDay_s;
    axis.ticks = [];
    for (let i = 0; i * step <= axis.max; ++i) axis.ticks.push({ value: i * step });
  }

  draw() {
    write(this.text, this.say());
    const { chart } = this;
    if (!chart) return;
    this.series.forEach((one, i) => {
      const data = one.points();
      chart.data.datasets[i].data = data;
      chart.data.datasets[i].pointRadius = data.length <= kFewPoints ? 1.75 : 0;
    });
    if (this.series[0].bars) {
      chart.data.labels = this.series[0].labels();
    } else {
      const last = known.versions.at(-1);
      const { x } = chart.options.scales;
      x.max = last ? (this.ofTime() ? seconds(last) : last.version) : 1;
    }
    chart.update('none');
  }
}

const ofVersion = ({ raw }) => `Version ${count(raw.version.version)}, ${duration(seconds(raw.version))}`;
const lastWith = (field) => known.versions.findLast((version) => isNumber(version[field]));

function sayAccuracy() {
  const last = lastWith('eval_accuracy');
  if (!last) return 'No version has been evaluated yet.';
  let best = last;
  let evaluated = 0;
  for (const version of known.versions) {
    if (!isNumber(version.eval_accuracy)) continue;
    ++evaluated;
    if (version.eval_accuracy > best.eval_accuracy) best = version;
  }
  return `${percent(last.eval_accuracy)} at version ${count(last.version)}, best ${percent(best.eval_accuracy)} `
    + `at version ${count(best.version)}; ${counted(evaluated, 'version')} evaluated`;
}

function sayLoss() {
  const evaluated = lastWith('eval_loss');
  const trained = lastWith('train_loss');
  if (!trained) return 'No version has been made yet.';
  return (evaluated ? `evaluation ${loss(evaluated.eval_loss)} at version ${count(evaluated.version)}, ` : '')
    + `training ${loss(trained.train_loss)} at version ${count(trained.version)}`;
}

function sayRate() {
  const points = rates();
  if (points.length === 0) return 'No version has been made yet.';
  const speeds = points.map((point) => point.y);
  const whole = speeds.reduce((sum, speed) => sum + speed, 0) / speeds.length;
  return `mean ${rate(whole)}, highest ${rate(Math.max(...speeds))}, last ${rate(speeds.at(-1))}`
    + (known.run?.virtual_time ? '; by the simulated clock' : '');
}

function sayBytes() {
  const last = known.versions.at(-1);
  return last ? `${bytes(last.bytes_up)} up, ${bytes(last.bytes_down)} down at version ${count(last.version)}`
    : 'Nothing has been transferred yet.';
}

/// The bins up to the last that is not empty, at least eight, so that the bars do not jump in width.
function stalenessBins() {
  return known.staleness.slice(0, Math.max(8, known.staleness.findLastIndex((number) => number > 0) + 1));
}

const stalenessName = (bin) => (bin === kStalenessBins - 1 ? `${bin}+` : String(bin));
const stalenessTotal = () => known.staleness.reduce((sum, number) => sum + number, 0);

function sayStaleness() {
  const total = stalenessTotal();
  if (total === 0) return 'No update has been accepted yet.';
  let below = 0;
  const median = known.staleness.findIndex((number) => (below += number) * 2 >= total);
  const highest = known.staleness.findLastIndex((number) => number > 0);
  return `${counted(total, 'update')}, ${percent(known.staleness[0] / total)} fresh; `
    + `half at ${stalenessName(median)} or less, highest ${stalenessName(highest)}`;
}

let figures = [];
let stalenessFigure = null;

function makeFigures() {
  $('no-charts').hidden = Boolean(window.Chart);
  const family = getComputedStyle(document.body).fontFamily;
  if (window.Chart) Object.assign(Chart.defaults.font, { family, size: 11.5 });
  const by = (field) => () => curve((version) => version[field]);
  figures = [
    new Figure('accuracy', {
      series: [{ name: 'Accuracy', colour: 'blue', points: by('eval_accuracy') }],
      format: percent, tick: (value) => `${Number((100 * value).toFixed(2))}\u00a0%`, say: sayAccuracy,
      title: ofVersion,
    }),
    new Figure('loss', {
      series: [
        { name: 'evaluation', colour: 'blue', points: by('eval_loss') },
        { name: 'training', colour: 'orange', points: by('train_loss'), dash: [5, 3] },
      ],
      format: loss, tick: (value) => String(Number(value.toPrecision(4))), say: sayLoss, title: ofVersion,
      grace: '4%',
    }),
    new Figure('rate', {
      series: [{ name: 'Updates per second', colour: 'green', points: rates, fill: true }],
      format: rate, tick: (value) => grouped.format(Number(value.toPrecision(4))), say: sayRate,
      title: ({ raw }) => `At ${duration(raw.x)}`, fromZero: true, ofTime: () => true,
    }),
    new Figure('bytes', {
      series: [
        { name: 'up', colour: 'blue', points: by('bytes_up') },
        { name: 'down', colour: 'orange', points: by('bytes_down'), dash: [5, 3] },
      ],
      format: bytes, tick: (value) => bytes(value).replace(/\.0+(?=\D)/, ''), say: sayBytes, title: ofVersion,
      fromZero: true,
    }),
  ];
  stalenessFigure = new Figure('staleness', {
    series: [{
      name: 'Updates', colour: 'blue', bars: true, points: stalenessBins,
      labels: () => stalenessBins().map((_, bin) => stalenessName(bin)),
    }],
    format: (number) => `${count(number)} (${percent(number / stalenessTotal())})`,
    tick: (value) => (Number.isInteger(value) ? count(value) : ''), say: sayStaleness,
    title: ({ label }) => `Staleness ${label}`, fromZero: true,
  });
}

function drawCharts() {
  for (const figure of figures) figure.draw();
}

// -- Drawing: clients

const collator = new Intl.Collator('en', { numeric: true });
const byNumber = (field) => ({ of: (client) => client[field], number: true });

const kColumns = [
  { key: 'name', label: 'Client', of: (client) => client.name },
  { key: 'state', label: 'State', of: (client) => kWorstFirst.indexOf(stateOf(client)) },
  { key: 'samples_per_s', label: 'Samples/s', ...byNumber('samples_per_s') },
  { key: 'last_seen_s', label: 'Last seen', ...byNumber('last_seen_s') },
  { key: 'staleness', label: 'Staleness', ...byNumber('staleness') },
  { key: 'updates', label: 'Updates', ...byNumber('updates') },
  { key: 'share', label: 'Share', ...byNumber('share') },
  { key: 'lost', label: 'Lost tasks', ...byNumber('lost') },
  { key: 'strikes', label: 'Strikes', ...byNumber('strikes') },
];

function makeClientTable() {
  $('client-columns').append(...kColumns.map((column) => {
    const button = make('button', '', column.label, icon('sort'));
    button.type = 'button';
    button.addEventListener('click', () => {
      // The largest number is what is looked for first.
      const descending = view.sort?.key === column.key ? !view.sort.descending : Boolean(column.number);
      view.sort = { key: column.key, descending };
      view.page = 0;
      drawClients();
    });
    const head = make('th', column.number ? 'number' : '', button);
    head.scope = 'col';
    return head;
  }));

  $('client-states').append(...['', ...kStates].map((state) => {
    const button = make('button', '', ...(state ? [icon(state)] : []), make('span', '', state || 'all'), make('b'));
    button.type = 'button';
    button.dataset.state = state;
    button.addEventListener('click', () => {
      view.state = view.state === state ? '' : state;
      view.page = 0;
      drawClients();
    });
    return button;
  }));
}

function chosenClients() {
  const text = view.name.trim().toLowerCase();
  const chosen = known.clients.filter((client) =>
    (!view.state || stateOf(client) === view.state)
    && (!text || String(client.name).toLowerCase().includes(text)));
  if (!view.sort) return chosen;
  const { of, number } = kColumns.find((column) => column.key === view.sort.key);
  const sign = view.sort.descending ? -1 : 1;
  // What is not known comes last either way; what is equal keeps its order.
  return chosen.sort((a, b) => {
    const [x, y] = [of(a), of(b)];
    if (number && isNumber(x) !== isNumber(y)) return isNumber(x) ? -1 : 1;
    return sign * (typeof x === 'string' ? collator.compare(x, y) : (x ?? 0) - (y ?? 0));
  });
}

/// A row that is filled with one client after the other: new elements are what costs.
function makeRow() {
  const cell = (className) => make('td', className);
  const row = {
    name: make('span'), index: make('small'), icon: icon('absent'), state: make('b'), task: make('small'),
    speed: cell('number'), seen: cell('number'), staleness: cell('number'), updates: cell('number'),
    bar: make('i'), share: make('span'), lost: cell('number'), strikes: cell('number'),
  };
  const head = make('th', '', row.name, row.index);
  head.scope = 'row';
  row.line = make('tr', '', head,
    make('td', 'state', make('div', '', row.icon, row.state, row.task)),
    row.speed, row.seen, row.staleness, row.updates,
    make('td', 'number', make('div', 'share', row.bar, row.share)), row.lost, row.strikes);
  return row;
}

/// Of a run that nobody works on the clients are neither here nor absent.
function stateOf(client) {
  return known.run?.live === false && client.state === 'absent' ? '' : client.state;
}

function fillRow(row, client, largestShare) {
  const state = stateOf(client);
  row.line.dataset.state = state;
  write(row.name, client.name);
  row.name.title = client.name;
  write(row.index, `#${client.client}`);
  row.icon.toggleAttribute('hidden', state === '');
  setIcon(row.icon, kStates.includes(state) ? state : 'absent');
  write(row.state, state || kNone);
  const busy = isNumber(client.task) && client.state === 'training';
  write(row.task, busy ? `task ${client.task}, ${age(client.since_s)}` : '');
  write(row.speed, rate(client.samples_per_s));
  write(row.seen, seen(client.last_seen_s));
  write(row.staleness, mean(client.staleness));
  write(row.updates, count(client.updates));
  row.bar.style.setProperty('--share', largestShare > 0 ? (client.share ?? 0) / largestShare : 0);
  write(row.share, percent(client.share));
  write(row.lost, count(client.lost));
  write(row.strikes, count(client.strikes));
  row.strikes.classList.toggle('offence', client.strikes > 0);
}

const rows = [];

function drawClients() {
  const chosen = chosenClients();
  const pages = Math.max(1, Math.ceil(chosen.length / kRowsAtOnce));
  view.page = Math.min(view.page, pages - 1);
  const first = view.page * kRowsAtOnce;
  const shown = chosen.slice(first, first + kRowsAtOnce);
  const largestShare = known.clients.reduce((largest, client) => Math.max(largest, client.share ?? 0), 0);

  while (rows.length < shown.length) rows.push(makeRow());
  shown.forEach((client, i) => {
    fillRow(rows[i], client, largestShare);
    if (!rows[i].line.isConnected) $('client-rows').append(rows[i].line);
  });
  rows.slice(shown.length).forEach((row) => row.line.remove());

  kColumns.forEach(({ key }, i) => {
    const head = $('client-columns').children[i];
    const order = view.sort?.key !== key ? null : view.sort.descending ? 'descending' : 'ascending';
    if (order) head.setAttribute('aria-sort', order);
    else head.removeAttribute('aria-sort');
    setIcon(head, order ?? 'sort');
  });

  for (const button of $('client-states').children) {
    const { state } = button.dataset;
    const number = known.clients.filter((client) => state === '' || stateOf(client) === state).length;
    write(button.querySelector('b'), count(number));
    button.setAttribute('aria-pressed', view.state === state);
    button.hidden = state !== '' && number === 0 && view.state !== state;
  }

  $('no-clients').hidden = shown.length > 0;
  write('no-clients', known.clients.length > 0 ? 'No client is like that.' : 'No client is known yet.');
  const more = known.run && known.run.clients_count > known.clients.length
    ? `; the first ${count(known.clients.length)} of ${count(known.run.clients_count)} are listed` : '';
  write('client-range', shown.length > 0
    ? `${count(first + 1)}–${count(first + shown.length)} of ${count(chosen.length)}${more}` : '');
  $('client-pager').hidden = shown.length === 0;
  for (const id of ['client-back', 'client-on']) $(id).hidden = pages === 1;
  $('client-back').disabled = view.page === 0;
  $('client-on').disabled = view.page === pages - 1;
}

// -- Drawing: events and settings

function eventItem({ time, kind, level, text }) {
  const shape = ['info', 'warning', 'error'].includes(level) ? level : 'info';
  const today = new Date().toDateString();
  const when = timeElement(time, (date) => (date.toDateString() === today ? timeOfDay.format(date)
    : `${day.format(date)} ${timeOfDay.format(date)}`));
  const prefix = level === 'info' ? [] : [make('span', 'unseen', `${level}: `)];
  const item = make('li', '', icon(shape), when, make('p', '', ...prefix, make('b', '', kind), text));
  item.dataset.level = level;
  return item;
}

function drawEvents() {
  const { events } = known;
  $('event-list').replaceChildren(...events.map(eventItem).reverse());
  $('no-events').hidden = events.length > 0;
  const serious = events.filter((event) => event.level !== 'info').length;
  write('event-count', events.length === 0 ? ''
    : `${events.length < kEvents ? '' : 'the last '}${count(events.length)}, newest first`
      + (serious > 0 ? `; ${counted(serious, 'warning')}` : ''));
}

let settingRows = [];

function drawSettings() {
  settingRows = known.settings.map((setting) => {
    const key = make('th', '', setting.key);
    key.scope = 'row';
    const mark = setting.default ? [] : [make('small', '', 'changed')];
    const row = make('tr', '', key, make('td', '', ...mark, setting.value));
    if (!setting.default) row.dataset.changed = '';
    return { row, setting };
  });
  $('setting-rows').replaceChildren(...settingRows.map(({ row }) => row));
  filterSettings();
}

function filterSettings() {
  const text = view.setting.trim().toLowerCase();
  for (const { row, setting } of settingRows) {
    row.hidden = (view.onlyChanged && setting.default)
      || !`${setting.key} = ${setting.value}`.toLowerCase().includes(text);
  }
  const shown = settingRows.filter(({ row }) => !row.hidden).length;
  const different = settingRows.filter(({ setting }) => !setting.default).length;
  write('setting-count', `${count(shown)} of ${counted(settingRows.length, 'setting')} shown; `
    + `${count(different)} changed from their default`);
}

const draw = {
  run: drawRun,
  link: drawLink,
  charts: drawCharts,
  staleness: () => stalenessFigure.draw(),
  clients: drawClients,
  events: drawEvents,
  settings: drawSettings,
};

// -- Light and dark

const systemIsDark = matchMedia('(prefers-color-scheme: dark)');
const kThemeKey = 'fl_actor.theme';

/// A browser may keep nothing for this page; then the choice holds until it is closed.
function kept() {
  try { return localStorage.getItem(kThemeKey); } catch { return null; }
}

function keep(theme) {
  try {
    if (theme) localStorage.setItem(kThemeKey, theme);
    else localStorage.removeItem(kThemeKey);
  } catch { /* see above */ }
}

let chosenTheme = kept();
const systemTheme = () => (systemIsDark.matches ? 'dark' : 'light');
const theme = () => chosenTheme ?? systemTheme();

function showTheme() {
  if (chosenTheme) document.documentElement.dataset.theme = chosenTheme;
  else delete document.documentElement.dataset.theme;
  const other = theme() === 'dark' ? 'light' : 'dark';
  setIcon($('theme'), other);
  write($('theme').lastElementChild, `Use the ${other} theme`);
  $('theme').title = `Use the ${other} theme`;
  readColours();
  for (const figure of [...figures, stalenessFigure]) figure?.chart?.update('none');
}

function otherTheme() {
  const other = theme() === 'dark' ? 'light' : 'dark';
  chosenTheme = other === systemTheme() ? null : other;  // then it follows the system again
  keep(chosenTheme);
  showTheme();
}

// -- What the reader does

for (const button of $('axis').children) {
  button.addEventListener('click', () => {
    view.byTime = button.dataset.axis === 'time';
    for (const one of $('axis').children) one.setAttribute('aria-pressed', one === button);
    drawCharts();
  });
}

$('client-search').addEventListener('input', (event) => {
  view.name = event.target.value;
  view.page = 0;
  drawClients();
});
$('client-back').addEventListener('click', () => { --view.page; drawClients(); });
$('client-on').addEventListener('click', () => { ++view.page; drawClients(); });
$('setting-search').addEventListener('input', (event) => {
  view.setting = event.target.value;
  filterSettings();
});
$('setting-changed').addEventListener('change', (event) => {
  view.onlyChanged = event.target.checked;
  filterSettings();
});
$('theme').addEventListener('click', otherTheme);
systemIsDark.addEventListener('change', showTheme);
document.addEventListener('visibilitychange', () => changed());

showTheme();
makeFigures();
makeClientTable();
changed('charts', 'staleness', 'clients', 'events', 'settings');
setInterval(() => { if (known.link !== 'connected') changed('link'); }, 1000);
stayConnected();
