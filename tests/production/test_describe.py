"""What a plan says."""

from catalogtool.config.run import RunConfig
from catalogtool.production.describe import describe_plan
from catalogtool.production.plan import make_plan
from catalogtool.training.model import build_fresh_network, save_model


def test_a_plan_of_real_cutouts_counts_objects_bytes_and_units(real_config: RunConfig) -> None:
    plan = make_plan(real_config.model_copy(update={"unit_objects": 4}))
    facts = dict(describe_plan(plan).facts)
    assert facts["objects"] == "10"
    assert facts["labelled objects"] == "0"
    assert facts["units"] == "3 of up to 4 objects"
    assert facts["bytes to read"].endswith("in 10 files")
    assert facts["input"] == f"fits_cutouts ({real_config.input})"
    assert "learns from tiny (simulated cutouts), to be trained" in facts["model source_only"]


def test_a_plan_knows_the_models_that_are_there(simulated_config: RunConfig) -> None:
    plan = make_plan(simulated_config)
    (spec,) = plan.trainings
    save_model(plan.layout.model(spec.identity), build_fresh_network(spec), spec, {})
    facts = dict(describe_plan(plan).facts)
    assert ", reused: " in facts["model source_only"]
    assert facts["labelled objects"] == "48"


def test_a_plan_names_the_columns_of_every_catalog(simulated_config: RunConfig) -> None:
    columns = dict(describe_plan(make_plan(simulated_config)).columns)
    assert list(columns) == ["morphology", "morphology_wide"]
    assert "p_spheroid, p_disk" in columns["morphology"]
    assert "p_disk_f160w" in columns["morphology_wide"]
