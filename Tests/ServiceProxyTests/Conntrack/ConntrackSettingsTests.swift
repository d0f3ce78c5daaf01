import Foundation
import Glibc
import Logging
import Netlink
import NetworkTypes
import TestSupport
import Testing

@testable import ServiceProxy

/// CT-7. No test here writes a setting of the machine.
@Suite struct ConntrackSettingsTests {
    private typealias Setting = ConntrackSettings.Setting

    struct Case: Sendable {
        var processors = 4
        var configure: @Sendable (inout KubeProxyConfiguration.Conntrack) -> Void = { _ in }
        var current: [ConntrackSettings.Setting: Int] = [:]
        let writes: [String]
    }

    /// A kernel that has what kube-proxy's defaults ask for.
    private static let asWanted: [ConntrackSettings.Setting: Int] = [
        .max: 131_072, .hashSize: 65_536, .tcpEstablishedTimeout: 86_400, .tcpCloseWaitTimeout: 3600, .tcpBeLiberal: 0,
        .udpTimeout: 30, .udpStreamTimeout: 120,
    ]

    static let cases: [Case] = [
        Case(current: asWanted, writes: []),
        // What cannot be read is written.
        Case(writes: ["max 131072", "hashSize 32768", "tcpEstablishedTimeout 86400", "tcpCloseWaitTimeout 3600"]),
        // maxPerCore × processors, at least `min`, and the product at most 1,048,576.
        Case(processors: 16, current: asWanted, writes: ["max 524288", "hashSize 131072"]),
        Case(processors: 1, current: asWanted, writes: []),
        Case(processors: 128, current: asWanted, writes: ["max 1048576", "hashSize 262144"]),
        Case(configure: { $0.min = 2_000_000 }, current: asWanted, writes: ["max 2000000", "hashSize 500000"]),
        Case(configure: { $0.maxPerCore = .max }, current: asWanted, writes: ["max 1048576", "hashSize 262144"]),
        // Less than the kernel has is written too; but a hash table is never made smaller.
        Case(configure: { ($0.min, $0.maxPerCore) = (0, 1000) }, current: asWanted, writes: ["max 4000"]),
        // 0 leaves alone, and then `min` does not count.
        Case(configure: { ($0.maxPerCore, $0.min) = (0, 9_999_999) }, current: asWanted, writes: []),
        Case(
            configure: { ($0.tcpEstablishedTimeout, $0.tcpCloseWaitTimeout, $0.maxPerCore) = (.zero, .zero, 0) },
            writes: []
        ),
        Case(
            configure: {
                $0.tcpEstablishedTimeout = .seconds(7200)
                $0.tcpBeLiberal = true
                $0.udpTimeout = .milliseconds(10_900)
                $0.udpStreamTimeout = .milliseconds(1)
            },
            current: asWanted,
            writes: ["tcpEstablishedTimeout 7200", "udpTimeout 10", "udpStreamTimeout 1", "tcpBeLiberal 1"]
        ),
        Case(configure: { $0.tcpBeLiberal = false }, current: [.tcpBeLiberal: 1].merging(asWanted) { $1 }, writes: []),
    ]

    @Test(arguments: cases)
    func whatIsWritten(_ c: Case) {
        var configuration = KubeProxyConfiguration.Conntrack()
        c.configure(&configuration)
        let writes = ConntrackSettings(configuration).writes(processors: c.processors) { c.current[$0] }
        #expect(writes.map { "\($0.setting) \($0.value)" } == c.writes)
    }

    @Test func theConfigurationHasThem() throws {
        let values = try ProxyCommandLine(["--manifests=/m", "--conntrack-max-per-core=7", "--conntrack-min=0"]).values
        var expected = KubeProxyConfiguration.Conntrack()
        (expected.maxPerCore, expected.min) = (7, 0)
        let configuration = try ProxyConfiguration(values, hostName: "n")
        #expect(configuration.conntrack == ConntrackSettings(expected))
    }

