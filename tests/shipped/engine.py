"""A Docker engine in its own namespaces, and images for what deploy/compose takes from a registry:
made of Debian's packages under the same names, with the same command, user and folders.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml  # type: ignore[import-untyped]

from bench.guardian import entrust, temporary_folder
from bench.network.namespace import inside
from tests.running import LAST_RESORT_S
from tests.shipped import cgroups

T = TypeVar("T")

BASE: Final = "locshare-test-base"

# Containers' processes end with the namespace. /run is empty, so that no other engine is met.
_ENGINE: Final = """
set -e
folder=$1 group=$2
mount --make-rprivate /
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run
exec dockerd --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/engine.pid" \
  --host "unix://$folder/socket" --exec-opt native.cgroupdriver=cgroupfs \
  --cgroup-parent "/$group"
"""

_POSTGRES: Final = r"""#!/bin/sh
# What the official image does at its first start.
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)
export PATH="$bin:$PATH" PGDATA=/var/lib/postgresql/data
if [ ! -e "$PGDATA/PG_VERSION" ]; then
  : "${POSTGRES_PASSWORD:?}"
  echo "$POSTGRES_PASSWORD" >/tmp/password
  initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-local=trust \
    --auth-host=scram-sha-256 $POSTGRES_INITDB_ARGS
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  pg_ctl --wait --options="-c listen_addresses=''" start
  createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl --wait stop
fi
exec postgres -c listen_addresses='*'
"""

_IMAGES: Final = {
    "caddy": """
        ENV XDG_CONFIG_HOME=/config XDG_DATA_HOME=/data
        CMD ["caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
    """,
    "postgres": """
        COPY postgres.sh /usr/local/bin/docker-entrypoint.sh
        RUN rm -rf /var/lib/postgresql && install -d -o postgres -g postgres /var/lib/postgresql \
          && ln -s /usr/lib/postgresql/*/bin/pg_isready /usr/local/bin/
        USER postgres
        STOPSIGNAL SIGINT
        ENTRYPOINT ["docker-entrypoint.sh"]
    """,
    "prometheus": """
        RUN install -d -o nobody -g nogroup /prometheus
        USER nobody
        ENTRYPOINT ["prometheus"]
        CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
    """,
    "alertmanager": """
        RUN install -d -o nobody -g nogroup /alertmanager
        USER nobody
        ENTRYPOINT ["prometheus-alertmanager"]
        CMD ["--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"]
    """,
}


class Engine:
    """A running engine."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self.folder = folder
        self._process = process

    @property
    def pid(self) -> int:
        """Of dockerd, as this machine counts."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return int(children.read_text().split()[0])

    def docker(
        self, *arguments: str | Path, environment: Mapping[str, str] | None = None,
        check: bool = True, text: str = "", timeout: float = LAST_RESORT_S,
    ) -> str:  # fmt: skip
        """What the command wrote. An AssertionError with all of that if it fails and may not."""
        done = subprocess.run(
            ["docker", "--host", f"unix://{self.folder}/socket", *arguments],
            env=os.environ | {"DOCKER_CONFIG": str(self.folder / "config"), **(environment or {})},
            capture_output=True, text=True, check=False, input=text, timeout=timeout,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout + ("" if check else done.stderr)

    def call(self, function: Callable[[], T]) -> T:
        """What ``function`` gives, called in a thread that is in the engine's network."""
        return inside(f"/proc/{self.pid}/ns/net", function)

    def inspect(self, name: str) -> dict[str, Any]:
        """What the engine knows of a container or an image."""
        (found,) = json.loads(self.docker("inspect", name))
        known: dict[str, Any] = found
        return known

    def make_images(self, root: Path, names: Mapping[str, str]) -> None:
        """Make the images of ``names``, by service, of the packages in ``root``."""
        with entrust(subprocess.Popen(
            ["tar", "-c", "-C", root, "--one-file-system", "--exclude=./var/cache/apt", "."],
            stdout=subprocess.PIPE,
        )) as tar:  # fmt: skip
            subprocess.run(
                ["docker", "--host", f"unix://{self.folder}/socket", "import", "-", BASE],
                stdin=tar.stdout, check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip
        assert tar.returncode == 0
        context = self.folder / "context"
        context.mkdir()
        (context / "postgres.sh").write_text(_POSTGRES)
        (context / "postgres.sh").chmod(0o755)
        for service, name in names.items():
            (context / "Dockerfile").write_text(f"FROM {BASE}\n{_IMAGES[service]}")
            self.docker("build", "--quiet", "--tag", name, context,
                        environment={"DOCKER_BUILDKIT": "0"})  # fmt: skip


@contextmanager
def running_engine() -> Iterator[Engine]:
    """An engine without images. What it stored goes with it."""
    group = cgroups.name_of_this_run()
    with temporary_folder("locshare-engine-") as folder:
        with (folder / "log").open("wb") as log:
            process = entrust(
                subprocess.Popen(
                    ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child",
                     "--mount-proc", "/bin/sh", "-c", _ENGINE, "sh", str(folder), group],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                )
            )  # fmt: skip
        engine = Engine(folder, process)
        try:
            deadline = time.monotonic() + LAST_RESORT_S
            while "Server Version" not in engine.docker("info", check=False):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)
            yield engine
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(LAST_RESORT_S)
            cgroups.remove(group)


def services(compose: Path) -> dict[str, Any]:
    """The services of a file of Compose."""
    found: dict[str, Any] = yaml.safe_load(compose.read_text())["services"]
    return found


def is_possible() -> str | None:
    """Why there can be no engine here, or None."""
    if os.geteuid() != 0:
        return "only root may run an engine"
    for program in ("dockerd", "docker", "unshare", "ip", "buildah"):
        if shutil.which(program) is None:
            return f"there is no {program}"
    return None
