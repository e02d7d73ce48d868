"""Two small surveys of one population, with classes: a labelled source and a target."""

import re
from pathlib import Path

import catalogtool.surveys

SIZE_PIX = 24
OBJECTS = 150
_SMALL = {
    "cutout_size_pix = 64": f"cutout_size_pix = {SIZE_PIX}",
    "objects = 1500": f"objects = {OBJECTS}",
    'head = "cosine"': 'widths = [4, 8], blocks = [1, 1], head = "cosine"',
    "batch_size = 64": "batch_size = 32",
    "max_epochs = 30": "max_epochs = 2",
    "max_epochs = 10": "max_epochs = 2",
}


def write_pair(folder: Path, *, linked: bool = True) -> tuple[Path, Path]:
    """Files of ``shallow_mock`` and ``deep_mock``, made small; if linked, the second by path."""
    source = _write(folder, "shallow_mock", {})
    changes = {'"shallow_mock"': f'"{source}"'} if linked else {}
    return source, _write(folder, "deep_mock", changes)


def _write(folder: Path, name: str, changes: dict[str, str]) -> Path:
    text = (Path(catalogtool.surveys.__path__[0]) / f"{name}.toml").read_text()
    for old, new in (_SMALL | changes).items():
        text = re.sub(rf"(?m)^(?!name)(.*){re.escape(old)}", lambda m, n=new: m[1] + n, text)
    file = folder / f"{name}.toml"
    file.write_text(text)
    return file
