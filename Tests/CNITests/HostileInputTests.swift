import CNI
import Testing

/// Whatever arrives is either understood or refused with a code; never a crash, never a hang.
@Suite struct HostileInputTests {
    static let seeds = [
        #"{"cniVersion":"1.1.0","name":"pods","type":"swiftlet","mtu":1450,"ipam":{"type":"swiftlet-ipam","pools":[{"cidr":"10.80.0.0/16"}]}}"#,
        #"{"cniVersion":"0.2.0","name":"n","prevResult":{"ip4":{"ip":"10.0.0.1/32","gateway":"10.0.0.2","routes":[{"dst":"0.0.0.0/0"}]}}}"#,
        #"{"cniVersion":"1.0.0","name":"n","prevResult":{"interfaces":[{"name":"a","mtu":1}],"ips":[{"address":"fd00::1/64","interface":0}],"dns":{"search":["\u00e9\ud83d\ude00"]}}}"#,
        #"{"name":"n","runtimeConfig":{"ips":["10.0.0.1/8"],"mac":"0a:00:00:00:00:01","dns":{"servers":["x"]}},"cni.dev/valid-attachments":[{"containerID":"a","ifname":"b"}]}"#,
    ].map { Array($0.utf8) }

    static let fragments = [
        "[", "]", "{", "}", "\"", "\\", ",", ":", "null", "-1", "1e400", "18446744073709551616", "\\ud800", "\u{0}",
        "\u{ff}",
        "{\"a\":", "[[[[[[[[", "0.1.0", "::", "/129", "%", "\"name\":", "\"cniVersion\":", "999999999999",
    ].map { Array($0.utf8) }

    @Test func mutatedConfigurations() {
        var random = SystemRandomNumberGenerator()
        var understood = 0
        for iteration in 0..<200_000 {
            var text = Self.seeds[iteration % Self.seeds.count]
            for _ in 0..<Int.random(in: 1...4) {
                let at = Int.random(in: 0..<max(1, text.count), using: &random)
                switch UInt8.random(in: 0..<5, using: &random) {
                case 0 where !text.isEmpty: text[at] = UInt8.random(in: 0...255, using: &random)
                case 1 where !text.isEmpty: text.remove(at: at)
                case 2:
                    text.insert(
                        contentsOf: Self.fragments[Int.random(in: 0..<Self.fragments.count)],
                        at: min(at, text.count)
                    )
                case 3: text.removeSubrange(min(at, text.count)...)
                default:
                    let end = min(text.count, at + Int.random(in: 0..<40, using: &random))
                    if at < end { text.insert(contentsOf: text[at..<end], at: at) }
                }
            }
            if Self.read(text) { understood += 1 }
        }
        #expect(understood > 1000, "some mutations leave a valid configuration")
        #expect(understood < 199_000, "and most do not")
    }

    /// Whether everything in the configuration was understood.
    static func read(_ text: [UInt8]) -> Bool {
        do {
            _ = SpecVersion.reply(toStdin: text)
            let configuration = try NetworkConfiguration(text)
            _ = try configuration.ipam()
            _ = try configuration.runtimeConfiguration()
            _ = try configuration.argumentAddresses()
            _ = try configuration.validAttachments()
            if let result = try configuration.previousResult() {
                for version in SpecVersion.allCases { _ = try? result.json(version: version).text(indentation: 4) }
            }
            return true
        } catch {
            // Every refusal can be told.
            _ = error.json(version: .latest).text()
            return false
        }
    }

    @Test func mutatedEnvironments() {
        let words = [
            "ADD", "DEL", "CHECK", "", "/", "..", "eth0", "K8S_POD_NAME=a;K8S_POD_NAMESPACE=b", "=", ";", "IP=::",
            "\u{0}", "é",
            String(repeating: "a", count: 5000), "IgnoreUnknown=1", "x=y=z",
        ]
        let names = [
            "CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH", "CNI_ARGS", "CNI_NETNS_OVERRIDE",
        ]
        var understood = 0
        for _ in 0..<50_000 {
            var environment = InvocationTests.complete
            for _ in 0..<Int.random(in: 0...3) { environment[names.randomElement()!] = words.randomElement()! }
            do {
                _ = try Invocation(environment: environment)
                understood += 1
            } catch {
                #expect(error.code == .invalidEnvironment)
            }
        }
        #expect(understood > 1000)
    }
}
