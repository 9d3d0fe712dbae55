"""The verbs, run as a user runs them but in this process."""

from __future__ import annotations

import re
import shutil
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from standardwebhooks import Webhook
from typer.testing import CliRunner, Result

from portraitd import cli, wiring
from portraitd.cli import doctor, serve
from portraitd.engines.diffusion import painter
from portraitd.engines.diffusion.placement import GIB, Memory
from portraitd.errors import InvalidApiKey, SetupError
from portraitd.images import encode_jpeg
from portraitd.portraits.identities import is_usable
from portraitd.portraits.retention import Sweeper
from portraitd.settings import SETTINGS, load_settings
from portraitd.styles.catalog import Mode
from portraitd.weights.manifest import read_manifest
from tests.api.fakes import World
from tests.api.live import serving
from tests.fakes.engines import FAILS_EVERY_SECOND, flat
from tests.fakes.receivers import receiver, status

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a verb in a home of its own, with the instant engine."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.setenv("PORTRAITD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PORTRAITD_ENGINE", "tests.fakes.engines:instant")
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *args: CliRunner().invoke(cli.app, [str(arg) for arg in args])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"
    path.write_bytes(encode_jpeg(flat((90, 80, 70))))
    return path


def test_keys_are_made_shown_once_listed_and_revoked(run: Run) -> None:
    made = run("key", "create", "laptop", "--account", "anne")
    key = made.stdout.strip()
    house = wiring.open_house(load_settings())
    assert key.startswith("sk-")
    assert len(key) == 51
    account = house.keys.authenticate(key)
    listed = run("key", "list").stdout
    assert "laptop" in listed
    assert "anne" in listed
    assert key not in listed
    assert run("key", "revoke", account.key_id).exit_code == 0
    with pytest.raises(InvalidApiKey):
        house.keys.authenticate(key)
    assert isinstance(run("key", "revoke", account.key_id).exception, SetupError)
    assert key not in (load_settings().home / "portraitd.db").read_bytes().decode("latin-1")
    house.close()


def test_a_webhook_is_set_tried_listed_and_removed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("key", "create", "laptop", "--account", "anne")
    with receiver() as there:
        refused = run("webhook", "set", there.url(), "--account", "anne").exception
        assert "PORTRAITD_FETCH_ALLOW" in str(refused)
        monkeypatch.setenv("PORTRAITD_FETCH_ALLOW", "127.0.0.0/8")
        secret = run("webhook", "set", there.url(), "--account", "anne").stdout.strip()
        assert run("webhook", "test", "--account", "anne").stdout == "taken: 204\n"
        there.answers = [status(500)]
        assert str(run("webhook", "test", "--account", "anne").exception) == "the webhook does not take events: 500"
        for got in there.got:
            assert Webhook(secret).verify(got.body, got.headers)["data"] == {}
        listed = run("webhook", "list").stdout
        assert there.url() in listed
        assert "anne" in listed
        assert secret not in listed
        assert run("webhook", "set", there.url(), "--account", "anne").stdout.strip() not in {secret, ""}
    assert run("webhook", "remove", "--account", "anne").exit_code == 0
    assert "http" not in run("webhook", "list").stdout
    assert secret not in (load_settings().home / "portraitd.db").read_bytes().decode("latin-1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set", "https://hook.example/", "--account", "nobody"), "there is no account named nobody"),
        (("set", "ftp://hook.example/", "--account", "anne"), "events are sent to http and https URLs"),
        (("set", "https://user:word@hook.example/", "--account", "anne"), "events are sent to http and https URLs"),
        (("set", "http://169.254.169.254/latest", "--account", "anne"), "169.254.169.254 is not at a public address"),
        (("test", "--account", "anne"), "the account anne has no webhook"),
        (("remove", "--account", "anne"), "the account anne has no webhook"),
    ],
)
def test_what_a_webhook_cannot_be(run: Run, words: tuple[str, ...], said: str) -> None:
    run("key", "create", "laptop", "--account", "anne")
    refused = run("webhook", *words).exception
    assert isinstance(refused, SetupError)
    assert refused.message.startswith(said)


def test_keys_of_one_account_are_one_account_s(run: Run) -> None:
    keys = [run("key", "create", name, "--account", "anne").stdout.strip() for name in ("one", "two")]
    other = run("key", "create", "three").stdout.strip()
    house = wiring.open_house(load_settings())
    one, two, three = (house.keys.authenticate(key) for key in (*keys, other))
    assert one.id == two.id != three.id
    assert one.key_id != two.key_id
    house.close()


