import json
import os
import sqlite3
from contextlib import closing
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import pytest

from faceid_cli.api import doctor as health
from faceid_cli.api import probing
from faceid_cli.kept import paths
from faceid_cli.registry.store import Registry


@pytest.fixture(autouse=True)
def probe(monkeypatch):
    """What the packages say, without importing them each time; one test below asks the real ones."""
    found = {
        "torch": "2.0",
        "torchvision": None,
        "torchvision error": "operator torchvision::nms does not exist",
        "diffusers": "0.1",
        "transformers": "5.0",
        "facexlib": None,
        "devices": [],
        "threads": 2,
    }
    monkeypatch.setattr(health, "probe", lambda: dict(found))


def states(answer) -> dict[str, str]:
    return {finding["what"]: finding["state"] for finding in answer.data["findings"]}


def test_a_broken_pair_is_a_warning_with_the_remedy(faceid) -> None:
    found = {finding["what"]: finding for finding in faceid("doctor", "--json").data["findings"]}
    assert found["torchvision"]["state"] == "warn"
    assert found["torchvision"]["detail"] == "operator torchvision::nms does not exist"
    assert "pip install -U torch torchvision facexlib" in found["torchvision"]["hint"]
    assert found["facexlib"]["detail"] == "importing it ends the process"
    assert found["device"]["detail"] == "CPU, 2 threads"


def test_doctor_writes_nothing(faceid) -> None:
    faceid("doctor")
    assert not paths.home().exists()


def test_stray_files_are_findings_and_missing_ones_are_failures(faceid, add_person) -> None:
    alice = add_person("alice")
    (paths.identities_dir() / "stray.safetensors").write_bytes(b"")
    (paths.runs_dir() / "0123456789abcdef").mkdir(parents=True)
    answer = faceid("doctor")
    assert "warn  registry: a file that belongs to nobody: " in answer.out
    assert "warn  checkpoints: 1 of interrupted enrolments in " in answer.out
    alice.path.unlink()
    answer = faceid("doctor")
    assert answer.code == 1
    assert f"fail  registry: alice has no file: {alice.path}" in answer.out


def test_an_embedding_that_was_cut_is_a_failure(faceid, add_person) -> None:
    alice, bob = add_person("alice"), add_person("bob")
    alice.path.write_bytes(alice.path.read_bytes()[:-3])
    answer = faceid("doctor", "--json")
    found = [finding for finding in answer.data["findings"] if finding["what"] == "embedding"]
    assert answer.code == 1
    assert [finding["state"] for finding in found] == ["fail"]
    assert found[0]["detail"].startswith(f"alice: {alice.path} is damaged")
    assert bob.path.is_file()


def test_what_cannot_be_read_does_not_end_the_look_at_the_rest(faceid, add_person) -> None:
    add_person("alice")
    with closing(sqlite3.connect(paths.registry_file(), isolation_level=None)) as connection:
        connection.execute("UPDATE identities SET method = '{'")
    paths.config_file().write_text("{")
    answer = faceid("doctor", "--json")
    assert answer.code == 1
    assert states(answer)["registry"] == "fail"
    assert states(answer)["home"] == "ok"
    assert states(answer)["settings"] == "fail"
    assert "clip" in states(answer)


