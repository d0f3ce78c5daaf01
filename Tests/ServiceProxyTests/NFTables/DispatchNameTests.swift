import NFTables
import Testing

@testable import ServiceProxy

@Suite struct DispatchNameTests {
    static let picks: [PickChain] = PickChain.Marking.allCases.flatMap { marking in
        Scope.allCases.flatMap { scope in
            [false, true].flatMap { isNear in
                [(1, 0), (12, 0), (3, 10_800), (999_999, 86_400)].map { count, memory in
                    PickChain(marking: marking, scope: scope, isNear: isNear, count: count, memory: UInt32(memory))
                }
            }
        }
    }

    @Test(arguments: picks)
    func aChainHasANameOfItsOwn(pick: PickChain) {
        #expect(PickChain(code: pick.code, scope: pick.scope) == pick)
        #expect(PickChain(name: pick.name) == pick)
        #expect(DispatchName.name(of: pick.verdict) == pick.code)
        #expect(DispatchName.verdict(of: pick.code, in: pick.scope) == pick.verdict)
        #expect(pick.code.utf8.count <= 15)
    }

    @Test func namesReadLikeTheirChains() {
        func code(_ name: String) -> String? { PickChain(name: name)?.code }
        #expect(code("pick-3") == "3")
        #expect(code("masquerade-pick-3-for-10800s") == "m-3-10800")
        #expect(code("masquerade-unless-local-near-pick-2") == "un-2")
        #expect(DispatchName.name(of: .goto("nodeport-by-source")) == "by-source")
        #expect(DispatchName.verdict(of: "by-source", in: .nodePort) == .goto("nodeport-by-source"))
        #expect(DispatchName.verdict(of: "drop", in: .service) == .drop)
    }

    @Test(arguments: ["", "0", "-3", "x-3", "m-", "m-0", "3-0", "03", "m-3-4-5", "mu-3", "4294967296", "nm-3"])
    func strangeNamesAreNone(name: String) {
        #expect(DispatchName.verdict(of: name, in: .service) == nil)
    }
}
