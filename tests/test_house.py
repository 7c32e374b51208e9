"""The house itself: its floors, what an import costs, what its documents promise."""

import importlib
import inspect
import json
import pathlib
import pkgutil
import re
import subprocess
import sys
import tomllib

import pytest
import yaml

import bojax

ROOT = pathlib.Path(__file__).parents[1]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(bojax.__path__, "bojax.")
    if module.name != "bojax.__main__"
)
PACKAGES = ["bojax"] + [
    module.name
    for module in pkgutil.iter_modules(bojax.__path__, "bojax.")
    if module.ispkg
]


def python(code: str, folder: pathlib.Path = ROOT) -> str:
    """What a fresh process prints that runs this, in this folder."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_imports_from_its_own_floor_and_those_below():
    lint_imports = pathlib.Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint_imports, "--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_import_is_light_and_changes_no_option_of_jax():
    late = "flax matplotlib numpyro optax optuna sklearn threadpoolctl torch tqdm"
    code = f"""
import json, sys, jax
before = dict(jax.config.values)
import bojax
loaded = [name for name in {late.split()} + ["scipy.stats"] if name in sys.modules]
changed = [name for name, old in before.items() if jax.config.values[name] != old]
print(json.dumps([loaded, changed]))
"""
    assert json.loads(python(code)) == [[], []]


def test_import_makes_no_array():
    code = """
import jax, bojax
print(len(jax.live_arrays()))
"""
    assert int(python(code)) == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name):
    assert (importlib.import_module(name).__doc__ or "").strip()


def public(package: str) -> list[tuple[str, object]]:
    """The functions and classes that a package offers by name."""
    module = importlib.import_module(package)
    return [
        (f"{package}.{name}", value)
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__.startswith("bojax")
    ]


def own_doc(value) -> str:
    """Its docstring; a class does not speak through its base's."""
    return (
        vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    ) or ""


def test_everything_public_is_documented():
    offered = {name: own_doc(value) for p in PACKAGES for name, value in public(p)}
    assert len(offered) > 20
    assert [name for name, doc in offered.items() if not doc.strip()] == []


def code_blocks(name: str, language: str) -> list[str]:
    text = (ROOT / name).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_python_of_the_readme_runs(tmp_path):
    blocks = code_blocks("README.md", "python")
    assert blocks
    python("\n".join([*blocks, "assert result.success, result"]), tmp_path)


def test_the_readme_installs_from_the_repository():
    text = (ROOT / "README.md").read_text()
    assert "pip install bojax" not in text
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    called = re.findall(r"make ([a-z-]+)", "\n".join(code_blocks("README.md", "")))
    assert {"demo", "test"} <= set(called) <= targets


def test_every_link_of_the_readme_leads_somewhere():
    text = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\(([^)#]+)", text) + re.findall(r'src="([^"]+)"', text)
    here = [link for link in links if not link.startswith("https://")]
    assert here
    assert [link for link in here if not (ROOT / link).exists()] == []


def test_every_room_is_in_the_readme():
    text = (ROOT / "README.md").read_text()
    missing = [p for p in PACKAGES[1:] if f"(bojax/{p.split('.')[1]}/)" not in text]
    assert missing == []


def test_requirements_name_no_host_and_hash_everything():
    text = (ROOT / "requirements.txt").read_text()
    assert not re.search(r"://|^-|^\s+-(?!-hash=sha256:)", text, re.MULTILINE)
    pinned = re.findall(r"^([A-Za-z0-9._-]+)==.*\\\n +--hash=sha256:", text, re.M)
    entries = re.findall(r"^[^#\s].*$", text, re.MULTILINE)
    assert len(pinned) == len(entries) > 50
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["demo"],
        *project["dependency-groups"]["build"],
        *project["dependency-groups"]["test"],
    ]
    names = {re.match(r"[A-Za-z0-9-]+", line)[0] for line in wanted}
    assert names <= set(pinned)


def test_no_dependency_is_capped():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert not [
        d for d in project["project"]["dependencies"] if re.search("[<=~]=|<", d)
    ]


def test_the_citation_names_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] == "software"
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert citation["title"]
    assert citation["message"]
    assert citation["authors"]
