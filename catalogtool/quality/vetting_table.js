// The table: only the rows in sight exist. They live in a window that stays put while the box
// scrolls, so that no scrolling, however fast, comes upon a blank.

const ROW_PIX = 46;
const HEADING_PIX = 34;
const THUMBNAIL_PIX = 40;
const SETTLED_MS = 70; // sheets that only flew by are not loaded

const fixed = (digits) => (item) => (item === null ? "" : item.toFixed(digits));
const plain = (item) => item ?? "";
const MARKS = { picked: "✓", rejected: "✕" };

function neighbourText(index) {
  const distance = value("neighbour_arcsec", index);
  const star = value("neighbour_star_score", index);
  if (distance === null) return "";
  const kind = star === null ? "" : star > 0.5 ? " star" : " galaxy";
  return `${distance.toFixed(1)}″${kind}`;
}

function magnitudeText(index) {
  const [magnitude, error] = [value("magnitude_ab", index), value("magnitude_error", index)];
  if (magnitude === null) return "";
  return `${magnitude.toFixed(2)}${error === null ? "" : ` ± ${error.toFixed(2)}`}`;
}

const textWidth = (name, most) => Math.min(most, Math.max(96, 22 + 9.4 * head.longest[name]));

// key: column that it sorts by; text or format: what a row shows of it; bar: its length shows it.
const TABLE = [
  { key: null, title: "", width: 30, kind: "mark" },
  { key: null, title: "cutouts", width: 12 + 42 * head.channels.length, kind: "thumbs" },
  { key: "source_id", title: "object", width: textWidth("source_id", 240) },
  { key: "predicted_class", title: "class", width: 82 },
  { key: "score", title: "score", width: 74, hint: head.rankedBy, number: true, format: fixed(3), bar: true },
  { key: "real_bogus", title: "real", width: 68, number: true, format: fixed(3), bar: true },
  { key: "age_days", title: "age, d", width: 76, number: true, hint: "days since the first detection in the history", format: fixed(1) },
  { key: "magnitude_ab", title: "mag", width: 120, number: true, text: magnitudeText },
  { key: "band", title: "band", width: 58 },
  { key: "detections", title: "seen", width: 58, hint: "detections of the object", number: true },
  { key: "neighbour_arcsec", title: "neighbour", width: 112, number: true, text: neighbourText },
  { key: "ra", title: "ra", width: 98, number: true, format: fixed(5) },
  { key: "dec", title: "dec", width: 90, number: true, format: fixed(5) },
  { key: "object_id", title: "detection", width: textWidth("object_id", 200), number: true },
  { key: "flags", title: "flags", width: 170 },
].filter((column) => column.key === null || known(column.key));

const cellText = (column, index) => (
  column.text ? column.text(index) : (column.format ?? plain)(columns[column.key][index]));

// Sheets of thumbnails that are there; others are asked for when scrolling has settled.
const sheets = new Map();

function placeCutout(element, layout, url, slot, channel, pix) {
  const channels = head.channels.length;
  const x = ((slot % layout.columns) * channels + channel) * pix;
  const y = Math.floor(slot / layout.columns) * pix;
  element.style.backgroundImage = `url("${url}")`;
  element.style.backgroundSize = `${layout.columns * channels * pix}px auto`;
  element.style.backgroundPosition = `${-x}px ${-y}px`;
}

