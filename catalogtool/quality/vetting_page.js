// The page as a whole: filters, keys and what follows from them.

const byId = (id) => document.getElementById(id);
const table = candidateTable((position) => select(position), sortBy);
const pane = detailPane({ pick: () => choose("picked"), reject: () => choose("rejected"), undo: takeBack });
const exporting = exportDialog();
let current = null; // index of the candidate that is shown
let position = 0; // of it in the view, or of what came in its place

function select(wanted) {
  position = Math.max(0, Math.min(wanted, view.length - 1));
  current = view[position] ?? null;
  table.show(position);
  table.setCurrent(current);
  pane.show(current);
}

function refresh() {
  refreshView();
  table.resize();
  table.showOrder();
  pane.showSky(view);
  const found = current === null ? -1 : view.indexOf(current);
  select(found < 0 ? position : found);
  showStatus();
}

function showStatus() {
  const number = (count) => count.toLocaleString("en");
  const loading = loadedRows < head.count ? `, ${number(loadedRows)} loaded` : "";
  const kept = storageFails ? " · this browser keeps no decisions" : "";
  byId("status").textContent = `${number(view.length)} of ${number(head.count)}${loading} · `
    + `${number(countDecisions("picked"))} picked · ${number(countDecisions("rejected"))} rejected${kept}`;
}

function choose(decision) {
  if (current === null) return;
  const decided = current;
  decide(decided, decision);
  if (filters.decision) refresh(); // where it left the view, the next one is in its place
  if (current === decided) select(position + 1);
  showStatus();
}

function takeBack() {
  const index = undo();
  if (index === null) return;
  current = index;
  refresh();
}

function sortBy(column) {
  const same = order.column === column.key;
  order.descending = same ? !order.descending : Boolean(column.number) && column.key !== "ra" && column.key !== "dec";
  order.column = column.key;
  position = 0;
  current = null;
  refresh();
  table.toTop();
}

function filterBy(name, read) {
  const input = byId(name);
  const apply = () => {
    filters[name] = read(input.value);
    position = 0;
    current = null;
    refresh();
    table.toTop();
  };
  input.addEventListener("input", apply);
  return () => { input.value = ""; filters[name] = read(""); };
}

const asNumber = (typed) => (typed === "" || Number.isNaN(Number(typed)) ? null : Number(typed));
const NEEDS = { real: "real_bogus", magnitude: "magnitude_ab", age: "age_days", class: "predicted_class" };

function prepareFilters() {
  byId("class").append(element("option", { value: "" }, "all"),
    ...head.classes.map((name) => element("option", { value: name }, words(name))));
  for (const [id, column] of Object.entries(NEEDS)) byId(id).parentElement.hidden = !known(column);
  byId("score").title = head.rankedBy;
  const clearings = [
    filterBy("search", (typed) => typed.trim().toLowerCase()),
    ...["class", "decision"].map((name) => filterBy(name, (chosen) => chosen)),
    ...["score", "real", "magnitude", "age"].map((name) => filterBy(name, asNumber)),
  ];
  byId("clear").addEventListener("click", () => {
    for (const clear of clearings) clear();
    refresh();
  });
}

const KEYS = {
  j: () => select(position + 1), ArrowDown: () => select(position + 1),
  k: () => select(position - 1), ArrowUp: () => select(position - 1),
  PageDown: () => select(position + table.page()), PageUp: () => select(position - table.page()),
  Home: () => select(0), End: () => select(view.length - 1),
  p: () => choose("picked"), x: () => choose("rejected"), u: takeBack,
  "/": () => byId("search").focus(), e: () => exporting.open(), "?": () => byId("help").showModal(),
};

function onKey(event) {
  const typing = event.target.closest("input, select");
  if (typing && ["Escape", "Enter"].includes(event.key)) byId("table").focus();
  const open = document.querySelector("dialog[open]");
  if (typing || open || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
}

readDecisions();
prepareFilters();
document.addEventListener("keydown", onKey);
byId("open-export").addEventListener("click", exporting.open);
byId("open-help").addEventListener("click", () => byId("help").showModal());
window.addEventListener("storage", (event) => {
  if (event.key === storageKey) { readDecisions(); refresh(); }
});
loadRows(refresh).then(() => { document.body.dataset.ready = "yes"; }, (error) => {
  byId("status").textContent = error.message;
});
