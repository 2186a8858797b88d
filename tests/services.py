"""Servers of our own: Slurm behind sshd, PostgreSQL, RabbitMQ; on the loopback interface, in temporary folders.

Each is a context manager that starts what it needs without systemd, ends all of it, and sees that nothing is left; its
servers can be killed and started again one by one. As a program this keeps them until Ctrl-C:

    python tests/services.py slurm FOLDER --walltime '2 min'
    python tests/services.py postgresql-rabbitmq FOLDER
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from processes import END_S, PATH, Server, answers, free_port, own_folder, running, succeeds, wait_until

TEMPLATES = Path(__file__).with_name("slurm")
PAGE = Path(__file__).parents[1] / "docs/howto/postgresql-rabbitmq.md"


def need(package: str, *programs: str, path: str = PATH) -> list[str]:
    """Return where programs are; skip where one is missing, for a reason that names the package that has it."""
    found = {name: shutil.which(name, path=path) for name in programs}
    if missing := [name for name, place in found.items() if place is None]:
        pytest.skip(f"{', '.join(missing)} not found: install {package}")
    return [place for place in found.values() if place]


@dataclass(frozen=True)
class Cluster:
    """A Slurm of one node behind sshd; its servers are sshd, munged, slurmctld and slurmd."""

    folder: Path
    servers: dict[str, Server]

    def ask(self, *command: object) -> str:
        """Run a command of Slurm and return what it prints."""
        environment = {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}
        done = subprocess.run(
            [*map(str, command)], env=environment, check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout.strip()

    def computer_file(self, name: str, transport: str = "core.ssh_async", walltime: str = "1 h", pack: int = 1) -> str:
        """What ``phasecal init --computer`` reads to make a computer of it, with the programs of this Python."""
        places = {"folder": self.folder, "programs": Path(sys.executable).parent}
        return template("computer.yaml", name=name, transport=transport, walltime=walltime, pack=pack, **places)


def template(file: str, **places: object) -> str:
    """A file of the folder of Slurm with what belongs in its braces."""
    return (TEMPLATES / file).read_text(encoding="utf8").format(**places)


@contextlib.contextmanager
def slurm(home: Path, cpus: int | None = None) -> Iterator[Cluster]:
    """A Slurm of one node without accounting; from a home folder without ``.ssh`` the host `labcluster` is it.

    It gives away as many cores as there are, or as it is told.
    """
    sshd, keygen = need("openssh-server", "sshd", "ssh-keygen")
    slurmctld, slurmd, *_ = need("slurm-wlm", "slurmctld", "slurmd", "sinfo", "squeue", "scancel")
    munged, munge = need("munge", "munged", "munge")
    if os.geteuid() != 0:
        pytest.skip("sshd, munged and slurmd were made to work here as root only")
    with own_folder("slurm") as folder:
        for name in ("state", "spool", "remote-home"):
            (folder / name).mkdir()
        ssh, controller, node = free_port(), free_port(), free_port()
        words = {"folder": folder, "controller": controller, "node": node, "cpus": cpus or os.cpu_count()}
        (folder / "slurm.conf").write_text(template("slurm.conf", **words))
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o400)
        files = {"socket": "munge.socket", "key-file": "munge.key", "log-file": "munged.log"}
        files |= {"pid-file": "munged.pid", "seed-file": "munged.seed"}
        cluster = Cluster(folder, {})

        def server(*command: object, ready: Callable[[], object]) -> Server:
            log = folder / f"{Path(str(command[0])).name}.out"
            return Server(*command, log=log, ready=ready, SLURM_CONF=folder / "slurm.conf")

        def node_is_up() -> bool:
            return answers(node) and cluster.ask("sinfo", "-h", "-o", "%T") in ("idle", "mixed", "allocated")

        servers = {
            "sshd": server(sshd, "-D", "-e", "-f", folder / "sshd_config", ready=lambda: answers(ssh)),
            "munged": server(
                *(munged, "-F", *(f"--{option}={folder / name}" for option, name in files.items())),
                ready=lambda: succeeds(munge, "-n", "-S", folder / "munge.socket"),
            ),
            "slurmctld": server(slurmctld, "-D", ready=lambda: answers(controller)),
            "slurmd": server(slurmd, "-D", "-N", "localhost", ready=node_is_up),
        }
        cluster.servers.update(servers)
        with way_there(home, folder, keygen, ssh), running(*servers.values()):
            try:
                yield cluster
            finally:
                for each in servers.values():
                    each.start()  # also those that were killed: only they can end the jobs
                cluster.ask("scancel", "--user", "root")
                wait_until(lambda: not cluster.ask("squeue", "-h"), END_S, "jobs of Slurm do not end")


@contextlib.contextmanager
def way_there(home: Path, folder: Path, keygen: str, port: int) -> Iterator[None]:
    """Make the keys and settings of sshd, and, as long as they are needed, ``.ssh`` in the home folder."""
    for key in ("hostkey", "id"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    (folder / "sshd_config").write_text(template("sshd_config", folder=folder, port=port))
    Path("/run/sshd").mkdir(exist_ok=True)  # a folder that sshd wants; a service manager makes it elsewhere
    settings = home / ".ssh"
    settings.mkdir(mode=0o700, parents=True)
    try:
        (settings / "config").write_text(template("ssh_config", folder=folder, port=port, settings=settings))
        kind, key = (folder / "hostkey.pub").read_text().split()[:2]
        (settings / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
        yield
    finally:
        shutil.rmtree(settings)


@dataclass(frozen=True)
class Database:
    """A database of PostgreSQL, whose user needs no password."""

    folder: Path
    port: int
    server: Server
    name: str = "phasecal"
    user: str = "aiida"


@contextlib.contextmanager
def postgresql() -> Iterator[Database]:
    """A PostgreSQL with an empty database."""
    places = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    names = ("initdb", "postgres", "createdb", "pg_isready")
    initdb, postgres, createdb, is_ready = need("postgresql", *names, path=os.pathsep.join([*places, PATH]))
    account = {}
    if os.geteuid() == 0:  # it refuses to be run by root
        account = {"user": "postgres", "group": "postgres", "extra_groups": []}
    with own_folder("postgresql") as folder:
        if account:
            shutil.chown(folder, account["user"])
        port, data = free_port(), folder / "data"
        at = ["-h", "127.0.0.1", "-p", str(port)]
        server = Server(
            *(postgres, "-D", data, *at, "-k", folder, "-c", "fsync=off"),
            log=folder / "log",
            ready=lambda: succeeds(is_ready, "-q", *at),
            account=account,
        )
        made = Database(folder, port, server)
        words = ["-D", str(data), "-U", made.user, "-A", "trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
        subprocess.run([initdb, *words], check=True, capture_output=True, cwd="/", **account)
        with running(server):
            subprocess.run([createdb, *at, "-U", made.user, made.name], check=True, capture_output=True)
            yield made


@dataclass(frozen=True)
class Broker:
    """A RabbitMQ that answers the user `guest`."""

    folder: Path
    port: int
    server: Server


@contextlib.contextmanager
def rabbitmq() -> Iterator[Broker]:
    """A RabbitMQ with an epmd of its own."""
    epmd, program = need("rabbitmq-server", "epmd", "rabbitmq-server")
    with own_folder("rabbitmq") as folder:
        port, names, distribution = free_port(), free_port(), free_port()
        # AiiDA's tasks are not acknowledged for days: by default they are taken away after 30 minutes
        (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\nconsumer_timeout = 3600000000\n")
        (folder / "enabled_plugins").write_text("[].\n")
        environment = {
            "HOME": folder,  # for the cookie
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": names,
            "ERL_CRASH_DUMP": folder / "crash",
            "RABBITMQ_CONF_ENV_FILE": folder / "none",
            "RABBITMQ_CONFIG_FILE": folder / "rabbitmq",
            "RABBITMQ_DIST_PORT": distribution,
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "enabled_plugins",
            "RABBITMQ_LOG_BASE": folder / "log",
            "RABBITMQ_MNESIA_BASE": folder / "mnesia",
            "RABBITMQ_NODENAME": "phasecal@localhost",
            "ERL_AFLAGS": "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none",
            "RUNNING_UNDER_SYSTEMD": "true",  # no shell around it
        }
        # RabbitMQ would leave behind the one that it starts
        register = Server(epmd, log=folder / "epmd.out", ready=lambda: answers(names), **environment)
        server = Server(program, log=folder / "out", ready=lambda: answers(port), **environment)
        with running(register, server):
            yield Broker(folder, port, server)


def profile_script(database: Database, broker: Broker, folder: Path) -> str:
    """The commands of the page about such profiles, for these servers and with the files of the record in a folder."""
    text = PAGE.read_text(encoding="utf8")
    places = {"5432": database.port, "5672": broker.port, "file:///data/phasecal ": f"{(folder / 'group').as_uri()} "}
    for place, ours in places.items():
        assert text.count(place) == 1, f"{PAGE} does not say {place} once"
        text = text.replace(place, str(ours))
    (file,) = re.findall(r"^<!-- file: group.yaml -->\n```yaml\n(.*?)^```$", text, re.M | re.S)
    (commands,) = re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S)
    return f"cd {shlex.quote(str(folder))}\ncat > group.yaml <<'END'\n{file}END\n" + re.sub(
        r"^\$ ", "", commands, flags=re.M
    )


def keep(folder: Path, name: str, text: str, command: str) -> None:
    """Write the file that leads to servers, say with which command, and wait for Ctrl-C or SIGTERM."""
    (folder / name).write_text(text)
    click.echo(f"AIIDA_PATH={folder} {command} {folder / name}")
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


@click.group()
def main() -> None:
    """Start servers on this machine, say what leads to them, and keep them until Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@main.command("slurm")
@click.argument("folder", type=click.Path(path_type=Path, resolve_path=True))
@click.option("--walltime", default="1 h", show_default=True, help="Of every job.")
def keep_slurm(folder: Path, walltime: str) -> None:
    """Slurm behind sshd."""
    with slurm(folder / "home") as cluster:
        file = cluster.computer_file("lab", walltime=walltime)
        keep(folder, "lab.yaml", file, f"HOME={folder / 'home'} phasecal init --computer")


@main.command("postgresql-rabbitmq")
@click.argument("folder", type=click.Path(path_type=Path, resolve_path=True))
def keep_postgresql_rabbitmq(folder: Path) -> None:
    """PostgreSQL and RabbitMQ."""
    folder.mkdir(parents=True, exist_ok=True)
    with postgresql() as database, rabbitmq() as broker:
        keep(folder, "profile.sh", profile_script(database, broker, folder), "bash -eu")


if __name__ == "__main__":
    try:
        main()
    except pytest.skip.Exception as reason:
        sys.exit(str(reason))
