#!/usr/bin/env python3
"""Starts a deployment of built images, uses it as its users do, and stops it.

    acceptance.py --images ARCHIVE --tag TAG [--break IMAGE]

Runs in the root file system that `run` makes, with Podman. Every step prints what it saw; the first that
sees something else ends it with status 1.

--break IMAGE  puts an image in the place of IMAGE whose services do not run; then it passes if
               starting fails and names IMAGE
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
KOLLA = HERE.parents[1]
CLIENT = "openstack-client-openstack-client"
PATIENCE = 300


class Wrong(Exception):
    """What was seen instead of what should have been."""


def expect(truth, what):
    if not truth:
        raise Wrong(what)


def run(*command, check=True, text=None, timeout=600):
    done = subprocess.run(
        [str(c) for c in command],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    if check and done.returncode:
        shown = " ".join(str(c) for c in command)
        raise Wrong(f"`{shown}` ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def openstack(*arguments, check=True, environment=None):
    variables = [w for name, value in (environment or {}).items() for w in ("--env", f"{name}={value}")]
    done = run("podman", "exec", *variables, CLIENT, "openstack", *arguments, check=check)
    return done.stdout.strip() if check else done


def as_json(*arguments):
    return json.loads(openstack(*arguments, "--format", "json"))


def until(what, look, seconds=PATIENCE):
    """Looks until something is there."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(Wrong, OSError):
            if found := look():
                return found
        expect(time.monotonic() < deadline, f"{what}: not after {seconds} s")
        time.sleep(1)


def secret(name):
    return (KOLLA / "k8s" / "secrets" / name).read_text().strip()


def address(pod):
    infra = json.loads(run("podman", "pod", "inspect", pod).stdout)
    infra = infra[0] if isinstance(infra, list) else infra
    networks = json.loads(run("podman", "inspect", infra["InfraContainerID"]).stdout)
    return networks[0]["NetworkSettings"]["Networks"]["kolla"]["IPAddress"]


# --- the steps


def start(tag):
    run(KOLLA / "tools/genpwd")
    done = run(KOLLA / "tools/start", "--on", "podman", "--tag", tag, check=False)
    expect(done.returncode == 0, f"tools/start failed:\n{done.stdout}{done.stderr}")
    done = run(KOLLA / "tools/status", "--on", "podman", "--tag", tag, check=False)
    expect(done.returncode == 0, f"tools/status:\n{done.stdout}")
    return f"{done.stdout.count('ready')} containers ready"


def database_greets():
    with socket.create_connection((address("mariadb"), 3306), 10) as connection:
        greeting = connection.recv(200)
    expect(b"MariaDB" in greeting, f"port 3306 said {greeting!r}")
    return greeting[5:].split(b"\0")[0].decode()