def test_fix_deletes_what_belongs_to_nobody_if_one_says_so(faceid, add_person) -> None:
    alice = add_person("alice")
    lost = [
        paths.identities_dir() / "ab.safetensors",
        paths.material_dir() / "ab" / "crop-001.png",
        paths.registry_file().with_name("registry.db.m001.1.bak.part"),
    ]
    for path in lost:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    answer = faceid("doctor", "--fix")
    assert all(path.exists() for path in lost), "nobody has said so"
    answer = faceid("doctor", "--fix", "-y")
    assert f"ok    lost: deleted: {lost[0]}" in answer.out
    assert not any(path.exists() for path in lost)
    assert alice.path.exists()
    assert "nobody" not in faceid("doctor").out


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such permissions")
def test_the_home_is_for_its_owner_alone(faceid, alice, photos, quick, tiny_model_dir) -> None:
    """Crops, checkpoints and settings too; and --fix closes what is open."""
    assert faceid("config", "set", "device", "cpu").code == 0
    assert faceid("report", "alice", "-q").code == 0
    words = ("enroll", "bob", photos, "--model", tiny_model_dir, *quick, "--preview-every", 1)
    assert faceid(*words).code == 0

    def open_files() -> list[Path]:
        return [path for path in (paths.home(), *paths.home().rglob("*")) if path.stat().st_mode & 0o077]

    assert open_files() == []
    paths.home().chmod(0o755)
    alice_file = Path(faceid("show", "alice", "--json").data["identity"]["file"])
    alice_file.chmod(0o644)
    assert f"warn  home: others can read {paths.home()}" in faceid("doctor").out
    assert "only you can read it now: 2 files and folders were open to others" in faceid("doctor", "--fix").out
    assert open_files() == []


def test_a_backup_that_knows_somebody_who_is_gone_is_a_finding(faceid, add_person) -> None:
    add_person("alice")
    backup = paths.registry_file().with_name("registry.db.m001.1.bak")
    before = paths.registry_file().read_bytes()
    backup.write_bytes(before)
    assert f"ok    backup: {backup} is from before an update\n" in faceid("doctor").out
    with Registry.open() as registry:
        registry.remove("alice")
    assert f"ok    backup: {backup} is from before an update\n" in faceid("doctor").out, "it has forgotten, too"
    backup.write_bytes(before)
    assert f"warn  backup: {backup} is from before an update, and still knows alice\n" in faceid("doctor").out


def test_a_damaged_registry_and_a_missing_model_are_failures(faceid) -> None:
    paths.home().mkdir(parents=True)
    paths.registry_file().write_bytes(b"rubbish " * 1000)
    paths.config_file().write_text(json.dumps({"model": str(paths.home())}))
    answer = faceid("doctor", "--json")
    assert answer.code == 1
    assert answer.data["healthy"] is False
    assert states(answer)["registry"] == "fail"
    assert states(answer)["base model"] == "fail"


def test_a_good_model_is_found(faceid, tiny_model_dir) -> None:
    assert faceid("config", "set", "model", tiny_model_dir).code == 0
    answer = faceid("doctor", "--json")
    assert states(answer)["base model"] == "ok"
    assert states(answer)["registry"] == "ok"
    assert answer.code == 0


def test_quiet_shows_only_what_is_wrong(faceid) -> None:
    lines = faceid("doctor", "-q").out.splitlines()
    assert "torchvision: operator torchvision::nms does not exist" in lines
    assert not any(line.startswith("torch:") for line in lines)


def test_the_probe_tells_what_is_installed_and_imports_little(monkeypatch) -> None:
    import torch

    told = "print(json.dumps({**found, 'modules': list(sys.modules)}))"
    monkeypatch.setattr(probing, "_PROBE", f"{probing._PROBE}\n{told}")
    found = probing.probe()
    assert found["torch"] == torch.__version__
    assert found["threads"] > 0
    for name in ("diffusers", "transformers", "facexlib"):
        assert found[name] == version(name)
    assert found["misfits"] == []
    if found["torchvision"] is None:  # broken here
        assert found["torchvision error"]
    assert not {"diffusers", "transformers", "facexlib", "torch._dynamo", "scipy"} & set(found["modules"])


def test_the_probe_tells_what_does_not_fit(monkeypatch) -> None:
    older = "metadata.version = lambda name, real=metadata.version: '0.1' if name == 'safetensors' else real(name)"
    without_torch = probing._PROBE.replace('told("torch"', older + '\ntold("nothing"').replace(
        "import torch\n    devices", "raise ImportError('no torch')\n    devices"
    )
    monkeypatch.setattr(probing, "_PROBE", without_torch)
    misfits = probing.probe()["misfits"]
    assert any("needs safetensors" in line and "0.1 is installed" in line for line in misfits)


