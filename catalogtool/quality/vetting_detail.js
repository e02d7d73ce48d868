// The pane of one candidate.

const LABELS = {
  object_id: "detection", observed_mjd: "MJD", night: "night", predicted_class: "class",
  real_bogus: "real/bogus", survey_score: "survey's score", age_days: "days in the history",
  is_positive: "brighter than the template", detections: "detections", flags: "flags",
};
const FACT_COLUMNS = Object.keys(LABELS).filter(known);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, item] of Object.entries(attributes)) made.setAttribute(key, item);
  made.append(...children);
  return made;
}

const words = (text) => text.replaceAll("_", " ");

function sexagesimal(ra, dec) {
  const split = (number, digits) => {
    const total = Number((number * 3600).toFixed(digits));
    const parts = [Math.floor(total / 3600), Math.floor((total % 3600) / 60)];
    return [...parts.map((part) => String(part).padStart(2, "0")),
      (total % 60).toFixed(digits).padStart(digits + 3, "0")].join(":");
  };
  return `${split(ra / 15, 2)} ${dec < 0 ? "−" : "+"}${split(Math.abs(dec), 1)}`;
}

// Only links: nothing of these places is loaded.
function links(index) {
  const [ra, dec] = [value("ra", index), value("dec", index)];
  const name = columns.source_id[index];
  const found = [];
  if (ra !== null && dec !== null) {
    const place = encodeURIComponent(`${ra} ${dec < 0 ? "" : "+"}${dec}`);
    const aladin = dec > -30 ? "P/PanSTARRS/DR1/color-z-zg-g" : "P/DSS2/color";
    found.push(
      ["NED", `https://ned.ipac.caltech.edu/conesearch?search_type=Near%20Position%20Search&in_csys=Equatorial&in_equinox=J2000&ra=${ra}d&dec=${dec}d&radius=1`],
      ["SIMBAD", `https://simbad.cds.unistra.fr/simbad/sim-coo?Coord=${place}&CooFrame=ICRS&Radius=30&Radius.unit=arcsec`],
      ["TNS", `https://www.wis-tns.org/search?ra=${ra}&decl=${dec}&radius=5&coords_unit=arcsec`],
      ["Aladin Lite", `https://aladin.cds.unistra.fr/AladinLite/?target=${place}&fov=0.03&survey=${encodeURIComponent(aladin)}`],
    );
  }
  if (/^ZTF\d\d[a-z]{7}$/.test(name)) found.push(["ALeRCE", `https://alerce.online/object/${name}`]);
  else if (ra !== null) found.push(["ALeRCE", `https://alerce.online/?ra=${ra}&dec=${dec}&radius=5&page=1`]);
  return element("p", { class: "links" }, ...found.map(([title, href]) => (
    element("a", { href, target: "_blank", rel: "noopener noreferrer" }, title))));
}

function largeCutouts(index) {
  const perSheet = head.cutouts.columns * head.cutouts.rows;
  const url = `${head.folder}/cutouts-${padded(Math.floor(index / perSheet))}.png`;
  const [slot, channels] = [index % perSheet, head.channels.length];
  const across = head.cutouts.columns * channels;
  const box = element("div", { class: "large" });
  box.style.gridTemplateColumns = `repeat(${channels}, minmax(0, 1fr))`;
  head.channels.forEach((name, channel) => {
    const cutout = element("div", { class: "cutout", role: "img", "aria-label": `${words(name)} cutout` });
    const column = (slot % head.cutouts.columns) * channels + channel;
    const row = Math.floor(slot / head.cutouts.columns);
    cutout.style.backgroundImage = `url("${url}")`;
    cutout.style.backgroundSize = `${across * 100}cqw auto`;
    cutout.style.backgroundPosition = `${-column * 100}cqw ${-row * 100}cqw`;
    box.append(element("figure", {}, element("figcaption", {}, words(name)), cutout));
  });
  return box;
}

function chances(index) {
  const list = element("div", { class: "chances" });
  (value("probabilities", index) ?? []).forEach((p, k) => {
    list.append(element("span", {}, words(head.classes[k])),
      element("meter", { max: 1, value: p ?? 0, "aria-label": head.classes[k] }),
      element("b", {}, p === null ? "" : p.toFixed(3)));
  });
  return list;
}

function factsOf(index, more) {
  const yes = { true: "yes", false: "no" };
  const pairs = FACT_COLUMNS.map((name) => [LABELS[name], columns[name][index]]);
  const [ra, dec] = [value("ra", index), value("dec", index)];
  if (ra !== null && dec !== null) {
    pairs.unshift(["position", sexagesimal(ra, dec)], ["ra, dec", `${ra.toFixed(6)}, ${dec.toFixed(6)}`]);
  }
  if (magnitudeText(index)) pairs.push(["magnitude", `${magnitudeText(index)} ${value("band", index) ?? ""}`]);
  if (neighbourText(index)) pairs.push(["nearest neighbour", neighbourText(index)]);
  pairs.push(...Object.entries(more).map(([name, item]) => [words(name), item]));
  return element("dl", {}, ...pairs.filter(([, item]) => item !== null && item !== "").flatMap(
    ([name, item]) => [element("dt", {}, name), element("dd", {}, yes[item] ?? String(item))]));
}

function detailPane(actions) {
  const box = document.getElementById("detail");
  const sky = skyMap();
  let shown = null;

  function button(key, title, name, act, pressed) {
    const made = element("button", { type: "button", class: name, "aria-pressed": pressed }, `${title} `, element("kbd", {}, key));
    made.addEventListener("click", act);
    return made;
  }

  function show(index) {
    shown = index;
    sky.showCurrent(index);
    if (index === null) {
      const text = view.length ? "Choose a candidate." : "No candidate passes the filters.";
      box.replaceChildren(element("p", { class: "sub" }, text), sky.drawing);
      return;
    }
    const decision = decisionOf(index);
    const curveBox = element("div", { id: "curve" }, element("p", { class: "sub" }, "loading …"));
    const factsBox = element("div", {}, factsOf(index, {}));
    box.replaceChildren(
      element("div", { class: "title" }, element("h2", {}, columns.source_id[index]),
        element("span", { class: `${decision}-text` }, decision)),
      element("div", { class: "actions" },
        button("p", "Pick", "pick", actions.pick, decision === "picked"),
        button("x", "Reject", "reject", actions.reject, decision === "rejected"),
        button("u", "Undo", "undo", actions.undo, false)),
      largeCutouts(index),
      element("h3", {}, "Class probabilities"), chances(index),
      element("h3", {}, "Light curve"), curveBox,
      element("h3", {}, "Elsewhere"), links(index),
      element("h3", {}, "Sky"), sky.drawing,
      element("p", { class: "sub" }, "— Galactic plane, ┄ ecliptic; ra grows to the left, 180° is in the middle."),
      element("h3", {}, "Facts"), factsBox,
    );
    loadDetail(index).then((detail) => {
      if (shown !== index) return;
      const drawn = detail.history && lightCurve(
        detail.history, value("observed_mjd", index), Math.max(300, curveBox.clientWidth));
      curveBox.replaceChildren(drawn ?? element("p", { class: "sub" }, "This input brings no light curve."));
      factsBox.replaceChildren(factsOf(index, detail.facts));
    }).catch((error) => curveBox.replaceChildren(element("p", { class: "banner" }, error.message)));
  }

  return { show, showSky: (indices) => sky.showAll(indices) };
}
