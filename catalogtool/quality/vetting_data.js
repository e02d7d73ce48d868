// Candidates, what is decided about them, and what is loaded when it is needed.

const head = JSON.parse(document.getElementById("head").textContent);
const columns = Object.fromEntries(head.columns.map((name) => [name, new Array(head.count).fill(null)]));
const details = new Map();
const scripts = new Map();
let loadedRows = 0;

const value = (name, index) => (columns[name] ? columns[name][index] : null);
const known = (name) => name in columns;
const padded = (number) => String(number).padStart(5, "0");

// Files of data are scripts that call these: a page from a disk may load scripts, and nothing else.
window.vetting = {
  rows(start, values) {
    for (const name of head.columns) {
      values[name].forEach((item, offset) => { columns[name][start + offset] = item; });
    }
    loadedRows += values.object_id.length;
  },
  details(number, values) { details.set(number, values); },
};

function loadScript(name) {
  if (!scripts.has(name)) {
    scripts.set(name, new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${head.folder}/${name}`;
      script.onload = resolve;
      script.onerror = () => { scripts.delete(name); reject(new Error(`${name} cannot be loaded`)); };
      document.head.append(script);
    }));
  }
  return scripts.get(name);
}

async function loadRows(onProgress) {
  for (let number = 0; number * head.rowsPerFile < head.count; number += 1) {
    await loadScript(`rows-${padded(number)}.js`);
    onProgress();
  }
}

async function loadDetail(index) {
  const perFile = head.cutouts.columns * head.cutouts.rows;
  const number = Math.floor(index / perFile);
  await loadScript(`details-${padded(number)}.js`);
  return details.get(number)[index % perFile];
}

// Decisions: by detection, kept in the browser, undone one by one.

const storageKey = `catalogtool-vetting/${head.picks}`;
const decisions = new Map();
const undoable = [];
let storageFails = false;

function readDecisions() {
  decisions.clear();
  try {
    const kept = JSON.parse(localStorage.getItem(storageKey) ?? "{}");
    for (const [id, decision] of Object.entries(kept)) decisions.set(id, decision);
  } catch { storageFails = true; }
}

function keepDecisions() {
  try {
    localStorage.setItem(storageKey, JSON.stringify(Object.fromEntries(decisions)));
  } catch { storageFails = true; }
}

const decisionOf = (index) => decisions.get(columns.object_id[index]) ?? "";

function setDecision(index, decision) {
  const id = columns.object_id[index];
  if (decision) decisions.set(id, decision);
  else decisions.delete(id);
  keepDecisions();
}

function decide(index, decision) {
  undoable.push([index, decisionOf(index)]);
  setDecision(index, decision);
}

function undo() {
  const last = undoable.pop();
  if (!last) return null;
  setDecision(...last);
  return last[0];
}

function countDecisions(decision) {
  let count = 0;
  for (const one of decisions.values()) count += one === decision;
  return count;
}

// The candidates that pass the filters, in the order of one column.

let view = [];
const order = { column: "score", descending: true };
const filters = { search: "", class: "", score: null, real: null, magnitude: null, age: null, decision: "" };

const atLeast = (item, limit) => limit === null || (item !== null && item >= limit);
const atMost = (item, limit) => limit === null || (item !== null && item <= limit);

function passes(index) {
  if (columns.object_id[index] === null) return false; // not loaded yet
  const decision = decisionOf(index);
  return (!filters.class || value("predicted_class", index) === filters.class)
    && atLeast(columns.score[index], filters.score)
    && atLeast(value("real_bogus", index), filters.real)
    && atMost(value("magnitude_ab", index), filters.magnitude)
    && atMost(value("age_days", index), filters.age)
    && (!filters.decision || (filters.decision === "undecided" ? !decision : decision === filters.decision))
    && (!filters.search || columns.source_id[index].toLowerCase().includes(filters.search)
      || columns.object_id[index].includes(filters.search));
}

function refreshView() {
  view = [];
  for (let index = 0; index < head.count; index += 1) if (passes(index)) view.push(index);
  const values = columns[order.column];
  const sign = order.descending ? -1 : 1;
  const ids = order.column === "object_id"; // text of numbers: the longer one is the larger one
  view.sort((a, b) => {
    const [one, two] = [values[a], values[b]];
    if (one === null || two === null) return (one === null) - (two === null) || a - b;
    if (ids && one.length !== two.length) return sign * (one.length - two.length);
    if (one === two) return a - b;
    return one < two ? -sign : sign;
  });
}
