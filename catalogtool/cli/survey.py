"""Commands about surveys."""

from typing import Annotated

import typer

from catalogtool.cli import console
from catalogtool.cli.options import Json

app = typer.Typer(help="List, show and check survey files.", no_args_is_help=True)
NameOrPath = Annotated[str, typer.Argument(help="Name of a survey, or path of a TOML file.")]


@app.command("list")
def list_surveys(*, as_json: Json = False) -> None:
    """List the surveys that ship with catalogtool."""
    from catalogtool.surveys import load_survey, survey_names

    surveys = [load_survey(name) for name in survey_names()]
    if as_json:
        console.result_json([survey.to_json() for survey in surveys])
        return
    rows = [
        (s.name, s.title, len(s.bands), f"{s.pixel_scale_arcsec:g}", ", ".join(s.recipes[0].kinds))
        for s in surveys
    ]
    console.table("", ("name", "title", "bands", "arcsec/pixel", "catalogs"), rows)


@app.command("show")
def show_survey(survey: NameOrPath, *, as_json: Json = False) -> None:
    """Show one survey: bands, labels, input and recipes."""
    from catalogtool.surveys import load_survey

    loaded = load_survey(survey)
    if as_json:
        console.result_json(loaded.to_json())
        return
    console.result(f"{loaded.name}: {loaded.title}\n{loaded.description}\n{loaded.reference}")
    console.result(f"pixel scale {loaded.pixel_scale}, cutouts {loaded.cutout_size_pix} pixels")
    rows = [(b.name, b.pivot_wavelength, b.zeropoint, b.psf_fwhm, b.depth) for b in loaded.bands]
    columns = ("band", "pivot wavelength", "AB zero point", "PSF FWHM", "5 sigma depth")
    console.table("bands", columns, rows)
    console.table(
        "recipes",
        ("catalogs", "network", "method", "source survey"),
        [(", ".join(r.kinds), r.network, r.method, r.source_survey) for r in loaded.recipes],
    )
    console.result(f"classes: {', '.join(loaded.labels.classes)} ({loaded.labels.kind})")


@app.command("check")
def check_survey(survey: NameOrPath) -> None:
    """Check a survey file: every mistake at once, each with its key."""
    from catalogtool.production.checks import check_survey_names
    from catalogtool.surveys import load_survey

    loaded = load_survey(survey)
    check_survey_names(loaded, survey)
    console.result(f"{survey}: correct ({len(loaded.bands)} bands, {len(loaded.recipes)} recipes)")
