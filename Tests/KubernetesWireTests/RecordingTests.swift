import Foundation
import KubernetesAPI
import KubernetesWire
import Testing

/// What a real API server wrote.
@Suite(.enabled(if: Recordings.exist, "there are no recordings beside the package"))
struct RecordingTests {
    private func list(_ kind: ObjectKind, _ name: String, _ encoding: WireEncoding) throws -> ListPage {
        try decodedList(kind, Recordings.body(name), encoding)
    }

    @Test(arguments: [
        (ObjectKind.service, "services"), (.endpointSlice, "endpointslices"), (.endpoints, "endpoints"),
        (.node, "nodes"),
    ])
    func bothEncodingsOfOneList(_ kind: ObjectKind, _ plural: String) throws {
        let protobuf = try list(kind, "60-pb-list-\(plural)", .protobuf)
        let json = try list(kind, "60-json-list-\(plural)", .json)
        #expect(!protobuf.items.isEmpty)
        // The lists were asked for one after the other; only a Node changes by itself in between.
        if kind == .node {
            #expect(protobuf.items.map(\.withoutVersion) == json.items.map(\.withoutVersion))
        } else {
            #expect(protobuf.items == json.items)
        }
        #expect(protobuf.skipped.isEmpty && json.skipped.isEmpty)
        #expect(!protobuf.resourceVersion.isEmpty && protobuf.continueToken.isEmpty)
    }

    @Test func bothEncodingsOfOneObject() throws {
        let protobuf = try decoded(.service, Recordings.body("60-pb-get-service"), .protobuf)
        let json = try decoded(.service, Recordings.body("60-json-get-service"), .json)
        guard case .object(.service(let service)) = protobuf else {
            Issue.record("\(protobuf)")
            return
        }
        #expect(json == protobuf)
        #expect(service.metadata.name == "nodeport" && service.type == .nodePort)
    }

    static let lists: [(ObjectKind, String)] = [
        (.service, "10-list-services"), (.service, "10-list-services-rv0"), (.service, "10-list-services-exact"),
        (.service, "10-list-services-notolder"), (.service, "10-list-services-labelselector"),
        (.service, "10-list-services-proxyname-selector"), (.service, "10-list-empty"),
        (.endpointSlice, "10-list-endpointslices"), (.endpoints, "10-list-endpoints"), (.node, "10-list-nodes"),
        (.serviceCIDR, "10-list-servicecidrs"),
        (.service, "11-page0-services"), (.service, "11-page1-services"), (.service, "11-page2-services"),
        (.service, "70-compacted-but-cached-continue"), (.service, "70-list-with-live-continue"),
    ]

    @Test(arguments: lists)
    func everyItemIsWhatTheReaderOfManifestsSees(_ kind: ObjectKind, _ name: String) throws {
        let page = try list(kind, name, .json)
        #expect(page.skipped.isEmpty)
        let tree = try JSONSerialization.jsonObject(with: Data(try Recordings.body(name))) as? [String: Any]
        let items = try #require(tree?["items"] as? [[String: Any]])
        let expected = try items.map { item in
            var item = item
            item["kind"] = kind.rawValue
            return try decodedByCodable(kind, JSONSerialization.data(withJSONObject: item))
        }
        #expect(page.items == expected)
    }

    @Test(arguments: [("10-list-nodes", WireEncoding.json), ("60-pb-list-nodes", .protobuf)])
    func whatAProxyReadsOfANode(_ name: String, _ encoding: WireEncoding) throws {
        let items = try list(.node, name, encoding).items
        guard case .node(let node)? = items.first(where: { $0.metadata.name == "lab-n1" }) else {
            Issue.record("no Node lab-n1")
            return
        }
        #expect(node.addresses.map(\.description) == ["172.31.0.11", "fd00:31::11"])
        #expect(node.podCIDRs.map(\.description) == ["10.244.0.0/24", "fd00:10:244::/64"])
        #expect(!node.isLeaving)
    }

    @Test func serviceCIDRs() throws {
        let page = try list(.serviceCIDR, "10-list-servicecidrs", .json)
        guard case .serviceCIDR(let first)? = page.items.first else {
            Issue.record("no ServiceCIDR")
            return
        }
        #expect(first.metadata.objectName == ObjectName(namespace: "", name: "kubernetes"))
        #expect(first.cidrs.map(\.description) == ["10.96.0.0/16", "fd00:10:96::/112"])
    }

    @Test func pagesTellWhatFollows() throws {
        let first = try list(.service, "11-page0-services", .json)
        #expect(first.items.count == 4 && !first.continueToken.isEmpty && (first.remainingItemCount ?? 0) > 0)
        let last = try list(.service, "11-page2-services", .json)
        #expect(last.continueToken.isEmpty && last.remainingItemCount == nil)
    }

