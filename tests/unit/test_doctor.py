"""What doctor reports: plain values, true to what the kernels use."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

from inrcodec import doctor, kernels
from inrcodec.kernels import dispatch


def test_the_report_is_plain_and_names_backend_threads_and_packages() -> None:
    fields = doctor.report()
    assert json.loads(json.dumps(fields)) == fields
    assert fields["backend"] == kernels.backend()
    assert fields["threads"] == kernels.threads()
    packages = fields["packages"]
    assert isinstance(packages, dict)
    assert packages["numpy"]


def test_every_package_of_the_base_install_is_reported_and_no_other_is_needed() -> None:
    path = Path(__file__).parents[2] / "pyproject.toml"
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    extras = [project["optional-dependencies"][extra] for extra in ("fit", "audio", "bench")]
    declared = [re.split("[<>=]", line)[0] for line in sum(extras, project["dependencies"])]
    packages = doctor.report()["packages"]
    assert isinstance(packages, dict)
    assert sorted(packages) == sorted(declared)


def test_native_code_is_described_or_its_absence_explained() -> None:
    fields = doctor.report()
    found = fields["native_path"] is not None
    assert found == (fields["native_problem"] is None)
    assert found == bool(fields["instruction_sets"])


@pytest.mark.usefixtures("_backend_is_put_back")
def test_choosing_the_reference_changes_the_backend_and_with_it_the_use_of_a_gpu() -> None:
    before = doctor.report()
    kernels.set_backend("torch")
    problem = dispatch.native_problem() or "native code is not chosen"
    on_cpu = f"the reference on the CPU ({problem})"
    by_tcnn = "; with --backend tcnn, hashgrid on the GPU"
    assert doctor.report() == {
        **before,
        "backend": "torch",
        "gpu_problem": problem,
        "decoded_by": on_cpu,
        "latentgrid_fitted_by": f"{on_cpu}; no GPU: {problem}",
        "others_fitted_by": on_cpu if before["tcnn_problem"] else on_cpu + by_tcnn,
    }


def test_the_report_says_why_tiny_cuda_nn_cannot_be_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tinycudann", None)  # as good as absent
    problem = str(doctor.report()["tcnn_problem"])
    assert problem == dispatch.tcnn_problem()
    assert problem.startswith("the package tinycudann is not installed; ")


def test_without_torch_nothing_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = doctor._version
    monkeypatch.setattr(
        doctor, "_version", lambda name: None if name == "torch" else installed(name)
    )
    fields = doctor.report()
    nothing = "nothing: torch is not installed"
    assert fields["latentgrid_fitted_by"] == fields["others_fitted_by"] == nothing
    assert str(fields["decoded_by"]).endswith(")")


def test_the_text_has_one_line_per_field() -> None:
    fields = doctor.report()
    lines = doctor.as_text(fields).splitlines()
    assert len(lines) == len(fields)
    assert lines[0] == f"inrcodec: {fields['inrcodec']}"
