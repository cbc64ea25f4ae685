"""Checks of the project's structure: layers, configs, exports, public names."""

import ast
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
        "config",
        "config_fields",
        "choices",
        "errors",
        "cli",
        "notebook",
        "shapes",
    ),
    ("files",),
    ("geometry",),
    ("features",),
    ("nn",),
    ("text",),
    ("data",),
    ("llm",),
    ("synthetic",),
    ("models",),
    ("losses",),
    ("metrics",),
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
    "temos:k=8,text=phrase": (15_275_655, 16_065_159),
    "teach": (15_310_727, 20_838_791),
    "teach:demo": (1_443_463, 1_939_975),
    "teach:debug": (33_527, 39_063),
    "teach:k=8,text=phrase": (15_310_727, 20_838_791),
    "motionclip": (38_010_006, 42_213_014),
    "motionclip:demo": (6_927_510, 7_814_934),
    "motionclip:debug": (1_648_342, 1_944_406),
    "motionclip:k=8,text=phrase": (38_010_006, 42_213_014),
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


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(REPO)))
def test_imports_point_to_earlier_layers(path):
    name = path.relative_to(REPO).with_suffix("").as_posix().replace("/", ".")
    own = rank_of(name)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            targets = [node.module]
            if node.module == "actiongpt_jax":
                targets = [f"actiongpt_jax.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            continue
        for target in targets:
            if target.startswith("actiongpt_jax"):
                assert rank_of(target) <= own, f"{name} imports {target}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(REPO)))
def test_no_module_imports_a_command(path):
    commands = {f"actiongpt_jax.{name}" for name in (*COMMANDS, "__main__")}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
        elif isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
        else:
            continue
        assert not names & commands, f"{path} imports a command"


def test_every_command_is_listed():
    files = {path.stem for path in PACKAGE.glob("*.py")}
    assert files - set(LAYERS[0]) - {"__init__", "__main__"} == set(COMMANDS)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(REPO)))
def test_files_are_short_and_have_specific_names(path):
    assert path.stem not in {"utils", "common", "misc", "helpers"}
    assert len(path.read_text().splitlines()) <= 350


def test_folders_hold_few_files():
    for folder in {path.parent for path in modules()} - {PACKAGE}:
        names = {path.stem for path in folder.glob("*.py")} - {"__init__"}
        assert len(names) <= 16, folder


def test_exported_names_are_no_submodules():
    submodules = {path.stem for path in PACKAGE.iterdir()}
    assert not submodules & set(actiongpt_jax.__all__)
    for name in actiongpt_jax.__all__:
        assert getattr(actiongpt_jax, name) is not None


def test_imports_do_not_open_a_device():
    names = [path.relative_to(REPO).with_suffix("").as_posix() for path in modules()]
    code = "import sys, importlib, jax._src.xla_bridge as bridge\n"
    code += "for name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    code += "    assert not bridge._backends, f'{name} asks for a device'"
    names = [name.replace("/", ".") for name in names if "__main__" not in name]
    subprocess.run([sys.executable, "-c", code, *names], check=True, cwd=REPO)


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


def test_imports_do_not_need_posix():
    subprocess.run([sys.executable, "-c", WINDOWS], check=True, cwd=REPO)


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


def test_torch_is_never_imported():
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not any(n.split(".")[0] in {"torch", "smplx"} for n in names), path


# Within these folders, a module may import only modules that come earlier here.
ORDER = {
    "data": """amass_fields amass motion motion_store babel motion_faults store_writer
        batches phrases store_builder""",
    "data.batches": """plan segments windows pair_plan prefetch item_batches
        segment_batches pair_batches window_batches""",
    "text": "prompts description descriptions aggregate encoders embeddings",
    "text.encoders": "tokenizer weights folder bert clip loader",
    "text.embeddings": "index store encode shard builder from_descriptions",
    "viewing": """figure camera captions raster video plot webpage capsules glb bvh
        export render comparison app""",
    "viewing.app": "requests queue server",
}


def names_in(folder: str) -> set[str]:
    """Returns the modules and folders in a folder of the package."""
    files = PACKAGE.joinpath(*folder.split(".")).iterdir()
    names = {path.stem for path in files if path.suffix == ".py" or path.is_dir()}
    return names - {"__init__", "__pycache__"}


def imports_of(path: pathlib.Path) -> list[str]:
    """Returns the full names of everything that a file imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("folder", ORDER)
def test_imports_within_a_folder_point_to_earlier_modules(folder):
    order = ORDER[folder].split()
    assert set(order) == names_in(folder)
    root, inside = PACKAGE.joinpath(*folder.split(".")), f"actiongpt_jax.{folder}."
    for number, name in enumerate(order):
        allowed = order[: number + 1]
        for path in [root / f"{name}.py", *root.glob(f"{name}/**/*.py")]:
            for target in imports_of(path) if path.exists() else ():
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
