# shellcheck shell=bash disable=SC2154 # what is not set here is set in `node`
# Pods, on containerd or in bare namespaces. Each serves its name as a page. Sourced by `node`.

declare -A runner=() # pod → process id of what keeps it (ctr, or the init of the bare pod)

ctr() { command ctr --address "$state/containerd.sock" --namespace swiftlet-demo "$@"; }

# The file system of every pod. The node and the machine outside send their requests from it too: there, `wget` and `sh`
# are busybox's whatever the real machine has.
make_rootfs() {
    mkdir -p "$state"/rootfs/{bin,tmp}
    cp "$(command -v busybox)" "$state/rootfs/bin/busybox"
    chroot "$state/rootfs" /bin/busybox --install -s /bin
}

# Writes an OCI image layout with one layer.
make_image() {
    local dir="$state/image" layer config manifest machine
    case "$(uname -m)" in
        x86_64) machine=amd64 ;;
        aarch64) machine=arm64 ;;
        *) machine="$(uname -m)" ;;
    esac
    mkdir -p "$dir/layout/blobs/sha256"
    tar -C "$state/rootfs" --sort=name --owner=0 --group=0 --mtime=@0 -cf "$dir/layer.tar" .

    # blob FILE MEDIATYPE: stores a blob under its digest and prints its descriptor.
    blob() {
        local digest
        digest="$(sha256sum <"$1" | cut -d ' ' -f 1)"
        cp "$1" "$dir/layout/blobs/sha256/$digest"
        jq -n --arg type "$2" --arg digest "sha256:$digest" --argjson size "$(stat -c %s "$1")" \
            '{mediaType: $type, digest: $digest, size: $size}'
    }
    layer="$(blob "$dir/layer.tar" application/vnd.oci.image.layer.v1.tar)"
    jq -n --arg machine "$machine" --argjson layer "$layer" \
        '{architecture: $machine, os: "linux", config: {Env: ["PATH=/bin"], Cmd: ["/bin/sh"]},
          rootfs: {type: "layers", diff_ids: [$layer.digest]}}' >"$dir/config.json"
    config="$(blob "$dir/config.json" application/vnd.oci.image.config.v1+json)"
    jq -n --argjson config "$config" --argjson layer "$layer" \
        '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config: $config, layers: [$layer]}' \
        >"$dir/manifest.json"
    manifest="$(blob "$dir/manifest.json" application/vnd.oci.image.manifest.v1+json)"
    jq -n --argjson manifest "$manifest" --arg name "$image" \
        '{schemaVersion: 2, manifests: [$manifest + {annotations: {"io.containerd.image.name": $name}}]}' \
        >"$dir/layout/index.json"
    jq -n '{imageLayoutVersion: "1.0.0"}' >"$dir/layout/oci-layout"
    tar -C "$dir/layout" -cf "$state/image.tar" .
    rm -rf "$dir"
}

# Whether containerd runs here, with a container to prove it.
start_containerd() {
    cat >"$state/containerd.toml" <<TEXT
version = 2
root = "$state/containerd/root"
state = "$state/containerd/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[debug]
  level = "warn"
[grpc]
  address = "$state/containerd.sock"
TEXT
    containerd --config "$state/containerd.toml" >"$state/log/containerd.log" 2>&1 &
    local deadline=$((SECONDS + 20))
    until ctr version >/dev/null 2>&1; do
        ((SECONDS < deadline)) && kill -0 $! 2>/dev/null || return 1
        sleep 0.05
    done
    ctr image import --snapshotter native "$state/image.tar" >>"$state/log/containerd.log" 2>&1 || return 1
    ctr run --snapshotter native --rm "$image" probe true </dev/null >>"$state/log/containerd.log" 2>&1
}

# shellcheck disable=SC2016 # the pod's shell expands it
readonly serve='name=$1; echo "$name" >/tmp/index.html; exec httpd -f -p 8080 -h /tmp'

# The request of a runtime: the plugin's part of the network configuration on stdin, the rest in the environment.
call_plugin() { # COMMAND POD NETNS
    jq '. as $list | .plugins[0] + {cniVersion: $list.cniVersion, name: $list.name}' /etc/cni/net.d/10-swiftlet.conflist |
        env -i PATH=/usr/bin:/bin CNI_COMMAND="$1" CNI_CONTAINERID="$2" CNI_NETNS="$3" CNI_IFNAME=eth0 \
            CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=$2" CNI_PATH=/opt/cni/bin \
            /opt/cni/bin/swiftlet
}

start_pod() {
    make_pod_object "$1"
    if $containerd; then
        # Only a `ctr run` that stays in the foreground calls DEL: when the container ends. A detached one never does.
        command ctr --address "$state/containerd.sock" --namespace swiftlet-demo run --snapshotter native --rm --cni \
            "$image" "$1" /bin/sh -c "$serve" sh "$1" </dev/null >"$state/log/pod-$1.log" 2>&1 &
        runner[$1]=$!
    else
        cp -a "$state/rootfs" "$state/rootfs-$1"
        unshare --net chroot "$state/rootfs-$1" /bin/sh -c "$serve" sh "$1" </dev/null >"$state/log/pod-$1.log" 2>&1 &
        runner[$1]=$!
        eventually 5 "pod $1 has no namespace" other_namespace "${runner[$1]}"
        nsenter --target "${runner[$1]}" --net ip link set lo up
        call_plugin ADD "$1" "/proc/${runner[$1]}/ns/net" >>"$state/log/pod-$1.log" 2>&1 ||
            fail "ADD of $1 failed: $(cat "$state/log/pod-$1.log")"
    fi
}

other_namespace() { [[ "$(readlink "/proc/$1/ns/net")" != "$(readlink /proc/self/ns/net)" ]]; }

stop_pod() {
    if $containerd; then
        ctr task kill --signal KILL "$1"
        wait "${runner[$1]}" || true # 137, the container's own status
    else
        # As in Kubernetes, where the pod's namespace outlives its programs. ctr calls DEL with no namespace any more.
        call_plugin DEL "$1" "/proc/${runner[$1]}/ns/net" || fail "DEL of $1 failed"
        kill -KILL "${runner[$1]}"
        wait "${runner[$1]}" 2>/dev/null || true
    fi
    ! grep -i 'failed to remove network' "$state/log/pod-$1.log" || fail "DEL of $1 failed"
    remove_pod_object "$1"
    unset "runner[$1]"
}

pod_process() {
    if $containerd; then
        ctr task list | awk -v name="$1" '$1 == name && $3 == "RUNNING" { print $2 }'
    else
        echo "${runner[$1]}"
    fi
}

# in_pod POD COMMAND...
in_pod() {
    local name="$1"
    shift
    if $containerd; then
        ctr task exec --exec-id "exec-$RANDOM$RANDOM" "$name" "$@" </dev/null
    else
        nsenter --target "${runner[$name]}" --net chroot "$state/rootfs" "$@" </dev/null
    fi
}

# pod_address POD 4|6
pod_address() {
    local pid
    pid="$(pod_process "$1")"
    [[ -n "$pid" ]] || return 1
    nsenter --target "$pid" --net ip -json "-$2" address show dev eth0 scope global |
        jq -er '[.[].addr_info[]?.local] | first'
}
