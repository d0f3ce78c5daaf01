import Testing

@testable import ServiceProxy

@Suite struct ModeChoiceTests {
    @Test func theBestThatIsPossible() throws {
        #expect(try ModeChoice(nil, problems: [:]).mode == .nftables)
        let second = try ModeChoice(nil, problems: [.nftables: "kernel 4.9 is too old"])
        #expect(second.mode == .iptables)
        #expect(second.reason == "not nftables: kernel 4.9 is too old")
        let last = try ModeChoice(nil, problems: [.nftables: "no right", .iptables: "no tools"])
        #expect(last.mode == .userspace)
        #expect(last.reason == "not nftables: no right; not iptables: no tools")
        let error = #expect(throws: ModeChoice.Failure.self) {
            try ModeChoice(nil, problems: [.nftables: "a", .iptables: "b", .userspace: "c"])
        }
        #expect(
            error?.description
                == "no --proxy-mode is possible here: not nftables: a; not iptables: b; not userspace: c"
        )
    }

    @Test(arguments: ProxyMode.allCases) func whatWasAskedForOrNothing(_ mode: ProxyMode) throws {
        let others = ProxyMode.allCases.filter { $0 != mode }
        let problems = Dictionary(uniqueKeysWithValues: others.map { ($0, "broken") })
        #expect(try ModeChoice(mode, problems: problems).mode == mode)
        let error = #expect(throws: ModeChoice.Failure.self) { try ModeChoice(mode, problems: [mode: "broken"]) }
        #expect(error?.description == "--proxy-mode \(mode.rawValue) is not possible here: broken")
    }
}
