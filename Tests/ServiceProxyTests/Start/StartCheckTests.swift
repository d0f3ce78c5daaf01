import NFTables
import NetworkTypes
import TestSupport
import Testing

import class Netlink.NetworkNamespace

@testable import ServiceProxy

/// 2.14, step 5.
@Suite struct StartCheckTests {
    @Test(arguments: [
        ("5.13.0", true), ("5.12.99-generic", false), ("4.19.0-26-amd64", false), ("6.1.0-18-amd64", true),
        ("6.18", true), ("10.0-rc1", true), ("", true), ("nonsense", true),
    ])
    func kernelsThatWillDo(_ release: String, _ isGood: Bool) {
        let version = KernelVersion(release: release)
        #expect((version.map { $0 >= .oldest } ?? true) == isGood)
        if isGood {
            #expect(throws: Never.self) { try StartCheck.check(version, environment: [:]) }
        } else {
            let error = #expect(throws: StartCheck.Failure.self) { try StartCheck.check(version, environment: [:]) }
            #expect(error?.description.contains("5.13 is needed") == true)
            #expect(throws: Never.self) {
                try StartCheck.check(version, environment: [StartCheck.skipVariable: "1"])
            }
        }
    }

    @Test(.enabled(if: isRoot)) func theProbeLeavesNothingBehind() throws {
        let namespace = try NetworkNamespace.makeContainer()
        let socket = try NetfilterSocket(in: namespace)
        let generation = try socket.generation()
        try StartCheck.probe(socket, families: Set(IPFamily.allCases))
        #expect(try namespace.nft("list", "tables") == "")
        #expect(try socket.generation() == generation)
        // The socket is as good as before.
        var creation = Transaction(table: Table(family: .ip, name: "t"))
        creation.addTable(exclusively: true)
        try socket.check(creation)
        try socket.commit(creation)
        let error = #expect(throws: NFTablesError.self) { try socket.check(creation) }
        #expect(error?.description.contains("add table ip t: File exists") == true)
    }

    @Test func theKernelInMemoryChecksToo() throws {
        let kernel = FakeKernel()
        let generation = try kernel.generation()
        try StartCheck.probe(kernel, families: [.ipv4])
        #expect(try kernel.generation() == generation)
        #expect(try kernel.tables(.ip).isEmpty)
    }
}
