"""Where everything is: a folder that cannot be is told in words."""

import pytest

from faceid_cli.cli.app import main
from faceid_cli.errors import UsageError
from faceid_cli.kept import paths
from faceid_cli.orders.checks import user_path
from faceid_cli.registry.quick import known_names


def test_the_home_of_nobody_is_told_in_words(monkeypatch, capsys) -> None:
    monkeypatch.setenv("FACEID_HOME", "~nobody-of-that-name/x")
    with pytest.raises(UsageError, match="FACEID_HOME is ~nobody-of-that-name/x, and there is no such user"):
        paths.home()
    for words in (["list"], ["show", "alice"], ["config", "list"]):
        assert main(words) == 2
        assert capsys.readouterr().err.startswith("error: FACEID_HOME is ~nobody-of-that-name/x")
    assert main(["doctor"]) == 1  # which goes on, and has findings
    assert "home: FACEID_HOME is ~nobody-of-that-name/x, and there is no such user" in capsys.readouterr().out
    assert known_names() == []


@pytest.mark.parametrize(
    "words",
    [
        ["import", "~nobody-of-that-name/x.safetensors"],
        ["enroll", "bob", "~nobody-of-that-name/x"],
        ["photos", "check", "~nobody-of-that-name/*.jpg"],
        ["models", "add", "x", "~nobody-of-that-name/x"],
        ["models", "info", "~nobody-of-that-name/x"],
        ["config", "set", "output", "~nobody-of-that-name/x"],
        ["samples", "~nobody-of-that-name/x"],
    ],
)
def test_files_of_nobody_are_not_there(words, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) > 1
    assert "~nobody-of-that-name/" in capsys.readouterr().err


def test_the_users_own_folder_is_found(monkeypatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert [str(user_path(text)) for text in ("~/x", "x~", "~nobody-of-that-name/x")] == [
        "/home/me/x",
        "x~",
        "~nobody-of-that-name/x",
    ]