def test_the_first_key_is_made_once_and_kept_in_a_private_file(run: Run) -> None:
    house = wiring.open_house(load_settings())
    made = wiring.ensure_first_key(house)
    assert made is not None
    assert made.path == house.settings.key_file
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert made.path.read_text().strip() == made.fresh
    assert wiring.ensure_first_key(house) == wiring.FirstKey(made.path), "shown once"
    assert made.path.read_text().strip() == made.fresh
    made.path.unlink()
    assert wiring.ensure_first_key(house) is None, "an operator who removed the file does not want another"
    house.close()


def test_a_key_file_of_another_database_is_replaced(run: Run) -> None:
    settings = load_settings()
    settings.home.mkdir()
    settings.key_file.write_text("sk-of-a-database-that-is-gone\n")
    house = wiring.open_house(settings)
    made = wiring.ensure_first_key(house)
    assert made is not None
    assert made.fresh is not None
    assert house.keys.authenticate(made.path.read_text().strip())
    house.close()


def test_the_example_has_the_address_and_the_key_in_it() -> None:
    example = serve.example("https://portraits.example", "sk-secret")
    assert example.count("https://portraits.example/api/v1/") == 2
    assert example.count("Bearer sk-secret") == 2
    assert "127.0.0.1" not in example
    assert "$(cat" not in example


def test_generate_writes_portraits_that_a_seed_makes_again(run: Run, photo: Path, tmp_path: Path) -> None:
    first = run("generate", photo, "-n", 2, "--seed", 5, "-o", tmp_path / "a")
    again = run("generate", photo, "-n", 2, "--seed", 5, "-o", tmp_path / "b")
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["portrait-5.jpg", "portrait-6.jpg"]
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    assert not load_settings().home.exists(), "no server, no home"


def test_generate_into_a_template(run: Run, photo: Path, tmp_path: Path) -> None:
    result = run("generate", photo, "--template", photo, "-n", 1, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_generate_says_what_is_wrong_with_a_file(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "notes.jpg"
    bad.write_text("hello")
    result = run("generate", bad)
    assert isinstance(result.exception, SetupError)
    assert "notes.jpg" in result.exception.message
    assert "JPEG, PNG or WebP" in result.exception.message
    small = tmp_path / "small.jpg"
    small.write_bytes(encode_jpeg(flat((90, 80, 70))[:200]))
    result = run("generate", small)
    assert isinstance(result.exception, SetupError)
    assert "256 to 4096 pixels" in result.exception.message


def test_generate_trains_for_a_template_when_asked_to(run: Run, photo: Path, tmp_path: Path) -> None:
    black = tmp_path / "black.jpg"
    black.write_bytes(encode_jpeg(flat((0, 0, 0))))
    result = run(
        *("generate", photo, black, "--template", photo, "--style", "portrait_url_template"),
        *("-n", 1, "--seed", 7, "-o", tmp_path / "out"),
    )
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [str(tmp_path / "out" / "portrait-7.jpg")]
    assert "black.jpg was not used: No human face detected." in result.stderr
    assert "清楚拍到本人正脸" in result.stderr, "and what to do, in both languages"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--style", "f_nothing"), "no style is called f_nothing"),
        (("--style", "portrait_url_template"), "needs a template"),
        (("--style", "train_free_portrait_url_template"), "needs a template"),
        (("--style", "f_business_male", "--template", "photo.jpg"), "takes no template"),
        (("--template", "photo.jpg", *["photo.jpg"] * 5), "at most 5 photos"),
    ],
)
def test_generate_says_what_does_not_go_together(
    run: Run, photo: Path, options: tuple[str, ...], word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo.parent)
    result = run("generate", photo, *options)
    assert isinstance(result.exception, SetupError)
    assert word in result.exception.message
    assert not (photo.parent / "portraits").exists()


