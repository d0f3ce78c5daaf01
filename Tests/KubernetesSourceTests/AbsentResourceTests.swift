import ClusterClient
import KubernetesAPI
import TestAPIServer
import TestSupport
import Testing

@testable import KubernetesSource

/// Servers that do not have all kinds, or do not show them.
@Suite(.timeLimit(.minutes(2))) struct AbsentResourceTests {
    private static let slicePath = "/apis/discovery.k8s.io/v1/endpointslices"
    private static let endpoints = """
        {"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"web","namespace":"default"},\
        "subsets":[{"addresses":[{"ip":"10.9.1.2"}],"ports":[{"port":8080}]}]}
        """
    private static let serviceCIDR = """
        {"apiVersion":"networking.k8s.io/v1","kind":"ServiceCIDR","metadata":{"name":"kubernetes"},\
        "spec":{"cidrs":["10.96.0.0/16","fd96::/112"]}}
        """

    private func server(
        _ change: (inout TestAPIServer.Options) -> Void = { _ in }
    ) async throws -> TestAPIServer {
        var options = TestAPIServer.Options()
        options.security = .plain
        change(&options)
        return try await TestAPIServer(options)
    }

    @Test func endpointsStandInForSlices() async throws {
        let server = try await server { $0.missingResources = [.endpointSlices] }
        try server.put(serviceJSON("web"))
        try server.put(Self.endpoints)
        let directory = try TemporaryDirectory()
        let file = SnapshotFile(path: "\(directory.path)/objects", cluster: "one")
        let resources: [WatchedResource] = [.services, .endpointSlices, .endpoints]
        var source = try FollowedSource(server, resources, snapshot: file)
        await eventually { source.synced == [.service, .endpointSlice, .endpoints] }
        #expect(source.names(.endpoints) == ["web"])
        #expect(source.log.count("the server has no such objects to show") == 1)
        try server.put(Self.endpoints.replacing("\"web\"", with: "\"more\""))
        await eventually { source.names(.endpoints) == ["more", "web"] }
        await source.stop()

        // And so does the snapshot.
        await server.suspend()
        source = try FollowedSource(server, resources, snapshot: file) { $0.snapshotGrace = .milliseconds(50) }
        await eventually { source.synced == [.service, .endpointSlice, .endpoints] }
        #expect(source.names(.endpoints) == ["more", "web"])
        await source.stop()
        await server.stop()
    }

    @Test func slicesThatComeAfterAllPushThemOut() async throws {
        let server = try await server()
        try server.put(Self.endpoints)
        try server.put(
            #"{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"web-1","namespace":"default"},"#
                + #""addressType":"IPv4","endpoints":[],"ports":[]}"#
        )
        let fault = server.addFault(FaultRule(.status(404), path: Self.slicePath))
        let source = try FollowedSource(server, [.endpointSlices, .endpoints]) {
            $0.reflector.longestAbsence = .milliseconds(400)
        }
        await eventually { source.synced == [.endpointSlice, .endpoints] }
        #expect(source.names(.endpoints) == ["web"] && source.names(.endpointSlice) == [])
        server.removeFault(fault)
        await eventually { source.names(.endpoints) == [] && source.names(.endpointSlice) == ["web-1"] }
        await eventually { server.metrics.watches == 1 }
        await source.stop()
        await server.stop()
    }

    @Test func absenceIsAskedAboutMoreAndMoreSeldom() async throws {
        let server = try await server { $0.missingResources = [.serviceCIDRs] }
        let source = try FollowedSource(server, [.services, .serviceCIDRs]) {
            $0.reflector.firstDelay = .milliseconds(10)
            $0.reflector.longestDelay = .milliseconds(20)
        }
        await eventually { source.synced == [.service] }
        func asked() -> Int { server.requests.count { $0.path.hasSuffix("/servicecidrs") } }
        await eventually { asked() >= 5 }
        // 10 ms doubled each time: by the sixth request at least 310 ms have passed, the tenth would take 5 s.
        try await Task.sleep(for: .milliseconds(500))
        #expect(asked() <= 8)
        #expect(source.log.count("the server has no such objects to show") == 1)
        #expect(source.log.count("cannot be followed") == 0)
        await source.stop()
        await server.stop()
    }

    /// An RBAC role that does not have servicecidrs holds up nothing, and neither does a server that fails for them.
    @Test(arguments: [true, false]) func serviceCIDRsHoldUpNothing(isForbidden: Bool) async throws {
        let server = try await server {
            $0.tokens = ["t": User("proxy")]
            $0.rules = [AccessRule("proxy", resources: ["services"])]
        }
        try server.put(serviceJSON("web"))
        try server.put(Self.serviceCIDR)
        if !isForbidden {
            server.setRules([AccessRule("proxy")])
            server.addFault(FaultRule(.status(500), path: "/apis/networking.k8s.io/v1/servicecidrs"))
        }
        let directory = try TemporaryDirectory()
        let file = SnapshotFile(path: "\(directory.path)/objects", cluster: "one")
        let source = try FollowedSource(server, [.services, .serviceCIDRs], token: "t", snapshot: file) {
            $0.snapshotGrace = .milliseconds(50)
            $0.reflector.longestAbsence = .milliseconds(400)
        }
        await eventually { source.synced == [.service] }
        await eventually { (try? file.read([.services]))?.parts[.service]?.objects.count == 1 }
        #expect(source.log.count("a snapshot of what it said is used") == 0)
        // They come when they may.
        server.removeFaults()
        server.setRules([AccessRule("proxy")])
        await eventually { source.names(.serviceCIDR) == ["kubernetes"] }
        await eventually {
            (try? file.read([.serviceCIDRs]))?.parts[.serviceCIDR]?.objects.count == 1
        }
        await source.stop()
        await server.stop()
    }
}
