"""The text of systemd's units, by which the gateway and its backups run.

Each is as closed as its work permits: what a unit does not close, it tells why. `systemd-analyze security` gives the
figure that docs/service.md names for each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from pathlib import Path

SERVICE, SOCKET = "onefleet.service", "onefleet.socket"
BACKUP, TIMER = "onefleet-backup.service", "onefleet-backup.timer"

STATE, CACHE, BACKUPS = Path("/var/lib/onefleet"), Path("/var/cache/onefleet"), Path("/var/backups/onefleet")
CONFIGURATION = Path("/etc/onefleet")

_STOPPING_SLACK_SECONDS = 20
"""For what comes after the last answer: the database is closed, and what the driver does is finished."""


class Way(StrEnum):
    """How machines are run, by which the service must be more or less open. `ROUTED` is QEMU on the host's wires."""

    SIMULATED = "simulated"
    QEMU = "qemu"
    ROUTED = "routed"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the units are written for.

    The database may lie outside of the data directory. `addresses` are what is listened on, HOST:PORT.
    `machine_user` is whom QEMU runs as if the service is root.
    """

    program: Path
    config: Path
    data_dir: Path
    database_dir: Path
    user: str
    addresses: Sequence[str]
    shutdown_seconds: float
    way: Way
    machine_user: str = ""

    @property
    def runs_as(self) -> str:
        """Whom the service runs as, and so whose the data is."""
        return "root" if self.way is Way.ROUTED else self.user


def units(place: Deployment) -> Mapping[str, str]:
    """Return the text of each unit by its name."""
    return {
        SOCKET: _socket(place),
        SERVICE: _service(place),
        BACKUP: _backup(place),
        TIMER: _TIMER_TEXT,
    }


# --- the gateway


def _socket(place: Deployment) -> str:
    listening = "\n".join(f"ListenStream={address}" for address in place.addresses)
    return f"""\
[Unit]
Description=The address of Onefleet

[Socket]
# This is server.listen of {place.config}.
{listening}
Backlog=1024
NoDelay=yes
BindIPv6Only=ipv6-only
# The address may be one that the host gets later in its start.
FreeBind=yes

[Install]
WantedBy=sockets.target
"""


def _service(place: Deployment) -> str:
    return f"""\
[Unit]
Description=Onefleet, machines for rent over the EC2 and ZeroSix APIs
Wants=network-online.target
# Signatures are told by the time whether they still hold.
After=network-online.target time-sync.target
# The socket stays open while the service restarts: who calls then waits, and is answered.
Requires={SOCKET}
After={SOCKET}
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=notify
ExecStart={_word(place.program)} serve --config {_word(place.config)}
ExecReload=/bin/kill -HUP $MAINPID
WatchdogSec=60
Restart=on-failure
RestartSec=1
# A configuration that is wrong stays wrong.
RestartPreventExitStatus=2
# The first start may have to bring a large database up to date.
TimeoutStartSec=10min
TimeoutStopSec={ceil(place.shutdown_seconds) + _STOPPING_SLACK_SECONDS}
# Machines live on when the gateway ends; the next one takes them up again.
KillMode=process

{_owner(place)}
{_folders(place)}
LimitNOFILE=65536
# A core would have secrets in it.
LimitCORE=0

