"""A machine with systemd as its first process, in its own namespaces. What it writes is in a layer
over the root, which goes with it.

The cgroups are those of this machine, below one that is the machine's own root. Where the kernel's
controllers are of version 1 they are mounted as such, so that limits hold.
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from bench.guardian import entrust, temporary_folder
from bench.network.namespace import inside
from tests.running import LAST_RESORT_S
from tests.shipped import cgroups

T = TypeVar("T")

# Moves itself into the cgroups, so that the namespace that is made next begins there. cpuset takes
# no process before its processors are said.
_JOIN: Final = """
set -e
name=$1; shift
all=/sys/fs/cgroup
[ -e "$all/cgroup.procs" ] || all=$(echo /sys/fs/cgroup/*)
for each in $all; do
  [ -e "$each/cgroup.procs" ] && [ ! -e "$each/cpuset.cpus" ] || continue
  mkdir "$each/$name"
  echo $$ >"$each/$name/cgroup.procs"
done
exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child /bin/sh -c "$@"
"""

# pivot_root needs a mount that no other namespace sees: the layer is one. A root that is only a
# folder needs `mount --bind R R` first, and so does `ip netns` in a chroot.
_BOOT: Final = """
set -e
root=$1 folder=$2 shared=$3
mount --make-rprivate /
mkdir "$folder/upper" "$folder/work" "$folder/root"
cd "$folder"
mount -t overlay -o "lowerdir=$root,upperdir=upper,workdir=work" overlay root
cd root
mkdir -p proc sys run dev tmp media/repository mnt
mount --bind -o ro "$shared" media/repository
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
if [ -e /sys/fs/cgroup/cgroup.procs ]; then
  mount -t cgroup2 cgroup2 sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  for each in /sys/fs/cgroup/*; do
    name=${each##*/}
    [ -e "$each/cgroup.procs" ] && [ ! -e "$each/cpuset.cpus" ] || continue
    mkdir "sys/fs/cgroup/$name"
    case $name in
      unified) mount -t cgroup2 cgroup2 "sys/fs/cgroup/$name" ;;
      systemd) mount -t cgroup -o none,name=systemd cgroup "sys/fs/cgroup/$name" ;;
      *) mount -t cgroup -o "$name" cgroup "sys/fs/cgroup/$name" ;;
    esac
  done
fi
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for each in null:3 zero:5 full:7 random:8 urandom:9; do
  mknod -m 666 "dev/${each%:*}" c 1 "${each#*:}"
done
mknod -m 666 dev/tty c 5 0
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 tmpfs dev/shm
printf '127.0.0.1 localhost\n::1 localhost\n' >etc/hosts
pivot_root . mnt
umount -l /mnt
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd \
  --show-status=false
"""


class Machine:
    """A booted machine. Every command runs inside, as root."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self._folder = folder
        self._process = process

    @property
    def pid(self) -> int:
        """Of its first process, as this machine counts."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return int(children.read_text().split()[0])

    @property
    def written(self) -> Path:
        """What it has written, after its end too."""
        return self._folder / "upper"

    @property
    def console(self) -> str:
        """What its first process said."""
        return (self._folder / "console").read_text(errors="replace")

    def run(self, *command: str, check: bool = True) -> str:
        """What ``command`` wrote. An AssertionError with all of that if it fails and may not."""
        done = subprocess.run(
            self._inside(command),
            capture_output=True,
            text=True,
            check=False,
            timeout=LAST_RESORT_S,
        )
        if check:
            assert done.returncode == 0, (command, done.stdout, done.stderr, self.console)
        return done.stdout + done.stderr

    def _inside(self, command: tuple[str, ...]) -> list[str]:
        path = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        clean = ("/usr/bin/env", "-i", "HOME=/root", path)
        return ["nsenter", "--all", "--root", "--wd", f"--target={self.pid}", *clean, *command]

    def call(self, function: Callable[[], T]) -> T:
        """What ``function`` gives, called in a thread that is in its network."""
        return inside(f"/proc/{self.pid}/ns/net", function)

    def path(self, inside: str) -> Path:
        """Where this machine finds a path of that one."""
        return Path(f"/proc/{self.pid}/root") / inside.lstrip("/")

    def show(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "--property", name, unit).strip()

    def journal(self, unit: str) -> list[dict[str, Any]]:
        """The JSON lines that the service has written, in their order."""
        text = self.run("journalctl", "--unit", unit, "--output", "cat", "--no-pager")
        return [json.loads(line) for line in text.splitlines() if line.startswith('{"')]

    def power_off(self) -> int:
        """As an operator would. Returns the exit status of the first process."""
        self.run("systemctl", "poweroff", check=False)
        return self._process.wait(LAST_RESORT_S)


@contextmanager
def booted(root: Path, shared: Path) -> Iterator[Machine]:
    """A machine with ``root`` below what it writes, and ``shared`` at /media/repository."""
    name = cgroups.name_of_this_run()
    with temporary_folder("locshare-machine-") as folder:
        with (folder / "console").open("wb") as console:
            process = entrust(
                subprocess.Popen(
                    ["/bin/sh", "-c", _JOIN, "sh", name, _BOOT, "sh", str(root), str(folder),
                     str(shared)],
                    stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT,
                )
            )  # fmt: skip
        machine = Machine(folder, process)
        try:
            _wait_until_up(machine, process)
            yield machine
        finally:
            process.send_signal(signal.SIGKILL)  # its child goes with it, and the namespace
            process.wait(LAST_RESORT_S)
            cgroups.remove(name)


def _wait_until_up(machine: Machine, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + LAST_RESORT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, machine.console
        with suppress(AssertionError, IndexError, OSError, subprocess.TimeoutExpired):
            said = machine.run("systemctl", "is-system-running", "--wait", check=False)
            if said.strip() in ("running", "degraded"):
                return
        time.sleep(0.1)
    raise AssertionError(machine.console)


def is_possible() -> str | None:
    """Why there can be no such machine here, or None."""
    if os.geteuid() != 0:
        return "only root may make namespaces and mounts"
    for program in ("unshare", "nsenter", "pivot_root"):
        if shutil.which(program) is None:
            return f"there is no {program}"
    return None
