"""What is remembered on the device."""

from pathlib import Path

import msgspec

from phone.backend import Backend
from phone.settings import MOST_SESSIONS, Membership, Settings, SettingsFile

ID = "0b8e0000-0000-4000-8000-000000000001"
SERVER = "https://maps.example"


def member(number: int, expires_at: float = 9e9) -> Membership:
    return Membership(
        str(number),
        "Alps",
        Backend(SERVER),
        f"{SERVER}/join/{ID}",
        "u",
        "t",
        "wss://a/ws",
        expires_at,
    )


def test_the_settings_survive_and_what_cannot_be_read_is_forgotten(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "new")
    first = file.read()
    assert len(first.device_key) >= 16
    kept = msgspec.structs.replace(first, name="Ada").with_membership(member(1))
    assert file.write(kept)
    assert file.read() == kept
    assert file.path.stat().st_mode & 0o077 == 0
    file.path.write_bytes(b"{" * 50)
    assert file.read().name == ""
    assert not SettingsFile(tmp_path / "new" / "locshare.json").write(kept)


def test_the_oldest_membership_gives_way_and_one_whose_time_is_up_goes() -> None:
    settings = Settings()
    for number in range(MOST_SESSIONS + 1):
        settings = settings.with_membership(member(number, expires_at=100.0 + number))
    assert [each.session_id for each in settings.memberships] == ["1", "2", "3", "4", "5"]
    assert len(settings.still_running(103.0).memberships) == 2
    assert settings.without_membership("3").membership("3") is None