{_CLOSED}
{_WAYS[place.way]}
[Install]
WantedBy=multi-user.target
"""


def _owner(place: Deployment) -> str:
    if place.way is Way.ROUTED:
        return f"# As root: only root can lay wires. QEMU runs as {place.machine_user}."
    return f"User={place.user}\nGroup={place.user}"


def _folders(place: Deployment) -> str:
    lines = [f"CacheDirectory={CACHE.name}", "CacheDirectoryMode=0700"]
    if place.config.parent == CONFIGURATION:
        lines.append(f"ConfigurationDirectory={CONFIGURATION.name}")
    for folder in dict.fromkeys((place.data_dir, place.database_dir)):
        own = [f"StateDirectory={STATE.name}", "StateDirectoryMode=0700"]
        lines += own if folder == STATE else [f"ReadWritePaths={_word(folder)}"]
    return "\n".join(lines)


_CLOSED = """\
# --- closed, whatever it does
NoNewPrivileges=yes
UMask=0077
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
PrivateMounts=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
"""

_SIMULATED = """\
# --- closed, because machines are simulated
CapabilityBoundingSet=
PrivateUsers=yes
ProtectControlGroups=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
MemoryDenyWriteExecute=yes
OOMScoreAdjust=-500
"""

_QEMU = """\
# --- as far closed as QEMU permits: machines are children of the service and have what it has, for as long as they live
CapabilityBoundingSet=
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
# QEMU closes itself further by seccomp.
SystemCallFilter=@system-service seccomp
SystemCallFilter=~@privileged @resources
# KVM, where the host has it.
BindPaths=-/dev/kvm
DeviceAllow=/dev/kvm rw
SupplementaryGroups=kvm
# Each machine has a group of its own below the service's, which bounds its memory and processors: ProtectControlGroups=
# is not set. No process can start in a group that bounds others, so the bounds are lifted until the next start.
Delegate=cpu memory pids
Slice=system.slice
ExecStopPost=-/bin/sh -c 'echo -cpu -memory -pids >/sys/fs/cgroup/system.slice/%n/cgroup.subtree_control'
TasksMax=infinity
# A machine that the kernel ends for its memory must not take the gateway with it.
OOMPolicy=continue
# PrivateUsers= is not set: the next gateway would not know machines again that the last one has started.
# ProcSubset= is not set: whether KVM works is told by the processor's name, in /proc/cpuinfo.
# MemoryDenyWriteExecute= is not set: without KVM, QEMU writes the code that it runs.
# OOMScoreAdjust= is not set: machines would have it too.
"""

_ROUTED = """\
# --- as far closed as QEMU and the host's network permit
# Wires and firewall; machines run as another user, who is given their files, and are ended.
CapabilityBoundingSet=CAP_NET_ADMIN CAP_SETUID CAP_SETGID CAP_CHOWN CAP_KILL CAP_DAC_OVERRIDE
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
# QEMU closes itself further by seccomp.
SystemCallFilter=@system-service seccomp
SystemCallFilter=~@resources
# KVM, where the host has it, and what wires are made of.
BindPaths=-/dev/kvm -/dev/net/tun
DeviceAllow=/dev/kvm rw
DeviceAllow=/dev/net/tun rw
# Each machine has a group of its own, /sys/fs/cgroup/onefleet/machine-N: ProtectControlGroups= is not set.
TasksMax=infinity
# A machine that the kernel ends for its memory must not take the gateway with it.
OOMPolicy=continue
# ProtectKernelTunables= is not set: each wire has switches below /proc/sys/net.
# ProtectProc= is not set: it would hide machines, being another user's, and ProcSubset= /proc/cpuinfo.
# PrivateUsers= is not set: what root does there, it does to nobody's network.
# MemoryDenyWriteExecute= is not set: without KVM, QEMU writes the code that it runs.
# OOMScoreAdjust= is not set: machines would have it too.
"""

_WAYS = {Way.SIMULATED: _SIMULATED, Way.QEMU: _QEMU, Way.ROUTED: _ROUTED}


# --- its backups


def _backup(place: Deployment) -> str:
    return f"""\
[Unit]
Description=A backup of Onefleet

[Service]
Type=oneshot
# The database and the samples, while the gateway runs or not. The key file is not in it: keep a copy of that elsewhere.
ExecStart={_word(place.program)} backup {BACKUPS} --keep 14 --config {_word(place.config)}
Nice=10
IOSchedulingClass=idle

User={place.runs_as}
Group={place.runs_as}
{_folders(place)}
ReadWritePaths={BACKUPS}
LimitCORE=0

{_CLOSED}CapabilityBoundingSet=
PrivateNetwork=yes
IPAddressDeny=any
PrivateUsers=yes
ProtectControlGroups=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
RestrictAddressFamilies=AF_UNIX
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
MemoryDenyWriteExecute=yes
"""


_TIMER_TEXT = """\
[Unit]
Description=A backup of Onefleet every day

[Timer]
OnCalendar=daily
RandomizedDelaySec=1h
# One that was missed, as the host was off, is made up for.
Persistent=yes

[Install]
WantedBy=timers.target
"""


def _word(path: Path) -> str:
    """Return a path as one word of a unit's command or list."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{text}"' if any(each in text for each in " \t'\"") else text
