"""The imaginary team of the demo export, and how Slack describes its people and bots.

Nobody here exists, nor does Tarnwheel Water, nor Plinth Metering. Addresses end in example.org.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

TEAM = "T0DEMOTARN"
GUEST_TEAM = "T0DEMOPLINT"
TOMBSTONE_USER = "USLACKBOT"  # in real exports, too, missing from users.json
ASSETS = "https://files.example.org"

Json = dict[str, Any]


@dataclass(frozen=True)
class Member:
    """A person or bot who speaks in the screenplay under `key`.

    A bot with an empty `id` is an incoming webhook: its messages carry no user at all.
    """

    key: str
    id: str
    real_name: str
    title: str
    tz: str = "Europe/Lisbon"
    display_name: str = ""
    kind: str = "person"  # or "owner", "deactivated", "guest", "bot"
    bot_id: str = ""

    @property
    def team(self) -> str:
        return GUEST_TEAM if self.kind == "guest" else TEAM

    @property
    def avatar(self) -> str:
        return hashlib.sha256(self.key.encode()).hexdigest()[:12]


CAST = {
    member.key: member
    for member in (
        Member("nadia", "U0DEMONADIA", "Nadia Okafor-Lind", "Head of data", kind="owner"),
        Member("tomek", "U0DEMOTOMEK", "Tomasz Wróblewicz", "Data engineer", "Europe/Warsaw", "Tomek"),
        Member("ines", "U0DEMOINES0", "Inês Carvalhal", "Leakage analyst"),
        Member("haruka", "U0DEMOHARUK", "南沢 春香", "Hydrologist", "Asia/Tokyo", "Haruka / 春香"),
        Member("yorgos", "U0DEMOYORGO", "Γιώργος Πεταλάς", "Platform engineer", "Europe/Athens", "Yorgos"),
        Member("bea", "U0DEMOBEA00", "Beatrix Holm", "Control room", display_name="bea (nights)"),
        Member("sam", "U0DEMOSAM00", "Sam Achterberg", "Analyst"),
        Member("rosa", "U0DEMOROSA0", "Rosa Tindall", "Customers and billing"),
        Member("leif", "U0DEMOLEIF0", "Leif Dunmore", "Maps", kind="deactivated"),
        Member(
            "mwangi", "U0CONNMWANG", "Mwangi Otieno-Ray", "Plinth Metering", "Africa/Nairobi", kind="guest"
        ),
        Member("sluice", "U0DEMOSLUIC", "sluice", "Deploys", kind="bot", bot_id="B0DEMOSLUIC"),
        Member("gauge", "", "gauge", "Alarms", kind="bot", bot_id="B0DEMOGAUGE"),
    )
}


def users() -> list[Json]:
    """What `users.json` holds: everybody but the guest of the other company and the webhook."""
    return [user(member) for member in CAST.values() if member.id and member.kind != "guest"]


def user(member: Member) -> Json:
    """One entry of `users.json`; a deactivated one has lost its time zone and its rights."""
    entry: Json = {
        "id": member.id,
        "team_id": member.team,
        "name": member.key,
        "deleted": member.kind == "deactivated",
        "profile": {
            "title": member.title,
            "real_name": member.real_name,
            "real_name_normalized": member.real_name,
            "display_name": member.display_name,
            "display_name_normalized": member.display_name,
            "avatar_hash": member.avatar,
            "image_72": f"{ASSETS}/avatars/{member.avatar}_72.png",
            "team": member.team,
        },
        "is_bot": member.kind == "bot",
        "is_app_user": False,
        "updated": 1767225600,
    }
    if member.kind == "bot":
        entry["profile"]["bot_id"] = member.bot_id
    else:
        entry["profile"]["email"] = f"{member.key}@tarnwheel.example.org"
    if member.kind != "deactivated":
        entry |= {
            "real_name": member.real_name,
            "tz": member.tz,
            "is_admin": member.kind == "owner",
            "is_owner": member.kind == "owner",
            "is_primary_owner": member.kind == "owner",
            "is_restricted": False,
            "is_ultra_restricted": False,
        }
    return entry


def inline_profile(member: Member) -> Json:
    """The profile that exports repeat in messages, and its team; a guest is described nowhere else."""
    profile = {
        "avatar_hash": member.avatar,
        "image_72": f"{ASSETS}/avatars/{member.avatar}_72.png",
        "first_name": member.real_name.split()[0],
        "real_name": member.real_name,
        "display_name": member.display_name,
        "team": member.team,
        "name": member.key,
        "is_restricted": False,
        "is_ultra_restricted": False,
    }
    return {"user_team": member.team, "source_team": member.team, "user_profile": profile}


def sender(member: Member) -> Json:
    """The fields by which a message names who sent it."""
    if member.kind != "bot":
        return {"user": member.id, "team": TEAM}
    if not member.id:
        return {"username": member.key, "bot_id": member.bot_id, "icons": {"emoji": ":straight_ruler:"}}
    profile = {
        "id": member.bot_id,
        "deleted": False,
        "name": member.key,
        "app_id": "A0DEMOSLUIC",
        "team_id": TEAM,
    }
    return {"user": member.id, "team": TEAM, "bot_id": member.bot_id, "bot_profile": profile}
