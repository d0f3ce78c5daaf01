import JSON
import TestAPIServer

extension ReplayCase {
    static let all: [ReplayCase] = versions + lists + pages + watches + refusals + writes + customResources + encodings

    /// The recordings that are not replayed, and why.
    static let notReplayed: [String: String] = [
        "10-list-configmaps-gzip": "responses are not compressed",
        "20-watch-endpointslices-podcycle": "needs a kubelet and controllers; the form of events is in other watches",
        "20-watch-pods-podcycle": "needs a kubelet",
        "20-watch-bookmark": "needs a kubelet; bookmarks of Nodes have a test of their own",
        "30-429-eviction": "no evictions",
        "40-apply-conflict": "server-side apply keeps no book of owners",
        "40-delete-pod-graceful": "Pods are deleted at once, as no kubelet would finish the deletion",
        "40-selfsubjectaccessreview": "no access reviews",
        "40-tokenrequest": "tokens come from tests",
        "50-cr-invalid": "schemas of custom resources are not checked",
        "60-pb-list-networkpolicies": "no protobuf form of NetworkPolicies here",
        "70-compacted-but-cached-continue": "compaction is immediate here, without a cache of old versions",
        "70-compacted-but-cached-watch": "compaction is immediate here, without a cache of old versions",
        "80-starting": "there is no start-up to watch; a fault rule answers 500",
    ]

    private static let nobody = User("nobody", groups: ["system:authenticated"])

    private static let versions: [ReplayCase] = [
        ReplayCase("00-version"),
        ReplayCase("00-version-anonymous", user: .anonymous),
        ReplayCase("00-readyz", .bytes),
        ReplayCase("00-readyz-verbose", .head),
        ReplayCase("01-api"),
        ReplayCase("01-apis", .json(.discovery)),
        ReplayCase("10-apis-gzip-asked", .json(.discovery)),
        ReplayCase("01-apis-aggregated", .json(.aggregatedDiscovery)),
        ReplayCase("01-apis-discovery-v1", .json(.discovery)),
        ReplayCase("01-api-v1", .json(.discovery)),
    ]

    private static let lists: [ReplayCase] =
        [
            "services", "endpointslices", "endpoints", "nodes", "networkpolicies", "namespaces", "pods", "servicecidrs",
            "ipaddresses", "leases", "customresourcedefinitions", "services-rv0", "services-exact",
            "services-notolder", "services-future-rv", "services-bad-rv", "services-labelselector",
            "services-proxyname-selector", "services-metadataonly", "empty",
        ].map { ReplayCase("10-list-\($0)") } + [
            ReplayCase("10-list-services-table", .json(.table)),
            // The Pods had moved on since the list of all of them.
            ReplayCase(
                "10-list-pods-fieldselector",
                setUp: {
                    let list = try Recordings.body("10-list-pods-fieldselector")
                    try $0.restore(list: String(decoding: list, as: UTF8.self))
                }
            ),
            ReplayCase("10-get-service"),
            ReplayCase("10-get-node"),
        ]

    private static let pages: [ReplayCase] =
        [
            "11-page1-services", "11-page2-services", "11-page-bad-continue",
            "70-list-with-live-continue",
        ].map { ReplayCase($0) }
        + [
            ReplayCase("11-page0-services", setUp: { $0.advance(to: 466) }),
            ReplayCase("70-410-continue-expired", setUp: { $0.expireAll() }),
            ReplayCase("70-410-list-exact", setUp: { $0.expireAll() }),
        ]

    private static let watches: [ReplayCase] = [
        ReplayCase("20-watch-services-events", .watch(.write), meanwhile: { try await $0.cycleService() }),
        ReplayCase("20-watch-services-no-rv", .watch(.read)),
        ReplayCase("20-watch-services-rv0", .watch(.read)),
        ReplayCase("20-watch-services-watchlist", .watch(.write), meanwhile: { try await $0.cycleService() }),
        ReplayCase("20-watch-endpointslices-watchlist", .watch(.read)),
        ReplayCase("20-watch-watchlist-invalid"),
        ReplayCase("20-watch-timeout3", .watch(.read)),
        ReplayCase("20-watch-old-path", .watch(.read)),
        ReplayCase("20-watch-future-rv", .watch(.read)),
        ReplayCase("20-watch-http10", .watch(.read)),
        ReplayCase("20-watch-cut-by-client", .watch(.read), meanwhile: { await $0.endConnections(.close) }),
        ReplayCase(
            "80-watch-over-restart",
            .watch(.read),
            meanwhile: {
                await $0.suspend(.close)
                try await $0.resume()
            }
        ),
        ReplayCase("70-410-watch-old-rv", .watch(.read), setUp: { $0.expireAll() }),
        ReplayCase("70-410-watch-http", .watch(.read), setUp: { $0.expireAll() }),
        ReplayCase("70-410-watch-old-rv-endpointslices", .watch(.read), setUp: { $0.expireAll() }),
    ]

