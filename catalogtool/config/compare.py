"""What a user asks of one comparison of adaptation methods."""

from typing import Annotated, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from catalogtool.config._base import Settings
from catalogtool.config.run import RunConfig

Once = Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)]


class CompareConfig(Settings):
    """The settings of ``catalogtool compare``; addresses may be paths or ``s3://`` URIs."""

    surveys: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of target surveys, or paths of private survey files."""
    all_pairs: bool = False
    """Whether each survey is adapted to from every other one, not from its recipe's source."""
    output: str
    input: str | None = None
    """Cutouts of the only survey; None: what its file says."""
    labels: str | None = None
    source_input: str | None = None
    source_labels: str | None = None
    methods: tuple[str, ...] | None = None
    """Adaptation methods; None: all that the surveys' recipes have what they need for."""
    shots: Once = (0, 1, 5, 10, 50)
    """Target labels per class that teach."""
    seeds: PositiveInt = 5
    """Trials of each method and number of labels; a seed draws labels, weights and batches."""
    validation_shots: NonNegativeInt = 10
    """Further target labels per class, which choose an epoch; 0: none."""
    epochs: PositiveInt | None = None
    workers: PositiveInt | None = None
    """Trials at the same time on this machine; None: one per core."""
    trials_per_gpu: PositiveInt = 1
    """Trials that share a GPU."""

    @model_validator(mode="after")
    def _one_survey_has_one_input(self) -> Self:
        given = (self.input, self.labels, self.source_input, self.source_labels)
        if len(self.surveys) > 1 and any(address is not None for address in given):
            raise ValueError(
                "input, labels, source_input and source_labels belong to one survey, and several "
                "are compared; say in the survey files where their cutouts are"
            )
        if self.all_pairs and len(set(self.surveys)) < 2:
            raise ValueError("all_pairs needs two or more different surveys")
        return self

    def production(self, survey: str, method: str, shots: int, seed: int) -> RunConfig:
        """The production whose training is a trial of this comparison."""
        return RunConfig(
            survey=survey,
            output=self.output,
            input=self.input,
            labels=self.labels,
            source_input=self.source_input,
            source_labels=self.source_labels,
            method=method,
            shots=shots,
            epochs=self.epochs,
            seed=seed,
        )
