#!/usr/bin/env python3
"""The API reference, from the docstrings of the package: `make docs` writes build/docs/index.html.

Ends with an error if a public name is not documented. The pages need no network and no server.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import is_dataclass
from pathlib import Path

import fletching
import pdoc
import pdoc.doc
import pdoc.extract
import pdoc.render

ROOT = Path(__file__).resolve().parent.parent

# "key: makes the table ...", whose next lines stand four columns further in.
PARAMETER = re.compile(r"^([A-Za-z_]\w*|Shape|Units|Errors|Threads|Cost): ", re.M)

# What nanobind and the interpreter write where nobody has written anything.
GENERATED = re.compile(r"^(\(self\) -> .*|\w+\(self.*\) -> .*|Alias for field number \d+)$", re.M)


def load_modules() -> dict[str, pdoc.doc.Module]:
    """The public modules by name, with docstrings as the pages show them."""
    names = [
        name
        for name in pdoc.extract.walk_specs(["fletching"])
        if not any(part.startswith("_") for part in name.split("."))
    ]
    modules = {name: pdoc.doc.Module.from_name(name) for name in names}
    for module in modules.values():
        for item in public_items(module):
            # A cached property; what stands in its place is what the templates ask for.
            item.__dict__["docstring"] = as_markdown(item)
    return modules


def public_items(scope: pdoc.doc.Namespace) -> Iterator[pdoc.doc.Doc]:
    """The module or class itself, and all that is public below it."""
    yield scope
    for item in scope.own_members:
        if item.name.startswith("_"):
            continue
        if isinstance(item, pdoc.doc.Class):
            yield from public_items(item)
        else:
            yield item


def as_markdown(item: pdoc.doc.Doc) -> str:
    text = inspect.cleandoc(GENERATED.sub("", item.docstring))
    return PARAMETER.sub(r"- **\1**: ", re.sub(r"(?<!\n)\n(?=[A-Za-z_]\w*: )", "\n\n", text))


# A docstring may send its reader to another one, for the parameters too.
ELSEWHERE = re.compile(r"^As `[\w.]+`|; see `[\w.]+`")


def undocumented(modules: dict[str, pdoc.doc.Module]) -> list[str]:
    """Full names of what is public and has no docstring, and of functions whose docstring does not
    name a parameter that can only be given by name. Fields of a dataclass may be told of in the
    docstring of their class."""
    missing = []
    for item in (item for module in modules.values() for item in public_items(module)):
        if not item.docstring.strip():
            if not _is_told_by_class(item, modules):
                missing.append(item.fullname)
        elif isinstance(item, pdoc.doc.Function) and not ELSEWHERE.search(item.docstring):
            missing += [
                f"{item.fullname}({name}=)"
                for name, parameter in item.signature.parameters.items()
                if parameter.kind is parameter.KEYWORD_ONLY
                and not re.search(rf"\b{name}\b", item.docstring)
            ]
    return sorted(missing)


def _is_told_by_class(item: pdoc.doc.Doc, modules: dict[str, pdoc.doc.Module]) -> bool:
    owner = modules[item.modulename].get(item.qualname.rpartition(".")[0])
    if not isinstance(owner, pdoc.doc.Class) or not is_dataclass(owner.obj):
        return False
    return re.search(rf"\b{item.name}\b[^.\n]*: ", owner.docstring) is not None


def write_pages(modules: dict[str, pdoc.doc.Module], folder: Path) -> None:
    pdoc.render.configure(
        docformat="markdown",
        footer_text=f"Fletching {fletching.__version__}",
        show_source=False,
    )
    for name, module in modules.items():
        page = folder / f"{name.replace('.', '/')}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(pdoc.render.html_module(module, modules))
    (folder / "index.html").write_text(pdoc.render.html_index(modules))
    (folder / "search.js").write_text(pdoc.render.search_index(modules))


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "docs"
    modules = load_modules()
    missing = undocumented(modules)
    for name in missing:
        print(f"{name} is not documented")
    if missing:
        return 1
    write_pages(modules, folder)
    count = sum(len(list(public_items(module))) for module in modules.values())
    print(f"docs: {count} public names, {folder / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