    @Test(arguments: ["10-list-services-metadataonly", "10-list-services-table", "30-403-nobody", "10-list-pods"])
    func somethingElseThanAListOfServices(_ name: String) throws {
        let error = #expect(throws: WireError.self) { try list(.service, name, .json) }
        #expect(error?.reason == .unexpectedKind)
    }

    static let watches: [(ObjectKind, String, WireEncoding)] = [
        (.service, "20-watch-services-events", .json), (.service, "20-watch-services-no-rv", .json),
        (.service, "20-watch-services-rv0", .json), (.service, "20-watch-services-watchlist", .json),
        (.endpointSlice, "20-watch-endpointslices-watchlist", .json),
        (.endpointSlice, "20-watch-endpointslices-podcycle", .json), (.node, "20-watch-bookmark", .json),
        (.service, "20-watch-old-path", .json), (.service, "20-watch-cut-by-client", .json),
        (.service, "70-compacted-but-cached-watch", .json), (.service, "60-pb-watch-services", .protobuf),
        (.endpointSlice, "60-pb-watchlist-endpointslices", .protobuf),
    ]

    @Test(arguments: watches)
    func everyWatch(_ kind: ObjectKind, _ name: String, _ encoding: WireEncoding) throws {
        let body = try Recordings.body(name)
        let whole = try events(kind, encoding, body)
        #expect(!whole.isEmpty)
        for event in whole {
            switch event {
            case .skipped, .error: Issue.record("\(event)")
            default: break
            }
        }
        for pieces in [1, 3, 7, 100, 4096] {
            #expect(try events(kind, encoding, body, pieces: pieces) == whole)
        }
    }

    @Test(arguments: [
        ("20-watch-services-events", WireEncoding.json), ("60-pb-watch-services", .protobuf),
    ])
    func lifeOfAService(_ name: String, _ encoding: WireEncoding) throws {
        let all = try events(.service, encoding, Recordings.body(name))
        guard case .added(let first) = all.first else {
            Issue.record("\(all)")
            return
        }
        let steps = all.map { event in
            switch event {
            case .added: "added"
            case .modified: "modified"
            case .deleted(let key, let version):
                key == first.key && version > first.metadata.resourceVersion ? "deleted" : "deleted another"
            case .bookmark: "bookmark"
            case .error: "error"
            case .skipped: "skipped"
            }
        }
        #expect(steps.filter { $0 != "bookmark" && $0 != "modified" } == ["added", "deleted"])
        #expect(steps.contains("modified"))
    }

    @Test(arguments: [
        (ObjectKind.service, "20-watch-services-watchlist", WireEncoding.json),
        (.endpointSlice, "60-pb-watchlist-endpointslices", .protobuf),
    ])
    func endOfTheInitialEvents(_ kind: ObjectKind, _ name: String, _ encoding: WireEncoding) throws {
        let all = try events(kind, encoding, Recordings.body(name))
        let ends = all.filter { event in
            if case .bookmark(let version, initialEventsEnd: true) = event { !version.isEmpty } else { false }
        }
        #expect(ends.count == 1)
    }

    @Test(arguments: [
        ("70-410-watch-old-rv", WireEncoding.json), ("70-410-watch-old-rv-pb", .protobuf),
        ("70-410-watch-old-rv-endpointslices", .json),
    ])
    func versionThatIsGone(_ name: String, _ encoding: WireEncoding) throws {
        guard case .error(let status) = try events(.service, encoding, Recordings.body(name)).first else {
            Issue.record("no error")
            return
        }
        #expect(status.code == 410 && status.reason == "Expired" && status.message.hasPrefix("too old"))
    }

    @Test(arguments: [
        ("30-404-object", WireEncoding.json, 404, "NotFound"), ("60-pb-404", .protobuf, 404, "NotFound"),
        ("30-422-invalid", .json, 422, "Invalid"), ("30-429-eviction", .json, 429, "TooManyRequests"),
        ("10-list-services-future-rv", .json, 504, "Timeout"), ("70-410-list-exact", .json, 410, "Expired"),
    ])
    func errors(_ name: String, _ encoding: WireEncoding, _ code: Int, _ reason: String) throws {
        let body = try Recordings.body(name)
        let status = try #require(decodedStatus(body, encoding))
        #expect(status.code == code && status.reason == reason && status.status == "Failure")
        if encoding == .json {
            #expect(try JSONDecoder().decode(Status.self, from: Data(body)) == status)
        }
    }

    @Test func whatIsNoStatus() throws {
        #expect(try decodedStatus(Recordings.body("10-get-service"), .json) == nil)
        #expect(try decodedStatus(Recordings.body("60-pb-get-service"), .protobuf) == nil)
        #expect(try decodedStatus(Recordings.body("30-429-apf"), .json) == nil)
        #expect(try decodedStatus(Recordings.body("30-404-path"), .protobuf) == nil)
    }
}

extension KubernetesObject {
    fileprivate var withoutVersion: KubernetesObject {
        var object = self
        object.metadata.resourceVersion = ""
        return object
    }
}
