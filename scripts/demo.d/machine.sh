# shellcheck shell=bash disable=SC2154 # what is not set here is set in `node`
# The node's own file system and links, and the machine outside. Sourced by `node`.

# with_own_entry DIR NAME: makes DIR/NAME an empty directory for this mount namespace only; the rest of DIR stays.
with_own_entry() {
    local real="$state/real$1" view="$state/view$1"
    mkdir -p "$real" "$view"
    mount --bind "$1" "$real"
    mount -t tmpfs -o mode=755 tmpfs "$view"
    find "$real" -mindepth 1 -maxdepth 1 -exec ln -s -t "$view" {} +
    rm -f "$view/$2"
    mkdir "$view/$2"
    mount --bind "$view" "$1"
}

make_machine() {
    mount --make-rprivate /
    # /run and /var/lib are empty here but for the state directory: a containerd of the machine is out of reach.
    mkdir -p "$state/run"
    mount -t tmpfs -o mode=755 tmpfs "$state/run"
    mkdir "$state/run/swiftlet-demo"
    mount --bind "$state" "$state/run/swiftlet-demo"
    mount --rbind "$state/run" /run
    mount -t tmpfs -o mode=755 tmpfs /var/lib
    with_own_entry /etc cni
    with_own_entry /opt cni
    umask 022
    hostname "$node"

    ip link set lo up
    ip netns add outside
    ip link add uplink type veth peer name eth0 netns outside
    ip address add "$node_ipv4/24" dev uplink
    ip address add "$node_ipv6/64" dev uplink nodad
    ip link set uplink up
    ip -n outside link set lo up
    ip -n outside address add "$outside_ipv4/24" dev eth0
    ip -n outside address add "$outside_ipv6/64" dev eth0 nodad
    ip -n outside link set eth0 up
    # Nobody is beyond the machine outside, but without a route the kernel would refuse to send to a cluster IP at all.
    ip route add default via "$outside_ipv4"
    ip route add default via "$outside_ipv6"
    # A node forwards packets. Whoever sets up a node sees to it; the plugin only does so for its own interfaces.
    echo 1 >/proc/sys/net/ipv4/ip_forward
    echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
}

install_plugin() {
    mkdir -p /etc/cni/net.d /opt/cni/bin
    cp "$state/10-swiftlet.conflist" /etc/cni/net.d/
    cp "$state/bin/swiftlet" /opt/cni/bin/
    ln -s swiftlet /opt/cni/bin/swiftlet-ipam
}
