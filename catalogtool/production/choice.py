"""Which catalogs are asked for, and which recipes make them."""

from dataclasses import dataclass

from catalogtool.catalogs import load_kind
from catalogtool.errors import ConfigError
from catalogtool.surveys._definition import Survey
from catalogtool.surveys._recipe import Recipe


@dataclass(frozen=True)
class Choice:
    """Catalog kinds and what makes them.

    Attributes
    ----------
    kinds : tuple of str
        In the order in which they are written.
    network : Recipe or None
        Recipe of the one network of a run; None: no kind needs it.
    hosts : Recipe or None
        Recipe of the model of hosts.
    """

    kinds: tuple[str, ...]
    network: Recipe | None
    hosts: Recipe | None


def choose(survey: Survey, asked: tuple[str, ...]) -> Choice:
    """Find the recipes for what is asked.

    Parameters
    ----------
    survey : Survey
        Whose catalogs are wanted.
    asked : tuple of str
        Catalog kinds; empty: those of the first recipe.

    Raises
    ------
    ConfigError
        If a kind has no recipe, or they need more than one network.
    """
    kinds = asked or survey.recipes[0].kinds
    networks = tuple(recipe for recipe in survey.recipes if recipe.hosts is None)
    chosen = [_recipe(survey, kind) for kind in kinds]
    hosts = next((recipe for recipe in chosen if recipe and recipe.hosts is not None), None)
    listed = [recipe for recipe in chosen if recipe in networks]
    if len({id(recipe) for recipe in listed}) > 1:
        raise ConfigError(
            f"survey {survey.name}: the catalogs {', '.join(kinds)} need several networks; "
            "produce them one after the other"
        )
    if listed or None not in chosen:
        return Choice(kinds, listed[0] if listed else None, hosts)
    if not networks:
        raise ConfigError(
            f"survey {survey.name} has no recipe with a network, whose features the catalogs "
            f"{', '.join(kinds)} need; add one"
        )
    return Choice(kinds, networks[0], hosts)


def _recipe(survey: Survey, kind: str) -> Recipe | None:
    """The recipe that lists a kind; None for kinds that any network's features are enough for."""
    recipe = survey.recipe_for(kind)
    if recipe is None and load_kind(kind).maker not in ("features", "scorer"):
        known = ", ".join(kind for r in survey.recipes for kind in r.kinds)
        raise ConfigError(
            f"survey {survey.name} has no recipe for the catalog {kind!r}; known: {known}, and "
            "anomaly and embedding of any network"
        )
    return recipe
