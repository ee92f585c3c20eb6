"""Events as GitHub sends them: some 680 columns in 7 tables, 5 KB a record, another payload by each type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

import orjson

Json = dict[str, Any]

_API, _WEB = "https://api.example.com", "https://example.com"
_USER_URLS = (
    "followers_url following_url gists_url starred_url subscriptions_url organizations_url repos_url "
    "events_url received_events_url"
).split()
_REPO_URLS = (
    "forks keys collaborators teams hooks issue_events events assignees branches tags blobs git_tags "
    "git_refs trees statuses languages stargazers contributors subscribers subscription commits "
    "git_commits comments issue_comment contents compare merges archive downloads issues pulls "
    "milestones notifications labels releases deployments"
).split()
_FLAGS = (
    "has_issues has_projects has_downloads has_wiki has_pages has_discussions archived disabled "
    "allow_forking is_template web_commit_signoff_required"
).split()
_COUNTS = (
    "size stargazers_count watchers_count forks_count open_issues_count forks open_issues watchers".split()
)
_REACTIONS = "total_count +1 -1 laugh hooray confused heart rocket eyes".split()
_FIRST = datetime(2026, 1, 1)


def lines(random: Random, rows: int) -> Iterator[bytes]:
    """Yield `rows` events, in the order of their time."""
    world = _World(random)
    kinds, weights = zip(*_PAYLOADS.items(), strict=True), [34, 18, 15, 14, 6, 6, 7]
    names, makers = kinds
    for at, which in enumerate(random.choices(range(len(names)), weights, k=rows)):
        world.now = _time(at * 11)
        user, repo = random.choice(world.users), random.choice(world.repos)
        event = {
            "id": str(20_000_000_000 + at * 3),
            "type": names[which],
            "actor": {key: user[key] for key in ("id", "login", "gravatar_id", "url", "avatar_url")},
            "repo": {"id": repo["id"], "name": repo["full_name"], "url": repo["url"]},
            "payload": makers[which](world, at),
            "public": True,
            "created_at": world.now,
        }
        if random.random() < 0.3:
            event["org"] = {"id": user["id"] + 1, "login": "an-org", "url": f"{_API}/orgs/an-org"}
        yield orjson.dumps(event)


class _World:
    """The users and repositories that events are about, and the time."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = _time(0)
        self.users = [_user(random, at) for at in range(500)]
        self.repos = [_repo(random, at, self.users[at]) for at in range(200)]

    def user(self) -> Json:
        user: Json = self.random.choice(self.users)
        return user

    def repo(self) -> Json:
        """A repository as it is at this moment: its counts go on."""
        counts = {name: self.random.getrandbits(14) for name in _COUNTS}
        return {**self.random.choice(self.repos), **counts, "pushed_at": self.now}

    def words(self, most: int) -> str:
        return " ".join(f"w{self.random.getrandbits(9)}" for _ in range(1 + int(self.random.random() * most)))

    def sha(self) -> str:
        return f"{self.random.getrandbits(160):040x}"


def _time(seconds: int) -> str:
    return (_FIRST + timedelta(seconds=seconds)).isoformat() + "Z"


def _user(random: Random, at: int) -> Json:
    login = f"user-{at}"
    return {
        "login": login,
        "id": 1_000_000 + at * 7,
        "node_id": f"MDQ6VXNlcj{random.getrandbits(32)}",
        "avatar_url": f"{_WEB}/avatars/u/{at}?v=4",
        "gravatar_id": f"{random.getrandbits(32):08x}",
        "url": f"{_API}/users/{login}",
        "html_url": f"{_WEB}/{login}",
        **{name: f"{_API}/users/{login}/{name.removesuffix('_url')}" for name in _USER_URLS},
        "type": "User",
        "site_admin": at % 50 == 0,
    }


