import Foundation
import Glibc
import LoadBalancer
import Logging
import NetworkTypes

/// Where everything listens, on 127.0.0.1 of a namespace of its own.
enum Ports {
    static let server: UInt16 = 7000
    static let haproxy: UInt16 = 7001
    static let swiftlet: UInt16 = 7002
}

/// The load balancer as a process.
enum Balance {
    static func run(port: UInt16, target: UInt16) async throws {
        var logger = Logger(label: "balance")
        logger.logLevel = .error
        // As many threads as haproxy is given.
        let balancer = try LoadBalancer(LoadBalancerOptions(loopCount: 2), logger: logger)
        try await balancer.set(
            ListenerSpecification(
                ListenEndpoint(.tcp, .v4(.loopback), port),
                group: "bench",
                route: TargetList([TransportAddress(.v4(.loopback), target)])
            )
        )
        while true { try await Task.sleep(for: .seconds(3600)) }
    }
}
