"""What a machine lacks is found before a run does."""

from pathlib import Path

import pytest

from catalogtool.production import doctor


def verdicts(output: Path) -> dict[str, str]:
    return {finding.subject: finding.verdict for finding in doctor.examine(str(output))}


def test_the_installed_packages_are_found(tmp_path: Path) -> None:
    found = verdicts(tmp_path / "not" / "yet")
    assert {found[name] for name in ("python", "ray", "torch", "galsim", "hats")} == {"ok"}


def test_a_small_disk_is_remarked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_DISK_NEEDED_BYTES", 1 << 62)
    assert verdicts(tmp_path)["disk"] == "remark"


def test_a_missing_package_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_PACKAGES", ("ray", "no-such-package"))
    assert verdicts(tmp_path)["no-such-package"] == "problem"


def test_a_missing_compiler_is_remarked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert verdicts(tmp_path)["C++ compiler"] == "remark"


def test_credentials_are_told_by_their_place_and_not_by_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "visible-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-secret")
    findings = {f.subject: f for f in doctor.examine(str(tmp_path))}
    assert findings["S3 credentials"].found == "found by env"
