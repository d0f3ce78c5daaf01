# shellcheck shell=bash disable=SC2154 # what is not set here is set in `node`
# The Service: publishing its endpoints, requesting it from everywhere. Sourced by `node`.

# Writes the EndpointSlices of examples/ with the addresses of the given pods: to the API server, or else each in one
# rename.
publish() {
    local family pod address slice
    for family in 4 6; do
        slice="web-endpoints-ipv$family.yaml"
        {
            sed '/^endpoints:/,$d' "$state/examples/$slice"
            echo "endpoints:"
            for pod in "$@"; do
                address="${addresses[$pod/$family]}"
                printf '  - addresses: ["%s"]\n    conditions: {ready: true}\n    nodeName: %s\n' "$address" "$node"
            done
        } >"$state/new-slice"
        if "$DEMO_API"; then
            replace_slice "web-ipv$family" "$state/new-slice"
        else
            mv "$state/new-slice" "$state/manifests/$slice"
        fi
    done
}

# get URL: the page, from the node's own namespace.
get() { chroot "$state/rootfs" timeout 5 wget -q -O - "$1"; }

# shellcheck disable=SC2016 # the shell of the place asked from expands it
readonly repeat='i=0; while [ $i -lt $2 ]; do timeout 5 wget -q -O - "$1" || echo failed; i=$((i+1)); done'

# ask WHERE URL: requests a URL many times from a pod, from the node or from outside; prints the page of each.
ask() {
    case "$1" in
        node) chroot "$state/rootfs" sh -c "$repeat" sh "$2" "$requests" ;;
        outside) nsenter --net=/run/netns/outside chroot "$state/rootfs" sh -c "$repeat" sh "$2" "$requests" ;;
        *) in_pod "$1" sh -c "$repeat" sh "$2" "$requests" ;;
    esac 2>/dev/null
}

# expect_spread WHERE WHAT URL POD...: every request is answered, by these pods, by each of them often enough.
expect_spread() {
    local where="$1" what="$2" url="$3" answers spread pod count
    shift 3
    answers="$(ask "$where" "$url" | sort | uniq -c)"
    spread="$(awk '{ printf "%s%s %s", (NR > 1 ? ", " : ""), $2, $1 }' <<<"$answers")"
    printf '    %-8s  %-20s  %s\n' "$where" "$what" "$spread"
    [[ "$(awk '{ print $2 }' <<<"$answers" | xargs)" == "$*" ]] ||
        fail "requests from $where to $url were answered by other than $*: $spread"
    for pod in "$@"; do
        count="$(awk -v pod="$pod" '$2 == pod { print $1 }' <<<"$answers")"
        # With 120 requests and 3 pods a third of the fair share is more than five standard deviations away.
        ((count * $# * 3 >= requests)) || fail "$pod answered only $count of $requests requests from $where to $url"
    done
}

expect_spread_everywhere() {
    expect_spread client "cluster IP" "http://$cluster_ipv4/" "$@"
    expect_spread client "cluster IP, IPv6" "http://[$cluster_ipv6]/" "$@"
    expect_spread client "node port" "http://$node_ipv4:$node_port/" "$@"
    expect_spread "$1" "cluster IP" "http://$cluster_ipv4/" "$@" # a backend that also reaches itself
    expect_spread node "cluster IP" "http://$cluster_ipv4/" "$@"
    expect_spread node "cluster IP, IPv6" "http://[$cluster_ipv6]/" "$@"
    expect_spread node "node port" "http://$node_ipv4:$node_port/" "$@"
    expect_spread outside "node port" "http://$node_ipv4:$node_port/" "$@"
    expect_spread outside "node port, IPv6" "http://[$node_ipv6]:$node_port/" "$@"
}

# refused URL: the connection is refused, at once and not by a timeout.
refused() {
    local started=$SECONDS
    ! get "$1" 2>/dev/null && ((SECONDS - started < 3))
}

# service_tables: the tables of nftables here, as in `ip NAME`; all are ours, as nobody else lives in this namespace.
service_tables() { nft list tables | sed 's/^table //'; }

tables_are_gone() { [[ -z "$(service_tables)" ]]; }