def test_generate_names_each_portrait_that_failed(run: Run, photo: Path, tmp_path: Path) -> None:
    result = run("generate", photo, "--style", FAILS_EVERY_SECOND, "-n", 3, "--seed", 1, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert [Path(line).name for line in result.stdout.splitlines()] == ["portrait-1.jpg", "portrait-3.jpg"]
    assert "portrait 2 could not be made" in result.stderr


def test_detect_tells_usable_from_not(run: Run, photo: Path, tmp_path: Path) -> None:
    faceless = tmp_path / "black.jpg"
    faceless.write_bytes(encode_jpeg(flat((0, 0, 0))))
    assert run("detect", photo).exit_code == 0
    both = run("detect", photo, faceless)
    assert both.exit_code == 1
    assert "no face detected" in both.stdout


def test_weights_are_taken_from_a_folder_or_said_to_be_missing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTRAITD_WEIGHTS", str(tmp_path / "weights"))
    result = run("weights", "pull", "face_landmark", "--from", tmp_path)
    assert isinstance(result.exception, SetupError)
    assert "face_landmark.tflite" in result.exception.message
    assert run("weights", "list").stdout.count("missing") == len(read_manifest().weights) + 1  # and the model


def test_styles_are_listed_and_added_to(run: Run, photo: Path) -> None:
    assert run("styles", "list").stdout.count("f_") >= 8
    assert run("styles", "add", "f_business_female", photo).exit_code == 0
    style = wiring.styles_of(load_settings()).get("f_business_female")
    assert [path.name for path in style.templates] == ["photo.jpg"]
    assert run("styles", "add", "f_nothing", photo).exception is not None


def test_a_pack_is_pulled_from_a_folder_listed_and_removed(
    run: Run, portraits_folder: Path, tmp_path: Path, photo: Path
) -> None:
    assert run("styles", "add", "f_idcard_male", photo).exit_code == 0
    pulled = run("styles", "pull", "facechain", "--from", portraits_folder)
    assert pulled.exit_code == 0, pulled.output
    told = pulled.stdout.splitlines()
    assert "Apache-2.0" in told[0]
    assert "github.com/modelscope/facechain" in told[0]
    presets = [style for style in wiring.styles_of(load_settings()) if style.mode is Mode.PRESET]
    assert all(style.templates for style in presets)
    again = run("styles", "pull", "facechain", "--from", tmp_path)
    assert again.exit_code == 0, "nothing is missing, so nothing is asked for"
    assert len(again.stdout.splitlines()) == 1
    assert run("styles", "remove", "facechain").exit_code == 0
    left = [path.name for style in wiring.styles_of(load_settings()) for path in style.templates]
    assert left == ["photo.jpg"]


def test_a_pack_that_cannot_be_had_is_told(run: Run, tmp_path: Path) -> None:
    assert isinstance(run("styles", "pull", "facechain", "--from", tmp_path).exception, SetupError)
    assert isinstance(run("styles", "pull", "facechan").exception, SetupError)
    both = run("styles", "pull", "facechain", "--from", tmp_path, "--mirror", "http://127.0.0.1:1")
    assert isinstance(both.exception, SetupError)
    unreachable = run("styles", "pull", "facechain", "--mirror", "http://127.0.0.1:1/facechain")
    assert "Apache-2.0" in unreachable.stdout, "told before the first picture is asked for"
    assert isinstance(unreachable.exception, SetupError)
    assert "http://127.0.0.1:1/facechain/style_image/" in unreachable.exception.message


def test_a_pack_for_no_style_is_refused(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pack" / "f_busines_female").mkdir(parents=True)
    monkeypatch.setenv("PORTRAITD_STYLE_PACKS", str(tmp_path / "pack"))
    result = run("styles", "list")
    assert isinstance(result.exception, SetupError)
    assert "f_busines_female" in result.exception.message


def test_doctor_names_what_is_missing_and_how_to_mend_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORTRAITD_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setenv("PORTRAITD_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    result = run("doctor")
    assert result.exit_code == 1
    assert "portraitd weights pull" in result.stdout
    assert "PORTRAITD_DATABASE_URL" in result.stdout
    assert not load_settings().home.exists(), "looking changes nothing"
    monkeypatch.setenv("PORTRAITD_PORT", "many")
    assert "PORTRAITD_PORT" in run("doctor").stdout


def test_doctor_knows_who_has_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        finding = doctor._port(load_settings({"PORTRAITD_PORT": str(other.getsockname()[1])}))
    assert not finding.is_well
    assert "Address already in use; set PORTRAITD_PORT to another" in finding.words
    with serving(World().services) as url:
        finding = doctor._port(load_settings({"PORTRAITD_PORT": url.rsplit(":", 1)[1]}))
    assert finding.is_well, "as it should be: it is ours"


def test_doctor_s_words_are_printed_as_they_are(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    words = "run `pip install 'portraitd[diffusion]'`"
    monkeypatch.setattr(doctor, "CHECKS", (lambda _: doctor.Finding("engine", False, words),))
    assert words in run("doctor").stdout


def test_doctor_goes_on_after_the_first_thing_it_finds(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "pack" / "f_busines_female").mkdir(parents=True)
    (tmp_path / "junk.db").write_text("no database, this")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("PORTRAITD_ENGINE", "clasic")
        monkeypatch.setenv("PORTRAITD_STYLE_PACKS", str(tmp_path / "pack"))
        monkeypatch.setenv("PORTRAITD_HOME", str(tmp_path / "file"))
        monkeypatch.setenv("PORTRAITD_STORAGE_URL", str(tmp_path / "file" / "blobs"))
        monkeypatch.setenv("PORTRAITD_DATABASE_URL", f"sqlite:///{tmp_path}/junk.db")
        monkeypatch.setenv("PORTRAITD_PORT", str(taken.getsockname()[1]))
        bad = [finding.what for finding in doctor.examine() if not finding.is_well]
    assert [what for what in bad if what != "weights"] == ["engine", "styles", "home", "storage", "database", "port"]


def test_an_engine_that_does_not_exist_is_named(run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for engine in ("clasic", "no.such.module:engine"):
        monkeypatch.setenv("PORTRAITD_ENGINE", engine)
        result = run("generate", photo)
        assert result.exception is not None
        assert "PORTRAITD_ENGINE" in str(result.exception)


@pytest.mark.parametrize(
    ("engine", "said"), [("clasic", "expected one of classic"), ("diffusion", "PORTRAITD_DIFFUSION_MODEL=")]
)
def test_no_service_is_started_whose_workers_could_not_be(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str, said: str
) -> None:
    """It would take requests, and no worker would ever come to do them."""
    if engine == "diffusion":
        pytest.importorskip("peft", reason="the extra portraitd[diffusion] is not installed")
    monkeypatch.setattr(serve, "_serve_until", lambda *_: None)
    monkeypatch.setenv("PORTRAITD_ENGINE", engine)
    monkeypatch.setenv("PORTRAITD_DIFFUSION_MODEL", str(tmp_path / "nowhere"))
    result = run("serve")
    assert isinstance(result.exception, SetupError)
    assert said in str(result.exception)
    assert not load_settings().home.exists()


@pytest.fixture
def tiny_model(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A whole model, which the diffusion engine is to run."""
    for package in ("torch", "diffusers", "peft"):
        pytest.importorskip(package, reason="the extra portraitd[diffusion] is not installed")
    from tests.fakes.tiny_klein import make_tiny_klein

    monkeypatch.setenv("PORTRAITD_ENGINE", "diffusion")
    monkeypatch.setenv("PORTRAITD_DIFFUSION_MODEL", str(tmp_path / "klein"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    return make_tiny_klein(tmp_path / "klein")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"TIER": "auto"}, "PORTRAITD_ENGINE=diffusion finds no CUDA card"),
        ({"TIER": "fp8"}, "PORTRAITD_DIFFUSION_TIER=fp8 needs a CUDA card, and there is none"),
        ({"MODEL": "broken"}, "is cut short or too long: fetch it again"),
        ({"TRAINING_MODEL": "broken"}, "is cut short or too long: fetch it again"),
    ],
)
def test_what_a_worker_would_fail_at_is_said_by_doctor_and_before_anything_is_served(
    run: Run, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, str], said: str
) -> None:
    broken = shutil.copytree(tiny_model, tiny_model.parent / "broken")
    with (broken / "transformer" / "diffusion_pytorch_model.safetensors").open("ab") as weights:
        weights.write(b"more")
    for setting, value in {"TIER": "cpu", **wrong}.items():
        monkeypatch.setenv(f"PORTRAITD_DIFFUSION_{setting}", str(broken) if value == "broken" else value)
    with pytest.raises(SetupError, match=re.escape(said)):
        wiring.load_engine(load_settings()).warm()
    finding = _engine_finding()
    assert not finding.is_well
    assert said in finding.words
    monkeypatch.setattr(serve, "_listen", lambda _: pytest.fail("it listened"))
    result = run("serve")
    assert isinstance(result.exception, SetupError)
    assert said in str(result.exception)


def test_doctor_says_what_the_model_will_run_on_and_whom_it_learns(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = Memory(24 * GIB, 64 * GIB)
    monkeypatch.setattr(painter, "free_memory", lambda: free)
    finding = _engine_finding()
    assert finding.is_well
    assert "klein-4b on the card, tier resident, 7 at once; learns nobody" in finding.words
    assert "PORTRAITD_DIFFUSION_TRAINING_MODEL" in finding.words
    monkeypatch.setenv("PORTRAITD_DIFFUSION_TRAINING_MODEL", str(tiny_model))
    assert _engine_finding().words.endswith("; learns people")
    free = Memory(2 * GIB, 64 * GIB)
    finding = _engine_finding()
    assert not finding.is_well
    assert "GiB free on the card at tier fp8-offload; 2.0 GiB are free" in finding.words


def _engine_finding() -> doctor.Finding:
    (finding,) = (finding for finding in doctor.examine() if finding.what == "engine")
    return finding


def test_main_tells_setup_errors_in_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORTRAITD_PORT", "many")
    monkeypatch.setattr(sys, "argv", ["portraitd", "styles", "list"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith("portraitd: PORTRAITD_PORT='many'")
    assert told.count("\n") == 1


class TestIdentities:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "anne"
        folder.mkdir()
        for name, shade in (("a.jpg", 90), ("b.png", 80), ("black.jpg", 0)):
            (folder / name).write_bytes(encode_jpeg(flat((shade, shade, shade))))
        (folder / "broken.jpg").write_bytes(b"no picture")
        (folder / "notes.txt").write_text("not looked at")
        return folder

    @staticmethod
    def blobs() -> list[Path]:
        return [path for path in (load_settings().home / "blobs").rglob("*") if path.is_file()]

    def test_an_import_says_what_it_used_and_works_under_the_old_id(self, run: Run, folder: Path) -> None:
        done = run("identity", "import", "facechain-old-1", folder, "--account", "anne")
        assert done.exit_code == 0, done.output
        assert "facechain-old-1: trained from 2 photos" in done.output
        assert "black.jpg was not used: No human face detected." in done.output
        assert "broken.jpg: no JPEG" in done.output
        assert "notes.txt" not in done.output
        listed = run("identity", "list").stdout
        assert "facechain-old-1" in listed
        assert "anne" in listed
        with wiring.open_house(load_settings()) as house:
            anne = house.keys.authenticate(house.keys.create("phone", "anne"))
            other = house.keys.authenticate(house.keys.create("phone", "bob"))
            with house.database.read() as conn:
                assert is_usable(conn, anne.id, "facechain-old-1")
                assert not is_usable(conn, other.id, "facechain-old-1")

    def test_an_id_that_is_taken_built_in_or_impossible_is_refused(self, run: Run, folder: Path) -> None:
        assert run("identity", "import", "mine", folder).exit_code == 0
        for taken in ("mine", "women_model", "", "a\nb", "x" * 257):
            before = self.blobs()
            assert isinstance(run("identity", "import", taken, folder).exception, SetupError), taken
            assert self.blobs() == before

    def test_a_folder_without_a_face_is_refused(self, run: Run, folder: Path) -> None:
        for name in ("a.jpg", "b.png"):
            (folder / name).unlink()
        assert isinstance(run("identity", "import", "nobody", folder).exception, SetupError)
        assert isinstance(run("identity", "import", "nobody", folder / "notes.txt").exception, SetupError)
        assert "nobody" not in run("identity", "list").stdout

    def test_deleting_leaves_nothing(self, run: Run, folder: Path) -> None:
        run("identity", "import", "facechain-old-2", folder)
        assert self.blobs()
        assert run("identity", "delete", "facechain-old-2").exit_code == 0
        assert not self.blobs()
        assert b"facechain-old-2" not in (load_settings().home / "portraitd.db").read_bytes()
        assert isinstance(run("identity", "delete", "facechain-old-2").exception, SetupError)

    def test_an_account_takes_its_imports_along(self, run: Run, folder: Path) -> None:
        run("identity", "import", "facechain-old-3", folder, "--account", "anne")
        assert run("account", "delete", "anne", "--yes").exit_code == 0
        assert not self.blobs()

    def test_the_sweeper_leaves_an_import_and_takes_an_orphan(self, run: Run, folder: Path) -> None:
        run("identity", "import", "kept", folder)
        with wiring.open_house(load_settings()) as house:
            house.blobs.put("imported/nobody/identity", b"left by a process that died")
            sweeper = Sweeper(house.eraser, wiring.retention_of(house.settings), house.clock)
            assert [sweeper.sweep_orphans() for _ in range(2)] == [0, 1]
        assert len(self.blobs()) == 1
