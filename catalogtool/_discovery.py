"""The file is the registration: names are the modules of a folder, loaded when asked for."""

import difflib
import importlib
import importlib.util
import pkgutil
from types import ModuleType

from catalogtool.errors import UnknownNameError

_NOUNS = {
    "adaptation": "adaptation methods",
    "anomaly": "anomaly methods",
    "catalogs": "catalog kinds",
    "inputs": "input formats",
}
"""What the modules of a package are, where its name does not say it."""


def module_names(package: str) -> tuple[str, ...]:
    """List the public modules of a package without importing any of it.

    Parameters
    ----------
    package : str
        Dotted name, for example ``"catalogtool.networks"``.

    Returns
    -------
    tuple of str
        Sorted names; those with a leading underscore are not registrations.
    """
    spec = importlib.util.find_spec(package)
    assert spec is not None, package
    path = spec.submodule_search_locations
    return tuple(sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_")))


def load_module(package: str, name: str) -> ModuleType:
    """Import one module of a package by its public name.

    Raises
    ------
    UnknownNameError
        If the package has no such module; the message lists those it has.
    """
    check_module(package, name)
    return importlib.import_module(f"{package}.{name}")


def check_module(package: str, name: str) -> None:
    """Refuse a name that no public module of a package has; imports nothing.

    Raises
    ------
    UnknownNameError
        If the package has no such module.
    """
    folder = package.rsplit(".", 1)[-1]
    check_name(name, module_names(package), _NOUNS.get(folder, folder))


def check_name(name: str, known: tuple[str, ...], folder: str) -> None:
    """Refuse a name that is not known, and say which one was probably meant.

    Raises
    ------
    UnknownNameError
        If `name` is not among `known`.
    """
    if name in known:
        return
    closest = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {closest[0]!r}?" if closest else ""
    raise UnknownNameError(
        f"{name!r} is not one of {folder}; known: {', '.join(known)}.{hint}", name=name, known=known
    )
