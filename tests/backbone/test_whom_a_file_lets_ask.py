"""An identity that came from a file does not choose whom the machine contacts: its base model is not fetched unasked.

Against a stand-in for the hub, in processes of their own, since where the hub is, its client reads when it is imported.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from faceid_cli.kept.identity_file import IdentityMetadata, save_identity
from faceid_cli.model_files import fingerprint_of

_SPEC = importlib.util.spec_from_file_location("hub", Path(__file__).with_name("hub.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
hub = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hub)


@pytest.fixture
def bob(tiny_model_dir, tmp_path) -> Path:
    """The file of a person who was learned on a model of the hub."""
    features = {"text_encoder": np.zeros((5, 1, 32), np.float32)}
    said = IdentityMetadata("bob", "man", "someone/tiny", fingerprint_of(str(tiny_model_dir)), {"method": "sefi"})
    save_identity(tmp_path / "bob.safetensors", features, features, said)
    return tmp_path / "bob.safetensors"


SAY = """
import json, sys
from faceid_cli.cli.app import main
print("codes", *[main(words) for words in json.loads(sys.argv[1])])
"""


@pytest.mark.slow
def test_a_foreign_base_model_is_fetched_only_when_the_user_says_so(bob, tiny_model_dir, tmp_path) -> None:
    with hub.hub_of({"someone/tiny": tiny_model_dir}) as (endpoint, requests):

        def faceid(*commands: list[str]) -> tuple[str, str]:
            environment = {
                **os.environ,
                "HF_ENDPOINT": endpoint,
                "HF_HOME": str(tmp_path / "hub"),
                "HF_HUB_OFFLINE": "0",
                "TRANSFORMERS_OFFLINE": "0",
                "HF_HUB_DISABLE_XET": "1",
                "HF_HUB_DISABLE_TELEMETRY": "1",
                "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
                "NO_PROXY": "127.0.0.1",
            }
            command = [sys.executable, "-c", SAY, json.dumps(commands)]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout.splitlines()[-1], done.stderr

        picture = ["generate", "bob", "a cup", "--steps", "1", "-o", str(tmp_path)]
        asking = [picture, ["models", "score", "bob"], ["report", "bob", "--no-open"], ["show", "bob"]]
        codes, said = faceid(["import", str(bob)], *asking)
        assert codes == "codes 0 5 5 0 0"
        assert "the base model of bob, someone/tiny, is not on this machine" in said
        assert "--model someone/tiny" in said
        assert requests == []
        assert faceid(["models", "add", "tiny", "someone/tiny"], picture)[0] == "codes 0 0"
        assert requests


def test_a_model_that_the_user_named_or_learned_on_may_be_asked_for(add_identity) -> None:
    from faceid_cli.registry.sources import _is_own_choice

    stranger, own = add_identity("bob", "someone/tiny", False), add_identity("ada", "me/tiny", True)
    assert (_is_own_choice(stranger), _is_own_choice(own)) == (False, True)
    assert _is_own_choice(add_identity("eve", "me/tiny", False))


@pytest.fixture
def add_identity():
    """Put a person into the registry, learned here or not."""
    from faceid_cli.registry.records import NewIdentity, NewRun
    from faceid_cli.registry.store import Registry

    def add(name, source, is_learned):
        run = NewRun({}, (), 1.0) if is_learned else None
        with Registry.open() as registry:
            new = NewIdentity(name, "man", source, "sd1:0", {})
            return registry.add_identity(new, lambda person: person.path.touch(), run)

    return add
