import Foundation
import Netlink
import TestAPIServer

/// An API server with Services whose endpoints change, and which endpoints each Service has now.
final class LiveCluster {
    let workload: Workload
    let kubeconfig: String
    private let server: BenchProcess
    /// Of Services that do not have their own endpoints any more.
    private var numbers: [Int: [Int]] = [:]
    /// The next endpoint that no Service has had.
    private var next: Int

    /// How many nodes the endpoints are spread over: few run on any one of them.
    private static let nodes = 1000

    /// - Parameter directory: where its kubeconfig and its log go.
    init(services: Int, endpoints: Int, program: String, in namespace: NetworkNamespace, directory: String) throws {
        workload = Workload(services: services, endpoints: endpoints, nodes: Self.nodes)
        kubeconfig = "\(directory)/kubeconfig"
        next = services * endpoints
        server = try BenchProcess(
            [
                program, "--services", "\(services)", "--endpoints", "\(endpoints)", "--nodes", "\(Self.nodes)",
                "--kubeconfig-out", kubeconfig, "--follow-input",
            ],
            in: namespace,
            log: "\(directory)/server.log"
        )
        try server.awaitLog("listening on", seconds: 600)
    }

    /// A change as the API server is told it, and how a client can see it.
    struct Change: Sendable {
        let line: String
        let index: Int
        let service: AddressBits
        /// The endpoint that came.
        let newEndpoint: AddressBits?
    }

    private func current(_ service: Int) -> [Int] {
        let own = service * workload.endpoints
        return numbers[service] ?? Array(own..<own + workload.endpoints)
    }

    private func change(_ service: Int, to list: [Int], newEndpoint: Int?) -> Change {
        numbers[service] = list
        return Change(
            line: workload.slice(service, numbers: list),
            index: service,
            service: Workload.clusterIP(service),
            newEndpoint: newEndpoint.map(Workload.endpointAddress)
        )
    }

    /// One endpoint gets another address.
    func addressChange(_ service: Int) -> Change {
        var list = current(service)
        let new = takeNumber()
        list[list.count / 2] = new
        return change(service, to: list, newEndpoint: new)
    }

    /// The list loses an endpoint, or gets one back.
    func lengthChange(_ service: Int) -> Change {
        var list = current(service)
        if list.count >= workload.endpoints && list.count > 1 {
            list.removeFirst()
            return change(service, to: list, newEndpoint: nil)
        }
        let new = takeNumber()
        return change(service, to: list + [new], newEndpoint: new)
    }

    private func takeNumber() -> Int {
        defer { next = next + 1 < 1 << 23 ? next + 1 : workload.services * workload.endpoints }
        return next
    }

    func apply(_ change: Change) {
        server.write(change.line)
    }
}
