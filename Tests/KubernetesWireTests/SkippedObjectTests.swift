import Foundation
import KubernetesAPI
import KubernetesWire
import Testing

/// Objects that cannot be used, and what is known of them nevertheless.
@Suite struct SkippedObjectTests {
    struct Fault: Sendable {
        let kind: ObjectKind
        let reason: String
        let json: String

        init(_ kind: ObjectKind, _ reason: String, _ json: String) {
            (self.kind, self.reason, self.json) = (kind, reason, json)
        }
    }

    /// All are in the namespace `shop`, are called `web` and have the version 7.
    static let faults = [
        Fault(.service, "spec: is missing", ""),
        Fault(.service, "spec: expected an object, found a list", #""spec":[]"#),
        Fault(.service, "spec.ports: expected a list, found an object", #""spec":{"ports":{}}"#),
        Fault(
            .service,
            "spec.ports[1].port: expected a whole number, found a string",
            #""spec":{"ports":[{"port":1,"name":"a"},{"port":"80"}]}"#
        ),
        Fault(
            .service,
            "spec.ports[0].port: 80000 is not a port number from 1 to 65535",
            #""spec":{"ports":[{"port":80000}]}"#
        ),
        Fault(
            .service,
            "spec.ports[0].port: number out of range",
            #""spec":{"ports":[{"port":8000000000000,"name":"a"}]}"#
        ),
        Fault(.service, "spec.ports[0].port: 0 is not a port number from 1 to 65535", #""spec":{"ports":[{}]}"#),
        Fault(
            .service,
            #"spec.ports[0].protocol: "tcp" is not a protocol: expected TCP, UDP or SCTP"#,
            #""spec":{"ports":[{"port":80,"protocol":"tcp"}]}"#
        ),
        Fault(
            .service,
            "spec.ports[0].name: is missing; each of several ports needs a name",
            #""spec":{"ports":[{"port":80},{"port":81,"name":"a"}]}"#
        ),
        Fault(.service, #"spec.clusterIPs[0]: "10.0.0" is not an IP address"#, #""spec":{"clusterIPs":["10.0.0"]}"#),
        Fault(
            .service,
            "spec.clusterIPs: more than one IPv4 address",
            #""spec":{"clusterIPs":["10.0.0.1","10.0.0.2"]}"#
        ),
        Fault(
            .service,
            "spec.sessionAffinityConfig.clientIP.timeoutSeconds: 0 is not a number of seconds from 1 to 86400",
            #""spec":{"sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":0}}}"#
        ),
        Fault(
            .service,
            #"status.loadBalancer.ingress[0].ip: "x" is not an IP address"#,
            #""spec":{},"status":{"loadBalancer":{"ingress":[{"ip":"x"}]}}"#
        ),
        Fault(.endpointSlice, "addressType: is missing", #""endpoints":[]"#),
        Fault(
            .endpointSlice,
            "endpoints[0].addresses[0]: 10.0.0.1 is not an IPv6 address, as addressType promises",
            #""addressType":"IPv6","endpoints":[{"addresses":["10.0.0.1"]}]"#
        ),
        Fault(
            .endpointSlice,
            "endpoints[1].conditions.ready: expected true or false, found a string",
            #""addressType":"IPv4","endpoints":[{},{"addresses":["10.0.0.2"],"conditions":{"ready":"yes"}}]"#
        ),
        Fault(.endpoints, "subsets[0].addresses[0].ip: is missing", #""subsets":[{"addresses":[{}]}]"#),
        Fault(.node, "status.addresses: expected a list, found true or false", #""status":{"addresses":true}"#),
    ]

    private static func json(_ fault: Fault) -> String {
        let namespace = fault.kind.isNamespaced ? #""namespace":"shop","# : ""
        return #"{"apiVersion":"\#(fault.kind.apiVersion)","kind":"\#(fault.kind.rawValue)","#
            + (fault.json.isEmpty ? "" : fault.json + ",")
            + #""metadata":{"name":"web",\#(namespace)"resourceVersion":"7"}}"#
    }

    private static func skipped(_ fault: Fault) -> SkippedObject {
        let name = ObjectName(namespace: fault.kind.isNamespaced ? "shop" : "", name: "web")
        return SkippedObject(
            key: ObjectKey(fault.kind, name),
            resourceVersion: "7",
            reason: FieldError(components: [], reason: fault.reason)
        )
    }

    @Test(arguments: faults)
    func faultsInJSON(_ fault: Fault) throws {
        guard case .skipped(let skipped) = try decoded(fault.kind, Array(Self.json(fault).utf8), .json) else {
            Issue.record("not skipped")
            return
        }
        #expect(skipped.reason.description == fault.reason)
        #expect(skipped.key == Self.skipped(fault).key)
        #expect(skipped.resourceVersion == "7")
    }

    /// What a manifest may not hold, the API may not either.
    @Test(arguments: faults)
    func theReaderOfManifestsRefusesTheSame(_ fault: Fault) {
        #expect(throws: (any Error).self) {
            let object = try decodedByCodable(fault.kind, Data(Self.json(fault).utf8))
            if let error = FieldError(faultIn: object) { throw error }
        }
    }

    @Test(arguments: faults)
    func aListGoesOnBehindThem(_ fault: Fault) throws {
        var random = RandomObjects(seed: 5)
        let good = [random.object(fault.kind), random.object(fault.kind)]
        let texts = good.map { String(decoding: Wire.encode($0, .json), as: UTF8.self) }
        let list = """
            {"kind":"\(fault.kind.rawValue)List","apiVersion":"\(fault.kind.apiVersion)",
             "items":[\(texts[0]),\(Self.json(fault)),\(texts[1])],"metadata":{"resourceVersion":"9"}}
            """
        let page = try decodedList(fault.kind, Array(list.utf8), .json)
        #expect(page.items == good)
        #expect(page.skipped.map(\.key) == [Self.skipped(fault).key])
        #expect(page.resourceVersion == "9")
    }

    @Test(arguments: faults)
    func aWatchGoesOnBehindThem(_ fault: Fault) throws {
        var random = RandomObjects(seed: 6)
        let good = random.object(fault.kind)
        let text = Array(Self.json(fault).utf8)
        var stream = Wire.encodeEvent(.added, object: text, .json)
        stream += Wire.encodeEvent(.added, good, .json)
        stream += Wire.encodeEvent(.deleted, object: text, .json)
        let all = try events(fault.kind, .json, stream)
        guard case .skipped(let skipped) = all.first, let key = skipped.key else {
            Issue.record("\(all)")
            return
        }
        #expect(key == Self.skipped(fault).key)
        #expect(all.dropFirst() == [.added(good), .deleted(key, resourceVersion: "7")])
    }

    @Test func objectsThatOnlyProtobufCanHold() throws {
        var service = Service(
            metadata: ObjectMeta(name: "Web", namespace: "shop", resourceVersion: "7"),
            clusterIPs: [],
            ports: []
        )
        for (name, reason) in [("Web", "is not a DNS label"), ("a.b", "is not a DNS label")] {
            service.metadata.name = name
            for encoding in WireEncoding.allCases {
                guard
                    case .skipped(let skipped) = try decoded(
                        .service,
                        Wire.encode(.service(service), encoding),
                        encoding
                    )
                else {
                    Issue.record("\(name) in \(encoding) is not skipped")
                    continue
                }
                #expect(skipped.reason.path == "metadata.name" && skipped.reason.reason.contains(reason))
                #expect(skipped.key == ObjectKey(.service, ObjectName(namespace: "shop", name: name)))
                #expect("\(skipped)".hasPrefix("Service shop/\(name): metadata.name: "))
            }
        }
    }

    @Test(arguments: WireEncoding.allCases)
    func anObjectWithoutAName(_ encoding: WireEncoding) throws {
        let service = Service(metadata: ObjectMeta(name: "", namespace: "shop"), clusterIPs: [], ports: [])
        let all = try events(
            .service,
            encoding,
            Wire.encodeEvent(.added, .service(service), encoding)
                + Wire.encodeEvent(.deleted, .service(service), encoding)
        )
        for event in all {
            guard case .skipped(let skipped) = event else {
                Issue.record("\(event)")
                continue
            }
            #expect("\(skipped)" == "an object without a name: metadata.name: is missing")
            #expect(skipped.key == nil)
        }
        #expect(all.count == 2)
    }

    @Test(arguments: WireEncoding.allCases)
    func anObjectOfAnotherKind(_ encoding: WireEncoding) throws {
        var random = RandomObjects(seed: 7)
        let node = random.object(.node)
        let all = try events(.service, encoding, Wire.encodeEvent(.modified, node, encoding))
        guard case .skipped(let skipped) = all.first else {
            Issue.record("\(all)")
            return
        }
        #expect("\(skipped.reason)" == "kind: expected Service, found Node")
    }

    @Test func namesThatAreNoText() throws {
        let text = Array(
            #"{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","namespace":"~","resourceVersion":7}}"#.utf8
        ).map { $0 == UInt8(ascii: "~") ? 0xff : $0 }
        guard case .skipped(let skipped) = try decoded(.service, text, .json) else {
            Issue.record("not skipped")
            return
        }
        #expect("\(skipped.reason)" == "metadata.namespace: string is not UTF-8")
        #expect(skipped.key == nil && skipped.resourceVersion.isEmpty)
    }
}
