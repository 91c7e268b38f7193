"""`fletching completion`: scripts for shells, made from the parser itself.

They know commands, options and choices, and leave all else to the names of files. They run nothing
of ours, so they are quick.
"""

import argparse
import re
from dataclasses import dataclass, field

EXAMPLES = """\
  fletching completion bash > ~/.local/share/bash-completion/completions/fletching
  source <(fletching completion bash)                      # this shell only
  fletching completion zsh > ~/.zfunc/_fletching           # a folder of fpath, before compinit
  fletching completion fish > ~/.config/fish/completions/fletching.fish"""


@dataclass
class _Option:
    names: list[str]
    text: str
    takes_value: bool
    choices: list[str]


@dataclass
class _Command:
    name: str
    text: str
    options: list[_Option] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)  # of its own arguments, where those are words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=list(_SCRIPTS), help="the shell to write it for")


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    return _SCRIPTS[shell](_commands(parser))


def _commands(parser: argparse.ArgumentParser) -> list[_Command]:
    """The first has no name: what may stand before a command."""
    (listed,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    texts = {action.dest: action.help or "" for action in listed._choices_actions}
    return [
        _command("", "", parser),
        *(_command(name, texts.get(name, ""), sub) for name, sub in listed.choices.items()),
    ]


def _command(name: str, text: str, parser: argparse.ArgumentParser) -> _Command:
    made = _Command(name, text)
    for action in parser._actions:
        choices = [str(choice) for choice in action.choices or ()]
        if action.option_strings:
            takes_value = action.nargs != 0
            text = re.sub(r"\s+", " ", action.help or "")
            made.options.append(_Option(list(action.option_strings), text, takes_value, choices))
        elif not isinstance(action, argparse._SubParsersAction):
            made.choices += choices
    return made


def _names(command: _Command) -> str:
    return " ".join(name for option in command.options for name in option.names)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


# -- bash ---------------------------------------------------------------------------------------

_BASH = """\
# bash completion of fletching; written by `fletching completion bash`.
_fletching() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD-1]}}
  local command="" at words="" files=1
  for ((at = 1; at < COMP_CWORD; at++)); do
    if [[ ${{COMP_WORDS[at]}} != -* ]]; then command=${{COMP_WORDS[at]}}; break; fi
  done
  case "$command $previous" in
{values}
    *)
      case "$command" in
{commands}
      esac ;;
  esac
  COMPREPLY=()
  [[ -z $words ]] || mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  if ((files)) && [[ ${{#COMPREPLY[@]}} -eq 0 ]]; then
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
  fi
}}
complete -F _fletching fletching
"""


def _bash(commands: list[_Command]) -> str:
    values, cases = [], []
    for command in commands:
        for option in command.options:
            if option.takes_value:
                patterns = "|".join(_quoted(f"{command.name} {name}") for name in option.names)
                words = " ".join(option.choices)
                found = f"words={_quoted(words)}; files=0" if words else ":"
                values.append(f"    {patterns}) {found} ;;")
        names = _quoted(_names(command))
        if command.name == "":
            words = " ".join(other.name for other in commands if other.name)
            given = f"files=0; words={_quoted(words)}; [[ $current != -* ]] || words={names}"
        else:
            given = f"[[ $current != -* ]] || {{ words={names}; files=0; }}"
            if command.choices:
                given = f"words={_quoted(' '.join(command.choices))}; files=0; {given}"
        cases.append(f"        {_quoted(command.name)}) {given} ;;")
    return _BASH.format(values="\n".join(values), commands="\n".join(cases))


# -- zsh ----------------------------------------------------------------------------------------

_ZSH = """\
#compdef fletching
# zsh completion of fletching; written by `fletching completion zsh`.
_fletching() {{
  local -a commands
  commands=(
{listed}
  )
  if (( CURRENT == 2 )); then
    if [[ $PREFIX == -* ]]; then compadd -- {top}; else _describe command commands; fi
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
{cases}
    *) _files ;;
  esac
}}
if [[ $funcstack[1] == _fletching ]]; then _fletching "$@"; else compdef _fletching fletching; fi
"""


def _zsh(commands: list[_Command]) -> str:
    listed = [f"    {_quoted(c.name + ':' + c.text)}" for c in commands if c.name]
    cases = []
    for command in commands[1:]:
        parts = []
        for option in command.options:
            text = re.sub(r"([\\\[\]:])", r"\\\1", option.text)
            action = f"({' '.join(option.choices)})" if option.choices else "_files"
            value = f":value:{action}" if option.takes_value else ""
            parts += [_quoted(f"{name}[{text}]{value}") for name in option.names]
        rest = f"({' '.join(command.choices)})" if command.choices else "_files"
        parts.append(_quoted(f"*:argument:{rest}"))
        lines = " \\\n        ".join(parts)
        cases.append(f"    {command.name})\n      _arguments \\\n        {lines} ;;")
    return _ZSH.format(listed="\n".join(listed), top=_names(commands[0]), cases="\n".join(cases))


# -- fish ---------------------------------------------------------------------------------------


def _fish(commands: list[_Command]) -> str:
    lines = ["# fish completion of fletching; written by `fletching completion fish`."]
    for command in commands:
        seen = f"__fish_seen_subcommand_from {command.name}"
        where = seen if command.name else "__fish_use_subcommand"
        if command.name:
            lines.append(
                f"complete -c fletching -n __fish_use_subcommand -f -a {command.name} "
                f"-d {_fish_quoted(command.text)}"
            )
        if command.choices:
            words = " ".join(command.choices)
            lines.append(f"complete -c fletching -n {_fish_quoted(where)} -f -a '{words}'")
        for option in command.options:
            line = f"complete -c fletching -n {_fish_quoted(where)}"
            for name in option.names:
                line += f" -l {name[2:]}" if name.startswith("--") else f" -s {name[1:]}"
            if option.choices:
                line += f" -x -a '{' '.join(option.choices)}'"
            elif option.takes_value:
                line += " -r"
            lines.append(f"{line} -d {_fish_quoted(option.text)}")
    return "\n".join(lines) + "\n"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
