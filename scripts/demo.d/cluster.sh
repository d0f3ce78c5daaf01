# shellcheck shell=bash disable=SC2034,SC2154 # what is set here and in `node` is used in both
# What a cluster gives a node, where the demonstration is asked to have it: an etcd for addresses, an API server for
# Services. Sourced by `node`.

start_etcd() {
    etcd --name demo --data-dir "$state/etcd" --listen-client-urls "$etcd_url" --advertise-client-urls "$etcd_url" \
        --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
        --initial-cluster demo=http://127.0.0.1:2380 >"$state/log/etcd.log" 2>&1 &
    eventually 20 "etcd does not start: $(tail -n 1 "$state/log/etcd.log")" etcd_is_healthy
}

etcd_is_healthy() { [[ "$(get "$etcd_url/health")" == *true* ]]; }

# Makes the network configuration record addresses in etcd.
use_etcd() {
    local conflist=/etc/cni/net.d/10-swiftlet.conflist
    jq --arg url "$etcd_url" '.plugins[0] += {datastore_type: "etcdv3", etcd_endpoints: $url}' "$conflist" >"$state/conflist"
    cp "$state/conflist" "$conflist"
    export DATASTORE_TYPE=etcdv3 ETCD_ENDPOINTS="$etcd_url"
}

# Makes the network configuration record addresses in the API server.
use_kubernetes() {
    local conflist=/etc/cni/net.d/10-swiftlet.conflist pools="$state/pools"
    jq -c '.plugins[0].ipam.pools[] | {apiVersion: "projectcalico.org/v3", kind: "IPPool", metadata: {name}, spec: del(.name)}' \
        "$conflist" >"$pools"
    jq --arg kubeconfig "$state/kubeconfig" --arg node "$node" '.plugins[0] |= (. + {datastore_type: "kubernetes",
        kubernetes: {kubeconfig: $kubeconfig}, nodename: $node} | del(.ipam.pools))' "$conflist" >"$state/conflist"
    cp "$state/conflist" "$conflist"
    export DATASTORE_TYPE=kubernetes KUBECONFIG="$state/kubeconfig"
    # One document a line is YAML too, with marks between.
    sed -i '$!s/$/\n---/' "$pools"
    swiftletctl create -f "$pools"
}

# make_pod_object POD, remove_pod_object POD: the Pod in the API server, at which an attachment is recorded.
make_pod_object() {
    [[ "$DEMO_DATASTORE" == kubernetes ]] || return 0
    jq -n --arg name "$1" --arg node "$node" '{apiVersion: "v1", kind: "Pod", metadata: {$name},
        spec: {nodeName: $node, containers: [{name: "web", image: "busybox"}]}}' >"$state/pod"
    api_request /api/v1/namespaces/default/pods --header 'Content-Type: application/json' --data-binary "@$state/pod" \
        >>"$state/log/api.log" || fail "the API server does not take the Pod $1"
}

remove_pod_object() {
    [[ "$DEMO_DATASTORE" == kubernetes ]] || return 0
    api_request "/api/v1/namespaces/default/pods/$1?gracePeriodSeconds=0" --request DELETE >>"$state/log/api.log" ||
        fail "the API server does not delete the Pod $1"
}

# Starts an API server that knows the objects of examples/.
start_api() {
    local file objects=()
    for file in "$state/examples"/*; do objects+=(--objects "$file"); done
    test-apiserver --port 6443 --kubeconfig-out "$state/kubeconfig" "${objects[@]}" >"$state/log/api.log" 2>&1 &
    api=$!
    eventually 20 "the API server does not start: $(tail -n 1 "$state/log/api.log")" api_request /readyz
}

# api_request PATH [ARGUMENT...]: a request with the certificate of the kubeconfig; arguments go to curl.
api_request() {
    local path="$1" field
    shift
    for field in client-certificate-data client-key-data; do
        jq -er --arg field "$field" '.users[0].user[$field]' "$state/kubeconfig" | base64 -d >"$state/$field" || return 1
    done
    jq -er '.clusters[0].cluster["certificate-authority-data"]' "$state/kubeconfig" | base64 -d >"$state/authority" || return 1
    curl --silent --show-error --fail --max-time 10 --cacert "$state/authority" --cert "$state/client-certificate-data" \
        --key "$state/client-key-data" "$@" "https://127.0.0.1:6443$path"
}

# replace_slice NAME FILE: gives the API server a new version of an EndpointSlice.
replace_slice() {
    api_request "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/$1" \
        --request PUT --header 'Content-Type: application/yaml' --data-binary "@$2" >>"$state/log/api.log" ||
        fail "the API server does not take the new version of the EndpointSlice $1"
}
