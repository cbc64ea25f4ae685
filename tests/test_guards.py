"""Checks of the project's structure: layers, configs, exports, public names."""

import ast
import os
import pathlib
import subprocess
import sys

import jax
import pytest

import actiongpt_jax
from actiongpt_jax.__main__ import COMMANDS
from actiongpt_jax.config import load_config
from actiongpt_jax.models.build import build
from actiongpt_jax.models.example import example_inputs
from actiongpt_jax.nn.parameters import count_parameters

REPO = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = REPO / "actiongpt_jax"

# An import may point to the same layer or an earlier one.
LAYERS = (
    (
        "structs",
        "choices",
        "errors",
        "cli",
        "notebook",
        "shapes",
    ),
    ("files",),
    ("config", "config_fields", "config_forms"),
    ("geometry",),
    ("features",),
    ("nn",),
    ("text",),
    ("data",),
    ("llm",),
    ("models",),
    ("losses",),
    ("metrics",),
    ("synthetic",),
    ("training",),
    ("inference",),
    ("evaluation",),
    ("conversion",),
    ("viewing",),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
COMMAND_RANK = len(LAYERS)

# Config -> number of trained parameters, and with the inert ones of the published
# layout.
PARAMETERS = {
    "temos": (15_275_655, 16_065_159),
    "temos:demo": (1_425_927, 1_524_999),
    "temos:debug": (31_335, 32_423),
    "teach": (15_310_727, 20_838_791),
    "teach:demo": (1_443_463, 1_939_975),
    "teach:debug": (33_527, 39_063),
    "motionclip": (38_010_006, 42_213_014),
    "motionclip:demo": (6_927_510, 7_814_934),
    "motionclip:debug": (1_648_342, 1_944_406),
    "evaluator": (6_583_424, 6_583_424),
    "evaluator:demo": (654_400, 654_400),
    "evaluator:debug": (23_696, 23_696),
}


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def rank_of(dotted: str) -> int:
    parts = dotted.split(".")
    if len(parts) < 2:
        return 0
    return RANK.get(parts[1], COMMAND_RANK)


def name_of(path: pathlib.Path) -> str:
    return path.relative_to(REPO).with_suffix("").as_posix().replace("/", ".")


def imports_of(path: pathlib.Path) -> list[str]:
    """Returns the full names of everything that a file imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


IMPORTS = {path: imports_of(path) for path in modules()}


def test_imports_point_to_earlier_layers():
    for path, targets in IMPORTS.items():
        for target in targets:
            if target.startswith("actiongpt_jax"):
                assert rank_of(target) <= rank_of(name_of(path)), (
                    f"{path} imports {target}"
                )


def test_no_module_imports_a_command():
    commands = {"__main__", *COMMANDS}
    for path, targets in IMPORTS.items():
        for target in targets:
            package, _, name = target.partition(".")
            command = package == "actiongpt_jax" and name.split(".")[0] in commands
            assert not command, f"{path} imports {target}"


def test_torch_is_never_imported():
    for path, targets in IMPORTS.items():
        packages = {target.split(".")[0] for target in targets}
        assert not packages & {"torch", "smplx"}, path


def test_every_command_is_listed():
    files = {path.stem for path in PACKAGE.glob("*.py")}
    assert files - set(RANK) - {"__init__", "__main__"} == set(COMMANDS)


def test_files_are_short_and_have_specific_names():
    for path in modules():
        assert path.stem not in {"utils", "common", "misc", "helpers"}, path
        assert len(path.read_text().splitlines()) <= 350, path


def test_folders_hold_few_files():
    for folder in {path.parent for path in modules()} - {PACKAGE}:
        names = {path.stem for path in folder.glob("*.py")} - {"__init__"}
        assert len(names) <= 16, folder


def test_exported_names_are_no_submodules():
    submodules = {path.stem for path in PACKAGE.iterdir()}
    assert not submodules & set(actiongpt_jax.__all__)
    for name in actiongpt_jax.__all__:
        assert getattr(actiongpt_jax, name) is not None


# Imports every module, so that other packages are loaded; then imports this package's
# modules again, in a Python from which everything that Windows lacks was removed.
WINDOWS = """
import importlib, os, pkgutil, signal, sys

def import_all():
    package = importlib.import_module("actiongpt_jax")
    found = pkgutil.walk_packages(package.__path__, "actiongpt_jax.")
    names = [module.name for module in found]
    for name in names:
        if not name.endswith("__main__"):
            importlib.import_module(name)
    return names

before = import_all()
for name in [*sys.modules]:
    if name.split(".")[0] in ("actiongpt_jax", "filelock"):
        del sys.modules[name]
for name in ("fcntl", "grp", "posix", "pty", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
kept = "SIGABRT SIGFPE SIGILL SIGINT SIGSEGV SIGTERM SIG_DFL SIG_IGN".split()
for name in dir(signal):
    if name.startswith("SIG") and name not in kept:
        delattr(signal, name)
for name in (
    "chown", "fchmod", "fchown", "fork", "getegid", "geteuid", "getgid", "getloadavg",
    "getpgid", "getuid", "killpg", "mkfifo", "nice", "posix_fadvise", "pread", "pwrite",
    "register_at_fork", "sched_getaffinity", "setsid", "statvfs", "sysconf", "uname",
):
    delattr(os, name)
assert import_all() == before and len(before) > 100
"""


@pytest.mark.slow
def test_imports_need_neither_posix_nor_a_device():
    # JAX raises an error for this platform when a device is first asked for.
    environment = {**os.environ, "JAX_PLATFORMS": "no_such_platform"}
    command = [sys.executable, "-c", WINDOWS]
    subprocess.run(command, check=True, cwd=REPO, env=environment)


def test_names_for_type_checkers_equal_the_exported_names():
    source = ast.parse((PACKAGE / "__init__.py").read_text())
    (block,) = (node for node in source.body if isinstance(node, ast.If))
    imported = {
        alias.asname
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported == set(actiongpt_jax.__all__) <= set(dir(actiongpt_jax))


# Within these folders, a module may import only modules that come earlier here.
ORDER = {
    "data": """amass_fields amass mocap motion mocap_converter motion_store clips babel
        table captions name_rule motion_faults store_writer batches phrases
        prompts store_builder""",
    "data.mocap": """capture bvh acclaim names structure rest_pose joint_map alignment
        directions retarget reader""",
    "data.batches": """plan segments windows pair_plan prefetch item_batches
        segment_batches pair_batches window_batches""",
    "text": """prompts answers description description_files descriptions aggregate
        encoders embeddings""",
    "text.encoders": "tokenizer weights folder bert clip loader",
    "text.embeddings": "index store encode shard builder from_descriptions",
    "viewing": """figure camera fonts captions shading raster video plot webpage
        capsules glb bvh export render samples comparison app""",
    "viewing.app": "requests worker queue server",
}


def names_in(folder: str) -> set[str]:
    """Returns the modules and folders in a folder of the package."""
    files = PACKAGE.joinpath(*folder.split(".")).iterdir()
    names = {path.stem for path in files if path.suffix == ".py" or path.is_dir()}
    return names - {"__init__", "__pycache__"}


@pytest.mark.parametrize("folder", ORDER)
def test_imports_within_a_folder_point_to_earlier_modules(folder):
    order = ORDER[folder].split()
    assert set(order) == names_in(folder)
    root, inside = PACKAGE.joinpath(*folder.split(".")), f"actiongpt_jax.{folder}."
    for number, name in enumerate(order):
        allowed = order[: number + 1]
        for path in [root / f"{name}.py", *root.glob(f"{name}/**/*.py")]:
            for target in IMPORTS.get(path, ()):
                if target.startswith(inside):
                    first = target.removeprefix(inside).split(".")[0]
                    assert first in allowed, f"{path} imports {target}"


def test_parameter_table_has_every_config():
    found = {path.stem for path in (REPO / "configs").glob("*.py")} - {"__init__"}
    assert found == {name.partition(":")[0] for name in PARAMETERS}


@pytest.mark.parametrize("spec", PARAMETERS)
def test_parameter_counts(spec):
    config = load_config(spec)
    inputs = example_inputs(config)
    shapes = jax.eval_shape(build(config).init, jax.random.key(0), *inputs)
    trained = count_parameters(shapes["params"])
    everything = trained + count_parameters(shapes.get("unused", {}))
    assert (trained, everything) == PARAMETERS[spec]
