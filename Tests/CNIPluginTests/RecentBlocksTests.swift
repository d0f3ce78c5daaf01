import Foundation
import NetworkTypes
import TestSupport
import Testing

@testable import CNIPlugin

struct RecentBlocksTests {
    private func blocks(_ texts: String...) throws -> [CIDR] { try texts.map { try #require(CIDR($0)) } }

    @Test func whatIsNotedIsLoadedByNetwork() throws {
        let directory = try TemporaryDirectory()
        let one = RecentBlocks(dataDirectory: directory.path + "/data", network: "one")
        #expect(one.load().isEmpty)
        let noted = try blocks("10.80.0.64/26", "fd80::40/122")
        one.note(noted, replacing: [])
        #expect(one.load() == noted)
        #expect(RecentBlocks(dataDirectory: directory.path + "/data", network: "two").load().isEmpty)
        one.note([], replacing: noted)
        #expect(one.load().isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path + "/data/recent-blocks") == ["one"])
    }

    @Test func whatIsWrongIsPassedOver() throws {
        let directory = try TemporaryDirectory()
        let recent = RecentBlocks(dataDirectory: directory.path, network: "net")
        try FileManager.default.createDirectory(
            atPath: directory.path + "/recent-blocks",
            withIntermediateDirectories: false
        )
        let file = URL(filePath: directory.path + "/recent-blocks/net")
        try Data("10.80.0.0/26\nnonsense\n10.80.0.300/26\n".utf8).write(to: file)
        #expect(try recent.load() == blocks("10.80.0.0/26"))
        try Data(repeating: 0xff, count: 100_000).write(to: file)
        #expect(recent.load().isEmpty)
        // It has many blocks to look at; the first of them have to do.
        try FileManager.default.removeItem(at: file)
        let many = try (0..<20).map { try #require(CIDR("10.80.\($0).0/26")) }
        recent.note(many, replacing: [])
        #expect(recent.load() == Array(many.prefix(8)))
        try FileManager.default.removeItem(at: file)
        try FileManager.default.createDirectory(at: file, withIntermediateDirectories: false)
        recent.note(many, replacing: [])
        #expect(recent.load().isEmpty)
    }
}
