"""Folds the increments of a growing catalog into one plain catalog."""

import pyarrow as pa

from catalogtool import storage
from catalogtool.errors import ReleaseError
from catalogtool.release._rows import CatalogFiles
from catalogtool.release.assemble import AssembledCatalog, assemble_rows
from catalogtool.release.series import Series
from catalogtool.release.verify import verify


def compact(series_uri: str, target_uri: str | None = None) -> AssembledCatalog:
    """Write one plain catalog with the rows of all increments; the growing catalog stays.

    The result has one file per partition and the partitions, rows and order that one run over all
    objects would give. A catalog at the target is replaced. An increment that is being appended
    meanwhile is not part of it.

    Parameters
    ----------
    series_uri : str
        Folder of a growing catalog.
    target_uri : str or None
        Folder of the result; None: ``compacted/<name>`` beside the growing catalog. Its last name
        becomes the name of the catalog.

    Raises
    ------
    ReleaseError
        If there is no growing catalog, or the target is the growing catalog itself.
    VerificationError
        If the result is not what it claims.
    """
    series = Series.open(series_uri)
    parent = series.uri.rsplit("/", 1)[0]
    target = storage.normalise(target_uri or storage.join(parent, "compacted", series.name))
    if target == series.uri:
        raise ReleaseError(f"{target}: cannot be folded into itself; choose another --to")
    increments = series.visible()
    shape = series.record.shape(increments[-1])
    folder = f"{series.name}/"
    paths = sorted(p for i in increments for p in i.sha256 if p.startswith(folder))
    files = CatalogFiles([storage.join(series.uri, path) for path in paths], shape.part_schema)
    result = assemble_rows(files, shape, target, _refuse)
    expected = sum(increment.primary.rows for increment in increments)
    if result.rows != expected:
        raise ReleaseError(
            f"{target}: holds {result.rows} rows, but the increments have {expected}; verify "
            f"{series.uri} and fold it again",
            rows=result.rows,
        )
    verify(target).raise_for_failures()
    return result


def _refuse(rows: pa.Table) -> None:
    raise ReleaseError(f"{rows.num_rows} rows of a growing catalog have no position; verify it")
