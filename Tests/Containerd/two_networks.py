#!/usr/bin/python3
"""Runs pods on a real containerd whose CRI attaches each of them to two networks of the plugin.

two_networks.py STATE PLUGIN, in mount, network and process namespaces of its own. It prints one JSON object: what the pods
have while they run, and what the node has left when they are gone. Only Debian's python3-grpcio is needed; the few
messages of CRI that are used (runtime/v1/api.proto) are written by hand.
"""

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import time

import grpc

STATE, PLUGIN = sys.argv[1], sys.argv[2]
IMAGE = "localhost/pause:test"
SOCKET = f"{STATE}/containerd.sock"


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


# --- The node


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def make_node():
    run("ip", "link", "set", "lo", "up")
    for place in ["/run/netns", "/var/lib/cni"]:
        if os.path.isdir(place):
            run("mount", "-t", "tmpfs", "tmpfs", place)
    os.makedirs(f"{STATE}/bin")
    shutil.copy(PLUGIN, f"{STATE}/bin/swiftlet")
    os.symlink("swiftlet", f"{STATE}/bin/swiftlet-ipam")
    os.symlink("/usr/lib/cni/loopback", f"{STATE}/bin/loopback")
    pools = [{"name": "four", "cidr": "10.80.0.0/24"}, {"name": "six", "cidr": "fd80::/120"}]
    for number, name in enumerate(["one", "two"], 1):
        plugin = {
            "type": "swiftlet",
            "data_dir": f"{STATE}/data",
            "nodename": "node-1",
            "ipam": {"type": "swiftlet-ipam", "assign_ipv4": "true", "assign_ipv6": "true", "pools": pools},
        }
        if name == "two":
            plugin["capabilities"] = {"io.kubernetes.cri.pod-annotations": True}
        # As in the configurations that are installed: a runtime that knows no list of versions passes over it.
        conflist = {"cniVersion": "1.0.0", "cniVersions": ["1.0.0", "1.1.0"], "name": name, "plugins": [plugin]}
        write(f"{STATE}/net.d/{number}0-{name}.conflist", json.dumps(conflist))


# --- containerd


def make_image():
    """An OCI image of busybox that sleeps."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(shutil.which("busybox"), "bin/sleep")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    blobs = {}

    def blob(content, kind):
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    def text(value):
        return json.dumps(value).encode()

    kind = "application/vnd.oci.image"
    first = blob(layer.getvalue(), f"{kind}.layer.v1.tar")
    config = blob(
        text(
            {
                "architecture": machine,
                "os": "linux",
                "config": {"Cmd": ["/bin/sleep", "3600"]},
                "rootfs": {"type": "layers", "diff_ids": [first["digest"]]},
            }
        ),
        f"{kind}.config.v1+json",
    )
    manifest = blob(
        text({"schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json", "config": config, "layers": [first]}),
        f"{kind}.manifest.v1+json",
    )
    manifest["annotations"] = {"io.containerd.image.name": IMAGE}
    blobs["index.json"] = text({"schemaVersion": 2, "manifests": [manifest]})
    blobs["oci-layout"] = text({"imageLayoutVersion": "1.0.0"})
    with tarfile.open(f"{STATE}/image.tar", "w") as tar:
        for name, content in blobs.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def ctr(*arguments):
    return run("ctr", "--address", SOCKET, "--namespace", "k8s.io", *arguments)


def start_containerd():
    write(
        f"{STATE}/containerd.toml",
        f"""version = 2
root = "{STATE}/containerd/root"
state = "{STATE}/containerd/state"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{IMAGE}"
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{STATE}/bin"
    conf_dir = "{STATE}/net.d"
    max_conf_num = 2
""",
    )
    log = open(f"{STATE}/containerd.log", "w")
    process = subprocess.Popen(["containerd", "--config", f"{STATE}/containerd.toml"], stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while True:
        try:
            ctr("version")
            break
        except subprocess.CalledProcessError:
            if time.monotonic() > deadline or process.poll() is not None:
                sys.exit("containerd does not start: " + open(f"{STATE}/containerd.log").read()[-2000:])
            time.sleep(0.1)
    make_image()
    ctr("images", "import", "--snapshotter", "native", f"{STATE}/image.tar")
    return process


# --- CRI


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, content):
    """A field of text, of a message, or several of these for a map."""
    if isinstance(content, dict):
        return b"".join(field(number, field(1, key) + field(2, value)) for key, value in content.items())
    if isinstance(content, str):
        content = content.encode()
    return varint(number << 3 | 2) + varint(len(content)) + content


def fields(message):
    """The fields of a message, as a list of contents for each number; numbers are skipped."""
    found, at = {}, 0

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = number()
        if key & 7 == 0:
            number()
            continue
        length = number()
        found.setdefault(key >> 3, []).append(message[at : at + length])
        at += length
    return found


class Runtime:
    def __init__(self):
        self.channel = grpc.insecure_channel(f"unix://{SOCKET}")

    def call(self, name, request):
        return self.channel.unary_unary(f"/runtime.v1.RuntimeService/{name}")(request, timeout=60)

    def start(self, name, annotations):
        config = field(1, field(1, name) + field(2, f"uid-{name}") + field(3, "shop")) + field(7, annotations)
        return fields(self.call("RunPodSandbox", field(1, config)))[1][0].decode()

    def addresses(self, sandbox):
        status = fields(fields(self.call("PodSandboxStatus", field(1, sandbox)))[1][0])
        network = fields(status[5][0])
        return [network[1][0].decode()] + [fields(more)[1][0].decode() for more in network.get(2, [])]

    def stop(self, sandbox):
        self.call("StopPodSandbox", field(1, sandbox))
        self.call("RemovePodSandbox", field(1, sandbox))


# --- What there is


def interfaces(*inside):
    listing = json.loads(run(*inside, "ip", "-j", "address"))
    return {
        link["ifname"]: [a["local"] for a in link["addr_info"] if a["scope"] == "global"]
        for link in listing
        if link["ifname"] != "lo"
    }


def process_of(sandbox):
    for line in ctr("task", "list").splitlines()[1:]:
        if line.split()[0] == sandbox:
            return line.split()[1]
    sys.exit(f"{sandbox} does not run")


def main():
    make_node()
    process = start_containerd()
    try:
        runtime = Runtime()
        asked = {"cni.projectcalico.org/ipAddrs": '["10.80.0.77", "fd80::77"]'}
        pods, sandboxes = {}, {}
        for name, annotations in [("web-0", {}), ("web-1", asked)]:
            sandbox = sandboxes[name] = runtime.start(name, annotations)
            inside = interfaces("nsenter", "--net", "--target", process_of(sandbox))
            pods[name] = {"told": runtime.addresses(sandbox), "interfaces": inside}
        answer = {"pods": pods, "host": sorted(interfaces())}
        runtime.stop(sandboxes["web-0"])
        answer["afterFirst"] = sorted(interfaces())
        runtime.stop(sandboxes["web-1"])
        answer["afterAll"] = sorted(interfaces())
        print(json.dumps(answer))
    finally:
        process.terminate()
        process.wait()


main()
