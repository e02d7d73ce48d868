"""Image tables: Parquet files with a picture per row, as JPEG, PNG or numbers."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalogtool import storage
from catalogtool.errors import ManifestError
from catalogtool.inputs._base import Cutouts, FloatArray
from catalogtool.inputs._base import Format as BaseFormat
from catalogtool.inputs._listing import ListedObject, files_ending, manifest_table
from catalogtool.inputs._names import TABLE_ENDINGS, first_few, parse_name
from catalogtool.inputs._pictures import fill_cutout
from catalogtool.inputs._table_rows import read_rows
from catalogtool.inputs._times import column_mjd
from catalogtool.inputs.labels import (
    LabelTable,
    has_labels,
    label_columns,
    read_labels,
    row_positions,
    row_splits,
    row_votes,
)

_ROWS_PER_TABLE = 4096


class Format(BaseFormat):
    """A Parquet file, or a folder or prefix of them, with one object per row."""

    @staticmethod
    def recognises(uri: str) -> bool:
        """Whether this is a Parquet file, or a folder that holds one."""
        named = uri.lower().endswith(TABLE_ENDINGS)
        return named or next(files_ending(uri, TABLE_ENDINGS), None) is not None

    def list_objects(self) -> Iterator[pa.Table]:
        """Yield all objects in the order of files and rows.

        Labels, positions and splits come from the label table where one is given, else from
        columns of the images' own table.

        Raises
        ------
        ManifestError
            If a file is not Parquet, lacks a column, or has names that do not fit the pattern.
        LabelError
            If labels contradict the objects or themselves.
        """
        labels = read_labels(self.labels_uri, self.survey) if self.labels_uri else None
        seen: set[str] = set()
        for info in self._files():
            for table in self._list_file(info, labels):
                if labels is not None:
                    seen.update(table.column("source_id").to_pylist())
                yield table
        if labels is not None:
            labels.refuse_unknown(seen)

    def _files(self) -> list[storage.FileInfo]:
        files = list(files_ending(str(self.uri), TABLE_ENDINGS))
        if not files:
            raise ManifestError(f"{self.uri}: holds no Parquet file")
        return files

    def _list_file(self, info: storage.FileInfo, labels: LabelTable | None) -> Iterator[pa.Table]:
        row = 0
        for table in self._tables(info.uri):
            names = self._names(info.uri, table.column(self.survey.input.id_column))
            listed = self._listed(info, row, names, table)
            yield manifest_table([_with_labels(one, labels) for one in listed])
            row += table.num_rows

    def _tables(self, uri: str) -> Iterator[pa.Table]:
        """All columns but the images, a few thousand rows at a time."""
        with storage.open_input(uri) as stream:
            try:
                file = pq.ParquetFile(stream)
                columns = self._columns(uri, file.schema_arrow.names)
                for batch in file.iter_batches(_ROWS_PER_TABLE, columns=columns):
                    yield pa.Table.from_batches([batch])
            except (pa.ArrowException, OSError) as error:
                raise ManifestError(f"{uri}: is not a Parquet file, or damaged: {error}") from error

    def _columns(self, uri: str, found: Sequence[str]) -> list[str]:
        source = self.survey.input
        lacking = [name for name in (source.id_column, source.image_column) if name not in found]
        if lacking:
            raise ManifestError(
                f"{uri}: no column {', '.join(lacking)}; found: {', '.join(found)}. Set id_column "
                "and image_column in the survey file",
                missing=lacking,
            )
        useful = {source.id_column, source.ra_column, source.dec_column, source.split_column}
        useful.add(source.time_column)
        if has_labels(uri, found, self.survey):
            useful |= set(label_columns(self.survey))
        return [name for name in found if name in useful]

    def _names(self, uri: str, column: pa.ChunkedArray) -> list[str]:
        texts = column.cast(pa.string()).to_pylist()
        names = [parse_name(text or "", self.survey.input.id_pattern) for text in texts]
        wrong = [text for text, name in zip(texts, names, strict=True) if name is None]
        if wrong:
            raise ManifestError(
                f"{uri}: {len(wrong)} names in {self.survey.input.id_column} are empty or do not "
                f"fit the survey's id_pattern: {first_few(wrong)}",
                count=len(wrong),
            )
        return [name.source_id for name in names if name is not None]

    def _listed(
        self, info: storage.FileInfo, first_row: int, names: Sequence[str], table: pa.Table
    ) -> Iterator[ListedObject]:
        votes = self._votes(info.uri, table)
        ra, dec = row_positions(info.uri, table, self.survey)
        times = column_mjd(info.uri, table, self.survey.input.time_column)
        splits = row_splits(table, self.survey)
        for index, name in enumerate(names):
            known = np.isfinite(ra[index]) and np.isfinite(dec[index])
            yield ListedObject(
                source_id=name,
                uris=(info.uri,),
                row=first_row + index,
                identity=info.identity,
                position=(float(ra[index]), float(dec[index])) if known else None,
                votes=votes[index],
                split=splits[index],
                observed_mjd=float(times[index]) if np.isfinite(times[index]) else None,
            )

    def _votes(self, uri: str, table: pa.Table) -> list[FloatArray | None]:
        shape = (self.survey.rows_per_object, len(self.survey.labels.classes))
        if shape[0] > 1 or not has_labels(uri, table.column_names, self.survey):
            return [None] * table.num_rows  # labels per band do not fit into one row
        votes = row_votes(uri, table, self.survey)
        return [None if np.isnan(row).any() else row.reshape(shape) for row in votes]

    def read(self, rows: pa.Table) -> Cutouts:
        """Read the cutouts of some manifest rows."""
        cutouts = self.empty_cutouts(rows.num_rows)
        uris = [uris[0] for uris in rows.column("uris").to_pylist()]
        table_rows = rows.column("row").to_pylist()
        for uri in dict.fromkeys(uris):
            here = [index for index, other in enumerate(uris) if other == uri]
            wanted = [table_rows[index] for index in here]
            images = read_rows(uri, self.survey.input.image_column, wanted)
            for index, image in zip(here, images, strict=True):
                fill_cutout(cutouts, index, image)
        return cutouts


def _with_labels(listed: ListedObject, labels: LabelTable | None) -> ListedObject:
    if labels is None:
        return listed
    name = listed.source_id
    return listed._replace(
        position=listed.position or labels.position(name),
        votes=labels.votes_of(name) if labels.has_votes else listed.votes,
        split=labels.split_of(name) or listed.split,
        observed_mjd=listed.observed_mjd or labels.observed_mjd(name),
    )
