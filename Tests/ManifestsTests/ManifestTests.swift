import Foundation
import KubernetesAPI
import NetworkTypes
import Testing

@testable import Manifests

@Suite struct ManifestTests {
    private func read(_ text: String) throws -> Manifest {
        try Manifest(Array(text.utf8), pool: StringPool())
    }

    private func error(_ text: String) -> ManifestError? {
        #expect(throws: ManifestError.self) { try read(text) } as ManifestError?
    }

    static let service = """
        apiVersion: v1
        kind: Service
        metadata:
          name: web
        spec:
          clusterIP: 10.96.0.10
          ports:
            - port: 80
        """

    @Test func severalDocumentsOfOneFile() throws {
        let manifest = try read(
            """
            # a comment
            ---
            \(Self.service)
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata:
              name: web-1
              namespace: shop
              labels: {kubernetes.io/service-name: web}
            addressType: IPv6
            ports: [{port: 8080}]
            endpoints:
              - addresses: ["fd00::2"]
                conditions: {ready: no}
                nodeName: n1
            ---
            ---
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: other}
            ---
            apiVersion: v1
            kind: Node
            metadata: {name: n1, namespace: nonsense}
            """
        )
        #expect(
            manifest.objects.map(\.key) == [
                ObjectKey(.service, ObjectName(namespace: "default", name: "web")),
                ObjectKey(.endpointSlice, ObjectName(namespace: "shop", name: "web-1")),
                ObjectKey(.node, ObjectName(namespace: "", name: "n1")),
            ]
        )
        #expect(manifest.ignored == ["apps/v1 Deployment"])
        guard case .endpointSlice(let slice) = manifest.objects[1] else {
            Issue.record("no slice")
            return
        }
        #expect(slice.endpoints.first?.isReady == false)
        #expect(slice.endpoints.first?.nodeName == "n1")
    }

    @Test(arguments: [
        // A typed list does not repeat the kind in its items, an untyped one does.
        """
        {"apiVersion": "v1", "kind": "ServiceList", "items": [
          {"metadata": {"name": "web"}, "spec": {"clusterIP": "10.96.0.10", "ports": [{"port": 80}]}}]}
        """,
        """
        {"apiVersion": "v1", "kind": "List", "items": [
          {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
           "spec": {"clusterIP": "10.96.0.10", "ports": [{"port": 80}]}}]}
        """,
        "apiVersion: v1\nkind: List\nitems:\n- " + service.split(separator: "\n").joined(separator: "\n  "),
        service.replacingOccurrences(of: "\n", with: "\r\n"),
        "\u{feff}" + service,
        // JSON is YAML, so documents of it can be strung together as such.
        #"{"apiVersion": "v1", "kind": "Pod"}"# + "\n---\n" + service,
    ])
    func oneServiceInManyForms(_ text: String) throws {
        let manifest = try read(text)
        guard case .service(let service)? = manifest.objects.first else {
            Issue.record("no Service in \(manifest)")
            return
        }
        #expect(service.metadata.objectName == ObjectName(namespace: "default", name: "web"))
        #expect(service.clusterIPs == [IPAddress("10.96.0.10")!])
        #expect(service.ports == [Service.Port(port: 80)])
    }

    @Test(arguments: ["", "\n\n", "---\n---\n", "# nothing\n", "null"])
    func nothingInIt(_ text: String) throws {
        #expect(try read(text).objects.isEmpty)
    }

    struct Fault: Sendable {
        let text: String
        let line: Int?
        let reason: String

        init(_ line: Int?, _ reason: String, _ text: String) {
            (self.line, self.reason, self.text) = (line, reason, text)
        }
    }

    @Test(arguments: [
        Fault(9, "spec.ports[0].port: 80000 is not a port number from 1 to 65535", "# x\n\(service)000"),
        Fault(
            11,
            "spec.ports[0].port: expected a whole number, found a string",
            "---\n# x\n---\n" + service.replacingOccurrences(of: "port: 80", with: "port: '80'")
        ),
        Fault(
            8,
            "spec.ports[0].port: is not a whole number of 64 bits",
            service.replacingOccurrences(of: "port: 80", with: "port: 80.5")
        ),
        Fault(
            6,
            "spec.clusterIP: \"10.96.0\" is not an IP address",
            service.replacingOccurrences(of: "10.96.0.10", with: "10.96.0")
        ),
        Fault(
            4,
            "metadata.name: expected a string, found a number",
            service.replacingOccurrences(of: "web", with: "17")
        ),
        Fault(
            4,
            "metadata.name: \"We b\" is not a DNS label (a-z, 0-9 and -, up to 63)",
            service.replacingOccurrences(of: "web", with: "We b")
        ),
        Fault(3, "metadata.name: is missing", service.replacingOccurrences(of: "name: web", with: "labels: {}")),
        Fault(1, "kind: is missing", "apiVersion: v1\nmetadata: {name: a}"),
        Fault(1, "expected an object, found a string", "just words"),
        Fault(
            7,
            "spec.ports: expected a list, found an object",
            service.replacingOccurrences(of: "- port", with: "port")
        ),
        Fault(
            2,
            "items[1].spec.ports[0].port: -1 is not a port number from 1 to 65535",
            """
            {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Pod"},
              {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": -1}]}}]}
            """
        ),
        Fault(
            9,
            "spec.ports[1].name: is missing; each of several ports needs a name",
            service.replacingOccurrences(of: "- port: 80", with: "- {port: 80, name: a}") + "\n    - port: 81"
        ),
        Fault(3, "the key \"kind\" appears twice in one mapping", "apiVersion: v1\nkind: Service\nkind: Service"),
        Fault(2, "no anchor is called \"b\" above this alias", "a: &a 1\nb: *b"),
        Fault(1, "no anchor is called \"a\" above this alias", "a: &a [*a]"),
        Fault(1, "a key must be a scalar", "? [a]\n: b"),
        Fault(2, "not UTF-8 text", "a: b\nc: "),
    ])
    func faultsNameLineAndField(_ fault: Fault) {
        var bytes = Array(fault.text.utf8)
        if fault.reason == "not UTF-8 text" { bytes += [0xff, 0xfe, 0x0a] }
        let error = #expect(throws: ManifestError.self) { try Manifest(bytes, pool: StringPool()) }
        #expect(error?.line == fault.line)
        #expect(error?.reason == fault.reason)
    }

    @Test(arguments: [
        ("a: [1, 2", 2), (#"{"a": [1, 2"#, 1), ("a: b\n\tc: d", 2), ("a: 'x\nb: y\n", 3), ("%YAML 9.9\n---\na: b", 1),
        ("a: \u{1}", nil),
    ])
    func syntaxErrorsNameTheLine(_ text: String, _ line: Int?) {
        let error = error(text)
        #expect(error?.reason.hasPrefix("not valid YAML: ") == true)
        if let line { #expect((line...line + 1).contains(error?.line ?? 0)) }
    }

    @Test func hostileDocumentsAreRefused() {
        let depth = 200_000
        var bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...20 {
            bomb += "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", "))]\n"
        }
        #expect(error(bomb)?.reason.hasPrefix("aliases expand to more than") == true)
        // The same through merge keys.
        var merges = "m0: &m0 {k: \(String(repeating: "x", count: 1000))}\n"
        for level in 1...40 { merges += "m\(level): &m\(level) {a: *m\(level - 1), b: *m\(level - 1)}\n" }
        #expect(error(merges)?.reason.hasPrefix("aliases expand to more than") == true)
        // Merging what is there already adds nothing to the result, but is not free.
        let keys = (1...1000).map { "k\($0): 1" }.joined(separator: ", ")
        let same = "a: &a {\(keys)}\nb: {<<: [\(Array(repeating: "*a", count: 30_000).joined(separator: ","))]}"
        #expect(error(same)?.reason.hasPrefix("aliases expand to more than") == true)
        #expect(error(String(repeating: "[", count: depth)) != nil)
        #expect(error(String(repeating: "{a: ", count: depth)) != nil)
        #expect(error(String(repeating: "- ", count: depth) + "a") != nil)
        #expect(error(#"{"a":"# + String(repeating: "[", count: 300) + String(repeating: "]", count: 300) + "}") != nil)
    }

    /// Whatever a file holds, the answer is objects or a reason.
    @Test(arguments: 1...20)
    func damagedFilesNeverCrash(_ seed: Int) {
        let json = """
            {"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "a", "labels": {"kubernetes.io/service-name": "b"}}, "addressType": "IPv4",
            "ports": [{"port": 1}], "endpoints": [{"addresses": ["10.0.0.1"], "hints": {"forZones": [{"name": "z"}]}}]}]}
            """
        let yaml = "x: &x {<<: {a: b}}\ny: [*x, !!int '3', |\n  text\n ]\n---\n" + Self.service
        let pieces = [
            "{", "}", "[", "]", ":", ": ", "- ", "&a ", "*a", "<<: ", "\n", "\"", "'", "\0", "\u{feff}", "null",
            "---\n", "%", "!!", "1e999", "|",
        ]
        var state = UInt64(seed)
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for _ in 0..<300 {
            var bytes = Array((random(2) == 0 ? json : yaml).utf8)
            for _ in 0...random(4) {
                let place = random(bytes.count)
                switch random(4) {
                case 0: bytes[place] = UInt8(random(256))
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(contentsOf: pieces[random(pieces.count)].utf8, at: place)
                default: bytes.removeLast(min(random(40), bytes.count - 1))
                }
            }
            do {
                _ = try Manifest(bytes, pool: StringPool())
            } catch {
                #expect(!error.reason.isEmpty)
            }
        }
    }
}
