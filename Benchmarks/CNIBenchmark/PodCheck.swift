import JSON
import Measuring
import Netlink
import NetworkTypes

/// Whether a pod has got, or lost, what the plugin said.
enum PodCheck {
    /// The address that an ADD has given, which the pod really has.
    ///
    /// - Throws: ``BenchmarkFailure`` when the plugin has failed, or said what is not so.
    static func address(_ outcome: ProgramRun.Outcome, _ pod: NetworkNamespace) throws -> IPAddress {
        try requireSuccess(outcome, "ADD")
        guard case .object(let result)? = try? JSONValue(parsing: Array(outcome.output.utf8).span),
            case .array(let addresses)? = result["ips"], addresses.count == 1, case .object(let first) = addresses[0],
            case .string(let text)? = first["address"], let address = CIDR(text)?.address
        else { throw BenchmarkFailure("ADD answered without one address: \(outcome.output)") }
        let socket = try NetlinkSocket(in: pod)
        let link = try socket.get(.link(.name("eth0")))
        guard
            try socket.list(.addresses()).contains(where: { $0.interface == link.index && $0.prefix.address == address }
            )
        else { throw BenchmarkFailure("ADD answered \(address), which the pod does not have") }
        return address
    }

    /// - Throws: ``BenchmarkFailure`` when a DEL has failed, or the pod still has its interface.
    static func requireGone(_ outcome: ProgramRun.Outcome, _ pod: NetworkNamespace) throws {
        try requireSuccess(outcome, "DEL")
        guard try !NetlinkSocket(in: pod).list(.links()).contains(where: { $0.name == "eth0" }) else {
            throw BenchmarkFailure("DEL succeeded, but the pod still has eth0")
        }
    }

    static func requireSuccess(_ outcome: ProgramRun.Outcome, _ command: String) throws {
        guard outcome.status == 0 else {
            throw BenchmarkFailure("\(command) ended with wait status \(outcome.status): \(outcome.output)")
        }
    }
}
