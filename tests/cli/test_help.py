"""Every command says what it does, and how it is given; a shell can be taught them."""

import shlex
import shutil
import subprocess
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from pipeline.cli.app import GROUPS, app, main, show_examples
from pipeline.cli.examples import EXAMPLES
from tests.plant import Plant

COMMANDS = [
    f"{'' if group is app else group.name[0]} {name}".strip() for group, commands in GROUPS for name in commands
]
NAMES = ["", *(group.name[0] for group, _ in GROUPS if group is not app), *COMMANDS]


@pytest.fixture
def home(tmp_path):
    return Plant(tmp_path)


def test_there_are_examples_of_every_command_and_of_nothing_else():
    assert sorted(EXAMPLES) == sorted(NAMES)
    for name, examples in EXAMPLES.items():
        assert len(examples) >= 2, name
        assert all(says for _, says in examples), name
        assert all(name in said for said, _ in examples), name


@pytest.mark.parametrize("said", sorted({said for examples in EXAMPLES.values() for said, _ in examples}))
def test_an_example_can_be_given_as_it_stands(said):
    words = shlex.split(said)
    words = words[next(at for at, word in enumerate(words) if "=" not in word) :]
    command, *_ = app.parse_args(words, exit_on_error=False, print_error=False)
    assert callable(command)


@pytest.mark.parametrize("name", NAMES)
def test_help_of_a_command_ends_with_its_examples(home, name):
    _, out, err = home.ask(*name.split(), "--help", COLUMNS=200)
    assert err == ""
    shown = " ".join(out.split())  # where the program lies deep, its line goes over two
    for said, says in EXAMPLES[name]:
        given = shlex.join(shlex.split(said.removeprefix("SERVE_EVERY=5m ")))
        assert f"pipeline {given} {says}" in shown, said


@pytest.mark.parametrize("columns", [60, 80])
def test_help_fits_on_a_narrow_terminal(columns):
    for name in ("", "run", "dead-letters retry"):
        show_examples(["help", *name.split()])
        out = StringIO()
        app.help_print(name.split(), console=Console(file=out, width=columns))
        assert [line for line in out.getvalue().splitlines() if cell_len(line) > columns] == []


def test_help_shows_what_the_option_shows(home):
    for name in (name for name in NAMES if not name.startswith("--")):
        assert home.command("help", *name.split()) == home.command(*name.split(), "--help")
    _, _, err = home.ask("help", "nonsense")
    assert "there is no command nonsense; `" in err


@pytest.mark.parametrize(
    ("given", "about"), [("run --ony x", "help run"), ("dead-letters sho", "help dead-letters"), ("nonsense", "help")]
)
def test_wrong_usage_names_the_help_of_the_very_command(home, given, about):
    code, _, err = home.ask(*given.split())
    assert (code, f"pipeline {about}` tells what there is" in err) == (2, True)


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", ".local/share/bash-completion/completions/workorder-sync"),
        ("zsh", ".zsh/completions/_cyclopts_workorder-sync"),
        ("fish", ".config/fish/completions/workorder-sync.fish"),
    ],
)
def test_a_shell_is_taught_the_commands(home, shell, file):
    out = home.command("--install-completion", shell, HOME=home.home)
    written = home.home / file
    assert f"written: {written}\n" in out
    text = written.read_text()
    assert all(command.split()[-1].lstrip("-") in text for command in COMMANDS)
    if shutil.which(shell):
        assert subprocess.run([shell, "-n", str(written)], check=False).returncode == 0


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes_a_command_and_an_option(home):
    home.command("--install-completion", "bash", HOME=home.home)
    script = home.home / ".local/share/bash-completion/completions/workorder-sync"

    def completed(line):
        words = line.split(" ")
        ask = (
            f". {script}; COMP_WORDS=({' '.join(map(shlex.quote, words))}); COMP_CWORD={len(words) - 1};"
            f"COMP_LINE={shlex.quote(line)}; COMP_POINT={len(line)};"
            '$(complete -p workorder-sync | sed "s/.*-F \\([^ ]*\\).*/\\1/"); printf "%s\\n" "${COMPREPLY[@]}"'
        )
        return subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True).stdout.split()

    assert "reconcile" in completed("workorder-sync rec")
    assert "--only" in completed("workorder-sync run --on")


def test_a_shell_that_is_not_known_or_a_home_that_cannot_be_written_is_told(home):
    _, _, err = home.ask("--install-completion", "tcsh")
    assert '"bash", "zsh", "fish"' in err
    _, _, err = home.ask("--install-completion", "bash", HOME="/dev/null")
    assert "/dev/null/.local/share/bash-completion/completions cannot be written: Not a directory" in err


def test_the_help_of_one_command_does_not_stay_that_of_another():
    show_examples(["run", "--help"])
    assert app["run"].help_epilogue != app.help_epilogue
    assert main(["--version"]) == 0
