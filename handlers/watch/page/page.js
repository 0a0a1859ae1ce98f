"use strict";
// Shows status.json, and asks for it again all the time. Whatever an endpoint has said becomes text
// by textContent, and never markup.

const PAUSE = 250;      // ms between an answer and the next question
const PATIENCE = 3000;  // ms that an answer may take
const STALE = 10;       // seconds after which the watcher itself is in doubt
const SILENT = 4;       // seconds without a beat after which a stream is in doubt
const ORDER = ["CRITICAL", "UNKNOWN", "WARNING", "OK"];
const WORDS = {
  CRITICAL: "\u2716 CRITICAL", UNKNOWN: "? CANNOT TELL", WARNING: "\u25B2 WARNING", OK: "\u2713 OK",
};
const PAST = 12;

const byId = (id) => document.getElementById(id);
const shown = new Map();  // the elements of what is shown already, by VIP and endpoint
let tag = "", page = "", status = null, heard = 0, why = "connecting", received = 0;

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function made(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

// In UTC, as every line of the suite writes a time.
function clock(at) {
  const [date, time] = new Date(at * 1000).toISOString().split(/[T.]/);
  const [today] = new Date(now() * 1000).toISOString().split("T");
  return date === today ? `${time}Z` : `${date} ${time}Z`;
}

function span(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["m", 60]]) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.max(0, Math.floor(seconds))} s`;
}

// The time at the watcher: the clock of this browser may be wrong.
function now() {
  return status.at + status.age + (performance.now() - received) / 1000;
}

function fact(value, yes, no, unknown) {
  if (value === null) return unknown;
  return value ? yes : no;
}

function held(hold) {
  if (!hold) return "";
  const until = hold.until === null ? "until released" : `until ${clock(hold.until)}`;
  const over = hold.until !== null && hold.until < now() ? " (EXPIRED)" : "";
  return `held by ${hold.by} ${until}${over}${hold.reason ? ": " + hold.reason : ""}`;
}

// An endpoint that is well and takes no traffic is no failure, and yet not as it should be.
function isOut(one) {
  return one.present === false || one.announced === false;
}

function isWell(one) {
  return one.state === "OK" && !isOut(one) && !one.hold && !one.hold_unknown;
}

function rankOf(one) {
  return ORDER.indexOf(one.state) + (isWell(one) ? 1 : 0);
}

// Without a routing daemon something else announces the address, wherever it is present.
function announces(one, routing) {
  return (routing === "none" ? one.present : one.announced) === true;
}

// Of each site in which not all announce: how many do, of how many.
function ofSites(endpoints, routing) {
  const sites = new Map();
  for (const one of endpoints.filter((one) => one.site)) {
    const [some, all] = sites.get(one.site) || [0, 0];
    sites.set(one.site, [some + (announces(one, routing) ? 1 : 0), all + 1]);
  }
  const few = [...sites].filter(([, [some, all]]) => some < all);
  return few.map(([name, [some, all]]) => `; ${name} ${some} of ${all}`).join("");
}

function bySite(a, b) {
  return (a.site || "").localeCompare(b.site || "");
}

function card(key) {
  let parts = shown.get(key);
  if (!parts) {
    const box = made("article", "endpoint");
    const head = made("div", "head");
    parts = { box, name: made("h3"), state: made("span", "state") };
    head.append(parts.name, parts.state);
    box.append(head);
    for (const part of ["text", "since", "where", "hold", "last", "stream"]) {
      parts[part] = made("p", part);
      box.append(parts[part]);
    }
    shown.set(key, parts);
  }
  return parts;
}

function showEndpoint(vip, one) {
  const parts = card(`${vip.vip}/${one.endpoint}`);
  const state = ORDER.includes(one.state) ? one.state : "UNKNOWN";
  const name = `endpoint ${state}${isWell(one) ? " well" : ""}`;
  if (parts.box.className !== name) parts.box.className = name;
  set(parts.name, one.site ? `${one.endpoint} \u00B7 ${one.site}` : one.endpoint);
  set(parts.state, WORDS[state] + (state === "OK" && isOut(one) ? ", OUT" : ""));
  const told = one.state === "OK" || one.text.includes(one.kind);
  set(parts.text, told ? one.text : `${one.text} (${one.kind})`);
  const since = one.since === null ? "" : `since ${clock(one.since)}`;
  const more = one.why ? `: ${one.why}` : "";
  const long = since ? `${since} (${span(now() - one.since)})${more}` : one.why;
  set(parts.since, isWell(one) ? since : long);
  set(parts.where, [
    fact(one.present, "present", "absent", "presence not known"),
    vip.routing === "none" ? "" : fact(one.announced, "announced", "not announced", "routing not known"),
    one.latched ? "withdrawn by us" : "",
    isWell(one) ? "" : one.address,
  ].filter(Boolean).join(" \u00B7 "));
  set(parts.hold, one.hold_unknown ? "hold unreadable: counts as held" : held(one.hold));
  const last = one.decisions[one.decisions.length - 1];
  const showLast = last && !isWell(one);
  set(parts.last, showLast ? `${clock(last.at)} ${last.rule}: ${last.text}` : "");
  const age = one.stream_age === null ? "no stream" : `heard ${span(one.stream_age)} ago`;
  const quiet = isWell(one) && one.stream_age !== null && one.stream_age < SILENT;
  set(parts.stream, quiet ? "" : `${age} \u00B7 ${one.samples} samples`);
  return parts.box;
}

function showVip(vip) {
  const key = vip.vip;
  let parts = shown.get(key);
  if (!parts) {
    parts = { box: made("section", "vip"), title: made("h2"), count: made("p") };
    parts.name = made("span");
    parts.address = made("small");
    parts.cause = made("p");
    parts.bad = made("div", "endpoints");
    parts.well = made("div", "endpoints well");
    parts.title.append(parts.name, " ", parts.address);
    parts.box.append(parts.title, parts.count, parts.cause, parts.bad, parts.well);
    shown.set(key, parts);
  }
  set(parts.name, vip.vip);
  set(parts.address, vip.address);
  const total = vip.endpoints.length;
  const few = vip.announcing !== null && vip.announcing <= vip.floor && vip.announcing < total;
  const count = vip.announcing === null ? "nobody can tell how many announce it"
    : `${vip.announcing} of ${total} announce it`;
  set(parts.count, `${count}, the floor is ${vip.floor}${few ? ": no more may leave" : ""}${ofSites(vip.endpoints, vip.routing)}`);
  parts.count.className = few ? "few" : "";
  set(parts.cause, vip.common_cause ? `COMMON CAUSE: ${vip.common_cause}` : "");
  parts.cause.className = vip.common_cause ? "notice" : "";
  const bad = vip.endpoints.filter((one) => !isWell(one))
    .sort((a, b) => rankOf(a) - rankOf(b) || bySite(a, b));
  place(parts.bad, bad.map((one) => showEndpoint(vip, one)));
  const well = vip.endpoints.filter(isWell).sort(bySite);
  place(parts.well, well.map((one) => showEndpoint(vip, one)));
  return parts.box;
}

// Elements that are in their place already are not touched, so that a selection stays.
function place(parent, children) {
  children.forEach((child, at) => {
    if (parent.children[at] !== child) parent.insertBefore(child, parent.children[at] || null);
  });
  while (parent.children.length > children.length) parent.lastElementChild.remove();
}

function rank(vip) {
  return vip.common_cause ? -1 : Math.min(...vip.endpoints.map(rankOf));
}

function line(at, text, bad) {
  const item = made("li", bad ? "bad" : "");
  item.append(made("time", "", clock(at)), text);
  return item;
}

function showPast() {
  const decisions = status.vips.flatMap((vip) => vip.endpoints.flatMap((one) =>
    one.decisions.map((done) => ({ ...done, of: `${vip.vip} ${one.endpoint}` }))));
  decisions.sort((a, b) => b.at - a.at);
  const lines = decisions.slice(0, PAST).map((done) => {
    const failed = ["", " (refused)", " (failed)"][done.exit] ?? "";
    return line(done.at, `${done.of} \u2013 ${done.rule}: ${done.text}${failed}`, done.exit !== 0);
  });
  byId("decisions").replaceChildren(...(lines.length ? lines : [made("p", "", "none yet")]));
  const failovers = status.vips.flatMap((vip) =>
    vip.failovers.map((one) => ({ ...one, vip: vip.vip })));
  failovers.sort((a, b) => b.at - a.at);
  const shorts = failovers.slice(0, PAST).map((one) => {
    const stages = Object.entries(one.stages).map(([name, spent]) => `${name} ${spent.toFixed(3)}`);
    return line(one.at, `${one.vip} ${one.endpoint} in ${one.seconds.toFixed(3)} s: ${stages.join(", ")}`);
  });
  byId("failovers").replaceChildren(...(shorts.length ? shorts : [made("p", "", "none yet")]));
}

function show() {
  const all = status.vips.flatMap((vip) => vip.endpoints);
  const counts = ORDER.map((state) => [state, all.filter((one) => one.state === state).length]);
  const some = counts.filter(([state, count]) => count || state === "OK");
  const words = some.map(([state, count]) =>
    made("span", `state ${state}`, `${count} ${state === "UNKNOWN" ? "cannot tell" : state}`));
  const out = all.filter(isOut).length;
  if (out) words.push(made("span", "state WARNING", `${out} out`));
  // A screen reader says it again at each change of the elements.
  const said = words.map((word) => word.textContent).join("");
  if (byId("summary").textContent !== said) byId("summary").replaceChildren(...words);
  const [bad] = counts.filter(([state, count]) => count && state !== "OK");
  document.title = bad ? `${bad[1]} ${bad[0]} \u2013 anycast` : "all OK \u2013 anycast";
  const notices = status.engines.filter((one) => one.trouble)
    .map((one) => made("p", "notice mild", `${one.name} is not told: ${one.trouble}`));
  notices.unshift(...status.notes.map((note) => made("p", "notice", note)));
  byId("notices").replaceChildren(...notices);
  const vips = [...status.vips].sort((a, b) => rank(a) - rank(b));
  place(byId("vips"), vips.map(showVip));
  showPast();
}

function showContact() {
  const silent = (performance.now() - heard) / 1000;
  const hangs = status !== null && status.age > STALE;
  const lost = why !== "" && silent > 2;
  document.body.classList.toggle("lost", lost || hangs);
  if (hangs && !lost) set(byId("contact"), `the watcher hangs: nothing new for ${span(status.age)}`);
  else if (lost) set(byId("contact"), `NO CONTACT for ${span(silent)}: ${why}`);
  else if (status) set(byId("contact"), `live \u00B7 ${clock(now())}`);
}

async function ask() {
  const headers = tag ? { "If-None-Match": tag } : {};
  const answer = await fetch("status.json", {
    headers, cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(PATIENCE),
  });
  if (answer.status === 200) {
    const document_ = await answer.json();
    if (page && page !== document_.page) location.reload();
    page = document_.page;
    status = document_;
    received = performance.now();
    tag = answer.headers.get("ETag") || "";
    show();
  } else if (answer.status !== 304) {
    throw new Error(`the answer is ${answer.status}`);
  }
  heard = performance.now();
  why = "";
}

async function forever() {
  for (;;) {
    try {
      await ask();
    } catch (error) {
      why = error.name === "TimeoutError" ? "no answer" : error.message;
    }
    showContact();
    await new Promise((done) => setTimeout(done, PAUSE));
  }
}

setInterval(showContact, 1000);
forever();
