"""Where the files of an output folder are. Names are deterministic: a rerun finds its own work.

::

    OUTPUT/
      manifests/<survey>-<identity>.parquet
      models/<training identity>/     weights.safetensors, run.json
      fields/<survey>-<identity>/
        unit-00000.parquet            pyramids and sources of a manifest's transients, for hosts
      runs/<run id>/
        run.json                      what was asked, resolved
        form.json                     form of the network that predicts
        parts/<kind>/part-00000.parquet
        ledger/unit-00000.json
        catalogs/<survey>_<kind>/     HATS collection
        quarantine/<kind>.parquet     rows without a position
        report.html
        vetting/<class>/index.html    page to vet candidates on, and data-<identity>/ beside it
        gallery/index.html            page of unusual objects and of hosts
        similarity/                   index of embeddings, made when it is first needed
        commit.json                   written last: the run is finished and verified
      latest/<survey>.json            the newest finished run over all objects of a survey
      nights/<survey>/<date>.json     written when the run of an observing night is committed
      jobs/<job>.json                 settings of a job on a cluster, and <job>.outcome.json
      surveys/<survey>-<identity>.toml  private survey file of such a job
      series/<survey>.json            the model of the survey's growing catalogs
      series/<survey>/<model id>/
        increments/<name>.json        written when an increment is in all catalogs
        form.json                     form of the network that all increments predict with
        <survey>_<kind>/              HATS collection that grows
      trials/<identity>.json          figures of one trial of a comparison
      comparisons/<survey>-<identity>/
        comparison.html, comparison.csv, comparison.json
      locks/<survey>.json             lease of the process that works on the nights of a survey
"""

from dataclasses import dataclass
from datetime import date

from catalogtool import storage


@dataclass(frozen=True)
class OutputLayout:
    """Addresses below an output folder."""

    uri: str

    @property
    def manifests(self) -> str:
        """Folder of the manifests, which are named by their content."""
        return storage.join(self.uri, "manifests")

    def model(self, training_identity: str) -> str:
        """Folder of the model that a training leads to."""
        return storage.join(self.uri, "models", training_identity[:16])

    def fields(self, survey: str, identity: str) -> str:
        """Folder of what hosts are found in, named by all that it depends on."""
        return storage.join(self.uri, "fields", f"{survey}-{identity[:16]}")

    def run(self, run_id: str) -> "RunLayout":
        """Addresses of a run."""
        return RunLayout(storage.join(self.uri, "runs", run_id))

    def job(self, job: str) -> str:
        """Settings of a job on a cluster."""
        return storage.join(self.uri, "jobs", f"{job}.json")

    def survey(self, survey: str, identity: str) -> str:
        """Private survey file that a job reads."""
        return storage.join(self.uri, "surveys", f"{survey}-{identity}.toml")

    def latest(self, survey: str) -> str:
        """Pointer to the newest finished run over all objects of a survey."""
        return storage.join(self.uri, "latest", f"{survey}.json")

    def nights(self, survey: str) -> str:
        """Folder of the commits of a survey's observing nights."""
        return storage.join(self.uri, "nights", survey)

    def night(self, survey: str, night: date) -> str:
        """Commit of one observing night."""
        return storage.join(self.nights(survey), f"{night.isoformat()}.json")

    def series_model(self, survey: str) -> str:
        """Which model the growing catalogs of a survey are made with."""
        return storage.join(self.uri, "series", f"{survey}.json")

    def series(self, survey: str, model_id: str) -> "SeriesLayout":
        """Addresses of the growing catalogs of a survey and model."""
        return SeriesLayout(storage.join(self.uri, "series", survey, model_id))

    def trial(self, identity: str) -> str:
        """Figures of one trial of a comparison."""
        return storage.join(self.uri, "trials", f"{identity[:16]}.json")

    def comparison(self, survey: str, identity: str) -> "ComparisonLayout":
        """Addresses of a comparison of methods."""
        return ComparisonLayout(storage.join(self.uri, "comparisons", f"{survey}-{identity}"))

    def lock(self, survey: str) -> str:
        """Lease on the nights of a survey."""
        return storage.join(self.uri, "locks", f"{survey}.json")


@dataclass(frozen=True)
class SeriesLayout:
    """Addresses of the growing catalogs of one survey and model."""

    uri: str

    @property
    def form(self) -> str:
        """The form of the network that all increments predict with."""
        return storage.join(self.uri, "form.json")

    @property
    def increments(self) -> str:
        """Folder of the commits of increments."""
        return storage.join(self.uri, "increments")

    def increment(self, name: str) -> str:
        """Commit of an increment."""
        return storage.join(self.increments, f"{name}.json")

    def catalog(self, survey: str, kind: str) -> str:
        """Growing HATS collection of one kind."""
        return storage.join(self.uri, f"{survey}_{kind}")


@dataclass(frozen=True)
class ComparisonLayout:
    """Addresses of one comparison of methods."""

    uri: str

    @property
    def page(self) -> str:
        """Advice, figures and tables, for people."""
        return storage.join(self.uri, "comparison.html")

    @property
    def table(self) -> str:
        """One line per trial, for spreadsheets."""
        return storage.join(self.uri, "comparison.csv")

    @property
    def figures(self) -> str:
        """Everything about every trial, for programs."""
        return storage.join(self.uri, "comparison.json")


@dataclass(frozen=True)
class RunLayout:
    """Addresses of one run."""

    uri: str

    @property
    def record(self) -> str:
        """The resolved configuration."""
        return storage.join(self.uri, "run.json")

    @property
    def form(self) -> str:
        """The form of the network that all workers of the run predict with."""
        return storage.join(self.uri, "form.json")

    @property
    def report(self) -> str:
        """The page for people."""
        return storage.join(self.uri, "report.html")

    def vetting(self, name: str) -> str:
        """Folder of a page to vet candidates on."""
        return storage.join(self.uri, "vetting", name)

    @property
    def gallery(self) -> str:
        """Folder of the page of unusual objects and of hosts."""
        return storage.join(self.uri, "gallery")

    @property
    def similarity(self) -> str:
        """Folder of the index of embeddings."""
        return storage.join(self.uri, "similarity")

    @property
    def commit(self) -> str:
        """The file that makes the run count."""
        return storage.join(self.uri, "commit.json")

    def part(self, kind: str, unit: int) -> str:
        """Rows of one unit and kind."""
        return storage.join(self.parts, kind, f"part-{unit:05d}.parquet")

    @property
    def parts(self) -> str:
        """Folder of the parts of all kinds."""
        return storage.join(self.uri, "parts")

    def ledger_line(self, unit: int) -> str:
        """What became of one unit."""
        return storage.join(self.uri, "ledger", f"unit-{unit:05d}.json")

    @property
    def ledger(self) -> str:
        """Folder of all ledger lines."""
        return storage.join(self.uri, "ledger")

    def catalog(self, survey: str, kind: str) -> str:
        """HATS collection of one kind."""
        return storage.join(self.uri, "catalogs", f"{survey}_{kind}")

    def extension(self, survey: str, kind: str, extended: str) -> str:
        """HATS collection of a kind inside of that of the kind that it extends."""
        return storage.join(self.catalog(survey, extended), f"{survey}_{kind}")

    def quarantine(self, kind: str) -> str:
        """Rows that have no place on the sky."""
        return storage.join(self.uri, "quarantine", f"{kind}.parquet")
