import CNI
import ClusterClient
import Foundation
import NetworkTypes
import Testing

@testable import CNIPlugin

/// The wait for an agent to put a pod's policy in place (1.1, C17).
@Suite(.enabled(if: geteuid() == 0, "makes network namespaces"))
struct PolicySetupTests {
    let bench: Bench
    let pod: String
    private static let pods = "K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0"
    private static let warning = "policy is in place"

    init() throws {
        bench = try Bench()
        pod = try bench.pod()
        try FileManager.default.createDirectory(atPath: statuses, withIntermediateDirectories: true)
    }

    private var statuses: String { bench.directory + "/status" }
    private var file: String { statuses + "/k8s shop%2Fweb-0 eth0" }

    private func add(_ seconds: Int, _ extra: String = "") async throws -> Bench.Outcome {
        let members = #", "policy_setup_timeout_seconds": \#(seconds), "endpoint_status_dir": "\#(statuses)"\#(extra)"#
        return try await bench.call(
            "ADD",
            "c1",
            namespace: pod,
            arguments: Self.pods,
            bench.configuration(extra: members)
        )
    }

    @Test func theFileEndsTheWait() async throws {
        async let adding = add(60)
        let deadline = ContinuousClock.now + .seconds(20)
        // The agent learns of the endpoint by its record.
        while try await bench.recordedAddresses().isEmpty, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(20))
        }
        let address = try #require(try bench.podAddresses(pod).first)
        let text = #"{"ifaceName": "cali1", "ipv4Nets": ["\#(address)/32"]}"#
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        let added = try await adding
        #expect(added.status == 0, "\(added.output)")
        #expect(added.addresses == [address])
        #expect(!added.log.contains(Self.warning), "\(added.log)")
    }

    @Test func aTimeOutOnlyWarns() async throws {
        // Of the sandbox before, which had the same name.
        try #"{"mac": "0a:00:00:00:00:01"}"#.write(toFile: file, atomically: true, encoding: .utf8)
        let added = try await add(1)
        #expect(added.status == 0, "\(added.output)")
        #expect(added.log.contains(Self.warning) && added.log.contains(statuses), "\(added.log)")
        // Also when the time of the ADD is up before.
        #expect(try await bench.call("DEL", "c1", namespace: pod, arguments: Self.pods).status == 0)
        let hurried = try await add(80_000, #", "add_timeout_seconds": 3"#)
        #expect(hurried.status == 0, "\(hurried.output)")
        #expect(hurried.log.contains(Self.warning))
        #expect(try await bench.recordedAddresses() == hurried.addresses)
    }

    @Test func isOffByDefault() async throws {
        let added = try await add(0)
        #expect(added.status == 0 && !added.log.contains(Self.warning), "\(added.log)")
    }

    @Test(arguments: [-1, 90_000])
    func impossibleTimesAreRefused(_ seconds: Int) async throws {
        let refused = try await add(seconds)
        #expect(refused.code == 7, "\(refused.output)")
        #expect(try bench.hostLinks() == [])
        #expect(try await bench.assignedAddresses() == [])
    }

    // MARK: The file

    private static func endpoint(_ workload: Workload, _ interface: String = "eth0") throws -> WorkloadEndpoint {
        WorkloadEndpoint(
            workload: workload,
            id: try AttachmentID(containerID: "abc", interfaceName: interface),
            node: "node-1",
            network: "n",
            link: .init(hostInterfaceName: "cali1", mac: MACAddress(2, 0, 0, 0, 0, 1)),
            addresses: ["10.0.0.1", "fd00::1"].compactMap { IPAddress($0) }
        )
    }

    @Test func names() throws {
        let web = PodReference(namespace: "shop", name: "web-0")
        #expect(PolicySetup.fileName(of: try Self.endpoint(.pod(web))) == "k8s shop%2Fweb-0 eth0")
        let odd = try Self.endpoint(.container(id: "a.b_C"), "net#\u{e4}@1")
        #expect(PolicySetup.fileName(of: odd) == "cni a.b_C net%23%C3%A4@1")
    }

    @Test(arguments: [
        ("", true), ("up", true), ("{}", true), ("[]", true), (#"{"mac": "02:00:00:00:00:01"}"#, true),
        (#"{"mac": "02:00:00:00:00:02"}"#, false),
        (#"{"ipv4Nets": ["10.0.0.1/32"], "ipv6Nets": ["fd00::1/128"]}"#, true),
        (#"{"ipv4Nets": ["10.0.0.2/32"], "ipv6Nets": ["fd00::1/128"]}"#, false), (#"{"mac": 3, "ipv4Nets": 3}"#, true),
    ])
    func whatAFileSays(_ text: String, _ isAbout: Bool) throws {
        let endpoint = try Self.endpoint(.pod(PodReference(namespace: "shop", name: "web-0")))
        #expect(PolicySetup.isAbout(endpoint, text) == isAbout)
    }
}
