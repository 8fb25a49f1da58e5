"""Scripts that complete the command line in a shell, made of the tables of commands, options and keys.

They complete ``sor-sweep``. What follows ``python -m`` is completed by what the shell has for python, which a script of
ours would replace.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from allocator.policies import POLICIES
from feed.access import CLIENTS, MECHANISMS, PROTOCOLS
from feed.markets import SCENARIOS
from sweep.config import EMBEDDED, SESSION, Config, keys_of
from sweep.search import SAMPLERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PATHS: Final = (
    "source",
    "fees",
    "quotes",
    "output",
    "feed.quarantine",
    "kafka.sasl_password_file",
    "kafka.ssl_cafile",
    "kafka.ssl_certfile",
    "kafka.ssl_keyfile",
)
"""Keys whose value may be a path."""

NAMED: Final[dict[str, tuple[str, ...]]] = {
    "source": (EMBEDDED,),
    "window": (SESSION,),
    "window.start": (SESSION,),
    "window.end": (SESSION,),
    "order.from": (SESSION,),
    "order.to": (SESSION,),
    "policy": tuple(POLICIES),
    "search.kind": ("grid", *SAMPLERS),
    "posting": ("touch", "inside"),
    "fees": tuple(SCENARIOS),
    "validate": ("none", "rolling", "anchored", "leave_one_day_out"),
    "address": ("local", "auto"),
    "kafka.security_protocol": PROTOCOLS,
    "kafka.sasl_mechanism": MECHANISMS,
    "kafka.client": CLIENTS,
}
"""Values that the types of the schema do not say."""

PLACES: Final = {"RUN": "folder", "ROUTER": "file", "SOURCE": "file", "SHELL": "shell"}
"""What stands where a command expects a word of that name."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A command, as a shell has to know it: what it does, the words after its name, and its options without dashes."""

    does: str
    places: tuple[str, ...]
    options: tuple[str, ...]


def values_by_key() -> dict[str, tuple[str, ...]]:
    """The values of each key that are words; () of one that has none."""
    values: dict[str, tuple[str, ...]] = dict.fromkeys(("window", "quotes", *keys_of(Config)), ())
    return values | dict(_literals(Config, "")) | NAMED