def _repo(random: Random, at: int, owner: Json) -> Json:
    full = f"{owner['login']}/repo-{at}"
    return {
        "id": 5_000_000 + at,
        "node_id": f"MDEwOlJlcG9{random.getrandbits(32)}",
        "name": f"repo-{at}",
        "full_name": full,
        "private": False,
        "owner": owner,
        "html_url": f"{_WEB}/{full}",
        "description": f"What repo {at} is for" if at % 5 else None,
        "fork": at % 9 == 0,
        "url": f"{_API}/repos/{full}",
        **{f"{name}_url": f"{_API}/repos/{full}/{name}" for name in _REPO_URLS},
        "created_at": _time(at * -9999),
        "updated_at": _time(at * -99),
        "pushed_at": _time(0),
        "git_url": f"git://example.com/{full}.git",
        "ssh_url": f"git@example.com:{full}.git",
        "clone_url": f"{_WEB}/{full}.git",
        "homepage": f"{_WEB}/home/{at}" if at % 3 else None,
        "language": ["Python", "Go", "Rust", "TypeScript", "C++"][at % 5],
        "license": {"key": "mit", "name": "MIT License", "spdx_id": "MIT", "url": f"{_API}/licenses/mit"},
        **{name: (at + len(name)) % 4 == 0 for name in _FLAGS},
        "visibility": "public",
        "default_branch": "main",
    }


def _push(world: _World, at: int) -> Json:
    commits = [
        {
            "sha": world.sha(),
            "author": {"name": f"User {at % 500}", "email": f"{at % 500}@example.com"},
            "message": world.words(14),
            "distinct": True,
            "url": f"{_API}/commits/{at}",
        }
        for _ in range(1 + at % 4)
    ]
    return {
        "push_id": 9_000_000_000 + at,
        "size": len(commits),
        "distinct_size": len(commits),
        "ref": "refs/heads/main",
        "head": world.sha(),
        "before": world.sha(),
        "commits": commits,
    }


def _pull_request(world: _World, at: int) -> Json:
    url, merged = f"{_API}/pulls/{at}", at % 3 == 0
    names = ("issue", "commits", "review_comments", "review_comment", "comments", "statuses")
    counts = ("comments", "review_comments", "commits", "additions", "deletions")
    links = ("self", "html", "issue", "comments", "commits")
    request = {
        **_thread(world, at, url),
        **{f"{name}_url": f"{url}/{name}" for name in names},
        **{f"{name}_url": f"{_WEB}/pull/{at}.{name}" for name in ("diff", "patch")},
        **{side: _side(world, at, side) for side in ("head", "base")},
        **dict.fromkeys(counts, at % 11),
        "changed_files": at % 7,
        "merge_commit_sha": world.sha(),
        "merged_at": world.now if merged else None,
        "merged_by": world.user() if merged else None,
        "merged": merged,
        "draft": at % 13 == 0,
        "labels": [_label(at + n) for n in range(at % 2)],
        "milestone": _milestone(world, at) if at % 5 == 0 else None,
        "rebaseable": at % 2 == 0,
        "mergeable_state": "clean",
        "maintainer_can_modify": True,
        "requested_reviewers": [world.user() for _ in range(at % 3)],
        "_links": {name: {"href": f"{url}/{name}"} for name in links},
    }
    return {"action": "closed" if merged else "opened", "number": at, "pull_request": request}


def _side(world: _World, at: int, side: str) -> Json:
    return {
        "label": f"{side}:{at}",
        "ref": side,
        "sha": world.sha(),
        "user": world.user(),
        "repo": world.repo(),
    }


def _issue(world: _World, at: int) -> Json:
    issue = {
        **_thread(world, at, f"{_API}/issues/{at}"),
        "labels_url": f"{_API}/issues/{at}/labels",
        "events_url": f"{_API}/issues/{at}/events",
        "repository_url": f"{_API}/repos/{at % 200}",
        "comments": at % 23,
        "labels": [_label(at + n) for n in range(at % 3)],
        "assignees": [world.user() for _ in range(at % 2)],
        "reactions": _reactions(world),
        "timeline_url": f"{_API}/issues/{at}/timeline",
    }
    return {"action": "opened" if at % 2 else "closed", "issue": issue}


