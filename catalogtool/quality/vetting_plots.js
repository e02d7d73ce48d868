// Drawings: the light curve of a candidate, and the sky.

const SVG = "http://www.w3.org/2000/svg";

// Colours of Okabe and Ito, which all kinds of colour vision tell apart; shapes tell as well.
const BANDS = {
  u: ["#cc79a7", "diamond"], g: ["#009e73", "circle"], r: ["#d55e00", "square"],
  i: ["#0072b2", "diamond"], z: ["#e69f00", "circle"], y: ["#56b4e9", "square"],
};
const bandStyle = (band) => BANDS[band] ?? ["currentColor", "circle"];

function svg(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, item] of Object.entries(attributes)) element.setAttribute(key, item);
  element.append(...children);
  return element;
}

function marker(shape, x, y, size, attributes) {
  if (shape === "circle") return svg("circle", { cx: x, cy: y, r: size, ...attributes });
  const paths = {
    square: `M${x - size} ${y - size}h${2 * size}v${2 * size}h${-2 * size}z`,
    diamond: `M${x} ${y - 1.3 * size}l${1.3 * size} ${1.3 * size}l${-1.3 * size} ${1.3 * size}l${-1.3 * size} ${-1.3 * size}z`,
    limit: `M${x - size} ${y}h${2 * size}M${x} ${y}v${1.6 * size}m${-0.6 * size} ${-0.6 * size}l${0.6 * size} ${0.6 * size}l${0.6 * size} ${-0.6 * size}`,
  };
  return svg("path", { d: paths[shape], ...attributes });
}

function ticks(low, high, wanted) {
  const raw = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= raw);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k += 1) found.push(k * step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return found.map((at) => [at, at.toFixed(digits)]);
}

function historyPoints(history) {
  return history.mjd.map((mjd, k) => ({
    mjd,
    band: history.band[k] ?? "?",
    magnitude: history.magnitude_ab[k],
    error: history.magnitude_error?.[k] ?? null,
    limit: history.limit_mag_ab?.[k] ?? null,
    positive: history.is_positive?.[k] ?? null,
  }));
}

function pointText(point) {
  const when = `MJD ${point.mjd.toFixed(3)}, ${point.band}`;
  if (point.magnitude === null) return `${when}: fainter than ${point.limit.toFixed(2)} mag`;
  const error = point.error === null ? "" : ` ± ${point.error.toFixed(2)}`;
  return `${when}: ${point.magnitude.toFixed(2)}${error} mag${point.positive === false ? ", fainter than the template" : ""}`;
}

function lightCurve(history, zeroMjd, width) {
  const points = historyPoints(history).filter((point) => point.magnitude !== null || point.limit !== null);
  if (!points.length) return null;
  const [height, left, bottom, top] = [220, 38, 34, 18];
  const brightness = points.flatMap((p) => (p.magnitude === null ? [p.limit]
    : [p.magnitude - (p.error ?? 0), p.magnitude + (p.error ?? 0)]));
  const zero = zeroMjd ?? Math.max(...points.map((point) => point.mjd));
  const days = points.map((point) => point.mjd - zero);
  const spread = (low, high, least) => {
    const margin = Math.max(0.06 * (high - low), least);
    return [low - margin, high + margin];
  };
  const [x0, x1] = spread(Math.min(...days), Math.max(...days), 0.3);
  const [y0, y1] = spread(Math.min(...brightness), Math.max(...brightness), 0.15);
  const x = (day) => left + (day - x0) / (x1 - x0) * (width - left - 8);
  const y = (magnitude) => top + (magnitude - y0) / (y1 - y0) * (height - bottom - top);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "Light curve" });
  drawing.append(svg("path", { class: "axis", d: `M${left} ${top}V${height - bottom}H${width - 8}` }));
  for (const [at, text] of ticks(x0, x1, 6)) {
    drawing.append(svg("path", { class: "axis", d: `M${x(at)} ${height - bottom}v4` }),
      svg("text", { x: x(at), y: height - bottom + 15, "text-anchor": "middle" }, text));
  }
  for (const [at, text] of ticks(y0, y1, 5)) {
    drawing.append(svg("path", { class: "axis", d: `M${left} ${y(at)}h-4` }),
      svg("text", { x: left - 6, y: y(at) + 4, "text-anchor": "end" }, text));
  }
  drawing.append(svg("path", { class: "zero", d: `M${x(0)} ${top}V${height - bottom}` }),
    svg("text", { x: (left + width) / 2, y: height - 3, "text-anchor": "middle" }, "days from this detection"),
    svg("text", { x: 0, y: 10 }, "mag"));
  points.forEach((point, k) => {
    const [colour, shape] = bandStyle(point.band);
    const [px, isLimit] = [x(days[k]), point.magnitude === null];
    const group = svg("g", { class: isLimit ? "upper-limit" : "detection" }, svg("title", {}, pointText(point)));
    const line = { stroke: colour, "stroke-width": 1.5 };
    if (isLimit) {
      group.append(marker("limit", px, y(point.limit), 4, { ...line, fill: "none", opacity: 0.75 }));
    } else {
      if (point.error) group.append(svg("path", { d: `M${px} ${y(point.magnitude - point.error)}V${y(point.magnitude + point.error)}`, ...line }));
      const fill = point.positive === false ? "var(--card)" : colour;
      group.append(marker(shape, px, y(point.magnitude), 4, { ...line, fill }));
    }
    drawing.append(group);
  });
  const wavelengths = Object.keys(BANDS);
  const bands = [...new Set(points.map((point) => point.band))];
  bands.sort((a, b) => wavelengths.indexOf(a) - wavelengths.indexOf(b)).forEach((band, k) => {
    const [colour, shape] = bandStyle(band);
    drawing.append(marker(shape, left + 30 + 40 * k, 6, 4, { fill: colour }),
      svg("text", { x: left + 38 + 40 * k, y: 10 }, band));
  });
  return drawing;
}