function candidateTable(onSelect, onSort) {
  const box = document.getElementById("table");
  const pane = document.getElementById("window");
  const heading = document.getElementById("heading");
  const body = document.getElementById("rows");
  const height = document.getElementById("height");
  const width = TABLE.reduce((sum, column) => sum + column.width, 0);
  const perSheet = head.thumbnails.columns * head.thumbnails.rows;
  const pool = [];
  let current = null;
  let settling = 0;
  let scheduled = false;

  height.style.minWidth = `${width}px`;
  for (const column of TABLE) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = column.title;
    button.title = column.hint ?? "";
    button.style.width = `${column.width}px`;
    button.classList.toggle("n", Boolean(column.number));
    button.setAttribute("role", "columnheader");
    button.disabled = column.key === null;
    button.dataset.key = column.key ?? "";
    button.tabIndex = column.key === null ? -1 : 0;
    button.addEventListener("click", () => onSort(column));
    heading.append(button);
  }

  function newRow() {
    const row = document.createElement("div");
    row.className = "row";
    row.setAttribute("role", "row");
    for (const column of TABLE) {
      const cell = document.createElement("div");
      cell.setAttribute("role", "gridcell");
      cell.style.width = `${column.width}px`;
      cell.classList.toggle("n", Boolean(column.number));
      cell.classList.toggle("bar-cell", Boolean(column.bar));
      if (column.kind) cell.classList.add(column.kind);
      if (column.kind === "thumbs") {
        for (const name of head.channels) {
          const thumbnail = document.createElement("div");
          thumbnail.className = "cutout";
          thumbnail.title = name;
          cell.append(thumbnail);
        }
      }
      row.append(cell);
    }
    row.addEventListener("click", () => onSelect(Number(row.dataset.position)));
    body.append(row);
    pool.push(row);
    return row;
  }

  function fillRow(row, position) {
    const index = view[position];
    const decision = decisionOf(index);
    row.dataset.position = position;
    row.dataset.index = index;
    row.id = `row-${position}`;
    row.className = `row ${decision}`;
    row.setAttribute("aria-rowindex", position + 2);
    row.setAttribute("aria-selected", index === current);
    TABLE.forEach((column, k) => {
      const cell = row.children[k];
      if (column.kind === "mark") cell.textContent = MARKS[decision] ?? "";
      else if (column.kind === "thumbs") fillThumbnails(cell, index);
      else {
        const text = String(cellText(column, index));
        if (cell.textContent !== text) {
          cell.textContent = text;
          cell.title = text;
        }
        if (column.bar) cell.style.setProperty("--share", columns[column.key][index] ?? 0);
      }
    });
  }

  function fillThumbnails(cell, index) {
    const number = Math.floor(index / perSheet);
    const image = sheets.get(number);
    const ready = image?.complete && image.naturalWidth > 0;
    [...cell.children].forEach((thumbnail, channel) => {
      if (ready) placeCutout(thumbnail, head.thumbnails, image.src, index % perSheet, channel, THUMBNAIL_PIX);
      else thumbnail.style.backgroundImage = "none";
    });
  }

  function loadSheets() {
    for (const row of pool) {
      const number = Math.floor(Number(row.dataset.index) / perSheet);
      if (row.hidden || sheets.has(number)) continue;
      const image = new Image();
      image.onload = draw;
      image.onerror = () => sheets.delete(number);
      image.src = `${head.folder}/thumbnails-${padded(number)}.png`;
      sheets.set(number, image);
    }
  }

  function draw() {
    scheduled = false;
    const room = box.clientHeight - HEADING_PIX;
    const first = Math.max(0, Math.floor(box.scrollTop / ROW_PIX));
    const count = Math.min(Math.ceil(room / ROW_PIX) + 1, view.length - first);
    for (let k = 0; k < Math.max(count, pool.length); k += 1) {
      const row = pool[k] ?? newRow();
      row.hidden = k >= count;
      row.style.display = row.hidden ? "none" : "";
      if (row.hidden) continue;
      row.style.transform = `translateY(${(first + k) * ROW_PIX - box.scrollTop}px)`;
      fillRow(row, first + k);
    }
    clearTimeout(settling);
    settling = setTimeout(loadSheets, SETTLED_MS);
  }

  function resize() {
    pane.style.height = `${box.clientHeight}px`;
    height.style.height = `${HEADING_PIX + view.length * ROW_PIX}px`;
    height.style.minHeight = `${box.clientHeight}px`;
    box.setAttribute("aria-rowcount", view.length + 1);
    draw();
  }

  box.addEventListener("scroll", () => {
    if (!scheduled) {
      scheduled = true;
      requestAnimationFrame(draw);
    }
  });
  new ResizeObserver(resize).observe(box);

  return {
    draw,
    resize,
    setCurrent(index) {
      current = index;
      draw();
      const position = view.indexOf(index);
      if (position >= 0) box.setAttribute("aria-activedescendant", `row-${position}`);
    },
    show(position) {
      const room = box.clientHeight - HEADING_PIX;
      const top = position * ROW_PIX;
      if (top < box.scrollTop) box.scrollTop = top;
      else if (top + ROW_PIX > box.scrollTop + room) box.scrollTop = top + ROW_PIX - room;
    },
    toTop() { box.scrollTop = 0; },
    showOrder() {
      for (const button of heading.children) {
        if (button.dataset.key === order.column) {
          button.setAttribute("aria-sort", order.descending ? "descending" : "ascending");
        } else button.removeAttribute("aria-sort");
      }
    },
    page: () => Math.max(1, Math.floor((box.clientHeight - HEADING_PIX) / ROW_PIX) - 1),
  };
}
