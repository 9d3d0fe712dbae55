"""Settings: every one has a default, a sentence, and a clear word for a wrong value."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from portraitd.errors import SetupError
from portraitd.settings import SETTINGS, Settings, load_settings


def test_all_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings({})
    assert (settings.host, settings.port, settings.workers, settings.max_n) == ("127.0.0.1", 8000, 1, 4)
    assert settings.home == tmp_path / "portraitd-home"
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.database_url == f"sqlite:///{tmp_path}/portraitd-home/portraitd.db"
    assert settings.storage_url == f"{tmp_path}/portraitd-home/blobs"
    assert (settings.weights, settings.fetch_allow, settings.style_packs) == (None, (), ())
    assert (settings.engine, settings.retention_h, settings.max_jobs) == ("classic", 24, 20)


def test_the_table_and_the_object_agree() -> None:
    assert [setting.field for setting in SETTINGS] == list(Settings.__dataclass_fields__)
    assert all(setting.name == f"PORTRAITD_{setting.field.upper()}" for setting in SETTINGS)
    assert all(setting.help.endswith(".") and len(setting.help) < 80 for setting in SETTINGS)


def test_values_are_read(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "PORTRAITD_HOST": "0.0.0.0",
            "PORTRAITD_PORT": " 9000 ",
            "PORTRAITD_FETCH_ALLOW": "10.0.0.0/8, fd00::/8,",
            "PORTRAITD_STYLE_PACKS": f"{tmp_path}",
            "PORTRAITD_STORAGE_URL": f"file://{tmp_path}/blobs",
            "PORTRAITD_DATABASE_URL": "postgresql://u:p@db/portraits",
            "PORTRAITD_WEIGHTS": str(tmp_path),
        }
    )
    assert (settings.host, settings.port, settings.public_url) == ("0.0.0.0", 9000, "http://127.0.0.1:9000")
    assert settings.fetch_allow == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
    assert settings.style_packs == (tmp_path,)
    assert settings.storage_url == f"{tmp_path}/blobs"
    assert settings.database_url == "postgresql://u:p@db/portraits"
    assert settings.weights == tmp_path


def test_public_urls() -> None:
    assert load_settings({"PORTRAITD_HOST": "::1"}).public_url == "http://[::1]:8000"
    assert load_settings({"PORTRAITD_PUBLIC_URL": "https://p.example/"}).public_url == "https://p.example"
    assert load_settings({"PORTRAITD_STORAGE_URL": "s3://bucket/x"}).storage_url == "s3://bucket/x"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PORTRAITD_PORT", "http", "whole number from 1 to 65535"),
        ("PORTRAITD_PORT", "0", "whole number"),
        ("PORTRAITD_PORT", "-1", "whole number"),
        ("PORTRAITD_PORT", "٣", "whole number"),
        ("PORTRAITD_HOST", "http://x", "host name"),
        ("PORTRAITD_PUBLIC_URL", "p.example", "https://portraits.example.org"),
        ("PORTRAITD_PUBLIC_URL", "ftp://p.example", "web address"),
        ("PORTRAITD_DATABASE_URL", "mysql://x/y", "postgresql://"),
        ("PORTRAITD_STORAGE_URL", "gs://x", "s3://bucket"),
        ("PORTRAITD_FETCH_ALLOW", "10.0.0.1/8", "networks such as"),
        ("PORTRAITD_FETCH_ALLOW", "intranet", "networks such as"),
        ("PORTRAITD_STYLE_PACKS", "/does/not/exist", "folders that exist"),
        ("PORTRAITD_LEASE_S", "1", "from 2 to 3600"),
    ],
)
def test_a_wrong_value_names_the_setting_and_what_is_expected(name: str, value: str, expected: str) -> None:
    with pytest.raises(SetupError) as refused:
        load_settings({name: value})
    assert name in refused.value.message
    assert expected in refused.value.message
