import ClusterClient
import IPAM
import Measuring
import NetworkTypes

/// Requests as the plugin makes them, and the pools that they are served from.
enum Workload {
    static let node = "worker-2"
    static let blockSize = 26

    static func pool(_ cidr: String) throws -> IPPool {
        guard let cidr = CIDR(cidr) else { throw BenchmarkFailure("\(cidr) is no prefix") }
        return IPPool(name: "default", spec: .init(cidr: cidr, blockSize: blockSize))
    }

    /// One address for a pod of this name.
    static func request(_ pod: String, node: String = node) -> AssignmentRequest {
        let container = "7f31c0de55aa7f31c0de55aa7f31c0de55aa7f31c0de55aa7f31c0de55aa7f31"
        let attributes = [
            "pod": "cart-5d9c8b7f4-\(pod)", "namespace": "shop", "node": node, "ifname": "eth0", "network": "bench",
            "timestamp": "2026-11-20 08:14:03.120045 +0000 UTC",
        ]
        return AssignmentRequest(handle: "bench.\(container)\(pod)", attributes: attributes, ipv4: 1)
    }
}
