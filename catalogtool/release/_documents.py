"""What a release says to people and to programs besides its rows: card, citation, licence."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from catalogtool.config._base import Settings, build_settings, load_toml
from catalogtool.release._properties import Properties

_SPDX = r"^[A-Za-z0-9][A-Za-z0-9.+-]*$"
DEFAULT_LICENCE = "CC-BY-4.0"


class Author(Settings):
    """Somebody to cite; a person or a group."""

    name: str
    affiliation: str | None = None
    orcid: Annotated[str, Field(pattern=r"^\d{4}-\d{4}-\d{4}-\d{3}[\dX]$")] | None = None


class ReleaseCard(Settings):
    """What the publisher knows and the run does not (``--card FILE``, TOML)."""

    title: str | None = None
    """None: what the catalog says."""
    description: str | None = None
    authors: tuple[Author, ...] = ()
    doi: str | None = None
    contact: str | None = None
    acknowledgement: str | None = None
    licence: Annotated[str, Field(pattern=_SPDX)] = DEFAULT_LICENCE
    """SPDX identifier."""


def load_card(path: Path | None, licence: str | None) -> ReleaseCard:
    """Card from a TOML file, if there is one, and a licence that stands above it.

    Raises
    ------
    ConfigError
        If the file or the licence is not acceptable.
    """
    card = ReleaseCard() if path is None else load_toml(ReleaseCard, path)
    if licence is None:
        return card
    return build_settings(ReleaseCard, {**card.to_json(), "licence": licence}, where="--license")


@dataclass(frozen=True)
class Described:
    """A catalog about to be published.

    Attributes
    ----------
    name, version, collection : str
        Name and version of the release, and the folder of its collection.
    card : ReleaseCard
        What the publisher says.
    properties : dict
        Properties of the table of all rows.
    fields : list
        FIELDs of its VOTable header: name, datatype, unit, ucd, description.
    provenance : dict
        Where the rows come from.
    """

    name: str
    version: str
    collection: str
    card: ReleaseCard
    properties: Properties
    fields: list[Any]
    provenance: dict[str, Any]

    @property
    def title(self) -> str:
        """Title of the release."""
        return self.card.title or self.properties.get("obs_title", self.name)

    @property
    def description(self) -> str:
        """A few sentences."""
        return self.card.description or self.properties.get("obs_description", "")

    @property
    def rows(self) -> int:
        """Rows of the catalog."""
        return int(self.properties["hats_nrows"])

    @property
    def date(self) -> str:
        """Day of the run, ISO 8601; the same however often it is published."""
        return str(self.provenance["created"])[:10]

    @property
    def authors(self) -> tuple[Author, ...]:
        """Whom to cite; the makers of the catalog where nobody is named."""
        return self.card.authors or (Author(name=f"Makers of {self.name}"),)

    @property
    def simulated(self) -> bool:
        """Whether anything of the catalog was made up."""
        return bool(self.provenance["simulated_cutouts"] or self.provenance["simulated_training"])

    def documents(self) -> dict[str, bytes]:
        """Content of all documents by file name; equal catalogs give equal bytes."""
        texts = {
            "README.md": _readme(self),
            "card.json": _json(_dataset(self)),
            "CITATION.cff": _citation(self),
            "LICENSE.txt": _licence(self),
            "provenance.json": _json(self.provenance),
        }
        return {name: text.encode() for name, text in texts.items()}


def _json(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _warnings(catalog: Described) -> list[str]:
    lines = []
    if catalog.provenance["simulated_cutouts"]:
        lines.append("**The cutouts of this catalog are simulated: it says nothing of the sky.**")
    if catalog.provenance["simulated_training"]:
        lines.append("**The network learned from simulated cutouts.**")
    return lines


def _readme(catalog: Described) -> str:
    head = {
        "pretty_name": catalog.title,
        "version": catalog.version,
        "license": catalog.card.licence.lower(),
        "tags": ["astronomy", "catalog", "hats"] + ["simulated"] * catalog.simulated,
    }
    columns = [
        f"| `{f.name}` | {f.datatype} | {f.unit or ''} | {f.ucd or ''} | {_cell(f.description)} |"
        for f in catalog.fields
    ]
    sections = [
        "---\n" + "".join(f"{key}: {_yaml(value)}\n" for key, value in head.items()) + "---",
        f"# {catalog.title}",
        f"{catalog.name}, version {catalog.version}, {catalog.rows} rows, produced {catalog.date}.",
        *_warnings(catalog),
        catalog.description,
        "## How it was made",
        _making(catalog.provenance),
        "## How to read it",
        _reading(catalog.collection),
        "## Columns",
        "\n".join(["| name | type | unit | UCD | meaning |", "|---|---|---|---|---|", *columns]),
        "## Licence and citation",
        (
            f"{catalog.card.licence}; cite as `CITATION.cff` says, and "
            f"{catalog.properties.get('bib_reference', 'the survey')}."
        ),
        *filter(None, (catalog.card.acknowledgement, _contact(catalog))),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _making(provenance: dict[str, Any]) -> str:
    model = provenance["model"]
    return (
        f"Network {model['network']}, method {model['method']}, model `{model['model_id']}`, run "
        f"`{provenance['run_id']}` of {provenance['objects']} objects with catalogtool "
        f"{provenance['code_version']}. Calibration of the probabilities: "
        f"{provenance['calibration']}. `provenance.json` has the identities of inputs, model and "
        "code, and the figures of merit; `inputs.parquet` names the file of every object."
    )


def _reading(collection: str) -> str:
    return (
        f'`{collection}/` is a HATS collection: `lsdb.open_catalog("{collection}")`. Every Parquet '
        "file carries units and UCDs: `astropy.table.Table.read(file, "
        'format="parquet.votable")`.'
    )


def _contact(catalog: Described) -> str:
    return f"Contact: {catalog.card.contact}" if catalog.card.contact else ""


def _cell(text: object) -> str:
    return " ".join(str(text or "").split()).replace("|", "\\|")


def _yaml(value: object) -> str:
    """YAML text of a value: JSON is YAML."""
    return json.dumps(value, ensure_ascii=False)


def _dataset(catalog: Described) -> dict[str, Any]:
    """The card as JSON-LD of schema.org, which search engines of data understand."""
    card = catalog.card
    facts = {
        "@context": "https://schema.org/",
        "@type": "Dataset",
        "name": catalog.title,
        "alternateName": catalog.name,
        "version": catalog.version,
        "description": " ".join([*_warnings(catalog), catalog.description]).replace("**", ""),
        "license": f"https://spdx.org/licenses/{card.licence}.html",
        "dateCreated": catalog.date,
        "citation": catalog.properties.get("bib_reference"),
        "identifier": f"https://doi.org/{card.doi}" if card.doi else None,
        "creator": [author.to_json() for author in catalog.authors],
        "size": f"{catalog.rows} rows",
        "variableMeasured": [_variable(field) for field in catalog.fields],
    }
    return {name: value for name, value in facts.items() if value is not None}


def _variable(field: Any) -> dict[str, str]:  # noqa: ANN401 - a VOTable FIELD
    facts = {
        "@type": "PropertyValue",
        "name": field.name,
        "propertyID": field.ucd,
        "unitText": str(field.unit) if field.unit else None,
        "description": field.description,
    }
    return {name: str(value) for name, value in facts.items() if value}


def _citation(catalog: Described) -> str:
    lines = [
        "cff-version: 1.2.0",
        "type: dataset",
        f"message: {_yaml('If you use this catalog, please cite it as below.')}",
        f"title: {_yaml(catalog.title)}",
        f"version: {_yaml(catalog.version)}",
        f"date-released: {catalog.date}",
        f"license: {catalog.card.licence}",
        *([f"doi: {_yaml(catalog.card.doi)}"] if catalog.card.doi else []),
        "authors:",
    ]
    for author in catalog.authors:
        lines.append(f"  - name: {_yaml(author.name)}")
        if author.affiliation:
            lines.append(f"    affiliation: {_yaml(author.affiliation)}")
        if author.orcid:
            lines.append(f"    orcid: {_yaml('https://orcid.org/' + author.orcid)}")
    return "\n".join(lines) + "\n"


def _licence(catalog: Described) -> str:
    names = ", ".join(author.name for author in catalog.authors)
    return (
        f"{catalog.title}, version {catalog.version}\nCopyright {catalog.date[:4]} {names}\n\n"
        f"SPDX-License-Identifier: {catalog.card.licence}\n"
        f"The text of the licence is at https://spdx.org/licenses/{catalog.card.licence}.html\n"
    )