    private static let refusals: [ReplayCase] =
        [
            "30-401-bad-token", "30-404-object", "30-404-resource", "30-405", "30-406", "30-415", "30-400-bad-json",
            "30-400-unknown-kind", "30-400-strict-unknown-field", "30-409-exists", "30-409-uid-precondition",
            "30-422-invalid", "30-422-clusterip-taken", "30-422-nodeport-taken", "30-422-immutable", "60-cbor-list",
        ].map { ReplayCase($0) } + [
            ReplayCase("30-403-anonymous", user: .anonymous),
            ReplayCase("30-403-nobody", user: nobody),
            ReplayCase("30-403-watch-nobody", user: nobody),
            ReplayCase("30-403-update-nobody", user: nobody),
            ReplayCase("30-404-path", .bytes),
            ReplayCase("30-201-warn-unknown-field", .json(.write)),
            ReplayCase("30-409-stale-rv", setUp: { try await $0.touchService("page1") }),
            ReplayCase(
                "30-429-apf",
                .bytes,
                setUp: { $0.addFault(FaultRule(.tooManyRequests(), path: "/api/v1/services")) }
            ),
        ]

    private static let writes: [ReplayCase] = [
        ReplayCase("40-create-service", .json(.write)),
        ReplayCase("40-update-service", .json(.write), setUp: { try $0.restore(recorded: "40-create-service") }),
        ReplayCase("40-update-service-status", .json(.write)),
        ReplayCase("40-patch-pod-status", .json(.write)),
        ReplayCase("40-patch-node-status", .json(.node)),
        ReplayCase(
            "40-patch-node-annotation",
            .json(.node),
            setUp: { try $0.restore(recorded: "40-patch-node-status") }
        ),
        ReplayCase("40-patch-json", .json(.write), setUp: { try $0.restore(recorded: "40-update-service") }),
        ReplayCase("40-patch-json-test-fails", setUp: { try $0.restore(recorded: "40-patch-json") }),
        ReplayCase("40-apply", .json(.write)),
        ReplayCase("40-apply-force", .json(.write), setUp: { try $0.restore(recorded: "40-apply") }),
        ReplayCase("40-delete-service", .json(.write), setUp: { try $0.restore(recorded: "40-patch-json") }),
        ReplayCase(
            "40-delete-with-finalizer",
            .json(.write),
            setUp: {
                try $0.restore(recorded: "40-delete-with-finalizer") { object in
                    guard case .object(var metadata) = object["metadata"] else { return }
                    metadata["deletionTimestamp"] = nil
                    metadata["deletionGracePeriodSeconds"] = nil
                    object["metadata"] = .object(metadata)
                }
            }
        ),
        // The fields of the older events API are not filled in.
        ReplayCase(
            "40-create-event",
            .json(.ignoring("deprecatedSource", "deprecatedFirstTimestamp", "deprecatedLastTimestamp"))
        ),
        ReplayCase("40-create-endpointslice", .json(.write)),
        ReplayCase("40-lease-create", .json(.write)),
        ReplayCase("40-lease-renew", .json(.write), setUp: { try $0.restore(recorded: "40-lease-create") }),
        ReplayCase("40-lease-conflict", setUp: { try $0.restore(recorded: "40-lease-renew") }),
    ]

    private static let customResources: [ReplayCase] = [
        ReplayCase("50-crd-create", .json(.ignoring("status", "conversion"))),
        ReplayCase("50-crd-get", .json(.ignoring("conversion")), setUp: { try await $0.definePools() }),
        ReplayCase("50-cr-list-too-early", .bytes),
        ReplayCase("50-cr-list-empty", setUp: { try await $0.definePools() }),
        // Schemas are not applied, so the size has no default.
        ReplayCase("50-cr-create", .json(.ignoring("size")), setUp: { try await $0.definePools() }),
        ReplayCase("50-cr-update", .json(.write), setUp: { try await $0.restorePool("50-cr-create") }),
        ReplayCase("50-cr-conflict", setUp: { try await $0.restorePool("50-cr-update") }),
        ReplayCase("50-cr-status-update", .json(.write), setUp: { try await $0.restorePool("50-cr-update") }),
        ReplayCase("50-cr-patch", .json(.write), setUp: { try await $0.restorePool("50-cr-status-update") }),
        ReplayCase("50-cr-strategic-415", setUp: { try await $0.restorePool("50-cr-patch") }),
        ReplayCase(
            "50-cr-watch",
            .watch(.write),
            setUp: { try await $0.restorePool("50-cr-create") },
            meanwhile: { try await $0.cyclePool() }
        ),
        ReplayCase("50-cr-watchlist", .watch(.read), setUp: { try await $0.restorePool("50-cr-patch") }),
        ReplayCase("50-cr-protobuf", .protobuf(), setUp: { try await $0.definePools() }),
        ReplayCase("50-cr-protobuf-or-json", setUp: { try await $0.restorePool("50-cr-patch") }),
        ReplayCase("50-cr-delete", setUp: { try await $0.restorePool("50-cr-patch") }),
        ReplayCase(
            "50-cr-watch-crd-deleted",
            .watch(.read),
            setUp: { try await $0.definePools() },
            meanwhile: {
                let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/pools.lab.example"
                _ = try await $0.exchange("DELETE", path)
            }
        ),
    ]

