"""``eagle-node completion``: scripts for shells, made from the command line's grammar."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence

from eagle_node.cli.exits import Exit
from eagle_node.cli.grammar import Command, Flag, grammar
from eagle_node.mirror.model import Runtime


def completion(arguments: argparse.Namespace) -> Exit:
    """Print the script of ``arguments.shell``."""
    from eagle_node.cli.parser import build_parser

    print(SHELLS[arguments.shell](grammar(build_parser())), end="")
    return Exit.OK


def bash(root: Command) -> str:
    """A script for bash, with or without the bash-completion package."""
    commands = list(root.walk())
    return f"""\
# bash completion of eagle-node: eagle-node completion bash > \\
#   /usr/share/bash-completion/completions/eagle-node
_eagle_node() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} path= word i
    # bash parts --flag=value into three words
    if [[ $cur == = ]]; then cur=
    elif [[ $prev == = ]]; then prev=${{COMP_WORDS[COMP_CWORD-2]}}
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="$path ${{COMP_WORDS[i]}}"
        case "${{word# }}" in
            {_paths(commands)}) path=${{word# }} ;;
        esac
    done
    case "$path:$prev" in
{_indented(_bash_values(commands), 8)}
    esac
    local words=
    case "$path" in
{_indented(_bash_words(commands), 8)}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -F _eagle_node eagle-node
"""


def zsh(root: Command) -> str:
    """A script for zsh: a file ``_eagle-node`` in ``$fpath``, or sourced after ``compinit``."""
    commands = list(root.walk())
    return f"""\
#compdef eagle-node
# zsh completion of eagle-node: eagle-node completion zsh > "${{fpath[1]}}/_eagle-node"
_eagle-node() {{
    local path_= word prev=${{words[CURRENT-1]}} i
    local -a items flags
    for ((i = 2; i < CURRENT; i++)); do
        word="$path_ ${{words[i]}}"
        case "${{word# }}" in
            ({_paths(commands)}) path_=${{word# }} ;;
        esac
    done
    case "$path_:$prev" in
{_indented(_zsh_values(commands), 8)}
    esac
    case "$path_" in
{_indented(_zsh_words(commands), 8)}
    esac
    _describe -t commands 'command' items
    _describe -o -t options 'option' flags
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _eagle-node "$@"
else compdef _eagle-node eagle-node
fi
"""


def fish(root: Command) -> str:
    """A script for fish: a file in its ``completions`` directory."""
    commands = [" ".join(each.path) for each in root.walk() if each.path]
    lines = [
        "# fish completion of eagle-node:",
        "#   eagle-node completion fish > ~/.config/fish/completions/eagle-node.fish",
        "function __eagle_node_at",
        "    set -l path",
        "    for word in (commandline -opc)[2..]",
        "        switch (string join ' ' -- $path $word)",
        f"            case {' '.join(map(_quoted, commands))}",
        "                set path $path $word",
        "        end",
        "    end",
        '    test "$path" = "$argv"',
        "end",
        "complete -c eagle-node -f",
    ]
    for command in root.walk():
        at = f"complete -c eagle-node -n {_quoted(' '.join(['__eagle_node_at', *command.path]))}"
        lines += [f"{at} -a {e.name} -d {_quoted(e.summary)}" for e in command.commands]
        lines += [f"{at} -a {word}" for word in _arguments(command)]
        if "FILE" in command.arguments:
            lines.append(f"{at} -F")
        lines += [f"{at} {_fish_flag(f)} -d {_quoted(_first(f.help))}" for f in command.flags]
    return "\n".join([*lines, ""])


SHELLS: Mapping[str, Callable[[Command], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
"""How each shell's script is made."""


def _values(flag: Flag) -> Sequence[str]:
    """The values to offer; names of runtimes are few as well."""
    return tuple(Runtime) if "--runtime" in flag.names else flag.choices


def _bash_values(commands: Sequence[Command]) -> Iterator[str]:
    for path, flag in _valued(commands):
        pattern = _alternatives([f"{path}:{name}" for name in flag.names])
        if values := _values(flag):
            reply = f'COMPREPLY=($(compgen -W "{" ".join(values)}" -- "$cur"))'
        elif flag.takes_file:
            reply = 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur"))'
        else:
            reply = "COMPREPLY=()"
        yield f"{pattern}) {reply}; return ;;"


def _bash_words(commands: Sequence[Command]) -> Iterator[str]:
    for command in commands:
        words = [*_arguments(command), *(each.name for each in command.commands)]
        words += [name for flag in command.flags for name in flag.names]
        files = ' words+=" $(compgen -f -- "$cur")"' if "FILE" in command.arguments else ""
        yield f'"{" ".join(command.path)}") words="{" ".join(words)}";{files} ;;'


def _zsh_values(commands: Sequence[Command]) -> Iterator[str]:
    for path, flag in _valued(commands):
        pattern = _alternatives([f"{path}:{name}" for name in flag.names])
        if values := _values(flag):
            reply = f"compadd -- {' '.join(values)}"
        else:
            reply = "_files" if flag.takes_file else f"_message {_quoted(flag.metavar)}"
        yield f"({pattern}) {reply}; return ;;"


def _zsh_words(commands: Sequence[Command]) -> Iterator[str]:
    for command in commands:
        items = " ".join(
            [
                *_arguments(command),
                *(_zsh_item(each.name, each.summary) for each in command.commands),
            ]
        )
        flags = " ".join(
            _zsh_item(name, _first(flag.help)) for flag in command.flags for name in flag.names
        )
        files = " _files;" if "FILE" in command.arguments else ""
        yield f'("{" ".join(command.path)}") items=({items}); flags=({flags});{files} ;;'


def _zsh_item(word: str, told: str) -> str:
    return _quoted(f"{word}:{told}")


def _fish_flag(flag: Flag) -> str:
    names = [f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in flag.names]
    if not flag.needs_value:
        return " ".join(names)
    values = _values(flag)
    kind = f"-x -a {_quoted(' '.join(values))}" if values else "-r -F" if flag.takes_file else "-x"
    return " ".join([*names, kind])


def _arguments(command: Command) -> Sequence[str]:
    """The words that a command's own argument may be."""
    return tuple(SHELLS) if "SHELL" in command.arguments else ()


def _valued(commands: Sequence[Command]) -> Iterator[tuple[str, Flag]]:
    """Flags whose value is a word of its own, by the path of their command."""
    for command in commands:
        for flag in command.flags:
            if flag.needs_value:
                yield " ".join(command.path), flag


def _paths(commands: Sequence[Command]) -> str:
    """A pattern of all commands' words."""
    return _alternatives([" ".join(each.path) for each in commands if each.path])


def _first(text: str) -> str:
    """What an option does, without its default and all that follows."""
    return text.partition(";")[0].partition(" (")[0]


def _alternatives(words: Sequence[str]) -> str:
    """A shell pattern."""
    return "|".join(f'"{word}"' for word in words)


def _quoted(text: str) -> str:
    """One word for each of these shells: none of them has anything special within it."""
    return "'" + text.replace("\\", "").replace("'", "’") + "'"


def _indented(lines: Iterator[str], blanks: int) -> str:
    return "\n".join(" " * blanks + line for line in lines)
