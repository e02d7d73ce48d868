"""Everything that catalogtool raises on purpose.

::

    CatalogtoolError               exit 1
    ├── ConfigError                exit 2   a setting is wrong: file, key, what was expected
    │   └── UnknownNameError                a name that no survey, network, method or kind has
    ├── DataError                  exit 3   the data cannot be used
    │   ├── StorageError                    a file or object cannot be read or written
    │   ├── ManifestError                   the list of objects contradicts itself
    │   ├── LabelError                      a label table contradicts the manifest or itself
    │   ├── ModelError                      a stored model is missing, damaged or another one
    │   └── FlaggedShareError               more objects failed than the run allows
    ├── ClusterError               exit 4   Ray failed: unreachable, killed, out of memory
    │   ├── LockedError            exit 75  another run works on the same nights; try later
    │   └── NoProgressError                 the watchdog ended a run that stood still
    └── ReleaseError               exit 5   the catalog could not be written
        └── VerificationError               a finished catalog is not what it claims

Anything raised outside this tree is a bug and keeps its traceback.
"""


class CatalogtoolError(Exception):
    """Base of every deliberate error.

    One message and keyword context, so that it survives pickling and Ray unchanged.

    Parameters
    ----------
    message : str
        What is wrong, where, what was expected, what to do.
    **context : object
        Facts for programs: counts, names, addresses.
    """

    exit_code = 1

    def __init__(self, message: str, **context: object) -> None:
        super().__init__(message)
        self.context = context


class ConfigError(CatalogtoolError):
    """A setting is missing, unknown or contradicts another."""

    exit_code = 2


class UnknownNameError(ConfigError):
    """A name was asked for that nothing here has."""


class DataError(CatalogtoolError):
    """The data cannot be used."""

    exit_code = 3


class StorageError(DataError):
    """A file or object cannot be read or written."""


class ManifestError(DataError):
    """The list of objects contradicts itself."""


class LabelError(DataError):
    """A label table contradicts the manifest or itself."""


class ModelError(DataError):
    """A stored model is missing, damaged, or not the one that was asked for."""


class FlaggedShareError(DataError):
    """More objects were flagged than the run allows."""


class ClusterError(CatalogtoolError):
    """The cluster could not do the work."""

    exit_code = 4


class LockedError(ClusterError):
    """Another run holds the lease, or took it over."""

    exit_code = 75  # EX_TEMPFAIL of sysexits: nothing is wrong, try again later


class NoProgressError(ClusterError):
    """A run stood still for longer than allowed and was ended."""


class ReleaseError(CatalogtoolError):
    """The catalog could not be written or made visible."""

    exit_code = 5


class VerificationError(ReleaseError):
    """A finished catalog is not what it claims to be."""