    private static let encodings: [ReplayCase] =
        ["services", "endpointslices", "endpoints", "nodes", "networkpolicies", "pods"].map { kind in
            ReplayCase("60-json-list-\(kind)", setUp: { try $0.replace("60-json-list-\(kind)") })
        }
        + [("services", false), ("endpointslices", false), ("endpoints", false), ("nodes", true), ("pods", true)].map {
            (kind, isSubset) in
            ReplayCase(
                "60-pb-list-\(kind)",
                .protobuf(isSubset: isSubset),
                setUp: { try $0.replace("60-json-list-\(kind)") }
            )
        } + [
            ReplayCase("60-json-get-service", setUp: { try $0.replace("60-json-list-services") }),
            ReplayCase("60-pb-get-service", .protobuf(), setUp: { try $0.replace("60-json-list-services") }),
            ReplayCase("60-pb-404", .bytes),
            ReplayCase(
                "60-pb-watch-services",
                .protobufWatch,
                setUp: { try $0.replace("60-json-list-services") },
                meanwhile: { try await $0.cycleService() }
            ),
            ReplayCase(
                "60-pb-watchlist-endpointslices",
                .protobufWatch,
                setUp: { try $0.replace("60-json-list-endpointslices") }
            ),
            ReplayCase("70-410-watch-old-rv-pb", .protobufWatch, setUp: { $0.expireAll() }),
        ]
}

extension JSONDifference {
    /// Columns are not described, and ages pass.
    fileprivate static var table: JSONDifference {
        var difference = JSONDifference()
        difference.ignored = ["description"]
        return difference
    }

    /// What a kubelet writes at any time.
    fileprivate static var node: JSONDifference {
        var difference = write
        difference.volatile.insert("lastHeartbeatTime")
        return difference
    }
}

extension TestAPIServer {
    /// Brings the server to where the versions of the recordings are too old.
    fileprivate func expireAll() {
        advance(to: 753)
        compact()
    }

    fileprivate func touchService(_ name: String) async throws {
        _ = try await exchange(
            "PATCH",
            "/api/v1/namespaces/rec/services/\(name)",
            #"{"metadata":{"annotations":{"x":"1"}}}"#,
            contentType: "application/merge-patch+json"
        )
    }

    fileprivate func restorePool(_ name: String) async throws {
        try await definePools()
        try restore(recorded: name)
    }

    /// Puts a later list in the place of what the first lists had.
    fileprivate func replace(_ list: String) throws {
        let value = try JSONValue(try Recordings.body(list))
        let kind = value["kind"]?.string?.dropLast(4) ?? ""
        let type = ResourceType.builtIn.first { $0.kind == kind && $0.apiVersion == value["apiVersion"]?.string }
        guard let type else { throw Connection.Failure(description: "no resource of \(list)") }
        for namespace in ["default", "rec", "kube-system", "kube-public", "kube-node-lease", ""] {
            for name in names(type, namespace: namespace) { delete(type, namespace: namespace, name: name) }
        }
        try restore(list: value.text())
    }

    private func names(_ type: ResourceType, namespace: String) -> [String] {
        let first = "10-list-\(type.plural)"
        let items = (try? JSONValue(try Recordings.body(first)))?["items"]?.elements ?? []
        return items.filter { ($0["metadata.namespace"]?.string ?? "") == namespace }
            .compactMap { $0["metadata.name"]?.string }
    }

    /// The life of the pool `a` as it was recorded.
    fileprivate func cyclePool() async throws {
        let pool = "/apis/lab.example/v1/pools/a"
        let merge = "application/merge-patch+json"
        let size = try await exchange("PATCH", pool, #"{"spec":{"size":25}}"#, contentType: merge)
        let status = try await exchange("PATCH", "\(pool)/status", #"{"status":{"used":3}}"#, contentType: merge)
        let again = try await exchange("PATCH", pool, #"{"spec":{"size":27}}"#, contentType: merge)
        let other = try await exchange(
            "POST",
            "/apis/lab.example/v1/pools",
            #"{"apiVersion":"lab.example/v1","kind":"Pool","metadata":{"name":"w"},"spec":{"cidr":"10.8.0.0/16","size":24}}"#
        )
        let gone = try await exchange("DELETE", "/apis/lab.example/v1/pools/w")
        guard [size, status, again, gone].allSatisfy({ $0.status == 200 }), other.status == 201 else {
            throw Connection.Failure(description: "the pool cannot be changed")
        }
    }
}
