import io

import pytest
from astropy.io import votable
from release_samples import make_info

from catalogtool.catalogs import kind_names, load_kind
from catalogtool.release.voparquet import CONTENT_KEY, VERSION_KEY, release_schema
from catalogtool.schema import Column


@pytest.mark.parametrize("kind", kind_names())
def test_the_document_is_legal_and_describes_every_column(kind: str) -> None:
    columns = load_kind(kind).columns(make_info().context)
    schema = release_schema(columns, "A <title> & more")
    content = schema.metadata[CONTENT_KEY]
    assert schema.metadata[VERSION_KEY] == b"1.0"
    assert b"<DATA" not in content
    table = votable.parse(io.BytesIO(content), verify="exception").get_first_table()
    assert [field.name for field in table.fields] == schema.names
    for field, column in zip(table.fields[1:], columns, strict=True):
        assert (field.ucd, field.description) == (column.ucd, column.description)
        assert str(field.unit or "") == column.unit


def test_texts_have_a_fixed_greatest_width_and_lists_their_length() -> None:
    columns = (
        Column("name", "string", "n", "meta.id", width=12),
        Column("embedding", "float32", "e", "stat.param", length=16),
    )
    content = release_schema(columns, "t").metadata[CONTENT_KEY]
    fields = votable.parse(io.BytesIO(content)).get_first_table().fields
    assert [field.arraysize for field in fields[1:]] == ["12*", "16"]