def test_what_does_not_fit_is_a_warning(faceid, monkeypatch) -> None:
    line = "diffusers needs safetensors>=0.8, and 0.1 is installed"
    monkeypatch.setattr(health, "probe", lambda: {"torch": "2", "misfits": [line]})
    assert f"warn  packages: {line}\n" in faceid("doctor").out


def test_a_probe_that_dies_tells_what_it_had_found(monkeypatch) -> None:
    monkeypatch.setattr(probing, "_PROBE", 'print(\'{"torch": "1"}\', flush=True); import os; os.abort()')
    assert probing.probe() == {"torch": "1"}


def test_nothing_is_said_twice(faceid) -> None:
    """Of weights: what is missing where, and in the other line what to do; not what they are for in both."""
    answer = faceid("doctor")
    lines = answer.out.splitlines()
    place = lines.index(f"warn  clip: missing: {paths.weights_dir() / 'clip' / 'model.safetensors'}")
    assert lines[place + 1] == ("      only scoring photographs by their prompts needs it: `faceid weights fetch clip`")
    assert not [line for line in lines if line.count("missing") > 1 or line.count("photographs") > 1]
    assert len(set(lines)) == len(lines)


def test_a_network_of_several_files_is_one_finding(faceid, tmp_path, monkeypatch) -> None:
    from dataclasses import replace

    from faceid_cli.kept import weights

    for name in weights.with_parts(["clip"]):
        source = tmp_path / name
        source.write_bytes(name.encode())
        known = replace(weights.KNOWN_WEIGHTS[name], source=source.as_uri(), sha256=sha256(name.encode()).hexdigest())
        monkeypatch.setitem(weights.KNOWN_WEIGHTS, name, known)
    assert faceid("weights", "fetch", "clip").code == 0
    folder = paths.weights_dir() / "clip"
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert f"ok    clip: {folder / 'model.safetensors'}\n" in faceid("doctor").out
    (folder / "tokenizer.json").unlink()
    assert f"warn  clip: missing: {folder / 'tokenizer.json'}\n" in faceid("doctor").out
    (folder / "config.json").write_text("other")
    assert f"warn  clip: {folder / 'config.json'} is not the file it should be" in faceid("doctor").out


def test_what_could_not_be_finished_is_finished_when_it_can_be(faceid, add_person) -> None:
    alice = add_person("alice")
    backup = paths.registry_file().with_name("registry.db.m001.1.bak")
    backup.write_bytes(b"rubbish " * 1000)
    answer = faceid("remove", "alice", "-y")
    assert (answer.code, f"could not be deleted or cleaned, do it by hand: {backup}" in answer.err) == (9, True)
    answer = faceid("remove", "alice", "-y")
    assert (answer.code, f"do it by hand: {backup}" in answer.err) == (9, True), "it is not said to be done"
    assert faceid("list", "-q").out == ""
    assert "a change of alice has stopped half-way" in faceid("doctor").out
    backup.unlink()
    answer = faceid("remove", "alice", "-y")
    assert (answer.code, answer.out) == (0, "finished the removal of alice\n")
    assert faceid("remove", "alice", "-y").code == 3
    assert not alice.path.exists()
    assert alice.id.encode() not in paths.registry_file().read_bytes()
    assert not list((paths.home() / "unfinished").iterdir())


def test_whoever_is_kept_meanwhile_is_not_taken_for_lost(faceid, add_person, monkeypatch) -> None:
    add_person("alice")
    listed = health.stray_material

    def kept_first(known) -> list[Path]:
        (paths.material_dir() / add_person("bob").id).mkdir(parents=True)
        return listed(known)

    monkeypatch.setattr(health, "stray_material", kept_first)
    assert "belongs to nobody" not in faceid("doctor").out
