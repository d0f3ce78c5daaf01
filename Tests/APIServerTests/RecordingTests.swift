import JSON
import TestAPIServer
import Testing

/// The test server answers as the server that was recorded: same status, same headers that matter, same body.
@Suite(
    .enabled(
        if: Recordings.areThere,
        "there are no recordings of a real kube-apiserver in ../shared/recordings beside the checkout"
    )
)
struct RecordingTests {
    @Test func everyRecordingIsReplayedOrExcused() throws {
        let replayed = ReplayCase.all.map(\.name)
        #expect(Set(replayed).count == replayed.count)
        #expect(Set(replayed).isDisjoint(with: ReplayCase.notReplayed.keys))
        #expect(try Recordings.names() == Set(replayed).union(ReplayCase.notReplayed.keys))
    }

    @Test(arguments: ReplayCase.all)
    func replay(_ replay: ReplayCase) async throws {
        let recorded = try Recordings.exchange(replay.name)
        let server = try await replay.server()
        let request = String(decoding: recorded.request, as: UTF8.self)
        if let version = Self.resourceVersion(of: request) { server.advance(to: version) }

        let connection = try Connection(server.port)
        try connection.send(Self.hurried(request))
        async let receiving = connection.receive { Self.isWhole($0) }
        if let meanwhile = replay.meanwhile {
            #expect(try await eventually { server.metrics.watches == 1 })
            try await meanwhile(server)
        }
        let served = try #require(HTTPResponse(await receiving.0))
        compareHeads(recorded, served, replay)
        try compareBodies(recorded, served, replay.comparison)
        await server.stop()
    }

    private func compareHeads(_ recorded: Exchange, _ served: HTTPResponse, _ replay: ReplayCase) {
        #expect(served.status == recorded.response.status)
        for header in [
            "content-type", "retry-after", "warning", "x-content-type-options", "cache-control", "connection",
        ] {
            #expect(served.headers[header] == recorded.response.headers[header], "\(header)")
        }
        for header in ["audit-id", "date", "x-kubernetes-pf-flowschema-uid"] {
            #expect((served.headers[header] == nil) == (recorded.response.headers[header] == nil), "\(header)")
        }
        if case .watch = replay.comparison {
            #expect(served.headers["transfer-encoding"] == recorded.response.headers["transfer-encoding"])
            #expect(served.isComplete == recorded.response.isComplete, "last chunk")
        }
    }

    private func compareBodies(
        _ recorded: Exchange,
        _ served: HTTPResponse,
        _ comparison: ReplayCase.Comparison
    ) throws {
        switch comparison {
        case .head: #expect(!served.body.isEmpty)
        case .bytes: #expect(served.text == String(decoding: recorded.body, as: UTF8.self))
        case .json(let difference):
            let paths = try difference.paths(Self.settled(recorded.body), Self.settled(served.body))
            #expect(paths == [])
        case .watch(let difference):
            let events = try Self.events(recorded.body)
            let own = try Self.events(served.body)
            // How often bookmarks come is up to the server; that they come, and of what form, is not.
            let (bookmark, ownBookmark) = (events.first(where: Self.isBookmark), own.first(where: Self.isBookmark))
            if let bookmark {
                let paths = difference.paths(bookmark, try #require(ownBookmark))
                #expect(paths == [])
            }
            let (others, ownOthers) = (events.filter { !Self.isBookmark($0) }, own.filter { !Self.isBookmark($0) })
            #expect(ownOthers.map { $0["type"] } == others.map { $0["type"] })
            for (event, own) in zip(others, ownOthers) {
                let paths = difference.paths(event, own)
                #expect(paths == [])
            }
        case .protobuf(let isSubset):
            let theirs = try #require(ProtobufFields.object(recorded.body))
            let own = try #require(ProtobufFields.object(served.body))
            #expect(own.apiVersion == theirs.apiVersion)
            #expect(own.kind == theirs.kind)
            // Lists and objects have their metadata in field 1, of which the version of a list is the server's own.
            for number in Set(theirs.message.fields.keys).union(own.message.fields.keys) where number != 1 {
                let their = theirs.message.messages(number)
                let mine = own.message.messages(number)
                #expect(mine.count == their.count, "field \(number)")
                for (mine, their) in zip(mine, their) {
                    #expect(mine.difference(their, isSubset: isSubset) == nil, "field \(number)")
                }
            }
        case .protobufWatch:
            let theirs = try #require(ProtobufFields.watchEvents(recorded.body))
            let own = try #require(ProtobufFields.watchEvents(served.body))
            #expect(own.map(\.type).withoutRepeatedBookmarks == theirs.map(\.type).withoutRepeatedBookmarks)
            for event in own {
                let object = try #require(ProtobufFields.object(event.object))
                let their = try #require(
                    theirs.first { $0.type == event.type }.flatMap { ProtobufFields.object($0.object) }
                )
                #expect(object.kind == their.kind)
                #expect(Set(object.message.fields.keys).isSubset(of: their.message.fields.keys))
            }
        }
    }

    /// What differs for reasons of time: ages in tables, and the cluster's revision in messages.
    private static func settled(_ body: [UInt8]) throws -> JSONValue {
        var text = String(decoding: body, as: UTF8.self)
        text.replace(/"\d+[smhd]","app/, with: "\"0s\",\"app")
        text.replace(/"\d+[smhd]","\\u003cnone\\u003e"/, with: "\"0s\",\"<none>\"")
        text.replace(/"\d+[smhd]","<none>"/, with: "\"0s\",\"<none>\"")
        text.replace(/current: \d+/, with: "current: 0")
        text.replace(/"\d+[smhd]"/, with: "\"0s\"")
        return try JSONValue(text)
    }

    private static func events(_ body: [UInt8]) throws -> [JSONValue] {
        try body.split(separator: UInt8(ascii: "\n")).map { try JSONValue(Array($0)) }
    }

    /// Whether an event is a bookmark, but not the one that ends a streaming list.
    private static func isBookmark(_ event: JSONValue) -> Bool {
        event["type"] == "BOOKMARK" && event["object.metadata.annotations"] == nil
    }

    /// The version that a request takes for granted, so that the server has to have come that far.
    private static func resourceVersion(of request: String) -> UInt64? {
        if let match = request.firstMatch(of: /resourceVersion=(\d{3,4})\b/) { return UInt64(match.1) }
        if request.contains("continue=eyJ2") { return 466 }
        return nil
    }

    /// Short watches do as well as long ones; one with bookmarks waits for the last of them.
    private static func hurried(_ request: String) -> String {
        let seconds = request.contains("allowWatchBookmarks") ? 2 : 1
        return request.replacing(/timeoutSeconds=\d+/, with: "timeoutSeconds=\(seconds)")
    }

    private static func isWhole(_ bytes: [UInt8]) -> Bool {
        guard let response = HTTPResponse(bytes) else { return false }
        let hasEnd = response.headers["content-length"] != nil || response.headers["transfer-encoding"] != nil
        return hasEnd && response.isComplete
    }
}

extension [String] {
    fileprivate var withoutRepeatedBookmarks: [String] {
        reduce(into: []) { types, type in
            if type != "BOOKMARK" || types.last != type { types.append(type) }
        }
    }
}