def _literals(struct: type[Struct], prefix: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    for field in msgspec.structs.fields(struct):
        key = f"{prefix}{field.encode_name}"
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            yield from _literals(field.type, f"{key}.")
        elif words := tuple(dict.fromkeys(_words(field.type))):
            yield key, words


def _words(kind: Any) -> Iterator[str]:  # noqa: ANN401 - a type
    """What a literal or a truth value of a type may be."""
    if kind is bool:
        yield from ("true", "false")
    elif get_origin(kind) is Literal:
        yield from get_args(kind)
    elif get_origin(kind) is not tuple:
        for part in get_args(kind):
            yield from _words(part)


def script(shell: str, commands: Mapping[str, Completed], options: Mapping[str, str | None]) -> str:
    """The script for a shell.

    Parameters
    ----------
    shell : str
        One of `SHELLS`.
    commands : mapping of str to Completed
        By name.
    options : mapping of str to str
        By name without dashes, what follows an option, such as FILE, DIR or N; None = nothing does.
    """
    template, line_of_case = SHELLS[shell]
    values = values_by_key()

    def cases(words: Iterable[tuple[str, Iterable[str]]]) -> str:
        return "\n".join(line_of_case.format(name=name, words=" ".join(each)) for name, each in words)

    holes = {
        "LOOKUPS": _LOOKUPS.strip("\n"),
        "COMMANDS": " ".join(commands),
        "KEYS": " ".join(f"{key}=" for key in values),
        "VALUED": "|".join(f"--{name}" for name, following in options.items() if following),
        "FILES": "|".join(f"--{name}" for name, following in options.items() if following == "FILE"),
        "FOLDERS": "|".join(f"--{name}" for name, following in options.items() if following == "DIR"),
        "PATHS": "|".join(PATHS),
        "SHELLS": " ".join(SHELLS),
        "OPTIONS": cases((name, (f"--{each}" for each in command.options)) for name, command in commands.items()),
        "PLACES": cases(
            (name, (PLACES[place] for place in command.places)) for name, command in commands.items() if command.places
        ),
        "VALUES": cases((key, words) for key, words in values.items() if words),
        "FISH": "\n".join(_fish(commands, options, values)),
    }
    for name, text in holes.items():
        template = template.replace(f"@{name}@", text)
    return template.strip("\n")


def _fish(
    commands: Mapping[str, Completed], options: Mapping[str, str | None], values: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    """The lines of fish, which takes whole words."""
    for name, command in commands.items():
        yield f"complete -c sor-sweep -n '__sor_sweep_is none' -a {name} -d {_quoted(command.does)}"
        for option in command.options:
            following = options.get(option)
            kind = {None: "", "FILE": " -r -F", "DIR": " -r -F"}.get(following, " -x")
            yield f"complete -c sor-sweep -n '__sor_sweep_is {name}' -l {option}{kind}"
        if "SHELL" in command.places:
            yield f"complete -c sor-sweep -n '__sor_sweep_is {name}' -a '{' '.join(SHELLS)}'"
    words = [f"{key}={value}" for key, each in values.items() for value in ("", *each)]
    yield f"complete -c sor-sweep -a '{' '.join(words)}'"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_LOOKUPS: Final = r"""
_sor_sweep_options() {
    case "$1" in
@OPTIONS@
    esac
}
_sor_sweep_places() {
    case "$1" in
@PLACES@
    esac
}
_sor_sweep_values() {
    case "$1" in
@VALUES@
    esac
}
"""
"""Functions of bash and zsh alike: what a command takes, and the values of a key."""

_BASH: Final = r"""
# bash completion of sor-sweep, made by sor-sweep completion bash. It completes sor-sweep, not python -m sweep.
_sor_sweep_command() { # the command among some words, and how many words follow it
    command="" places=0
    local word before=""
    for word in "$@"; do
        case "$before" in @VALUED@) before="" && continue ;; esac
        before="$word"
        case "$word" in
            -* | *=*) ;;
            *) if [[ -z $command ]]; then command="$word"; else places=$((places + 1)); fi ;;
        esac
    done
}
@LOOKUPS@
_sor_sweep() {
    local line="${COMP_LINE:0:COMP_POINT}" command places kind="" done=""
    local current="${line##*[[:space:]]}"
    local -a words wanted=()
    read -ra words <<<"${line%"$current"}"
    local previous="${words[-1]}"
    _sor_sweep_command "${words[@]:1}"
    case "$previous" in
        @FILES@) kind=file ;;
        @FOLDERS@) kind=folder ;;
        @VALUED@) return ;;
        *)
            case "$current" in
                --*=*) done="${current%%=*}=" kind=file ;;
                -*) wanted=($(_sor_sweep_options "${command:-run}")) ;;
                *=*)
                    done="${current%%=*}="
                    wanted=($(_sor_sweep_values "${done%=}"))
                    case "${done%=}" in @PATHS@) kind=file ;; esac
                    ;;
                *)
                    local -a expected=($(_sor_sweep_places "$command"))
                    kind="${expected[places]:-}"
                    if [[ $kind == shell ]]; then
                        kind="" wanted=(@SHELLS@)
                    else
                        wanted=(@KEYS@)
                        [[ -z $command ]] && wanted+=(@COMMANDS@)
                    fi
                    ;;
            esac
            ;;
    esac
    local rest="${current#"$done"}"
    local -a fitting=($(compgen -W "${wanted[*]}" -- "$rest"))
    if [[ -n $kind ]]; then
        local name action=-f
        [[ $kind == folder ]] && action=-d
        while IFS= read -r name; do fitting+=("$name"); done < <(compgen "$action" -- "$rest")
        compopt -o filenames 2>/dev/null
    fi
    COMPREPLY=("${fitting[@]}")
    if [[ $rest == *[=:]* ]]; then # readline replaces what follows the last of these only
        COMPREPLY=("${COMPREPLY[@]#"${rest%"${rest##*[=:]}"}"}")
    fi
    [[ ${#COMPREPLY[@]} -gt 0 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -F _sor_sweep sor-sweep
"""

_ZSH: Final = r"""
#compdef sor-sweep
# zsh completion of sor-sweep, made by sor-sweep completion zsh. It completes sor-sweep, not python -m sweep.
@LOOKUPS@
_sor_sweep() {
    local command="" before="" word kind=""
    local -i places=0
    for word in "${(@)words[2,CURRENT-1]}"; do
        case "$before" in (@VALUED@) before=""; continue ;; esac
        before="$word"
        case "$word" in
            (-*|*=*) ;;
            (*) if [[ -z $command ]]; then command="$word"; else places+=1; fi ;;
        esac
    done
    case "$before" in
        (@FILES@) _files; return ;;
        (@FOLDERS@) _files -/; return ;;
        (@VALUED@) return ;;
    esac
    if compset -P 1 '--*='; then
        _files
    elif [[ $PREFIX == -* ]]; then
        compadd -- ${=$(_sor_sweep_options "${command:-run}")}
    elif compset -P 1 '*='; then
        local key="${IPREFIX%=}"
        compadd -- ${=$(_sor_sweep_values "$key")}
        case "$key" in (@PATHS@) _files ;; esac
    else
        local -a expected=(${=$(_sor_sweep_places "$command")})
        kind="${expected[places+1]:-}"
        case "$kind" in
            (shell) compadd -- @SHELLS@; return ;;
            (folder) _files -/ ;;
            (file) _files ;;
        esac
        [[ -z $command ]] && compadd -- @COMMANDS@
        compadd -S '' -- @KEYS@
    fi
}
_sor_sweep "$@"
"""

_FISH: Final = r"""
# fish completion of sor-sweep, made by sor-sweep completion fish. It completes sor-sweep, not python -m sweep.
function __sor_sweep_is
    set -l before ""
    for word in (commandline -opc)[2..-1]
        switch $before
            case (string split "|" -- "@VALUED@")
                set before ""
                continue
        end
        set before $word
        switch $word
            case '-*' '*=*'
            case '*'
                test $word = $argv[1]
                return
        end
    end
    test none = $argv[1]
end
complete -c sor-sweep -s q -l quiet
complete -c sor-sweep -s v -l verbose
@FISH@
"""

_CASE: Final = '        {name}) echo "{words}" ;;'

SHELLS: Final = {
    "bash": (_BASH, _CASE),
    "zsh": (_ZSH, _CASE.replace("{name})", "({name})")),
    "fish": (_FISH, ""),
}
"""By shell: its script with holes, and a case of its tables."""
