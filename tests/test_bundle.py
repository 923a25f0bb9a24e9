"""Bundles: cards, checksums, and networks that an installed package carries."""

import json

import pytest
from pydantic import BaseModel, ConfigDict, Field

from models.bundle import BundleError, Card, Training, load_bundle, packaged_bundles, save_bundle


def card(**update) -> Card:
    fields = {
        "name": "tiny",
        "version": "1",
        "task": "skew",
        "architecture": "none",
        "input": {},
        "training": Training(data="none", command="none", steps=0),
        "licence": "Apache-2.0",
        "sha256": "0" * 64,
    }
    return Card(**(fields | update))


def test_saved_bundle_loads(tmp_path):
    saved = save_bundle(tmp_path / "tiny", b"network", card())
    loaded = load_bundle(tmp_path / "tiny", task="skew")
    assert loaded.network == b"network" and loaded.card == saved.card and loaded.name == "tiny@1"


def test_bundle_by_uri(tmp_path):
    save_bundle(tmp_path / "tiny", b"network", card())
    assert load_bundle(f"file://{tmp_path}/tiny").network == b"network"


def test_other_files_travel_with_a_bundle(tmp_path):
    saved = save_bundle(tmp_path / "a", b"network", card(), {"words.npz": b"words"})
    for reference in (tmp_path / "a", f"file://{tmp_path}/a"):
        loaded = load_bundle(reference)
        assert loaded.card.files.keys() == {"words.npz"} and loaded.file("words.npz") == b"words"
        assert loaded.digest == saved.digest
    again = save_bundle(tmp_path / "a", b"network", saved.card)  # written anew in its place
    assert again.file("words.npz") == b"words"
    assert save_bundle(tmp_path / "b", b"network", card(), {"words.npz": b"other"}).digest != saved.digest
    (tmp_path / "a" / "words.npz").write_bytes(b"wards")
    with pytest.raises(BundleError, match=r"words\.npz is not the file that the card means"):
        loaded_again = load_bundle(tmp_path / "a")
        loaded_again.file("words.npz")
    (tmp_path / "a" / "words.npz").unlink()
    with pytest.raises(BundleError, match=r"words\.npz is missing"):
        load_bundle(tmp_path / "a").file("words.npz")


@pytest.mark.parametrize("name", ["../words.npz", "/etc/words", "a/b", ""])
def test_other_files_lie_in_the_bundles_folder(tmp_path, name):
    save_bundle(tmp_path, b"network", card())
    content = (tmp_path / "bundle.json").read_text().replace('"files": {}', f'"files": {{"{name}": "00"}}')
    (tmp_path / "bundle.json").write_text(content)
    with pytest.raises(BundleError, match="files"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("update", "same"),
    [
        ({"licence": "MIT", "version": "2"}, True),
        ({"decoding": {"space_bonus": 1.0}}, False),
        ({"labels": ["a"]}, False),
        ({"input": {"height": 32}}, False),
    ],
)
def test_the_digest_is_of_what_results_depend_on(tmp_path, update, same):
    first = save_bundle(tmp_path / "first", b"network", card()).digest
    assert (save_bundle(tmp_path / "second", b"network", card(**update)).digest == first) is same
    assert save_bundle(tmp_path / "third", b"netwerk", card()).digest != first


def test_other_task(tmp_path):
    save_bundle(tmp_path, b"network", card())
    with pytest.raises(BundleError, match="does 'skew', but 'orientation' is needed"):
        load_bundle(tmp_path, task="orientation")


def test_damaged_network(tmp_path):
    save_bundle(tmp_path, b"network", card())
    (tmp_path / "network.onnx").write_bytes(b"netwerk")
    with pytest.raises(BundleError, match="the file is damaged"):
        _ = load_bundle(tmp_path).network


def test_missing_network(tmp_path):
    save_bundle(tmp_path, b"network", card())
    (tmp_path / "network.onnx").unlink()
    with pytest.raises(BundleError, match=r"network\.onnx is missing; export the model again"):
        _ = load_bundle(tmp_path).network


@pytest.mark.parametrize("reference", ["nobody@1", "/no/such/folder"])
def test_unknown_bundle_names_the_packaged_ones(reference):
    with pytest.raises(BundleError, match="ppocrv6-det@small"):
        load_bundle(reference)


