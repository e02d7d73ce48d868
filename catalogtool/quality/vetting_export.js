// What leaves the page: the decisions, as a table and as a report to the Transient Name Server.

const UNIX_EPOCH_MJD = 40587;
const AB_MAGNITUDE = "1"; // of the report's flux units
const TYPES = { sn: "1", agn: "3" }; // possible supernova, known AGN
const NO_TYPE = "0";
const NO_ARCHIVE = "0";

function decided(...wanted) {
  const found = [];
  for (let index = 0; index < head.count; index += 1) {
    if (wanted.includes(decisionOf(index))) found.push(index);
  }
  return found;
}

function csvCell(item) {
  if (item === null || item === undefined) return "";
  let text = String(item);
  // A spreadsheet must not take a name for a formula.
  if (typeof item === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv(indices) {
  const names = head.columns.filter((name) => name !== "probabilities");
  const chancesOf = head.classes.map((name) => `p_${name}`);
  const lines = [["decision", ...names, ...chancesOf].map(csvCell).join(",")];
  for (const index of indices) {
    const p = value("probabilities", index) ?? head.classes.map(() => null);
    lines.push([decisionOf(index), ...names.map((name) => columns[name][index]), ...p].map(csvCell).join(","));
  }
  return `${lines.join("\n")}\n`;
}

function utc(mjd) {
  if (mjd === null) return "FILL IN: UTC, YYYY-MM-DD hh:mm:ss";
  return new Date((mjd - UNIX_EPOCH_MJD) * 86400000).toISOString().replace("T", " ").slice(0, -1);
}

const text = (item, digits) => (item === null ? "" : item.toFixed(digits));

function instrumentOf(band) {
  return {
    filter_value: head.tns?.filters[band] ?? `FILL IN: number of the band ${band}`,
    instrument_value: head.tns?.instrument ?? "FILL IN: number of the instrument",
    exptime: "", observer: "", comments: "",
  };
}

function lastLimit(points, first) {
  const before = points.filter((point) => point.magnitude === null && point.mjd < first.mjd);
  const last = before.sort((a, b) => b.mjd - a.mjd)[0];
  if (!last) {
    return { archiveid: NO_ARCHIVE, archival_remarks: "No earlier upper limit in the history of the alert" };
  }
  return {
    obsdate: utc(last.mjd), limiting_flux: text(last.limit, 3), flux_units: AB_MAGNITUDE,
    ...instrumentOf(last.band), archiveid: "", archival_remarks: "",
  };
}

async function atReport(index) {
  const { history } = await loadDetail(index);
  const points = history ? historyPoints(history) : [];
  const alert = {
    mjd: value("observed_mjd", index), band: value("band", index) ?? "?",
    magnitude: value("magnitude_ab", index), error: value("magnitude_error", index), limit: null,
  };
  const positive = points.filter((point) => point.magnitude !== null && point.positive !== false);
  const first = positive.sort((a, b) => a.mjd - b.mjd)[0] ?? alert;
  return {
    ra: { value: text(value("ra", index), 6), error: "", units: "deg" },
    dec: { value: text(value("dec", index), 6), error: "", units: "deg" },
    reporting_group_id: "FILL IN: number of your group",
    discovery_data_source_id: "FILL IN: number of the group whose data these are",
    reporter: "FILL IN: names and affiliations",
    discovery_datetime: utc(first.mjd),
    at_type: TYPES[value("predicted_class", index)] ?? NO_TYPE,
    host_name: "", host_redshift: "", transient_redshift: "",
    internal_name: columns.source_id[index],
    remarks: `${value("predicted_class", index) ?? ""}, score ${columns.score[index].toFixed(3)}`,
    non_detection: lastLimit(points, first),
    photometry: {
      photometry_group: {
        0: {
          obsdate: utc(first.mjd), flux: text(first.magnitude, 3), flux_error: text(first.error, 3),
          limiting_flux: text(first.limit, 3), flux_units: AB_MAGNITUDE, ...instrumentOf(first.band),
        },
      },
    },
  };
}

async function tnsReport(indices) {
  const reports = await Promise.all(indices.map(atReport));
  return `${JSON.stringify({ at_report: { ...reports } }, null, 2)}\n`;
}

function download(name, content, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = element("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

function exportDialog() {
  const dialog = document.getElementById("export");
  const count = document.getElementById("export-count");
  const on = (id, act) => document.getElementById(id).addEventListener("click", act);
  on("export-csv", () => download("picked.csv", csv(decided("picked")), "text/csv"));
  on("export-all", () => download("decisions.csv", csv(decided("picked", "rejected")), "text/csv"));
  on("export-tns", async () => {
    try {
      download("tns_report.json", await tnsReport(decided("picked")), "application/json");
    } catch (error) { count.textContent = error.message; }
  });
  return {
    open() {
      const picked = decided("picked").length;
      count.textContent = `${picked} picked, ${decided("rejected").length} rejected.`;
      for (const id of ["export-csv", "export-tns"]) document.getElementById(id).disabled = !picked;
      dialog.showModal();
    },
  };
}
