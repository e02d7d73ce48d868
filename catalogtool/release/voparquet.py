"""VOParquet 1.0: a VOTable header in Parquet files with units, UCDs and descriptions."""

from xml.etree import ElementTree as ET

import pyarrow as pa

from catalogtool.schema import Column, arrow_schema

VERSION_KEY = b"IVOA.VOTable-Parquet.version"
CONTENT_KEY = b"IVOA.VOTable-Parquet.content"
VERSION = b"1.0"
HEALPIX = Column(
    "_healpix_29",
    "int64",
    "Nested HEALPix cell of the position at order 29; rows are sorted by it",
    "pos.healpix",
)

_NAMESPACE = "http://www.ivoa.net/xml/VOTable/v1.3"
_DATATYPES = {
    "int64": "long",
    "int32": "int",
    "int16": "short",
    "int8": "short",  # VOTable has no signed byte
    "float64": "double",
    "float32": "float",
    "bool": "boolean",
    "string": "char",
}


def votable_document(columns: tuple[Column, ...], title: str) -> bytes:
    """VOTable document whose only table describes the columns and holds no data.

    Parameters
    ----------
    columns : tuple of Column
        One FIELD each, in this order.
    title : str
        Description of the table.
    """
    root = ET.Element("VOTABLE", {"version": "1.4", "xmlns": _NAMESPACE})
    table = ET.SubElement(ET.SubElement(root, "RESOURCE"), "TABLE", {"name": "catalog"})
    ET.SubElement(table, "DESCRIPTION").text = title
    for column in columns:
        field = ET.SubElement(table, "FIELD", _attributes(column))
        ET.SubElement(field, "DESCRIPTION").text = column.description
    return bytes(ET.tostring(root, encoding="UTF-8", xml_declaration=True))


def _attributes(column: Column) -> dict[str, str]:
    attributes = {"name": column.name, "datatype": _DATATYPES[column.dtype], "ucd": column.ucd}
    if column.unit:
        attributes["unit"] = column.unit
    # Readers cannot join strings of unbounded width to the Parquet column: give the longest.
    size = column.width if column.dtype == "string" else column.length
    if size is not None:
        attributes["arraysize"] = f"{size}*" if column.dtype == "string" else str(size)
    return attributes


def release_schema(columns: tuple[Column, ...], title: str) -> pa.Schema:
    """Arrow schema of released files: `HEALPIX`, the columns, and the VOParquet metadata."""
    every = (HEALPIX, *columns)
    metadata = {VERSION_KEY: VERSION, CONTENT_KEY: votable_document(every, title)}
    return arrow_schema(every).with_metadata(metadata)


def subset_schema(schema: pa.Schema, names: tuple[str, ...]) -> pa.Schema:
    """Schema of some columns of a released file, with the VOParquet metadata of these alone."""
    metadata = dict(schema.metadata)
    root = ET.fromstring(metadata[CONTENT_KEY])  # noqa: S314 - of a file whose hash was checked
    for table in root.iter(f"{{{_NAMESPACE}}}TABLE"):
        fields = {field.get("name"): field for field in table.findall(f"{{{_NAMESPACE}}}FIELD")}
        for field in fields.values():
            table.remove(field)
        table.extend(fields[name] for name in names)
    ET.register_namespace("", _NAMESPACE)
    content = bytes(ET.tostring(root, encoding="UTF-8", xml_declaration=True))
    chosen = pa.schema([schema.field(name) for name in names])
    return chosen.with_metadata({**metadata, CONTENT_KEY: content})
