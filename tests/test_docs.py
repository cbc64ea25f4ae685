"""README.md and docs/: pages of the site, links, anchors, commands, snippets."""

import ast
import importlib
import pathlib
import re
import runpy
import shlex

import pytest
import yaml

import actiongpt_jax

REPO = pathlib.Path(__file__).resolve().parents[1]
DOCS = REPO / "docs"
PAGES = [
    *(REPO / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted(DOCS.rglob("*.md")),
]


def page_id(path: pathlib.Path) -> str:
    return path.relative_to(REPO).as_posix()


def code_blocks(text: str, language: str) -> list[str]:
    """Returns the fenced code blocks of a language; '' for those without one."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [block for name, block in blocks if name == language]


def without_code(text: str) -> str:
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(path: pathlib.Path) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub and MkDocs make them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
        for heading in headings
    }


def links(path: pathlib.Path) -> list[str]:
    """Returns the targets of a page's links and images, except web addresses."""
    text = without_code(path.read_text())
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="(.*?)"', text)
    return [t for t in targets if not re.match(r"https?:|mailto:", t)]


def test_the_configuration_page_is_up_to_date():
    page = runpy.run_path(str(DOCS / "make_configuration.py"))["page"]()
    assert (DOCS / "configuration.md").read_text() == page, (
        "docs/configuration.md is out of date; run `python docs/make_configuration.py`"
    )


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_relative_links_and_anchors_exist(path):
    for target in links(path):
        name, _, anchor = target.partition("#")
        linked = (path.parent / name).resolve() if name else path
        assert linked.exists(), f"{page_id(path)} links to {target}"
        assert linked.is_relative_to(REPO), f"{page_id(path)} links to {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page_id(path)} links to {target}"


def test_pages_in_docs_link_only_within_docs():
    # Elsewhere a documentation site has nothing to show.
    for path in DOCS.rglob("*.md"):
        for target in links(path):
            linked = (path.parent / target.partition("#")[0]).resolve()
            assert linked.is_relative_to(DOCS), f"{page_id(path)} links to {target}"


def test_the_index_links_to_every_page():
    linked = {target.partition("#")[0] for target in links(DOCS / "index.md")}
    assert docs_pages() - {"index.md"} <= linked


def docs_pages() -> set[str]:
    return {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}


def nav_pages(nav) -> list[str]:
    """Returns the pages of a site's navigation, which is a tree of names and pages."""
    if isinstance(nav, str):
        return [nav]
    entries = nav if isinstance(nav, list) else nav.values()
    return [page for entry in entries for page in nav_pages(entry)]


def test_the_navigation_of_the_site_lists_every_page_once():
    config = yaml.safe_load((REPO / "mkdocs.yml").read_text())
    assert sorted(nav_pages(config["nav"])) == sorted(docs_pages())


def documented_names(path: pathlib.Path) -> list[str]:
    """Returns the names that an API page documents."""
    return re.findall(r"^::: (\S+)$", path.read_text(), re.MULTILINE)


def has_public_names(path: pathlib.Path) -> bool:
    kinds = ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef
    nodes = ast.parse(path.read_text()).body
    return any(isinstance(n, kinds) and not n.name.startswith("_") for n in nodes)


def test_api_pages_document_every_public_module_once():
    modules = [
        path.relative_to(REPO).with_suffix("").as_posix().replace("/", ".")
        for path in (REPO / "actiongpt_jax").rglob("*.py")
        if has_public_names(path)
    ]
    pages = set((DOCS / "api").glob("*.md")) - {DOCS / "api" / "index.md"}
    documented = [name for page in pages for name in documented_names(page)]
    assert sorted(documented) == sorted(modules)


def test_the_front_door_page_documents_every_exported_name():
    exported = [f"actiongpt_jax.{name}" for name in actiongpt_jax.__all__]
    assert sorted(documented_names(DOCS / "api" / "index.md")) == sorted(exported)


def test_the_readme_fits_one_page():
    assert len((REPO / "README.md").read_text().splitlines()) <= 160


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_python_snippets_are_valid_and_import_existing_names(path):
    for block in code_blocks(path.read_text(), "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module:
                if node.module.startswith("actiongpt_jax"):
                    module = importlib.import_module(node.module)
                    for alias in node.names:
                        assert hasattr(module, alias.name), alias.name


@pytest.mark.parametrize("path", PAGES, ids=page_id)
def test_commands_have_only_flags_that_exist(path):
    text = "\n".join(code_blocks(path.read_text(), "")).replace("\\\n", " ")
    for line in text.splitlines():
        match = re.search(r"python -m actiongpt_jax\.(\w+)(.*)", line)
        if match is None or "..." in line:
            continue
        parser = importlib.import_module(f"actiongpt_jax.{match[1]}").make_parser()
        arguments = shlex.split(match[2], comments=True)
        _, unknown = parser.parse_known_args(arguments)
        # Fields of the config, which `train` reads by itself.
        fields = [a for a in unknown if a.startswith("--config.")]
        assert unknown == (fields if match[1] == "train" else []), line
