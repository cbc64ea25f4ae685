"""Everything in the package is installed, and every import is declared."""

import ast
import configparser
import pathlib
import re
import sys
from importlib import metadata

import pytest

REPO = pathlib.Path(__file__).resolve().parents[1]
# Packages that are used if they are installed, and named in an error if they are not.
OPTIONAL = {"matplotlib", "tensorboard", "PIL", "imageio_ffmpeg", "pygltflib"}


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
        package = path.parent.relative_to(REPO).as_posix().replace("/", ".")
        if path.suffix not in (".py", ".pyc"):
            assert any(path.match(glob) for glob in patterns.get(package, ())), path


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