def _comment(world: _World, at: int) -> Json:
    comment = {
        "id": 700_000_000 + at,
        "node_id": f"IC_{at}",
        "url": f"{_API}/comments/{at}",
        "html_url": f"{_WEB}/comments/{at}",
        "issue_url": f"{_API}/issues/{at}",
        "user": world.user(),
        "created_at": world.now,
        "updated_at": world.now,
        "author_association": "MEMBER" if at % 4 else "NONE",
        "body": world.words(60),
        "reactions": _reactions(world),
    }
    return {**_issue(world, at), "action": "created", "comment": comment}


def _thread(world: _World, at: int, url: str) -> Json:
    """What issues and pull requests have in common."""
    closed = at % 3 == 0
    return {
        "id": 800_000_000 + at,
        "node_id": f"I_{at}",
        "url": url,
        "html_url": f"{_WEB}/{at}",
        "number": at,
        "state": "closed" if closed else "open",
        "locked": False,
        "title": world.words(9),
        "user": world.user(),
        "body": world.words(60) if at % 7 else None,
        "created_at": world.now,
        "updated_at": world.now,
        "closed_at": world.now if closed else None,
        "author_association": "CONTRIBUTOR",
        "assignee": world.user() if at % 4 == 0 else None,
    }


def _milestone(world: _World, at: int) -> Json:
    url = f"{_API}/milestones/{at % 40}"
    return {
        "url": url,
        "html_url": f"{_WEB}/milestone/{at % 40}",
        "id": at % 40,
        "number": at % 40,
        "title": f"v{at % 40}",
        "description": world.words(5),
        "creator": world.user(),
        "open_issues": at % 12,
        "state": "open",
        "created_at": world.now,
        "due_on": world.now,
    }


def _label(at: int) -> Json:
    name = ("bug", "docs", "performance", "good first issue")[at % 4]
    return {
        "id": at % 4,
        "url": f"{_API}/labels/{at % 4}",
        "name": name,
        "color": "ededed",
        "default": at % 4 == 0,
    }


def _reactions(world: _World) -> Json:
    return {name: world.random.getrandbits(3) for name in _REACTIONS}


def _fork(world: _World, at: int) -> Json:
    return {"forkee": world.repo()}


def _release(world: _World, at: int) -> Json:
    asset = {"id": at, "content_type": "application/gzip", "size": at * 7, "download_count": at % 99}
    release = {
        "id": 60_000_000 + at,
        "url": f"{_API}/releases/{at}",
        "html_url": f"{_WEB}/releases/{at}",
        "assets_url": f"{_API}/releases/{at}/assets",
        "author": world.user(),
        "tag_name": f"v1.{at}",
        "target_commitish": "main",
        "name": f"Release {at}",
        "draft": False,
        "prerelease": at % 4 == 0,
        "created_at": world.now,
        "published_at": world.now,
        "tarball_url": f"{_API}/tarball/v1.{at}",
        "body": world.words(80),
        "assets": [{**asset, "name": f"build-{n}.tar.gz", "uploader": world.user()} for n in range(at % 4)],
    }
    return {"action": "published", "release": release}


def _create(world: _World, at: int) -> Json:
    return {
        "ref": f"feature-{at}",
        "ref_type": "branch",
        "master_branch": "main",
        "description": world.words(8),
        "pusher_type": "user",
    }


_PAYLOADS: dict[str, Callable[[_World, int], Json]] = {
    "PushEvent": _push,
    "PullRequestEvent": _pull_request,
    "IssuesEvent": _issue,
    "IssueCommentEvent": _comment,
    "ForkEvent": _fork,
    "ReleaseEvent": _release,
    "CreateEvent": _create,
}