def test_invalid_card(tmp_path):
    (tmp_path / "bundle.json").write_text('{"name": "x"}')
    with pytest.raises(BundleError, match="not valid"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("version", [99, 0, "1", None])
def test_a_card_of_another_schema_is_refused(tmp_path, version):
    save_bundle(tmp_path, b"network", card())
    content = json.loads((tmp_path / "bundle.json").read_text())
    (tmp_path / "bundle.json").write_text(json.dumps(content | {"schema_version": version, "new": "key"}))
    with pytest.raises(
        BundleError, match=rf"schema_version {version!r}, but ocray \S+ reads 1; update ocray, or export"
    ):
        load_bundle(tmp_path)


def test_a_card_without_a_schema_is_one_of_the_first(tmp_path):
    save_bundle(tmp_path, b"network", card())
    content = json.loads((tmp_path / "bundle.json").read_text())
    del content["schema_version"]
    (tmp_path / "bundle.json").write_text(json.dumps(content))
    assert load_bundle(tmp_path).card.schema_version == 1


def test_a_charset_may_be_one_string(tmp_path):
    listed = save_bundle(tmp_path, b"network", card(labels=["a", "가", " "]))
    content = json.loads((tmp_path / "bundle.json").read_text())
    (tmp_path / "bundle.json").write_text(json.dumps(content | {"labels": "a가 "}))
    loaded = load_bundle(tmp_path)
    assert loaded.card.labels == ["a", "가", " "] and loaded.digest == listed.digest


def test_unfinished_jobs_know_rewritten_cards_by_their_former_digest():
    digest = "c104579f45e7b26a672f1bc6ee46480e400a05b9919d769fadc3ed3afa0e9ded"  # when the charset was in the network
    assert load_bundle("ppocrv6-rec@small").digest == digest


class Line(BaseModel):
    model_config = ConfigDict(extra="forbid")
    height: int = Field(ge=8)
    options: dict[str, int] = {}


@pytest.mark.parametrize("part", ["input", "decoding"])
def test_settings_of_a_card(tmp_path, part):
    good = save_bundle(tmp_path / "good", b"network", card(**{part: {"height": 48}}))
    assert getattr(good, part)(Line) == Line(height=48)
    bad = save_bundle(tmp_path / "bad", b"network", card(**{part: {"height": 7, "options": {"a": "b"}, "width": [1]}}))
    with pytest.raises(BundleError) as caught:
        getattr(bad, part)(Line)
    assert str(caught.value) == (
        f"bundle tiny@1: its card is not valid: {part}.height: Input should be greater than or equal to 8, not 7; "
        f"{part}.options.a: Input should be a valid integer, unable to parse string as an integer, not 'b'; "
        f"{part}.width: Extra inputs are not permitted; correct {tmp_path}/bad/bundle.json or export the model again"
    )


@pytest.mark.parametrize("name", ["ppocrv6-det@small", "ppocrv6-rec@small"])
def test_weights_of_the_rapidocr_package(name):
    assert name in packaged_bundles()
    bundle = load_bundle(name)
    assert bundle.name == name
    assert len(bundle.network) > 1_000_000


def test_other_weights_in_the_package(tmp_path):
    wrong = load_bundle("ppocrv6-det@small").card.model_copy(update={"sha256": "1" * 64})
    (tmp_path / "bundle.json").write_text(wrong.model_dump_json())
    with pytest.raises(BundleError, match="install the version of rapidocr that ocray pins"):
        _ = load_bundle(tmp_path).network


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("package:no-such-package/a.onnx", "needs a.onnx from the package no-such-package"),
        ("package:rapidocr/rapidocr/models/none.onnx", r"none\.onnx is missing; install the version of rapidocr"),
    ],
)
def test_package_without_the_weights(tmp_path, location, message):
    (tmp_path / "bundle.json").write_text(card(network=location).model_dump_json())
    with pytest.raises(BundleError, match=message):
        _ = load_bundle(tmp_path).network


@pytest.mark.parametrize("location", ["other.onnx", "../network.onnx", "package:rapidocr"])
def test_network_location_is_checked(location):
    with pytest.raises(ValueError, match="network"):
        card(network=location)
