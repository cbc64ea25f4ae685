"""Everything in the package is installed, and every import is declared."""

import ast
import configparser
import importlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
from importlib import metadata

import pytest

REPO = pathlib.Path(__file__).resolve().parents[1]
# Packages that are used if they are installed, and named in an error if they are not.
OPTIONAL = {
    "PIL",
    "fontTools",
    "imageio_ffmpeg",
    "matplotlib",
    "pygltflib",
    "tensorboard",
}


@pytest.fixture(scope="module")
def setup_cfg():
    config = configparser.ConfigParser()
    config.read(REPO / "setup.cfg")
    return config


def requirements(text: str) -> set[str]:
    names = (re.split(r"[<>=\[]", line)[0].strip() for line in text.splitlines())
    return {name.lower().replace("_", "-") for name in names if name}


def test_every_package_is_installed(setup_cfg):
    listed = set(setup_cfg["options"]["packages"].split())
    folders = {
        path.parent.relative_to(REPO).as_posix().replace("/", ".")
        for path in (REPO / "actiongpt_jax").rglob("__init__.py")
    }
    assert listed == folders | {"actiongpt_jax.configs"}


def test_every_data_file_is_installed(setup_cfg):
    patterns = {
        package: [pattern.strip() for pattern in text.split(",")]
        for package, text in setup_cfg["options.package_data"].items()
    }
    files = [path for path in (REPO / "actiongpt_jax").rglob("*") if path.is_file()]
    for path in files:
        home = next(up for up in path.parents if (up / "__init__.py").exists())
        package = home.relative_to(REPO).as_posix().replace("/", ".")
        if path.suffix not in (".py", ".pyc"):
            name = path.relative_to(home)
            assert any(name.match(glob) for glob in patterns.get(package, ())), path


def test_every_import_is_declared(setup_cfg):
    declared = requirements(setup_cfg["options"]["install_requires"])
    providers = metadata.packages_distributions()
    undeclared = {}
    for folder in ("actiongpt_jax", "configs"):
        for path in (REPO / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    modules = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module:
                    modules = [node.module]
                else:
                    continue
                for top in {module.split(".")[0] for module in modules}:
                    if top in sys.stdlib_module_names | OPTIONAL | {"actiongpt_jax"}:
                        continue
                    names = {
                        name.lower().replace("_", "-")
                        for name in providers.get(top, [top])
                    }
                    if not names & declared:
                        undeclared[top] = str(path.relative_to(REPO))
    assert not undeclared


@pytest.mark.parametrize(
    "extra", ["install_requires", "view", "test", "dev", "docs", "peers"]
)
def test_requirements_have_lower_and_upper_bounds(setup_cfg, extra):
    section = "options" if extra == "install_requires" else "options.extras_require"
    for line in setup_cfg[section][extra].split():
        if not line.startswith("actiongpt_jax["):
            assert re.fullmatch(r"[\w-]+>=[\d.]+,<[\d.]+", line), line


@pytest.mark.slow
def test_installed_package_generates_without_workdir_and_network(packed, tmp_path):
    pytest.importorskip("setuptools")
    # Build what a wheel holds, in a copy that has pretrained models.
    source, installed = tmp_path / "source", tmp_path / "installed"
    ignore = shutil.ignore_patterns("__pycache__", "pretrained")
    for folder in ("actiongpt_jax", "configs"):
        shutil.copytree(REPO / folder, source / folder, ignore=ignore)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPO / name, source)
    shutil.copytree(packed, source / "actiongpt_jax" / "pretrained")
    build = ["-c", "import setuptools; setuptools.setup()", "build_py", "-d"]
    subprocess.run([sys.executable, *build, installed], cwd=source, check=True)
    held = installed / "actiongpt_jax" / "pretrained"
    for path in packed.glob("*/*"):
        assert (held / path.relative_to(packed)).read_bytes() == path.read_bytes()

    # Use it from another folder.
    text = ["--text", "wave with the right hand", "--seconds", "1"]
    subprocess.run(
        [sys.executable, "-m", "actiongpt_jax.generate", *text, "--out", "wave.html"],
        env={**os.environ, "PYTHONPATH": str(installed), "HF_HUB_OFFLINE": "1"},
        cwd=tmp_path,
        check=True,
    )
    assert "wave with the right hand" in (tmp_path / "wave.html").read_text()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_pretrained_runs_existing_commands_in_order(tmp_path):
    (tmp_path / "view.stamp").touch()
    done = subprocess.run(
        ["make", "--dry-run", "pretrained", f"VENV={tmp_path}", f"WORK={tmp_path}/w"],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    )
    commands = []
    for line in done.stdout.replace("\\\n", " ").splitlines():
        match = re.search(r"-m actiongpt_jax\.(\w+)(.*)", line)
        if match:
            commands.append(match[1])
            parser = importlib.import_module(f"actiongpt_jax.{match[1]}").make_parser()
            _, unknown = parser.parse_known_args(shlex.split(match[2]))
            assert all(flag.startswith("--config.") for flag in unknown), line
    each = ["train", "evaluate", "pack"]
    assert commands == ["prepare", "embed", *each, *each]