def amqp(host, password):
    """AMQP 0-9-1's handshake up to what answers the password: whether it is taken."""
    with socket.create_connection((host, 5672), 10) as connection:
        stream = connection.makefile("rb")
        connection.sendall(b"AMQP\0\0\x09\x01")

        def frame():
            head = stream.read(7)
            if len(head) < 7:
                return None
            kind, _, size = struct.unpack(">BHI", head)
            payload = stream.read(size + 1)[:-1]
            return struct.unpack(">HH", payload[:4]) if kind == 1 else None

        expect(frame() == (10, 10), "RabbitMQ does not begin with connection.start")
        response = f"\0openstack\0{password}".encode()
        payload = struct.pack(">HHI", 10, 11, 0) + b"\x05PLAIN"
        payload += struct.pack(">I", len(response)) + response + b"\x05en_US"
        connection.sendall(struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce")
        # Who is not let in is told so, or just hung up on.
        with contextlib.suppress(OSError):
            return frame() == (10, 30)
        return False


def broker_lets_in():
    host = address("rabbitmq")
    expect(amqp(host, secret("rabbitmq-password")), "RabbitMQ refuses the right password")
    expect(not amqp(host, "wrong"), "RabbitMQ takes a wrong password")
    return "connection.tune for the password, none for a wrong one"


def tokens():
    token = as_json("token", "issue")
    expect(token["id"].startswith("gAAAA"), "the token is no Fernet token")
    account = {
        "OS_CLOUD": "",
        "OS_AUTH_URL": "http://keystone:5000/v3",
        "OS_USERNAME": "admin",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_NAME": "admin",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_PASSWORD": "wrong",
    }
    refused = openstack("token", "issue", check=False, environment=account)
    expect(refused.returncode != 0 and "401" in refused.stderr, f"a wrong password: {refused.stderr}")
    services = sorted(service["Type"] for service in as_json("catalog", "list"))
    wanted = ["cloudformation", "compute", "identity", "image", "network", "orchestration", "placement"]
    expect(services == wanted, f"the catalogue has {services}")
    return f"a token, 401 for a wrong password, {len(services)} services"


def guest_images():
    folder = pathlib.Path("/stage/guest")
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    for name in ("proc", "dev"):
        (folder / name).mkdir(exist_ok=True)
    shutil.copy("/usr/bin/busybox", folder / "bin/busybox")
    shutil.copy(HERE / "init", folder / "init")
    os.chmod(folder / "init", 0o755)
    archive = "cd /stage/guest && find . | cpio --quiet -o -H newc | gzip >/stage/initrd"
    run("bash", "-c", archive)
    disk = pathlib.Path("/stage/disk")
    disk.write_bytes(os.urandom(1 << 20))
    for source, name in (("/vmlinuz", "vmlinuz"), ("/stage/initrd", "initrd"), (disk, "disk")):
        run("podman", "cp", source, f"{CLIENT}:/tmp/{name}")
    for name in ("stack.yaml", "parameters.yaml"):
        run("podman", "cp", HERE / name, f"{CLIENT}:/tmp/{name}")

    def create(name, form, file, *properties):
        container = form if form in ("aki", "ari") else "bare"
        words = ["--disk-format", form, "--container-format", container, "--file", f"/tmp/{file}"]
        return as_json("image", "create", *words, *properties, name)["id"]

    kernel, initrd = create("kernel", "aki", "vmlinuz"), create("initrd", "ari", "initrd")
    properties = [f"kernel_id={kernel}", f"ramdisk_id={initrd}"]
    create("guest", "raw", "disk", *(w for p in properties for w in ("--property", p)))
    openstack("image", "save", "--file", "/tmp/back", "guest")
    run("podman", "cp", f"{CLIENT}:/tmp/back", "/stage/back")
    expect(pathlib.Path("/stage/back").read_bytes() == disk.read_bytes(), "the image came back changed")
    return "uploaded, downloaded, identical"


def server_boots():
    openstack("flavor", "create", "--ram", "128", "--disk", "1", "--vcpus", "1", "tiny")
    until("a hypervisor", lambda: "up" in openstack("hypervisor", "list", "-f", "value", "-c", "State"))
    boot = ["--image", "guest", "--flavor", "tiny", "--nic", "none", "--wait"]
    openstack("server", "create", *boot, "kept")
    server = as_json("server", "show", "kept")
    expect(server["status"] == "ACTIVE", f"the server is {server['status']}")

    def console():
        log = openstack("console", "log", "show", "kept")
        return log if "guest: up" in log else None

    log = until("the guest's own words on its console", console)
    expect("Linux version" in log, "the console lacks the kernel's words")
    openstack("server", "create", *boot, "gone")
    openstack("server", "delete", "--wait", "gone")
    # Nova answers that it is deleted a moment before its lists know.
    until("no trace of the deleted server", lambda: servers() == ["kept"])
    return next(line for line in log.splitlines() if "guest: up" in line)


def servers():
    return [server["Name"] for server in as_json("server", "list")]


def stack_is_made():
    files = ["-t", "/tmp/stack.yaml", "-e", "/tmp/parameters.yaml"]
    openstack("stack", "create", *files, "--wait", "kept")
    stack = as_json("stack", "show", "kept")
    expect(stack["stack_status"] == "CREATE_COMPLETE", stack["stack_status"])
    outputs = {o["output_key"]: o["output_value"] for o in stack["outputs"]}
    names = servers()
    expect(outputs["server_name"] in names, f"{outputs} of {names}")
    return f"CREATE_COMPLETE, server_name is {outputs['server_name']}"


def nothing_is_lost(tag):
    openstack("user", "create", "somebody")
    before = inventory()
    run(KOLLA / "tools/stop", "--on", "podman", "--tag", tag)
    expect(not run("podman", "pod", "ps", "-q").stdout, "tools/stop left pods")
    start(tag)
    until("a hypervisor", lambda: "up" in openstack("hypervisor", "list", "-f", "value", "-c", "State"))
    after = inventory()
    expect(after == before, f"before: {before}\nafter: {after}")
    return f"{sum(map(len, after.values()))} things before and after"


def inventory():
    return {
        kind: sorted(next(iter(row.values())) for row in as_json(kind, "list"))
        for kind in ("user", "image", "server", "stack")
    }


def comes_back(pod):
    """Kills a server under load; what uses it recovers by itself when it is back."""
    stop = threading.Event()

    def load():
        while not stop.is_set():
            with contextlib.suppress(subprocess.TimeoutExpired):
                run("podman", "exec", CLIENT, "openstack", "server", "list", check=False, timeout=150)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        # Not by `podman kill`: what a person stops, Podman does not start anew.
        before = state(f"{pod}-{pod}")["Pid"]
        os.kill(before, signal.SIGKILL)
        until(f"{pod} is back", lambda: state(f"{pod}-{pod}")["Pid"] not in (0, before))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    name = f"after-{pod}"
    boot = ["--image", "guest", "--flavor", "tiny", "--nic", "none", "--wait"]

    def gone():
        # By their ids: a creation that failed half-way may have left one of the same name.
        for server in as_json("server", "list", "--name", f"^{name}$"):
            openstack("server", "delete", "--wait", server["ID"])
        return not as_json("server", "list", "--name", f"^{name}$")

    def make():
        gone()
        openstack("server", "create", *boot, name)
        return openstack("server", "show", name, "-f", "value", "-c", "status") == "ACTIVE"

    until(f"a server after {pod} was killed", make)
    until(f"the server after {pod} was killed is deleted", gone)
    return "a server could be made afterwards"


def state(container):
    return json.loads(run("podman", "inspect", container).stdout)[0]["State"]


def stack_is_deleted():
    openstack("stack", "delete", "--yes", "--wait", "kept")
    openstack("server", "delete", "--wait", "kept")
    until("no trace of stack and server", lambda: as_json("stack", "list") == servers() == [])
    run("podman", "exec", "nova-compute-nova-libvirt", "virsh", "list", "--all", "--name")
    return "no stack, no server"


def documented_commands(tag):
    """The commands of docs/debugging.md, as they stand there."""
    page = (KOLLA / "docs/debugging.md").read_text()
    lines = "\n".join(re.findall(r"```console\n(.*?)```", page, re.DOTALL)).splitlines()
    machine = run("podman", "exec", "nova-compute-nova-libvirt", "virsh", "list", "--all", "--name").stdout
    names = {"TAG": tag, "NAME": "kept", "INSTANCE": machine.split()[0]}
    prompt = "MariaDB [(none)]> "
    count = 0
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if not line.startswith("# "):
            continue
        command = re.sub(r"  +# .*", "", line[2:]).replace(" --tty", "")
        command = re.sub(r"\b(TAG|NAME|INSTANCE)\b", lambda word: names[word[0]], command)
        if "--follow" in command:
            command = f"timeout 2 {command} || test $? = 124"
        typed = after.removeprefix(prompt) if after.startswith(prompt) else ""
        done = run("bash", "-c", command, check=False, text=typed)
        # An init container that has done its work is gone, as the page says.
        waits_no_more = command.endswith("-wait") and "no such container" in done.stderr
        seen = done.stdout + done.stderr
        expect(done.returncode == 0 or waits_no_more, f"`{command}` ended with {done.returncode}:\n{seen}")
        count += 1
    expect(count >= 20, f"only {count} commands were found")
    return f"{count} commands"


def nobody_is_root():
    users = {}
    for container in run("podman", "ps", "--format", "{{.Names}}").stdout.split():
        if container.endswith("-infra"):
            continue
        users[container] = run("podman", "exec", container, "id", "-u").stdout.strip()
    roots = [name for name, user in users.items() if user == "0"]
    expect(roots == ["nova-compute-nova-libvirt"], f"root runs {roots}")
    return f"{len(users) - 1} containers of other users, nova-libvirt alone is root's"


def no_secret_shows():
    words = set()
    for path in (KOLLA / "k8s" / "secrets").iterdir():
        if path.name.endswith("-password") or path.name.startswith(("fernet", "credential", "heat-key")):
            words.add(path.read_text().strip())
    expect(len(words) >= 10, "too few secrets to look for")
    shown = {}
    for container in run("podman", "ps", "--all", "--format", "{{.Names}}").stdout.split():
        shown[f"the log of {container}"] = "".join(
            (done := run("podman", "logs", container, check=False)).stdout + done.stderr
        )
        shown[f"podman inspect {container}"] = run("podman", "inspect", container).stdout
        if state(container)["Status"] == "running":
            shown[f"processes of {container}"] = run("podman", "top", container, "args").stdout
    for where, text in shown.items():
        expect(not any(word in text for word in words), f"a secret shows in {where}")
    return f"{len(words)} secrets, {len(shown)} places"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", required=True)
    parser.add_argument("--tag", required=True)
    parser.add_argument("--break", dest="broken")
    arguments = parser.parse_args()
    tag = arguments.tag
    run("podman", "load", "--quiet", "--input", arguments.images)
    os.unlink(arguments.images)
    if arguments.broken:
        return broken(arguments.broken, tag)
    steps = [
        ("a deployment starts", lambda: start(tag)),
        ("MariaDB greets on port 3306", database_greets),
        ("RabbitMQ lets in who has the password", broker_lets_in),
        ("Keystone issues tokens", tokens),
        ("Glance gives back what it was given", guest_images),
        ("Nova boots a server", server_boots),
        ("Heat makes a stack of a server", stack_is_made),
        ("all pods anew, and nothing is lost", lambda: nothing_is_lost(tag)),
        ("MariaDB is killed under load", lambda: comes_back("mariadb")),
        ("RabbitMQ is killed under load", lambda: comes_back("rabbitmq")),
        ("docs/debugging.md is right", lambda: documented_commands(tag)),
        ("stack and server are deleted", stack_is_deleted),
        ("no container is root's", nobody_is_root),
        ("no secret shows", no_secret_shows),
    ]
    for number, (what, step) in enumerate(steps, 1):
        began = time.monotonic()
        try:
            seen = step()
        except (Wrong, subprocess.TimeoutExpired, OSError, LookupError, ValueError) as wrong:
            print(f"{number:2}. {what}: FAILED\n{wrong}", flush=True)
            return 1
        print(f"{number:2}. {what}: {seen} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{len(steps)} of {len(steps)} steps passed")
    return 0


def broken(image, tag):
    """Whether an image that does not run its service is noticed."""
    name = f"localhost/kollaglue/{image}:{tag}"
    dockerfile = f'FROM {name}\nENTRYPOINT []\nCMD ["false"]\n'
    run("podman", "build", "--tag", name, "--file", "-", text=dockerfile)
    run(KOLLA / "tools/genpwd")
    command = [KOLLA / "tools/start", "--on", "podman", "--tag", tag, "--timeout", "30"]
    done = run(*command, check=False)
    told = [line for line in done.stderr.splitlines() if line.startswith(f"error: {image}")]
    if done.returncode == 0 or not told:
        print(f"a broken {image} was not noticed:\n{done.stdout}{done.stderr}")
        return 1
    print(f"a broken {image} is noticed: {told[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
