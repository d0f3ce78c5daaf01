import ClusterClient
import FoundationEssentials
import JSON
import NetworkTypes
import Testing

@testable import KubernetesStore

@Suite struct ObjectCodingTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let key: RecordKey
        /// As in etcd.
        let record: String
        /// The object's spec in version 1.
        let spec: String

        var testDescription: String { key.description }
    }

    static let cases: [Case] = [
        Case(
            key: .block(CIDR("10.65.79.0/30")!),
            record: #"{"cidr":"10.65.79.0/30","affinity":"host:worker-1","affinity_claim_time":"2026-11-20T08:14:03Z","#
                + #""allocations":[0,null,1,null],"unallocated":[1,3],"#
                + #""attributes":[{"handle_id":"net.0","secondary":{"node":"worker-1"}},"#
                + #"{"handle_id":null,"secondary":null,"releasedAt":"2026-11-20T08:14:04Z"}],"#
                + #""sequenceNumber":1795076043123456789,"sequenceNumberForAllocation":{"0":12},"deleted":false}"#,
            spec: #"{"cidr":"10.65.79.0/30","affinity":"host:worker-1","affinityClaimTime":"2026-11-20T08:14:03Z","#
                + #""allocations":[0,null,1,null],"unallocated":[1,3],"#
                + #""attributes":[{"handle_id":"net.0","secondary":{"node":"worker-1"}},"#
                + #"{"releasedAt":"2026-11-20T08:14:04Z"}],"#
                + #""sequenceNumber":1795076043123456789,"sequenceNumberForAllocation":{"0":12},"deleted":false,"#
                + #""strictAffinity":false}"#
        ),
        Case(
            key: .block(CIDR("fd00::/127")!),
            record: #"{"cidr":"fd00::/127","affinity":null,"affinity_claim_time":null,"allocations":[null,null],"#
                + #""unallocated":[0,1],"attributes":[],"sequenceNumber":1,"sequenceNumberForAllocation":{},"#
                + #""deleted":false}"#,
            spec: #"{"cidr":"fd00::/127","allocations":[null,null],"unallocated":[0,1],"attributes":[],"#
                + #""sequenceNumber":1,"sequenceNumberForAllocation":{},"deleted":false,"strictAffinity":false}"#
        ),
        Case(
            key: .blockAffinity(.host("worker-1"), CIDR("10.65.79.0/26")!),
            record: #"{"state":"pending","deleted":false}"#,
            spec: #"{"state":"pending","deleted":"false","node":"worker-1","type":"host","cidr":"10.65.79.0/26"}"#
        ),
        Case(
            key: .blockAffinity(.virtual("load-balancer"), CIDR("fd00::/122")!),
            record: #"{"state":"confirmed","deleted":false}"#,
            spec:
                #"{"state":"confirmed","deleted":"false","node":"load-balancer","type":"virtual","cidr":"fd00::/122"}"#
        ),
        Case(
            key: .handle("Net.ABC"),
            record: #"{"block":{"10.65.79.0/26":1},"deleted":false}"#,
            spec: #"{"block":{"10.65.79.0/26":1},"deleted":false,"handleID":"Net.ABC"}"#
        ),
        Case(
            key: .ipamConfiguration,
            record: #"{"strict_affinity":true,"auto_allocate_blocks":false,"maxBlocksPerHost":7,"newThing":[1]}"#,
            spec: #"{"strictAffinity":true,"autoAllocateBlocks":false,"maxBlocksPerHost":7,"newThing":[1]}"#
        ),
        Case(
            key: .resource(.ipPools, name: "default"),
            record: #"{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{"name":"default","#
                + #""uid":"0a","creationTimestamp":"2026-11-20T08:14:03Z","labels":{"a":"b"}},"#
                + #""spec":{"cidr":"10.80.0.0/16","blockSize":26,"newer":true}}"#,
            spec: #"{"cidr":"10.80.0.0/16","blockSize":26,"newer":true}"#
        ),
        Case(
            key: .resource(.ipReservations, name: "r"),
            record: #"{"apiVersion":"projectcalico.org/v3","kind":"IPReservation","metadata":{"name":"r","uid":"1"},"#
                + #""spec":{"reservedCIDRs":["10.80.0.0/30"]}}"#,
            spec: #"{"reservedCIDRs":["10.80.0.0/30"]}"#
        ),
        Case(
            key: .resource(.clusterInformations, name: "default"),
            record: #"{"apiVersion":"projectcalico.org/v3","kind":"ClusterInformation","#
                + #""metadata":{"name":"default","uid":"1"},"spec":{"clusterGUID":"77","datastoreReady":true}}"#,
            spec: #"{"clusterGUID":"77","datastoreReady":true}"#
        ),
    ]

    @Test(arguments: cases)
    func recordsBecomeObjectsAndComeBack(_ c: Case) throws {
        let kind = try #require(CalicoKind(c.key))
        let draft = try ObjectDraft(kind, .customResources, c.key, Data(c.record.utf8))
        let object = draft.object(named: c.key.objectNames[0])
        #expect(JSONValue.object(object.object("spec")).text() == c.spec)
        #expect(object.string("apiVersion") == "crd.projectcalico.org/v1")
        let stored = try asServed(object)
        #expect(try stored.key(kind) == c.key)
        #expect(JSONValue.object(stored.record(kind, .customResources)).text() == c.record)
    }

    @Test(arguments: cases)
    func theNewerFormKeepsThemToo(_ c: Case) throws {
        let kind = try #require(CalicoKind(c.key))
        let draft = try ObjectDraft(kind, .native, c.key, Data(c.record.utf8))
        let object = draft.object(named: c.key.objectNames[0])
        #expect(object.string("apiVersion") == "projectcalico.org/v3")
        #expect(object.object("metadata").object("annotations").isEmpty)
        let stored = try asServed(object)
        #expect(try stored.key(kind) == c.key)
        guard case .resource = c.key else {
            #expect(JSONValue.object(stored.record(kind, .native)).text() == c.record)
            return
        }
        #expect(
            stored.record(kind, .native).object("spec").members.map(\.key)
                == draft.value.object("spec").members.map(\.key)
        )
    }

    @Test func whatNoRecordKnowsSurvivesAnUpdate() throws {
        let stored = try CustomObject(
            parsing: Array(
                #"""
                {"apiVersion": "crd.projectcalico.org/v1", "kind": "IPAMBlock",
                 "metadata": {"name": "10-65-79-0-31", "uid": "u", "resourceVersion": "7", "labels": {"team": "red"},
                              "finalizers": ["example.org/f"], "managedFields": [{"manager": "x"}]},
                 "spec": {"cidr": "10.65.79.0/31", "affinity": "host:a", "allocations": [null, null], "attributes": [],
                          "unallocated": [0, 1], "strictAffinity": true, "futureField": {"x": [1.50]}}}
                """#.utf8
            ).span
        )
        let record = #"{"cidr":"10.65.79.0/31","affinity":null,"allocations":[null,null],"unallocated":[1,0]}"#
        let draft = try ObjectDraft(.block, .customResources, .block(CIDR("10.65.79.0/31")!), Data(record.utf8))
        let updated = draft.object(named: "10-65-79-0-31", over: stored)
        #expect(updated.object("spec")["futureField"] == ["x": [.number("1.50")]])
        #expect(updated.object("spec")["strictAffinity"] == true)
        #expect(updated.object("spec")["affinity"] == nil)
        #expect(updated.object("metadata")["labels"] == ["team": "red"])
        #expect(updated.object("metadata")["finalizers"] == ["example.org/f"])
        #expect(updated.object("metadata")["resourceVersion"] == "7")
        #expect(updated.object("metadata")["managedFields"] == nil)
        // Who reads the record sees it as well.
        #expect(stored.record(.block, .customResources)["futureField"] == ["x": [.number("1.50")]])
    }

    // K1
    @Test func labelsAreWrittenBesideThoseOfOthers() throws {
        let key = RecordKey.blockAffinity(.host("worker-1"), CIDR("10.65.79.0/26")!)
        let old = try asServed(
            JSONObject([
                ("metadata", ["name": "worker-1-10-65-79-0-26", "labels": ["mine": "1"]]),
                ("spec", ["state": "confirmed", "deleted": "false"]),
            ])
        )
        let draft = try ObjectDraft(.affinity, .customResources, key, Data(#"{"state":"pending"}"#.utf8))
        let labels = draft.object(named: key.objectNames[0], over: old).object("metadata").object("labels")
        #expect(labels.string("mine") == "1")
        #expect(labels.string("projectcalico.org/affinity-type") == "host")
        #expect(labels.string("projectcalico.org/ip-version") == "4")
        #expect(labels.string("projectcalico.org/hostname-hash")?.hasPrefix("CPU5J3") == true)
    }

    // K2
    @Test(arguments: [
        (#"{"deleted":"true"}"#, true), (#"{"deleted":"false"}"#, false), (#"{"deleted":true}"#, true),
        (#"{"deleted":false}"#, false), (#"{"deleted":null}"#, false), ("{}", false),
    ])
    func deletionIsMarkedAsTextOrAsABoolean(_ spec: String, _ isDeleted: Bool) throws {
        let spec = try JSONValue(parsing: Array(spec.utf8).span)
        let object = try asServed(JSONObject([("metadata", ["name": "x"]), ("spec", spec)]))
        #expect(object.isSoftlyDeleted == isDeleted)
        #expect(object.markedDeleted(.affinity, .customResources).object("spec")["deleted"] == "true")
        #expect(object.markedDeleted(.affinity, .native).object("spec")["deleted"] == true)
        #expect(object.markedDeleted(.block, .customResources).object("spec")["deleted"] == true)
    }

    @Test(arguments: ["[]", "1", "{", #"{"a":}"#])
    func whatIsNoObjectIsRefused(_ record: String) {
        #expect(throws: MalformedObject.self) {
            try ObjectDraft(.handle, .customResources, .handle("a"), Data(record.utf8))
        }
    }

    @Test func aPoolWrittenWithKubectlHasItsOwnMetadata() throws {
        let stored = try CustomObject(
            parsing: Array(
                #"""
                {"metadata": {"name": "p", "uid": "u", "resourceVersion": "7", "generation": 2,
                              "annotations": {"note": "x"}, "deletionTimestamp": "2026-11-20T08:14:03Z"},
                 "spec": {"cidr": "10.0.0.0/8"}, "status": {"conditions": []}}
                """#.utf8
            ).span
        )
        let record = stored.record(.ipPool, .customResources)
        #expect(
            JSONValue.object(record.object("metadata")).text()
                == #"{"name":"p","uid":"u","generation":2,"annotations":{"note":"x"},"#
                + #""deletionTimestamp":"2026-11-20T08:14:03Z"}"#
        )
        #expect(record["status"] == ["conditions": []])
    }

    /// The object as a server returns it.
    private func asServed(_ object: JSONObject) throws -> CustomObject {
        var object = object
        var metadata = object.object("metadata")
        metadata["uid"] = metadata["uid"] ?? "served"
        metadata["resourceVersion"] = metadata["resourceVersion"] ?? "1"
        object["metadata"] = .object(metadata)
        return try CustomObject(.object(object))
    }
}