    @Test(arguments: [("0", 1), ("0-3", 4), ("0-1,4,6-7\n", 5), ("", nil), ("3-1", nil), ("x", nil), ("1-2-3", nil)])
    func processors(_ list: String, _ count: Int?) {
        #expect(LocalNode.count(processors: list) == count)
        #expect(LocalNode.processorCount >= 1)
    }

    private let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// The kernel's files, in a directory.
    private func makeFiles(_ values: [ConntrackSettings.Setting: Int]) throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        for (setting, value) in values {
            let file = URL(fileURLWithPath: directory.path + setting.path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(),
                withIntermediateDirectories: true
            )
            try "\(value)\n".write(to: file, atomically: false, encoding: .utf8)
        }
        return directory
    }

    @Test func onlyWhatDiffersIsWritten() throws {
        let directory = try makeFiles(Self.asWanted)
        func read(_ setting: ConntrackSettings.Setting) throws -> String {
            try SettingFile(path: directory.path + setting.path).read()
        }
        // Whoever writes to this one fails, root or not.
        let closeWait = directory.path + Setting.tcpCloseWaitTimeout.path
        try FileManager.default.removeItem(atPath: closeWait)
        try FileManager.default.createDirectory(atPath: closeWait, withIntermediateDirectories: false)

        var configuration = KubeProxyConfiguration.Conntrack()
        configuration.udpTimeout = .seconds(10)
        let settings = ConntrackSettings(configuration)
        let failures = settings.apply(below: directory.path, processors: 8, logger: silent)
        #expect(failures.map(\.write) == [.init(setting: .tcpCloseWaitTimeout, value: 3600)])
        // The others are written nevertheless.
        #expect(try read(.max) == "262144")
        #expect(try read(.hashSize) == "65536")
        #expect(try read(.udpTimeout) == "10")
        #expect(try read(.udpStreamTimeout) == "120")
        #expect(settings.apply(below: directory.path, processors: 8, logger: silent) == failures)
    }

    @Test func whatIsMissingIsExplained() throws {
        let directory = try makeFiles([:])
        let settings = ConntrackSettings(KubeProxyConfiguration.Conntrack())
        let failures = settings.apply(below: directory.path, processors: 1, logger: silent)
        #expect(failures.count == 4)
        #expect(failures.allSatisfy { $0.error.code == ENOENT })
        #expect(
            failures.map(\.remedy).last == """
                load the kernel module nf_conntrack on the node before the proxy starts, \
                or set conntrack.tcpCloseWaitTimeout: 0s to leave it alone
                """
        )
        let error = SysctlError(path: "/x", value: "1", code: EROFS)
        let readOnly = ConntrackSettings.Failure(write: .init(setting: .max, value: 5), error: error)
        #expect(
            readOnly.remedy == """
                write 5 to /proc/sys/net/netfilter/nf_conntrack_max on the node, or let the proxy write there (as a \
                privileged container of the host's network), or set conntrack.maxPerCore: 0 to leave it alone
                """
        )
    }

    /// The time-outs belong to a network namespace; the others are left out, as they are the machine's.
    @Test(.enabled(if: isRoot)) func theKernelTakesThem() throws {
        let namespace = try NetworkNamespace.makeContainer()
        var configuration = KubeProxyConfiguration.Conntrack()
        configuration.maxPerCore = 0
        configuration.tcpEstablishedTimeout = .seconds(4321)
        configuration.tcpBeLiberal = true
        configuration.udpStreamTimeout = .seconds(77)
        let settings = ConntrackSettings(configuration)
        let values = try namespace.run {
            let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            #expect(settings.apply(below: "", processors: 1, logger: silent) == [])
            return try [Setting.tcpEstablishedTimeout, .tcpCloseWaitTimeout, .tcpBeLiberal, .udpStreamTimeout].map {
                try SettingFile(path: $0.path).read()
            }
        }
        #expect(values == ["4321", "3600", "1", "77"])
    }
}
