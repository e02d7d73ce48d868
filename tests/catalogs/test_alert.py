"""The rows of alerts and of the objects that they belong to."""

import numpy as np
import pyarrow as pa
import pytest

from catalogtool.catalogs import load_kind, load_table
from catalogtool.catalogs._alert_objects import summarise
from catalogtool.catalogs._base import CatalogContext, Predictions
from catalogtool.catalogs.alert import nights
from catalogtool.flags import Flag
from catalogtool.identifiers import object_id_of
from catalogtool.inputs._base import MANIFEST_SCHEMA

CLASSES = ("agn", "bogus", "sn")
CONTEXT = CatalogContext(
    CLASSES,
    ("science", "template", "difference"),
    per_band=False,
    model_id="m",
    timezone="America/Los_Angeles",
)
P = np.array([[0.2, 0.1, 0.7], [0.1, 0.8, 0.1], [np.nan] * 3, [0.4, 0.4, 0.2]], dtype=np.float32)
FACTS = pa.table(
    {
        "band": ["g", "r", None, "g"],
        "magnitude_ab": pa.array([18.5, 19.5, None, 17.0], pa.float32()),
        "is_positive": [True, False, None, True],
        "detections": pa.array([1, 2, None, 4], pa.int32()),
    }
)


def _alerts(facts: pa.Table | None = FACTS) -> pa.Table:
    """Two alerts of one object on both sides of right ascension 0, and two others."""
    rows = pa.Table.from_pylist(
        [
            {"ra": 359.9, "dec": 10.0, "source_id": "ZTF18a", "observed_mjd": 60000.25},
            {"ra": 0.1, "dec": 10.0, "source_id": "ZTF18a", "observed_mjd": 60000.9},
            {"ra": 40.0, "dec": -5.0, "source_id": "ZTF18b", "observed_mjd": None},
            {"ra": None, "dec": None, "source_id": "ZTF18c", "observed_mjd": 60003.0},
        ],
    )
    others = {"object_id": [11, 12, 13, 14], "flags": [0] * 4, "uris": [[]] * 4, "row": [0] * 4}
    for name, values in (others | {"identity": [""] * 4, "split": [""] * 4}).items():
        rows = rows.append_column(name, pa.array(values, MANIFEST_SCHEMA.field(name).type))
    rows = rows.append_column("votes", pa.nulls(4, MANIFEST_SCHEMA.field("votes").type))
    rows = rows.select(MANIFEST_SCHEMA.names).cast(MANIFEST_SCHEMA)
    flags = np.array([[0], [int(Flag.PARTLY_MASKED)], [int(Flag.UNREADABLE)], [0]], dtype=np.int32)
    predictions = Predictions(P[:, None], flags, facts)
    return load_kind("alert").finalize(CONTEXT, rows, predictions)


def test_an_alert_tells_what_the_network_and_the_packet_say() -> None:
    table = _alerts()

    assert table.column("real_bogus").to_pylist() == pytest.approx([0.9, 0.2, None, 0.6], abs=1e-6)
    assert table.column("predicted_class").to_pylist() == ["sn", "bogus", "", "agn"]
    assert table.column("band").to_pylist() == ["g", "r", "", "g"]
    assert table.column("change_sign").to_pylist() == [1, -1, 0, 1]
    assert table.column("detections").to_pylist() == [1, 2, None, 4]
    assert table.column("survey_score").null_count == 4
    assert table.column("night").to_pylist() == ["2023-02-24", "2023-02-25", "", "2023-02-27"]


def test_an_input_without_facts_leaves_their_columns_empty() -> None:
    table = _alerts(facts=None)

    assert table.column("magnitude_ab").null_count == 4
    assert set(table.column("band").to_pylist()) == {""}
    assert set(table.column("change_sign").to_pylist()) == {0}


def test_nights_run_from_noon_to_noon_of_the_observatory() -> None:
    assert nights(np.array([60000.0, np.nan, 60000.8, 60001.0]), "America/Los_Angeles") == [
        "2023-02-24",
        "",
        "2023-02-24",
        "2023-02-25",
    ]


def test_objects_are_summaries_of_their_alerts() -> None:
    table = summarise(CONTEXT, _alerts()).to_pylist()

    assert table == sorted(table, key=lambda row: row["object_id"])
    found = {row["source_id"]: row for row in table}
    assert set(found) == {"ZTF18a", "ZTF18b"}  # one has no position
    first, second = found["ZTF18a"], found["ZTF18b"]
    assert first["object_id"] == object_id_of("ZTF18a")
    assert min(first["ra"], 360 - first["ra"]) == pytest.approx(0, abs=1e-9)
    assert first["dec"] == pytest.approx(10, abs=1e-3)
    assert first["alerts"] == 2
    assert (first["first_mjd"], first["last_mjd"]) == (60000.25, 60000.9)
    assert first["brightest_mag_ab"] == pytest.approx(18.5)
    assert first["p_sn"] == pytest.approx(0.4)
    assert first["predicted_class"] == "bogus"
    assert first["real_bogus"] == pytest.approx(0.9)
    assert first["flags"] == int(Flag.PARTLY_MASKED)
    assert second["flags"] == int(Flag.UNREADABLE)
    assert not second["has_prediction"]
    assert second["p_sn"] is second["first_mjd"] is second["real_bogus"] is None


def test_a_fatal_flag_of_one_alert_does_not_condemn_its_object() -> None:
    alerts = _alerts()
    names = pa.array(["ZTF18a"] * 4)
    alerts = alerts.set_column(alerts.column_names.index("source_id"), "source_id", names)

    (row,) = summarise(CONTEXT, alerts).to_pylist()

    assert row["flags"] == int(Flag.PARTLY_MASKED)
    assert row["has_prediction"]


def test_summaries_of_parts_of_the_objects_are_the_summary_of_all() -> None:
    alerts = _alerts()
    groups = [alerts.slice(0, 2), alerts.slice(2, 2)]
    whole = summarise(CONTEXT, alerts)

    pieces = pa.concat_tables([summarise(CONTEXT, group) for group in groups])

    assert pieces.sort_by("object_id").equals(whole)
    assert whole.schema.equals(load_table("alert_object").schema(CONTEXT))