// The whole sky in the equal-area projection of Hammer, 12 h in the middle, east to the left.

function project(ra, dec) {
  const [lon, lat] = [((ra - 180) * Math.PI) / 360, (dec * Math.PI) / 180];
  const z = Math.sqrt(1 + Math.cos(lat) * Math.cos(lon));
  return [200 - (190 * Math.cos(lat) * Math.sin(lon)) / z, 100 - (95 * Math.sin(lat)) / z];
}

function curve(points) {
  let path = "";
  let last = null;
  for (const [ra, dec] of points) {
    const [x, y] = project(ra, dec);
    const jumps = last === null || Math.abs(x - last) > 60; // from one edge to the other
    path += `${jumps ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    last = x;
  }
  return path;
}

function skyMap() {
  const all = svg("path", { class: "all" });
  const current = svg("circle", { class: "current", r: 6 });
  const drawing = svg("svg", { viewBox: "5 0 390 200", class: "sky", role: "img", "aria-label": "Sky" },
    svg("ellipse", { class: "sphere", cx: 200, cy: 100, rx: 190, ry: 95 }));
  for (let ra = 60; ra < 360; ra += 60) {
    const meridian = Array.from({ length: 37 }, (_, k) => [ra, 5 * k - 90]);
    drawing.append(svg("path", { class: "axis", d: curve(meridian) }));
  }
  for (const dec of [-60, -30, 0, 30, 60]) {
    const parallel = Array.from({ length: 73 }, (_, k) => [5 * k + (k === 72 ? -0.01 : 0.01), dec]);
    drawing.append(svg("path", { class: "axis", d: curve(parallel) }));
  }
  drawing.append(svg("path", { class: "galaxy", d: curve(head.galacticPlane) }),
    svg("path", { class: "ecliptic", d: curve(head.ecliptic) }), all, current);
  return {
    drawing,
    showAll(indices) {
      const visible = indices.filter((k) => value("ra", k) !== null && value("dec", k) !== null);
      all.setAttribute("d", visible.map((k) => {
        const [x, y] = project(columns.ra[k], columns.dec[k]);
        return `M${x.toFixed(1)} ${y.toFixed(1)}h0`;
      }).join(""));
    },
    showCurrent(index) {
      const placed = index !== null && value("ra", index) !== null;
      current.setAttribute("visibility", placed ? "visible" : "hidden");
      if (!placed) return;
      const [x, y] = project(columns.ra[index], columns.dec[index]);
      current.setAttribute("cx", x);
      current.setAttribute("cy", y);
    },
  };
}
